"""``watch``, ``list``, ``show``, ``events``, ``logs``: what is it doing, what is there, what was said and logged."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bus import codec
from catalyst.commands.session import json_option, on_the_edge, show, sovereign_argument
from catalyst.edge import Edge, Said
from catalyst.failing import RUN_FAILED, Failure
from catalyst.screen import Screen, summary
from contracts.identity import fqdn_of
from contracts.openapi import LogLine, LogLines
from contracts.view import View

_ENDS = {
    "ready": frozenset({"ready", "handed-over", "degraded", "failed", "cancelled", "decommissioned"}),
    "end": frozenset({"handed-over", "degraded", "failed", "cancelled", "decommissioned"}),
    "decommissioned": frozenset({"decommissioned"}),
    "anew": frozenset({"ready", "handed-over", "degraded", "failed", "cancelled"}),
    "never": frozenset(),
}
_BAD = frozenset({"degraded", "failed", "cancelled"})


@click.command()
@sovereign_argument
@click.option("--until", type=click.Choice(tuple(_ENDS)), default="end", show_default=True, help="When to stop.")
@click.option("--quiet", is_flag=True, help="Only the last word.")
@json_option
def watch(sovereign: str, *, until: str, quiet: bool, as_json: bool) -> None:
    """Follow a run: history first, then live; a broken connection resumes by itself."""
    follow(sovereign, as_json=as_json, until=until, quiet=quiet)


def follow(sovereign: str, *, as_json: bool, until: str, quiet: bool) -> None:
    """Watch until the run is where it should be; RUN_FAILED when it ended otherwise."""
    view = _follow(sovereign, as_json=as_json, ends=_ENDS[until], quiet=quiet)
    if not as_json:
        click.echo("\n".join(summary(view)))
    if view.state in _BAD:
        why = view.trouble.next_step if view.trouble else "catalyst show tells which commands fit now"
        raise Failure(view.sentence, why, code=RUN_FAILED)


@on_the_edge
async def _follow(session: Edge, sovereign: str, *, as_json: bool, ends: frozenset[str], quiet: bool) -> View:
    console = Console(quiet=as_json or quiet, highlight=False)
    with Screen(console, sovereign) as screen:
        live = False
        async for said in session.events(sovereign):
            live = live or said.name == "live"
            if not said.name:
                _take(screen, sovereign, said)
                if as_json:
                    click.echo(said.raw)
            # An earlier end in the history is no end while a later run goes on.
            if live and screen.view.state in ends:
                return screen.view
    return screen.view


def _take(screen: Screen, sovereign: str, said: Said) -> None:
    fact = str(said.body.get("type", "")).rpartition(".v")[0]
    try:
        screen.take(said.sequence, codec.decode(f"{fact}.{sovereign}", said.raw.encode()))
    except codec.Unreadable as error:
        screen.note(f"a fact that this release does not know: {error}")


@click.command(name="list")
@json_option
def list_(*, as_json: bool) -> None:
    """Every Sovereign that you may see, troubled ones first."""
    body = _get("/api/v1/sovereigns")
    if as_json:
        click.echo(json.dumps(body, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for head in ("NAME", "STATE", "RUN", "WHAT", "€/MONTH"):
        table.add_column(head)
    for row in body["sovereigns"]:
        cost = (row.get("cost") or {}).get("monthly", "")
        table.add_row(row["fqdn"], row["word"], str(row["run"]), row["sentence"], cost)
    Console(highlight=False).print(table if body["sovereigns"] else "No Sovereign yet: catalyst request")


@click.command(name="show")
@sovereign_argument
@click.option("--at", type=int, help="The state at this stream sequence.")
@json_option
def show_(sovereign: str, *, at: int | None, as_json: bool) -> None:
    """A Sovereign as it is, or as it was."""
    body = _get(f"/api/v1/sovereigns/{sovereign}", {"at": str(at)} if at is not None else None)
    view = View.model_validate(body)
    text = "\n".join([*summary(view), f"commands that fit now: {', '.join(view.commands) or 'none'}"])
    show(body, as_json=as_json, text=text)


@click.command()
@sovereign_argument
@click.option("--from", "after", default="", help="Only what was said after this sequence or id.")
@click.option("--limit", type=int, default=10_000, show_default=True, help="At most so many.")
@click.option("--only", default="", help="Facts or domains, separated by commas: tofu,hr.ready")
def events(sovereign: str, *, after: str, limit: int, only: str) -> None:
    """What was said, one JSON object per line."""
    query = {"limit": str(limit), **({"from": after} if after else {}), **({"only": only} if only else {})}
    for row in _get(f"/api/v1/sovereigns/{sovereign}/events", query)["events"]:
        click.echo(json.dumps(row, separators=(",", ":"), ensure_ascii=False))


@click.command()
@sovereign_argument
@click.option("--source", default="", help="One controller, such as helm-controller.")
@click.option("--limit", type=click.IntRange(1, 2000), default=200, show_default=True, help="So many of the newest.")
@click.option("--follow", is_flag=True, help="Then what comes, until Ctrl-C.")
@json_option
def logs(sovereign: str, *, source: str, limit: int, follow: bool, as_json: bool) -> None:
    """What the cluster's controllers logged: one line each, kept seven days."""

    def tell(line: LogLine) -> None:
        if not source or line.source == source:
            click.echo(line.model_dump_json() if as_json else f"{line.at[11:19]} {line.source:<22} {line.text}")

    query = {"limit": str(limit), **({"source": source} if source else {})}
    newest = LogLines.model_validate(_get(f"/api/v1/sovereigns/{sovereign}/logs", query)).lines
    for line in newest:
        tell(line)
    if follow:
        _follow_logs(sovereign, after=str(newest[-1].id) if newest else "", tell=tell)


@on_the_edge
async def _follow_logs(session: Edge, sovereign: str, *, after: str, tell: Callable[[LogLine], None]) -> None:
    async for line in session.log_lines(sovereign, after=after):
        tell(line)


@click.command()
@sovereign_argument
@click.option("--at", type=int, required=True, help="Stream sequence, as `catalyst events` prints it.")
@json_option
def replay(sovereign: str, *, at: int, as_json: bool) -> None:
    """The state at a past moment, drawn from the events up to it."""
    body = _get(f"/api/v1/sovereigns/{sovereign}", {"at": str(at)})
    view = View.model_validate(body)
    show(body, as_json=as_json, text="\n".join([f"{fqdn_of(sovereign)} after fact {at}:", *summary(view)]))


@on_the_edge
async def _get(session: Edge, path: str, query: Mapping[str, str] | None = None) -> Any:
    return await session.call("GET", path, query=query)
