"""What runs, how far, how long: lines on a terminal that replace each other, plain lines elsewhere.

A step that ends within a second says nothing while it runs. A longer one is repeated by a small thread, so that a
silent download still shows its time.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

FIRST_S: Final = 1.0
"""A step shorter than this needs no line while it runs."""
TERMINAL_S: Final = 0.5
PLAIN_S: Final = 10.0
"""Between two lines of one step: often where they replace each other, seldom where they pile up in a log."""


class Step:
    """One thing that takes time."""

    def __init__(self, what: str, clock: Callable[[], float]) -> None:
        self.what = what
        self._far: Callable[[], str] = lambda: ""
        self._clock = clock
        self._begun = clock()

    def at(self, far: str) -> None:
        """Say how far the step is."""
        self._far = lambda: far

    def measure(self, far: Callable[[], str]) -> None:
        """Say how the step finds out how far it is, each time it is shown."""
        self._far = far

    @property
    def seconds(self) -> float:
        """Since the step began."""
        return self._clock() - self._begun

    @property
    def took(self) -> str:
        """The time since the step began, for a reader."""
        seconds = self.seconds
        return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"  # noqa: PLR2004 - a minute

    def __str__(self) -> str:
        return "  ".join(part for part in (self.what, self._far(), self.took) if part)


class Progress:
    """Writes the steps of one command."""

    def __init__(self, out: TextIO = sys.stderr, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._terminal = out.isatty()

    def say(self, text: str) -> None:
        """Write one lasting line."""
        self._out.write(f"\r\x1b[K{text}\n" if self._terminal else f"{text}\n")
        self._out.flush()

    @contextmanager
    def step(self, what: str) -> Iterator[Step]:
        """Show a step while it runs, and how long it took when it is done."""
        step = Step(what, self._clock)
        ended = threading.Event()
        shower = threading.Thread(target=self._show, args=(step, ended), daemon=True)
        shower.start()
        outcome = "failed after"
        try:
            yield step
            outcome = "done in"
        finally:
            ended.set()
            shower.join()
            # Whoever raised says why; that a short step failed needs no second line.
            if outcome == "done in" or step.seconds > FIRST_S:
                self.say(f"{step.what}: {outcome} {step.took}")

    def _show(self, step: Step, ended: threading.Event) -> None:
        pause = FIRST_S
        while not ended.wait(pause):
            if self._terminal:
                self._out.write(f"\r\x1b[K{step}")
                self._out.flush()
            else:
                self.say(str(step))
            pause = TERMINAL_S if self._terminal else PLAIN_S
