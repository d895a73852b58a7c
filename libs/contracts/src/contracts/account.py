"""Who may log in: the shape of a small installation's account folder, written by the CLI and read by the gateway.

The folder holds ``accounts.json`` and, one file each, the single-use login links by the hash of their token: using a
link is unlinking its file, which only one process can do. Nothing in the folder opens anything by itself: passwords
are argon2 hashes, tokens and links SHA-256.
"""

import hashlib
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from contracts.event import Model
from contracts.identity import Digest, Owner

ACCOUNTS_FILE: Final = "accounts.json"
LINKS_FOLDER: Final = "links"

AccountRole = Literal["viewer", "operator", "approver", "admin"]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]


class Account(Model):
    """A person of an organisation."""

    name: UserName
    owner: Owner = Field(description="The organisation whose Sovereigns this person sees.")
    roles: tuple[AccountRole, ...] = ("viewer",)
    password: str = Field(default="", description="argon2id hash; empty: no login by password.")
    disabled: bool = False


class ApiToken(Model):
    """A script's way in: it acts as its account."""

    account: UserName
    sha256: Digest
    label: str = ""
    not_after: AwareDatetime | None = None


class LoginLink(Model):
    """A link that logs in once."""

    account: UserName
    not_after: AwareDatetime


class Accounts(Model):
    """The whole file."""

    accounts: tuple[Account, ...] = ()
    tokens: tuple[ApiToken, ...] = ()


def digest_of(token: str) -> str:
    """Under which a token is kept."""
    return hashlib.sha256(token.encode()).hexdigest()
