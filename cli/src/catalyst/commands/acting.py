"""Commands on a Sovereign: ``cancel``, ``retry``, ``approve``, ``reconcile``, ``decommission``, ``reprovision``."""

from typing import Any

import click

from catalyst.commands.asking import CLOUD_TOKEN, REGISTRAR_TOKEN, read_secret
from catalyst.commands.session import json_option, on_the_edge, show, sovereign_argument
from catalyst.commands.watching import follow
from catalyst.edge import Edge
from contracts.catalogue import DNS, TOFU
from contracts.identity import fqdn_of

token_option = click.option("--token-file", help="A cloud token, when ours is gone; - reads it from standard input.")
OPENBAO = (
    "OpenBao's state is not exported by us: we hold no credential for it. To keep it, end this with Ctrl-C and run\n"
    "  kubectl --namespace openbao exec openbao-0 -- tar --create --gzip --file - /openbao/data > openbao-data.tar.gz\n"
    "first; it stays encrypted, and only your unseal keys open it."
)
watch_option = click.option("--watch", "watching", is_flag=True, help="Follow it until it ends.")


@on_the_edge
async def command(
    session: Edge,
    sovereign: str,
    name: str,
    body: dict[str, Any],
    token: str | None = None,
    registrar_token: str | None = None,
) -> Any:
    """Ask, with what is given of the two tokens sealed on this machine."""
    given = ((token, TOFU, CLOUD_TOKEN), (registrar_token, DNS, REGISTRAR_TOKEN))
    secrets = [
        await session.seal(value.encode(), reader=reader, purpose=purpose, bound_to=sovereign)
        for value, reader, purpose in given
        if value
    ]
    if secrets:
        body = {**body, "secrets": [secret.model_dump(mode="json") for secret in secrets]}
    return await session.call("POST", f"/api/v1/sovereigns/{sovereign}/{name}", body)


def _accepted(sovereign: str, what: str, reply: Any, *, as_json: bool) -> None:
    show(reply, as_json=as_json, text=f"{fqdn_of(sovereign)}: {what} accepted (run {reply['run']}).")


def _token(file: str | None) -> str | None:
    return read_secret(file, "Hetzner Cloud API token") if file else None


@click.command()
@sovereign_argument
@click.option("--reason", default="", help="Kept with the command.")
@json_option
def cancel(sovereign: str, *, reason: str, as_json: bool) -> None:
    """Stop the run; what exists is kept for a retry or a decommission."""
    _accepted(sovereign, "cancel", command(sovereign, "cancel", {"reason": reason}), as_json=as_json)


@click.command()
@sovereign_argument
@click.option("--reason", default="", help="Kept with the command.")
@token_option
@watch_option
@json_option
def retry(sovereign: str, *, reason: str, token_file: str | None, watching: bool, as_json: bool) -> None:
    """Go on from what exists."""
    reply = command(sovereign, "retry", {"reason": reason}, _token(token_file))
    _accepted(sovereign, "retry", reply, as_json=as_json)
    if watching:
        follow(sovereign, as_json=as_json, until="ready", quiet=False)


@click.command()
@click.argument("what", type=click.Choice(("open", "close")))
@sovereign_argument
@click.option("--from", "cidr", required=True, help="The network, such as 203.0.113.7/32.")
@click.option("--reason", default="", help="Kept with the command.")
@token_option
@json_option
def ssh(what: str, sovereign: str, *, cidr: str, reason: str, token_file: str | None, as_json: bool) -> None:
    """Open or close SSH to the nodes for one network; the firewall changes in place, nothing else does."""
    body = {"cidr": cidr, "open": what == "open", "reason": reason}
    _accepted(sovereign, f"ssh {what}", command(sovereign, "ssh", body, _token(token_file)), as_json=as_json)


@click.command()
@sovereign_argument
@click.option("--digest", help="The plan's digest; asked for when it is not given.")
@json_option
def approve(sovereign: str, *, digest: str | None, as_json: bool) -> None:
    """Approve the plan that waits."""
    wanted = digest or _waiting_plan(sovereign)
    _accepted(sovereign, "approval", command(sovereign, "approve", {"plan_digest": wanted}), as_json=as_json)


@on_the_edge
async def _view(session: Edge, sovereign: str) -> Any:
    return await session.call("GET", f"/api/v1/sovereigns/{sovereign}")


def _waiting_plan(sovereign: str) -> str:
    plan = _view(sovereign)["plan"]
    if plan is None:
        raise click.UsageError("there is no plan that waits")
    click.echo(f"{plan['add']} to add, {plan['change']} to change, {plan['destroy']} to destroy")
    for row in plan["changes"]:
        click.echo(f"  {row['action']:<8} {row['address']} {row['reason']}")
    click.confirm("Approve exactly this plan?", abort=True)
    return str(plan["digest"])


@click.command()
@sovereign_argument
@click.option("--release", default="", help="One HelmRelease; all when it is not given.")
@json_option
def reconcile(sovereign: str, *, release: str, as_json: bool) -> None:
    """List the cluster anew and kick Flux (the runbook's rejoin)."""
    _accepted(sovereign, "reconcile", command(sovereign, "reconcile", {"release": release}), as_json=as_json)


@click.command()
@sovereign_argument
@click.option("--confirm", "typed", help="The domain name, typed again; asked for when it is not given.")
@click.option("--restore-nameservers", is_flag=True, help="Put the registrar's former name servers back.")
@token_option
@watch_option
@json_option
def decommission(
    sovereign: str,
    *,
    typed: str | None,
    restore_nameservers: bool,
    token_file: str | None,
    watching: bool,
    as_json: bool,
) -> None:
    """Take everything away: servers, network, disks, zone and name."""
    fqdn = fqdn_of(sovereign)
    click.echo(OPENBAO, err=True)
    confirmed = typed or click.prompt(f"Everything of {fqdn} will be lost. Type its name to confirm")
    body = {"confirm": confirmed, "restore_nameservers": restore_nameservers}
    reply = command(sovereign, "decommission", body, _token(token_file))
    _accepted(sovereign, "decommission", reply, as_json=as_json)
    if watching:
        follow(sovereign, as_json=as_json, until="decommissioned", quiet=False)


@click.command()
@sovereign_argument
@click.option("--confirm", "typed", help="The domain name, typed again; asked for when it is not given.")
@click.option("--reason", default="", help="Kept with the command.")
@click.option("--token-file", help="The cloud token; - reads it from standard input, asked for when it is not given.")
@click.option("--registrar-token-file", help="byo-api: the registrar's credentials; - reads them from standard input.")
@watch_option
@json_option
def reprovision(
    sovereign: str,
    *,
    typed: str | None,
    reason: str,
    token_file: str | None,
    registrar_token_file: str | None,
    watching: bool,
    as_json: bool,
) -> None:
    """Take the cluster away and build it anew as it was asked for last; name and zone stay."""
    fqdn = fqdn_of(sovereign)
    confirmed = typed or click.prompt(f"The cluster of {fqdn} and its data will be lost. Type its name to confirm")
    body = {"confirm": confirmed, "reason": reason}
    token = read_secret(token_file, "Hetzner Cloud API token")
    registrar_token = read_secret(registrar_token_file, "Registrar token") if registrar_token_file else None
    reply = command(sovereign, "reprovision", body, token, registrar_token)
    _accepted(sovereign, "reprovision", reply, as_json=as_json)
    if watching:
        follow(sovereign, as_json=as_json, until="anew", quiet=False)
