"""An account at a simulated registrar: what it holds, who may ask, and how it misbehaves."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field


class Domain(BaseModel):
    """A domain of the account, or a delegated name in a zone of it."""

    model_config = ConfigDict(extra="forbid")

    nameservers: list[str] = []
    by_default: bool = False
    """Whether these are the registrar's own by its default setting."""
    ds: list[dict[str, Any]] = []
    """key_tag, algorithm, digest_type, digest, and dnskey where the registrar was given the key."""
    busy: bool = False
    """Another change of it is under way."""


class Account(BaseModel):
    """Everything that the control API may set. Counters are read back."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    credentials: dict[str, str] = {}
    """The parts that open it, by the names that dns-pdm uses."""
    domains: dict[str, Domain] = {}
    caller_allowed: bool = True
    """Whether the caller's address is on the account's list."""
    may_change: bool = True
    """Whether the credentials have the right to change anything."""
    may_sign: bool = True
    """Whether they have the right to change DS, where that is a right of its own."""
    calls_left: int | None = Field(default=None, ge=0)
    """Calls until its limit; none has no limit."""
    down: bool = False
    clock_ahead_s: int = 0
    """How far the registrar's clock is ahead of ours."""
    per_page: int = Field(default=100, ge=1)
    """Rows on a page at most, whatever is asked for."""
    calls: int = 0
    writes: int = 0

    def take(self) -> bool:
        """Count a call; False when the limit is reached."""
        self.calls += 1
        if self.calls_left is None:
            return True
        if self.calls_left == 0:
            return False
        self.calls_left -= 1
        return True

    def change(self, domain: str, **values: Any) -> None:
        """Write to a domain, in the order given."""
        self.writes += 1
        self.domains[domain] = self.domains[domain].model_copy(update=values)


Answer = Callable[[Account, web.Request], Awaitable[web.StreamResponse]]
"""One registrar's API: ``request.match_info["path"]`` is what follows its root."""
