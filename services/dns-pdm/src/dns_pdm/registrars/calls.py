"""Calls of registrars' HTTP APIs: what is the same for all of them. No HTTP client's error leaves this module."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from publicsuffixlist import PublicSuffixList

from dns_pdm.registrars.port import RegistrarBusy, RegistrarRefused

_CALL_WITHIN_S: Final = 30.0
"""Some registrars pass a change on to the registry before they answer."""
_PATIENCE: Final = timedelta(minutes=1)
"""After a call limit whose end is not told: every registrar here counts by the minute or longer."""
_TOLD: Final = 300
"""Characters of a registrar's own words that are passed on."""


@dataclass(frozen=True)
class Said:
    """An answer."""

    registrar: str
    status: int
    text: str
    retry_after: str = ""

    @property
    def good(self) -> bool:
        """Whether the status says success; some registrars say errors in a 200."""
        return self.status < HTTPStatus.MULTIPLE_CHOICES

    def body(self) -> Any:
        """The JSON in it; RegistrarBusy when there is none."""
        try:
            return json.loads(self.text) if self.text else {}
        except ValueError:
            raise self.down(f"answers {self.status} without JSON") from None

    def fields(self) -> dict[str, Any]:
        """The JSON object in it, empty when it is something else."""
        found = self.body()
        return found if isinstance(found, dict) else {}

    def refused(self, code: str, why: object) -> RegistrarRefused:
        """A refusal in the registrar's words."""
        return RegistrarRefused(code, f"{self.registrar}: {why}"[:_TOLD])

    def missing(self, fqdn: str) -> RegistrarRefused:
        """The account does not hold this name: a domain of somebody else, or none that is registered as such."""
        whole = registered(fqdn)
        if whole == fqdn:
            return self.refused("registrar-domain-missing", f"{fqdn} is not in this account")
        told = f"delegates whole domains ({whole}), not {fqdn} within one"
        return self.refused("registrar-unsupported", told)

    def down(self, why: object) -> RegistrarBusy:
        """It does not answer properly."""
        return RegistrarBusy("registrar-down", f"{self.registrar}: {why}"[:_TOLD])

    def limited(self, after_s: object = None) -> RegistrarBusy:
        """Its call limit is reached."""
        told = str(after_s or self.retry_after)
        after = timedelta(seconds=int(told)) if told.isdecimal() else _PATIENCE
        return RegistrarBusy("registrar-rate-limited", f"{self.registrar}: its call limit is reached", after=after)


@dataclass(frozen=True)
class Caller:
    """A session with one registrar."""

    registrar: str
    root: str
    session: aiohttp.ClientSession

    async def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: Any = None,
        query: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None,
    ) -> Said:  # fmt: skip
        """Call; RegistrarBusy when nobody answers or the registrar's servers are in trouble."""
        url = self.root.rstrip("/") + path
        sent = json_of(body) if body is not None else form
        told = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with self.session.request(
                method, url, headers={**told, **(headers or {})}, data=sent, params=query, allow_redirects=False
            ) as answer:
                text = await answer.text(errors="replace")
                said = Said(self.registrar, answer.status, text, answer.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RegistrarBusy("registrar-down", f"{self.registrar} does not answer: {type(error).__name__}") from None
        if said.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise said.down(f"answers {said.status}")
        if HTTPStatus.MULTIPLE_CHOICES <= said.status < HTTPStatus.BAD_REQUEST:
            raise said.down(f"sends us elsewhere ({said.status}); credentials are not carried along")
        return said


@asynccontextmanager
async def calling(registrar: str, root: str) -> AsyncIterator[Caller]:
    """A session for as long as the context lives; it keeps no cookies."""
    timeout = aiohttp.ClientTimeout(total=_CALL_WITHIN_S, connect=5)
    connector = aiohttp.TCPConnector(limit=1)  # one of them takes one request at a time, and none needs more
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, cookie_jar=jar) as session:
        yield Caller(registrar, root, session)


@contextmanager
def understood(registrar: str) -> Iterator[None]:
    """An answer is read: one that lacks what its API promises is an outage, not a crash of ours."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        told = f"{registrar} answers in a shape that this release does not know ({type(error).__name__})"
        raise RegistrarBusy("registrar-down", told) from error


def json_of(body: Any) -> str:
    """A body as it is sent, and signed where a registrar wants that: without spaces."""
    return json.dumps(body, separators=(",", ":"))


def host(name: str) -> str:
    """A host name as we keep it."""
    return name.strip().lower().removesuffix(".")


def same_hosts(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two NS sets are the same: order, case and final dots say nothing."""
    return {host(name) for name in one} == {host(name) for name in other}


def no_ds(registrar: str) -> RegistrarRefused:
    """The registrar's API cannot take a DS as we have it."""
    return RegistrarRefused("registrar-unsupported", f"{registrar} takes no DS by its API: paste it there")


def registered(fqdn: str) -> str:
    """The registered domain that a name is or lies in."""
    return _suffixes().privatesuffix(fqdn) or fqdn


@cache
def _suffixes() -> PublicSuffixList:
    # Registrars sell below registries' suffixes only; the list's other half is of hosting companies.
    return PublicSuffixList(only_icann=True)
