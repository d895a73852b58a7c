"""For the operator of an installation: ``user``, ``keys``, ``doctor``. They work on files, not through the gateway.

Only ``keys retire`` asks the broker: what is still sealed to an old key.
"""

import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import get_args

import click

from bus import Bus
from bus.keys import READERS, init_keys, list_keys, retire_nkeys, retire_seal_keys, rotate_nkey, rotate_seal_key
from bus.vault import sealed_to
from catalyst.accounts import AccountsFolder, login_url
from catalyst.broker import on_the_broker
from catalyst.commands.session import json_option, settings, show
from catalyst.stack.tools import CHECKOUT
from contracts.account import AccountRole
from contracts.topology import ADMIN, permissions

_ROLES = get_args(AccountRole)
USERS = tuple(row.user for row in permissions())


@click.group()
def user() -> None:
    """Local accounts of the gateway."""


@user.command(name="add")
@click.argument("name")
@click.option("--owner", required=True, help="The organisation whose Sovereigns this person sees.")
@click.option("--role", "roles", multiple=True, type=click.Choice(_ROLES), default=("viewer",), show_default=True)
@click.option("--no-password", is_flag=True, help="Logs in by link or token only.")
@json_option
def add(name: str, *, owner: str, roles: tuple[AccountRole, ...], no_password: bool, as_json: bool) -> None:
    """Make an account, or change it."""
    password = "" if no_password else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    folder = settings().accounts_dir
    account = AccountsFolder(folder).put(name, owner=owner, roles=roles, password=password)
    text = f"{name} of {owner} ({', '.join(roles)}) in {folder}"
    show(account.model_dump(mode="json", exclude={"password"}), as_json=as_json, text=text)


@user.command()
@click.argument("name")
@click.option("--label", default="", help="What it is for.")
@click.option("--days", type=int, help="It ends after so many days.")
@json_option
def token(name: str, *, label: str, days: int | None, as_json: bool) -> None:
    """A new API token of an account, shown once."""
    folder = _with(name)
    made = folder.token(name, label=label, lasts=timedelta(days=days) if days else None)
    show({"account": name, "token": made}, as_json=as_json, text=made)


@user.command()
@click.argument("name")
@click.option("--minutes", type=int, default=15, show_default=True, help="It ends after so many minutes.")
@json_option
def link(name: str, *, minutes: int, as_json: bool) -> None:
    """A link that logs an account in, once."""
    url = login_url(settings().url, _with(name).link(name, lasts=timedelta(minutes=minutes)))
    show({"account": name, "url": url}, as_json=as_json, text=url)


@user.command()
@click.argument("name")
@json_option
def disable(name: str, *, as_json: bool) -> None:
    """Lock an account out at once and delete its tokens."""
    _with(name).disable(name)
    show({"account": name, "disabled": True}, as_json=as_json, text=f"{name} is locked out")


@user.command(name="list")
@json_option
def users(*, as_json: bool) -> None:
    """Every account."""
    rows = AccountsFolder(settings().accounts_dir).read().accounts
    body = [row.model_dump(mode="json", exclude={"password"}) for row in rows]
    lines = [
        f"{row.name:<20} {row.owner:<20} {', '.join(row.roles)}{' (disabled)' if row.disabled else ''}" for row in rows
    ]
    show(body, as_json=as_json, text="\n".join(lines) or "No account yet: catalyst user add")


def _with(name: str) -> AccountsFolder:
    folder = AccountsFolder(settings().accounts_dir)
    if all(row.name != name for row in folder.read().accounts):
        raise click.UsageError(
            f"no account {name!r} in {settings().accounts_dir}: catalyst user add {name} --owner ..."
        )
    return folder


@click.group()
def keys() -> None:
    """The installation's keys: an NKey per NATS user, sealing keys per service."""


@keys.command()
@json_option
def init(*, as_json: bool) -> None:
    """Make what is missing; never touches what exists."""
    made = init_keys(settings().keys_dir)
    show(made, as_json=as_json, text="\n".join(made) or "Nothing was missing.")


kind_option = click.option(
    "--kind", type=click.Choice(["seal", "nkey"]), default="seal", show_default=True, help="Which of its keys."
)


@keys.command()
@click.argument("name", type=click.Choice(USERS), metavar="NAME")
@kind_option
@json_option
def rotate(name: str, *, kind: str, as_json: bool) -> None:
    """A new key for a service or user; the old ones stay good until they are retired.

    Replicas read their key files when they start, servers their configuration when it is reloaded.
    """
    folder = settings().keys_dir
    key = rotate_nkey(folder, name) if kind == "nkey" else rotate_seal_key(folder, _reader(name))
    show({"owner": name, "kind": kind, "key": key}, as_json=as_json, text=key)


@on_the_broker(ADMIN)
async def _in_use(bus: Bus, reader: str) -> Mapping[str, int]:
    return await sealed_to(bus.connection, reader)


@keys.command()
@click.argument("name", type=click.Choice(USERS), metavar="NAME")
@kind_option
@json_option
def retire(name: str, *, kind: str, as_json: bool) -> None:
    """End the old keys of a service or user. A sealing key that a resting secret needs stays until that ends."""
    folder = settings().keys_dir
    if kind == "nkey":
        gone = retire_nkeys(folder, name)
        text = "\n".join(f"{key} is accepted no longer" for key in gone) or "There was no old key."
        show({"retired": gone, "kept": []}, as_json=as_json, text=text)
        return
    in_use = _in_use(_reader(name))
    gone = retire_seal_keys(folder, name, in_use=in_use)
    rows = [row for row in list_keys(folder) if row.owner == name and row.state == "opens"]
    kept = [f"{row.kind} stays: {in_use[row.kind.split()[1]]} secrets are sealed to it" for row in rows]
    text = "\n".join([*(f"seal {kid} is retired" for kid in gone), *kept]) or "There was no old key."
    show({"retired": gone, "kept": [row.kind.split()[1] for row in rows]}, as_json=as_json, text=text)


def _reader(name: str) -> str:
    if name not in READERS:
        raise click.UsageError(f"nothing is ever sealed to {name}; it has an NKey only: --kind nkey")
    return name


@keys.command(name="list")
@json_option
def list_(*, as_json: bool) -> None:
    """Every public key."""
    rows = list_keys(settings().keys_dir)
    body = [{"owner": row.owner, "kind": row.kind, "public": row.public, "state": row.state} for row in rows]
    lines = [f"{row.owner:<14} {row.kind:<14} {row.state:<9} {row.public}" for row in rows]
    show(body, as_json=as_json, text="\n".join(lines) or "No key yet: catalyst keys init")


@click.command()
def doctor() -> None:
    """Which programs are there, from where, and how to get those that are not."""
    script = CHECKOUT / "deploy" / "tools" / "tools.py"
    if not script.exists():
        click.echo("There is no checkout beside this installation: it needs no programs but its services'.")
        return
    sys.exit(subprocess.run([sys.executable, str(script), "doctor"], check=False).returncode)  # noqa: S603 - our own
