"""Other programs: started with a time limit, read line by line, stopped with us.

A child that fails becomes one exception with its last lines: what was run, and what it said.
"""

import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

KEPT: Final = 12
"""Last lines of a failed program that are worth showing."""
QUICK_S: Final = 20.0
"""A program that only answers a question."""
STOPPING_S: Final = 5.0


class ProgramFailedError(Exception):
    """A program ended badly or took too long; the message carries its last lines."""


def run(
    words: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    within_s: float,
    folder: Path | None = None,
    heard: Callable[[str], None] = lambda _line: None,
) -> list[str]:
    """Run a program to its end and return its lines; each is passed on while it runs."""
    lines: list[str] = []
    last: deque[str] = deque(maxlen=KEPT)
    try:
        child = subprocess.Popen(
            words,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as why:
        raise ProgramFailedError(f"{words[0]} cannot be started: {why}") from why
    limit = threading.Timer(within_s, child.kill)
    limit.daemon = True
    limit.start()
    try:
        for line in child.stdout or ():
            lines.append(line.rstrip("\n"))
            last.append(lines[-1])
            heard(lines[-1])
        code = child.wait()
    except BaseException:
        _stop(child)
        raise
    finally:
        timed_out = limit.finished.is_set()
        limit.cancel()
        if child.stdout:
            child.stdout.close()
    if code:
        reason = f"was stopped after {within_s:.0f} s" if timed_out else f"ended with {code}"
        said = "\n  ".join(last)
        raise ProgramFailedError(f"{Path(words[0]).name} {reason}" + (f":\n  {said}" if said else ""))
    return lines


def _stop(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(STOPPING_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
