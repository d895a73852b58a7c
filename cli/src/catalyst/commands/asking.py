"""``request`` and ``seal``: from flags or a file to a request whose secrets were sealed on this machine."""

import json
import sys
import uuid
from pathlib import Path
from typing import Any

import click

from catalyst.commands.session import json_option, on_the_edge, show, sovereign_argument
from catalyst.commands.watching import follow
from catalyst.edge import Edge
from catalyst.failing import Failure
from contracts.catalogue import TOFU
from contracts.identity import fqdn_of, sovereign_id

CLOUD_TOKEN = "cloud-token"  # noqa: S105 - a purpose's name
REGISTRAR_TOKEN = "registrar-token"  # noqa: S105 - a purpose's name


def read_secret(file: str | None, prompt: str) -> str:
    """A secret from a file, from standard input (``-``), or typed without echo; never from an argument."""
    if file == "-":
        return sys.stdin.readline().strip()
    if file is not None:
        return Path(file).expanduser().read_text().strip()
    return str(click.prompt(prompt, hide_input=True)).strip()


def body_of(file: Path | None, flags: dict[str, Any]) -> dict[str, Any]:
    """A request's body: the file, then what the flags say."""
    body: dict[str, Any] = {}
    if file is not None:
        try:
            body = json.loads(file.read_text())
        except ValueError as error:
            raise Failure(f"{file} is no JSON: {error}", "see catalyst request --example") from None
    return merged(body, flags)


