"""``state``: the OpenTofu state of a Sovereign for its operator."""

from typing import Any

import click

from catalyst.commands.session import json_option, on_the_edge, show, sovereign_argument
from catalyst.edge import Edge
from contracts.identity import fqdn_of
from contracts.questions import StateReply, StateVersionsReply


@click.group()
def state() -> None:
    """The versions of a Sovereign's OpenTofu state: encrypted at rest, the last hundred kept."""


@on_the_edge
async def _ask(session: Edge, method: str, path: str, body: Any = None) -> Any:
    return await session.call(method, path, body)


@state.command()
@sovereign_argument
@json_option
def versions(sovereign: str, *, as_json: bool) -> None:
    """Which versions are kept, newest first."""
    answer = _ask("GET", f"/api/v1/sovereigns/{sovereign}/state")
    reply = StateVersionsReply.model_validate(answer)
    rows = [
        f"{row.serial:6}  {row.resources:4} resources  {row.stored_bytes:8} bytes{'  newest' if row.newest else ''}"
        for row in reply.versions
    ]
    show(answer, as_json=as_json, text="\n".join(rows) or f"{fqdn_of(sovereign)} has no state")


@state.command()
@sovereign_argument
@click.option("--serial", type=int, default=0, help="The newest one when it is not given.")
def pull(sovereign: str, *, serial: int) -> None:
    """Print a version, decrypted, as OpenTofu reads it."""
    answer = _ask("GET", f"/api/v1/sovereigns/{sovereign}/state/{serial}")
    click.echo(StateReply.model_validate(answer).document)


@state.command()
@sovereign_argument
@click.option("--serial", type=int, required=True, help="As `catalyst state versions` prints it.")
@click.option("--reason", required=True, help="Kept with the fact.")
@json_option
def restore(sovereign: str, *, serial: int, reason: str, as_json: bool) -> None:
    """Bring a version back as the newest one; the next run adopts what came since."""
    body = {"serial": serial, "reason": reason}
    answer = _ask("POST", f"/api/v1/sovereigns/{sovereign}/state", body)
    told = f"{fqdn_of(sovereign)}: restore of version {serial} accepted; tofu.state-restored says when it is done."
    show(answer, as_json=as_json, text=told)
