"""``proof``: the signed document that a decommission leaves, fetched and verified."""

import json
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from bus.sign import NotVerified, verify
from catalyst.commands.session import json_option, on_the_edge, show, sovereign_argument
from catalyst.commands.signing import signed_file, signing_keys
from catalyst.edge import Edge
from catalyst.failing import Failure
from contracts.catalogue import TOFU
from contracts.identity import fqdn_of
from contracts.proof import Proof, SignedProof


@click.group()
def proof() -> None:
    """What a decommission proves: each resource, and the event that saw it gone."""


@proof.command()
@sovereign_argument
def get(sovereign: str) -> None:
    """Print the proof of the last decommission; keep it in a file."""
    found = _proof_of(sovereign)
    if found is None:
        raise Failure(f"{fqdn_of(sovereign)} has no proof", "it is there once tofu.destroyed was said: catalyst events")
    click.echo(json.dumps(found, indent=2))


@on_the_edge
async def _proof_of(session: Edge, sovereign: str) -> Any:
    query = {"only": "tofu.destroyed", "limit": "1000"}
    rows = (await session.call("GET", f"/api/v1/sovereigns/{sovereign}/events", query=query))["events"]
    return next((proof for row in reversed(rows) if (proof := row["event"]["data"].get("proof"))), None)


@proof.command(name="verify")
@signed_file(TOFU)
@json_option
def verify_(file: Path, *, keys_file: Path | None, as_json: bool) -> None:
    """Verify a proof's signature, and say what it proves."""
    try:
        signed = SignedProof.model_validate_json(file.read_text())
        keys = signing_keys(TOFU, keys_file)
        verify(signed, keys)
        told = signed.proof()
    except ValidationError as error:
        raise Failure(
            f"this is no proof: {error.error_count()} fields are wrong", "give what catalyst proof get prints"
        ) from None
    except NotVerified as error:
        raise Failure(f"NOT verified: {error}", "get it again (catalyst proof get); do not rely on this file") from None
    show(told.model_dump(mode="json"), as_json=as_json, text=_in_words(told, signed.kid))


def _in_words(told: Proof, kid: str) -> str:
    lines = [f"Verified (key {kid}): {fqdn_of(told.sovereign)}, life {told.life}, of {told.owner}."]
    lines += [
        f"  gone  {gone.address} ({gone.kind} {gone.cloud_id}), seen by event {gone.seen_by}" for gone in told.gone
    ]
    lines += [f"  left  {name}" for name in told.left]
    looked = f"the cloud's own lists held nothing else at {told.inventory_at:%Y-%m-%d %H:%M:%S %Z}"
    lines.append(looked if told.inventory_at else "nothing was ever asked of the cloud in this life")
    return "\n".join(lines)
