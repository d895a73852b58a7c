"""The port through which a cluster is seen, and how it can fail. No vendor's exception passes it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from flux_watcher.objects import Kind


class ApiTrouble(Exception):
    """The cluster's API did not do what was asked; the message says why, without secrets."""


class Expired(ApiTrouble):
    """410: the version to go on from is too old; list anew."""


class NotServed(ApiTrouble):
    """404: the cluster does not know this kind or object (yet)."""


class Denied(ApiTrouble):
    """401: the credential is no longer good."""


class Forbidden(ApiTrouble):
    """403: the credential is good, but not for this."""


class Unreachable(ApiTrouble):
    """No connection, a broken one, silence, or an answer that is none of Kubernetes."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list."""

    items: tuple[Any, ...]
    version: str
    more: str = ""
    """Token of the next page."""


Change = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]


@dataclass(frozen=True, slots=True)
class Happened:
    """One watch event, with the resource version to go on from."""

    change: Change
    version: str
    object: Any


class Api(Protocol):
    """What the reflectors need of a cluster."""

    async def page(self, kind: Kind, *, limit: int, more: str = "") -> Page:
        """One page of a kind's objects."""
        ...

    def watch(self, kind: Kind, *, version: str, seconds: int) -> AsyncIterator[Happened]:
        """Changes after a version, for a bounded time; Expired when the version is too old, Unreachable on silence."""
        ...
