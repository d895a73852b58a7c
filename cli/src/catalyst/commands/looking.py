"""``preflight`` and ``prices``: what can be known before anything is created."""

import json
import sys
from pathlib import Path
from typing import Any, Literal

import click

from catalyst.commands.asking import CLOUD_TOKEN, body_of, named, read_secret
from catalyst.commands.session import json_option, on_the_edge, show
from catalyst.edge import Edge
from catalyst.failing import REFUSED, Failure
from contracts.catalogue import TOFU
from contracts.questions import Finding, MailReply, PreflightReply, PricesReply

_MARKS = {"passed": "✓", "warning": "!", "failed": "✗", "not-checked": "?"}
_DRAFT = "draft"


@click.command(name="preflight")
@click.option(
    "--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True, help="The request as JSON."
)
@click.option("--token-file", help="File with the cloud token; - reads it from standard input.")
@json_option
def preflight_(file: Path, *, token_file: str | None, as_json: bool) -> None:
    """Look at a request, the project and the catalogue; nothing is created. Exit code 4 when something failed."""
    body = body_of(file, {})
    has_token = any(row.get("purpose") == CLOUD_TOKEN for row in body.get("secrets", []))
    token = None if has_token else read_secret(token_file, "Hetzner Cloud API token")
    answer = _looked_ahead(body, token)
    reply = PreflightReply.model_validate(answer)
    show(answer, as_json=as_json, text=_in_words(reply))
    if any(finding.verdict == "failed" for finding in reply.findings):
        sys.exit(REFUSED)


@on_the_edge
async def _looked_ahead(session: Edge, body: dict[str, Any], token: str | None) -> Any:
    address = body.get("admin_email")
    body = {key: value for key, value in body.items() if key not in {"admin_email", "idempotency_key", "comment"}}
    if token:
        secret = await session.seal(token.encode(), reader=TOFU, purpose=CLOUD_TOKEN, bound_to=named(body))
        body = {**body, "secrets": [*body.get("secrets", []), secret.model_dump(mode="json")]}
    reply = await session.call("POST", "/api/v1/preflight", body)
    if isinstance(address, str):
        reply["findings"].append((await _mail(session, address)).model_dump(mode="json"))
    return reply


async def _mail(session: Edge, address: str) -> Finding:
    """Whether mail reaches the sovereign-admin; not checked when nobody answers that, which stops no run."""
    try:
        said = await session.call("POST", "/api/v1/mail/validate", {"address": address})
    except Failure as silent:
        return Finding(check="admin-email", verdict="not-checked", detail=silent.message)
    return _of_mail(MailReply.model_validate(said))


def _of_mail(said: MailReply) -> Finding:
    verdict: Literal["passed", "failed", "not-checked"]
    verdict = (
        "passed" if said.verdict == "deliverable" else "not-checked" if said.verdict == "not-checked" else "failed"
    )
    detail = said.reason or f"mail to {said.domain} goes to {said.exchangers[0]}"
    return Finding(check="admin-email", verdict=verdict, detail=detail, trouble=said.trouble)


def _in_words(reply: PreflightReply) -> str:
    lines = []
    for finding in reply.findings:
        lines.append(f"{_MARKS[finding.verdict]} {finding.check:28} {finding.detail}".rstrip())
        if finding.trouble is not None:
            lines.append(f"  {'':28} → {finding.trouble.next_step}")
    cost = f"{reply.cost.monthly} {reply.cost.currency} a month" if reply.cost else "unknown"
    sample = " (sample prices)" if reply.cost and reply.cost.sample_prices else ""
    lines.append(f"cost: {cost}{sample}; about {reply.call_budget} calls of the project's 3600 an hour")
    return "\n".join(lines)


@click.command()
@click.option("--token-file", help="File with the cloud token; - reads it from standard input.")
@json_option
def prices(*, token_file: str | None, as_json: bool) -> None:
    """What the account behind a cloud token pays, per month, net."""
    answer = _priced(read_secret(token_file, "Hetzner Cloud API token"))
    reply = PricesReply.model_validate(answer)
    rows = [
        f"{row.name:10} {row.location:6} {float(row.monthly):9.2f} {reply.currency}{_note(row)}" for row in reply.prices
    ]
    if reply.sample_prices:
        rows.append("sample prices of the sandbox, nobody's real ones")
    show(answer, as_json=as_json, text="\n".join(rows))


def _note(row: Any) -> str:
    return "  retired" if row.deprecated else "" if row.available else "  sold out now"


@on_the_edge
async def _priced(session: Edge, token: str) -> Any:
    secret = await session.seal(token.encode(), reader=TOFU, purpose=CLOUD_TOKEN, bound_to=_DRAFT)
    return await session.call("POST", "/api/v1/prices", {"secret": json.loads(secret.model_dump_json())})
