"""Entry of the tool box: setup, ensure, documents, path, env, doctor, clean.

This file is read by whatever `python3` the machine has, before anything is installed, so it keeps to syntax
that an old Python understands: only so can an old Python say in one line what is missing.
"""

import importlib
import os
import shutil
import sys

OLDEST = (3, 11)
TRIED = ("python3.11", "python3.12", "python3.13")


def newer_python() -> "str | None":
    """Find a Python that is new enough beside the one that runs."""
    return next((found for found in map(shutil.which, TRIED) if found), None)


def main() -> int:
    """Hand over to the tool box, or to a Python that can run it."""
    if sys.version_info < OLDEST:
        newer = newer_python()
        if newer:
            os.execv(newer, [newer, __file__, *sys.argv[1:]])  # noqa: S606 - the same program, a newer Python
        sys.stderr.write(
            f"tools: Python 3.11 or newer is needed and python3 is {sys.version_info[0]}.{sys.version_info[1]}: "
            "install it (Debian, Ubuntu: apt-get install python3.11 python3.11-venv)\n"
        )
        return 1
    return int(importlib.import_module("toolset.command").main(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