def merged(body: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The body with these values at their paths; None leaves what is there."""
    for path, value in values.items():
        if value is None:
            continue
        *parents, name = path.split(".")
        place = body
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    return body


EXAMPLE: dict[str, Any] = {
    "organisation": {"name": "Omantel"},
    "topology": {"region": "fsn1", "control_plane_count": 1, "worker_count": 1},
    "domain": {"mode": "pool", "fqdn": "omantel.omani.works"},
    "ssh_public_key": "ssh-ed25519 AAAA... sovereign-admin@omantel",
    "admin_email": "admin@omantel.example",
}


QUESTIONS: tuple[tuple[str, str, str | None], ...] = (
    ("domain.fqdn", "Name of the Sovereign, such as omantel.omani.works", None),
    ("organisation.name", "Organisation", None),
    ("topology.region", "Region (fsn1, nbg1, hel1, ash, hil)", "fsn1"),
    ("admin_email", "E-mail address of the sovereign-admin", None),
    ("ssh_public_key", "File with the SSH public key", "~/.ssh/sovereign_admin.pub"),
)
"""What a request must have: path, question, what Enter alone takes."""


def asked_for(body: dict[str, Any]) -> dict[str, Any]:
    """The body with what was missing, asked of the person at the terminal."""
    given: dict[str, Any] = {}
    for path, question, usual in QUESTIONS:
        parent, _, name = path.rpartition(".")
        if (body.get(parent, {}) if parent else body).get(name) is not None:
            continue
        answer = str(click.prompt(question, default=usual, err=True)).strip()
        given[path] = _public_key(answer) if path == "ssh_public_key" else answer
    return merged(body, given)


def _public_key(file: str) -> str:
    try:
        return Path(file).expanduser().read_text().strip()
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}", "give the .pub file that ssh-keygen made") from None


@click.command()
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The request as JSON.")
@click.option("--fqdn", help="The Sovereign's name, such as omantel.omani.works.")
@click.option("--organisation", help="Name of the organisation.")
@click.option("--email", help="E-mail of the sovereign-admin.")
@click.option("--region", help="fsn1, nbg1, hel1, ash or hil.")
@click.option("--control-planes", type=int, help="1 or 3.")
@click.option("--workers", type=int, help="How many workers.")
@click.option("--control-plane-type", help="Server type, such as cpx22.")
@click.option("--worker-type", help="Server type, such as cpx32.")
@click.option("--component", "components", multiple=True, help="A component beside the mandatory ones; repeatable.")
@click.option("--mode", help="pool, byo-manual or byo-api.")
@click.option("--ssh-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The .pub file.")
@click.option("--token-file", help="File with the cloud token; - reads it from standard input.")
@click.option("--idempotency-key", help="The same key with the same request is the same run.")
@click.option("--watch", "watching", is_flag=True, help="Follow the run until it ends.")
@click.option("--example", is_flag=True, help="Print a request file and stop.")
@json_option
def request(
    *, example: bool, as_json: bool, watching: bool, token_file: str | None, ssh_key: Path | None, **flags: Any
) -> None:
    """Ask for a Sovereign; its cloud token is sealed here, before anything is sent."""
    if example:
        click.echo(json.dumps(EXAMPLE, indent=2))
        return
    body = body_of(
        flags["file"],
        {
            "domain.fqdn": flags["fqdn"],
            "domain.mode": flags["mode"],
            "organisation.name": flags["organisation"],
            "admin_email": flags["email"],
            "topology.region": flags["region"],
            "topology.control_plane_count": flags["control_planes"],
            "topology.worker_count": flags["workers"],
            "topology.control_plane_type": flags["control_plane_type"],
            "topology.worker_type": flags["worker_type"],
            "components": list(flags["components"]) or None,
            "ssh_public_key": ssh_key.read_text().strip() if ssh_key else None,
        },
    )
    if flags["file"] is None and sys.stdin.isatty():
        body = asked_for(body)
    has_token = any(row.get("purpose") == CLOUD_TOKEN for row in body.get("secrets", []))
    token = None if has_token else read_secret(token_file, "Hetzner Cloud API token")
    reply = submit(body, token, flags["idempotency_key"] or str(uuid.uuid4()))
    where = f"catalyst watch {fqdn_of(reply['sovereign'])}"
    known = " (the same request was accepted before)" if reply["existing"] else ""
    show(reply, as_json=as_json, text=f"{fqdn_of(reply['sovereign'])}: run {reply['run']} accepted{known}. {where}")
    if watching:
        follow(reply["sovereign"], as_json=as_json, until="ready", quiet=False)


@on_the_edge
async def submit(session: Edge, body: dict[str, Any], token: str | None, key: str) -> Any:
    """Seal, then ask."""
    if token:
        sovereign = named(body)
        secret = await session.seal(token.encode(), reader=TOFU, purpose=CLOUD_TOKEN, bound_to=sovereign)
        body = {**body, "secrets": [*body.get("secrets", []), secret.model_dump(mode="json")]}
    return await session.call("POST", "/api/v1/sovereigns", body, headers={"Idempotency-Key": key})


def named(body: dict[str, Any]) -> str:
    """The Sovereign that a request is for: a secret is sealed for it alone."""
    try:
        return sovereign_id(str(body.get("domain", {}).get("fqdn", "")))
    except (ValueError, AttributeError) as error:
        raise Failure(f"domain.fqdn: {error}", "give --fqdn, or domain.fqdn in the file") from None


@click.command()
@sovereign_argument
@click.option("--reader", default=TOFU, show_default=True, help="The service that opens it.")
@click.option("--purpose", default=CLOUD_TOKEN, show_default=True, help="What it is.")
@click.option("--secret-file", help="File with the secret; - reads it from standard input.")
def seal(sovereign: str, reader: str, purpose: str, secret_file: str | None) -> None:
    """Seal a secret for one Sovereign; the output goes into a request's ``secrets``."""
    click.echo(json.dumps(sealed(sovereign, reader, purpose, read_secret(secret_file, "Secret")), indent=2))


@on_the_edge
async def sealed(session: Edge, sovereign: str, reader: str, purpose: str, secret: str) -> Any:
    """The sealed form."""
    found = await session.seal(secret.encode(), reader=reader, purpose=purpose, bound_to=sovereign)
    return found.model_dump(mode="json")
