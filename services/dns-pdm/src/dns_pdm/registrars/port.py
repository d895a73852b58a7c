"""What a registrar does for us, and how it says no.

    RegistrarRefused    no repeat can help: credentials, account, caller's address, or the name itself
    RegistrarBusy       transient: its call limit is reached, or its API does not answer properly

Every verb ensures: it reads, compares, and writes only what differs, so that a repeat changes nothing and costs one
call. A name is the Sovereign's FQDN; what the registrar's account holds may be a domain above it, and an adapter whose
registrar can delegate whole domains only refuses the rest (``registrar-unsupported``).
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from bus import TryAgain
from contracts.dns import Delegation, DsRecord
from contracts.errors import Trouble, trouble


class RegistrarRefused(Exception):
    """The registrar, or the adapter on its behalf, says no; ``code`` is one of contracts.errors."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message

    def trouble(self, attempted: str, on: str) -> Trouble:
        """The refusal as facts and answers carry it."""
        return trouble(self.code, attempted=attempted, on=on, message=self.message)


class RegistrarBusy(TryAgain):
    """Try again: ``registrar-rate-limited`` or ``registrar-down``."""

    def __init__(self, code: str, message: str, *, after: timedelta | None = None) -> None:
        super().__init__(f"{code}: {message}", after=after)
        self.code, self.message = code, message

    def trouble(self, attempted: str, on: str) -> Trouble:
        """The delay as answers carry it."""
        return trouble(self.code, attempted=attempted, on=on, message=self.message)


class Registrar(Protocol):
    """An account at a registrar, opened with its credentials."""

    async def validate(self, fqdn: str) -> Delegation:
        """Whether these credentials may change this name's delegation, by reading alone; what stands there now."""
        ...

    async def get(self, fqdn: str) -> Delegation:
        """What stands there now: host names in lower case without the final dot, digests in lower case."""
        ...

    async def set(self, fqdn: str, nameservers: tuple[str, ...]) -> None:
        """Ensure that exactly these name servers stand there. Returns when the registrar has taken it."""
        ...

    async def set_ds(self, fqdn: str, ds: tuple[DsRecord, ...]) -> None:
        """Ensure that exactly these DS stand there; none takes them away. Only where ``get`` shows a DS set."""
        ...

    async def rollback(self, fqdn: str, former: Delegation) -> None:
        """Ensure what stood there before us: its name servers by name, or by the registrar's default setting."""
        ...


@dataclass(frozen=True)
class Adapter:
    """How one registrar is reached."""

    url: str
    """Root of its public API; settings name another one for its sandbox or ours."""
    parts: tuple[str, ...]
    """The parts of its credentials, as a sealed registrar token names them."""
    connect: Callable[[Mapping[str, str], str], AbstractAsyncContextManager[Registrar]]
    """From parts and root to an open account; calls nobody yet."""


@dataclass(frozen=True)
class Registrars:
    """All adapters, and where each registrar is reached."""

    adapters: Mapping[str, Adapter]
    urls: Mapping[str, str]
    """Roots that differ from the registrars' own."""

    @asynccontextmanager
    async def open(self, registrar: str, token: bytes) -> AsyncIterator[Registrar]:
        """An account at a registrar; RegistrarRefused says which part of the credentials is missing."""
        adapter = self.adapters.get(registrar)
        if adapter is None:
            raise RegistrarRefused("registrar-unsupported", f"there is no adapter for {registrar} in this release")
        parts = parts_of(registrar, token, adapter.parts)
        async with adapter.connect(parts, self.urls.get(registrar, adapter.url)) as account:
            yield account


def parts_of(registrar: str, token: bytes, wanted: tuple[str, ...]) -> dict[str, str]:
    """The parts of a registrar token: a JSON object of strings. RegistrarRefused names what is missing or unknown."""
    try:
        held = json.loads(token)
    except ValueError:
        held = None
    needs = f"{registrar} credentials are a JSON object with {', '.join(wanted)}"
    if not isinstance(held, dict):
        raise RegistrarRefused("registrar-token-incomplete", needs)
    parts = {key: value.strip() for key, value in held.items() if isinstance(value, str)}
    missing = [name for name in wanted if not parts.get(name)]
    unknown = sorted(set(held) - set(wanted))
    if missing or unknown:
        told = [f"missing: {', '.join(missing)}"] if missing else []
        told += [f"unknown: {', '.join(unknown)}"] if unknown else []
        raise RegistrarRefused("registrar-token-incomplete", f"{needs}; {'; '.join(told)}")
    return parts
