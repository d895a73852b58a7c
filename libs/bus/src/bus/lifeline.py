"""Programs that end with whoever started them, however that one ended.

A supervisor that is killed outright (SIGKILL, out of memory) can end nothing any more: what it had started would go on
without anybody knowing. Linux sends a signal to a child when its parent dies (prctl(2), PR_SET_PDEATHSIG), and
util-linux' ``setpriv`` sets that up before it becomes the program. Elsewhere programs start as they are.
"""

import shutil
from collections.abc import Sequence


def tied(argv: Sequence[str]) -> list[str]:
    """The command line that runs ``argv`` under the same process id, killed when its parent dies."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *argv] if setpriv else list(argv)


__all__ = ["tied"]
