"""Local accounts: who may log in, read from a folder that ``catalyst user`` writes.

The file is read again whenever it changes, so a disabled account is out at its next call. A login link is a file named
by the hash of its token; whoever unlinks it has used it, so it works once, whichever gateway it meets.
"""

import asyncio
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from contracts.account import ACCOUNTS_FILE, LINKS_FOLDER, Account, Accounts, LoginLink, digest_of

_NOBODY: Final = PasswordHasher().hash("nobody has this password, its check takes the usual time")


class People(Protocol):
    """Where callers are looked up."""

    async def account(self, name: str) -> Account | None:
        """The enabled account of this name."""

    async def by_password(self, name: str, password: str) -> Account | None:
        """The account, if the password is its own."""

    async def by_token(self, token: str) -> Account | None:
        """Whom an API token stands for."""

    async def by_link(self, token: str) -> Account | None:
        """Whom a login link stands for; it is used up by asking."""


class AccountsFolder:
    """People of a small installation."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._stamp: tuple[int, int] | None = None
        self._known = Accounts()

    async def account(self, name: str) -> Account | None:
        """The enabled account of this name."""
        accounts = await asyncio.to_thread(self._read)
        found = next((row for row in accounts.accounts if row.name == name), None)
        return None if found is None or found.disabled else found

    async def by_password(self, name: str, password: str) -> Account | None:
        """The account, if the password is its own; an unknown name takes as long as a wrong password."""
        found = await self.account(name)
        matches = await asyncio.to_thread(_verify, found.password if found and found.password else _NOBODY, password)
        return found if found and found.password and matches else None

    async def by_token(self, token: str) -> Account | None:
        """Whom an API token stands for."""
        accounts = await asyncio.to_thread(self._read)
        wanted = digest_of(token)
        for row in accounts.tokens:
            if hmac.compare_digest(row.sha256, wanted) and (row.not_after is None or row.not_after > datetime.now(UTC)):
                return await self.account(row.account)
        return None

    async def by_link(self, token: str) -> Account | None:
        """Whom a login link stands for; it is used up by asking."""
        link = await asyncio.to_thread(self._take_link, digest_of(token))
        if link is None or link.not_after <= datetime.now(UTC):
            return None
        return await self.account(link.account)

    def _read(self) -> Accounts:
        if self._folder is None:
            return self._known
        path = self._folder / ACCOUNTS_FILE
        try:
            state = path.stat()
            stamp = (state.st_mtime_ns, state.st_size)
            if stamp != self._stamp:
                self._known = Accounts.model_validate_json(path.read_bytes())
                self._stamp = stamp
        except FileNotFoundError:
            self._known, self._stamp = Accounts(), None
        return self._known

    def _take_link(self, digest: str) -> LoginLink | None:
        if self._folder is None:
            return None
        path = self._folder / LINKS_FOLDER / f"{digest}.json"
        try:
            link = LoginLink.model_validate(json.loads(path.read_bytes()))
            path.unlink()
        except FileNotFoundError:
            return None
        return link


def _verify(hashed: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(hashed, password)
    except (Argon2Error, InvalidHashError):
        return False
