"""The folder of local accounts: ``catalyst user`` writes it, the gateway reads it (shape: ``contracts.account``).

Each change replaces the file whole, so a reader never sees half of it.
"""

import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from argon2 import PasswordHasher

from contracts.account import (
    ACCOUNTS_FILE,
    LINKS_FOLDER,
    Account,
    AccountRole,
    Accounts,
    ApiToken,
    LoginLink,
    digest_of,
)


class AccountsFolder:
    """Accounts of one installation."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> Accounts:
        """All of them; none when there is no file yet."""
        try:
            return Accounts.model_validate_json((self._folder / ACCOUNTS_FILE).read_bytes())
        except FileNotFoundError:
            return Accounts()

    def put(self, name: str, *, owner: str, roles: Sequence[AccountRole], password: str = "") -> Account:
        """Make an account, or change it; without a password it logs in by link or token only."""
        known = self.read()
        before = next((row for row in known.accounts if row.name == name), None)
        hashed = PasswordHasher().hash(password) if password else (before.password if before else "")
        account = Account(name=name, owner=owner, roles=tuple(roles), password=hashed)
        others = tuple(row for row in known.accounts if row.name != name)
        self._write(Accounts(accounts=(*others, account), tokens=known.tokens))
        return account

    def disable(self, name: str) -> bool:
        """No call of this account works any more; its tokens are gone. Whether there was one."""
        known = self.read()
        rows = tuple(row.model_copy(update={"disabled": True}) if row.name == name else row for row in known.accounts)
        self._write(Accounts(accounts=rows, tokens=tuple(row for row in known.tokens if row.account != name)))
        return any(row.name == name for row in known.accounts)

    def token(self, name: str, *, label: str = "", lasts: timedelta | None = None) -> str:
        """A new API token of an account; shown once, kept as a hash."""
        token = f"czt_{secrets.token_urlsafe(32)}"
        not_after = datetime.now(UTC) + lasts if lasts else None
        known = self.read()
        row = ApiToken(account=name, sha256=digest_of(token), label=label, not_after=not_after)
        self._write(Accounts(accounts=known.accounts, tokens=(*known.tokens, row)))
        return token

    def link(self, name: str, *, lasts: timedelta = timedelta(minutes=15)) -> str:
        """The token of a link that logs in once: ``<console>/login/once#t=<token>``."""
        token = secrets.token_urlsafe(32)
        folder = self._folder / LINKS_FOLDER
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        link = LoginLink(account=name, not_after=datetime.now(UTC) + lasts)
        _replace(folder / f"{digest_of(token)}.json", link.model_dump_json())
        return token

    def _write(self, accounts: Accounts) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _replace(self._folder / ACCOUNTS_FILE, accounts.model_dump_json(indent=1) + "\n")


def login_url(console: str, token: str, *, page: str = "/sovereigns") -> str:
    """The link to print: its token is in the fragment, which no server and no log sees."""
    return f"{console}/login/once#t={token}&next={page}"


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
