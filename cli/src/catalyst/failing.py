"""How the command ends: exit codes, and errors in two lines (what, what to do).

0  done                      3  the gateway or broker cannot be reached
1  interrupted by Ctrl-C     4  refused by Catalyst Zero (a problem document)
2  wrong usage (click's)     5  the watched run ended in failed, cancelled or degraded
"""

import sys
from typing import IO, Any, Final

import click

from contracts.errors import FieldError

UNREACHABLE: Final = 3
REFUSED: Final = 4
RUN_FAILED: Final = 5


class Failure(click.ClickException):
    """Two lines on the error output and an exit code."""

    def __init__(self, what: str, todo: str, *, code: int = REFUSED, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(what)
        self.todo, self.errors = todo, errors
        self.exit_code = code  # type: ignore[misc]  # click sets it on the instance as well

    def show(self, file: IO[Any] | None = None) -> None:
        """What, which fields, what to do."""
        out = file or sys.stderr
        click.echo(f"catalyst: {self.message}", file=out)
        for error in self.errors:
            click.echo(f"  {error.field}: {error.message}", file=out)
        click.echo(f"  → {self.todo}", file=out)


def unreachable(url: str, why: str) -> Failure:
    """Nobody listens there."""
    todo = "start it (catalyst up, make demo), or set CATALYST_URL to the gateway's address"
    return Failure(f"{url} cannot be reached: {why}", todo, code=UNREACHABLE)
