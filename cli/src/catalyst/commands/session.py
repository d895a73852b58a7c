"""What every command takes and how it prints: ``--json``, a Sovereign by name, one event loop per command."""

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from click.shell_completion import CompletionItem
from pydantic import ValidationError

from catalyst.edge import Edge, edge
from catalyst.failing import Failure
from catalyst.settings import CliSettings
from contracts.identity import sovereign_id

_COMPLETE_WITHIN_S = 2.0
"""A person who pressed the tabulator waits no longer."""

P = ParamSpec("P")
T = TypeVar("T")


class SovereignName(click.ParamType[str]):
    """A Sovereign by its domain name or its id."""

    name = "sovereign"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Its id."""
        try:
            return sovereign_id(str(value).replace("_", "."))
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """The names that the gateway lists for us; none when it does not answer at once."""
        try:
            rows = _listed()
        except (Failure, TimeoutError):
            return []
        return [CompletionItem(row["fqdn"], help=row["word"]) for row in rows if row["fqdn"].startswith(incomplete)]


SOVEREIGN = SovereignName()
sovereign_argument = click.argument("sovereign", type=SOVEREIGN)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def settings() -> CliSettings:
    """From the environment and the settings file; a wrong one is named."""
    try:
        return CliSettings()
    except ValidationError as error:
        wrong = "; ".join(f"CATALYST_{'.'.join(map(str, row['loc'])).upper()}: {row['msg']}" for row in error.errors())
        raise Failure(f"settings are wrong: {wrong}", "correct them", code=2) from None


def on_the_edge(work: Callable[Concatenate[Edge, P], Awaitable[T]]) -> Callable[P, T]:
    """Run a command's coroutine with a session to the gateway."""

    @functools.wraps(work)
    def command(*args: P.args, **kwargs: P.kwargs) -> T:
        async def run() -> T:
            async with edge(settings()) as session:
                return await work(session, *args, **kwargs)

        return run_loop(run())

    return command


@on_the_edge
async def _listed(session: Edge) -> list[dict[str, Any]]:
    async with asyncio.timeout(_COMPLETE_WITHIN_S):
        found: list[dict[str, Any]] = (await session.call("GET", "/api/v1/sovereigns"))["sovereigns"]
        return found


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """One event loop per command; Ctrl-C ends quietly."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise click.Abort from None


def show(body: object, *, as_json: bool, text: str) -> None:
    """The answer, for a script or for a person."""
    click.echo(json.dumps(body, indent=2) if as_json else text)
