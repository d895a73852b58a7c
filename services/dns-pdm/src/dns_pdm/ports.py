"""What the handlers need of the world, and the rules that they share."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from contracts.dns import DnsPropagated, Record
from contracts.request import SecretRef
from dns_pdm import names
from dns_pdm.delegation import Report
from dns_pdm.keeping import Hosting, Published, Reserved
from dns_pdm.registrars.port import Registrar


class Zones(Protocol):
    """Where zones are made and taken away."""

    async def ensure(self, fqdn: str, life: int) -> Reserved:
        """The Sovereign's zone, signed and in a pool delegated; NotOurs when somebody else has the name."""
        ...

    async def publish(self, fqdn: str, ipv4: str, ipv6: str, *, ttl_s: int) -> Published:
        """Its records, written and read back."""
        ...

    async def withdraw(self, fqdn: str, life: int) -> None:
        """DS and records gone."""
        ...

    async def empty(self, fqdn: str, life: int) -> None:
        """Every record gone; zone and delegation stay."""
        ...

    async def take_back(self, fqdn: str, life: int) -> None:
        """A zone that was handed on is this life's again; only while the next life has not begun."""
        ...

    async def hand_on(self, fqdn: str, life: int) -> None:
        """The zone is the next life's."""
        ...

    async def release(self, fqdn: str, life: int) -> None:
        """NS and zone gone."""
        ...

    async def neighbours(self, fqdn: str) -> tuple[str, ...]:
        """Every other zone."""
        ...


class World(Protocol):
    """What name servers say."""

    async def check(self, zone: str, nameservers: tuple[str, ...], *, ds_required: bool) -> Report:
        """Ask parent and child servers."""
        ...

    async def gone(self, zone: str) -> Report:
        """Ask parent servers whether they know the zone no more."""
        ...

    async def answering(self, nameservers: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
        """Which names still have addresses."""
        ...


class Public(Protocol):
    """What resolvers say."""

    async def see(self, records: Iterable[Record], zone: str) -> DnsPropagated:
        """Whether they give what was published."""
        ...


class Credentials(Protocol):
    """The Sovereigns' own keys to their zones."""

    async def issue(self, sovereign: str, life: int) -> SecretRef:
        """Make valid and seal to tofu-runner."""
        ...

    async def revoke(self, sovereign: str, life: int) -> None:
        """Take back."""
        ...

    async def forget(self, sovereign: str, life: int) -> None:
        """Keep nothing of it."""
        ...


class Secrets(Protocol):
    """Secrets sealed to this service."""

    async def open(self, sovereign: str, life: int, name: str) -> bytes:
        """The plaintext; KeyError when it is gone."""
        ...

    async def erase(self, sovereign: str, life: int, name: str) -> None:
        """Remove one; absent is fine."""
        ...


class Registrars(Protocol):
    """Accounts at registrars."""

    def open(self, registrar: str, token: bytes) -> AbstractAsyncContextManager[Registrar]:
        """An account; RegistrarRefused when the credentials lack a part."""
        ...


@dataclass(frozen=True, kw_only=True)
class Dns:
    """The ports and rules that the handlers share."""

    zones: Zones
    world: World
    public: Public | None
    """None where no resolver is to be asked."""
    credentials: Credentials
    secrets: Secrets
    registrars: Registrars
    alone: Callable[[str], AbstractAsyncContextManager[object]]
    """One writer per zone: a lease on the Sovereign's id."""
    rules: names.Rules
    hosting: Hosting
    first_check: timedelta = timedelta(seconds=15)
    slowest_check: timedelta = timedelta(minutes=15)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
