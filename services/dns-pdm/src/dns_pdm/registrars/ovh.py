"""OVH: every call signed with the account's keys and the registrar's own time; changes are tasks that take a while.

Its API makes DS from public keys, which it wants whole: with digests alone nothing can be set, nor put back what was
taken away, so DS are left to the owner. While a task of the domain runs no other is begun.
"""

import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any, Final

from contracts.dns import Delegation, DsRecord
from dns_pdm.registrars.calls import Caller, Said, calling, host, json_of, no_ds, same_hosts, understood
from dns_pdm.registrars.port import Adapter, RegistrarRefused

_NAME: Final = "ovh"
_UNAUTHORIZED: Final = {"INVALID_KEY", "INVALID_CREDENTIAL", "NOT_CREDENTIAL", "INVALID_SIGNATURE", "NOT_GRANTED_CALL"}
_CLOCK: Final = {"QUERY_TIME_OUT"}
_SERVICE_EXPIRED: Final = 460


@dataclass
class Ovh:
    """An account at OVH."""

    caller: Caller
    parts: Mapping[str, str]
    _offset_s: int | None = field(default=None, init=False)
    """How far OVH's clock is ahead of ours."""

    async def validate(self, fqdn: str) -> Delegation:
        """The name servers; and that the consumer key may change them, by its own list of rights."""
        held = await self.get(fqdn)
        credential = await self._call("GET", "/auth/currentCredential", fqdn)
        needed = f"/domain/{fqdn}/nameServers/update"
        if not may(credential.get("rules") or (), "POST", needed):
            raise RegistrarRefused("registrar-unauthorized", f"ovh: the consumer key lacks the right POST {needed}")
        return held

    async def get(self, fqdn: str) -> Delegation:
        """The name servers that are not on their way out, and whether they are OVH's own by default."""
        domain = await self._call("GET", f"/domain/{fqdn}", fqdn)
        numbers = await self._call("GET", f"/domain/{fqdn}/nameServer", fqdn)
        rows = [await self._call("GET", f"/domain/{fqdn}/nameServer/{number}", fqdn) for number in numbers]
        with understood(_NAME):
            servers = tuple(host(str(row["host"])) for row in rows if not row.get("toDelete"))
            return Delegation(nameservers=servers, by_default=domain.get("nameServerType") == "hosted")

    async def set(self, fqdn: str, nameservers: tuple[str, ...]) -> None:
        """Ensure these name servers: begin the task, unless one is under way."""
        if same_hosts((await self.get(fqdn)).nameservers, nameservers):
            return
        await self._idle(fqdn)
        body = {"nameServers": [{"host": name} for name in nameservers]}
        await self._call("POST", f"/domain/{fqdn}/nameServers/update", fqdn, body)

    async def set_ds(self, fqdn: str, ds: tuple[DsRecord, ...]) -> None:  # noqa: ARG002 - the port's shape
        """Not from digests."""
        raise no_ds(_NAME)

    async def rollback(self, fqdn: str, former: Delegation) -> None:
        """Ensure the former name servers, or OVH's own."""
        if not former.by_default:
            await self.set(fqdn, former.nameservers)
        elif not (await self.get(fqdn)).by_default:
            await self._idle(fqdn)
            await self._call("PUT", f"/domain/{fqdn}", fqdn, {"nameServerType": "hosted"})

    async def _idle(self, fqdn: str) -> None:
        for status in ("todo", "doing"):
            tasks = await self._call("GET", f"/domain/{fqdn}/task?status={status}", fqdn)
            if tasks:
                busy = Said(_NAME, HTTPStatus.CONFLICT, "")
                raise busy.down(f"its task {tasks[0]} for {fqdn} is under way")

    async def _call(self, method: str, path: str, fqdn: str, body: Any = None) -> Any:
        if self._offset_s is None:
            clock = await self.caller.send("GET", "/auth/time")
            if not clock.good:
                raise refusal(clock, fqdn)
            with understood(_NAME):
                self._offset_s = int(clock.text) - int(time.time())
        stamp = str(int(time.time()) + self._offset_s)
        url = self.caller.root.rstrip("/") + path
        text = json_of(body) if body is not None else ""
        headers = {
            "X-Ovh-Application": self.parts["application_key"],
            "X-Ovh-Consumer": self.parts["consumer_key"],
            "X-Ovh-Timestamp": stamp,
            "X-Ovh-Signature": signature(self.parts, method, url, text, stamp),
        }
        said = await self.caller.send(method, path, headers=headers, body=body)
        if not said.good:
            raise refusal(said, fqdn)
        return said.body()


def signature(parts: Mapping[str, str], method: str, url: str, body: str, stamp: str) -> str:
    """The signature of a call."""
    signed = "+".join((parts["application_secret"], parts["consumer_key"], method, url, body, stamp))
    return "$1$" + hashlib.sha1(signed.encode(), usedforsecurity=False).hexdigest()  # OVH's choice of hash


def may(rules: Any, method: str, path: str) -> bool:
    """Whether a consumer key's rules grant a call."""
    return any(row.get("method") == method and fnmatchcase(path, str(row.get("path", ""))) for row in rules)


def refusal(said: Said, fqdn: str) -> Exception:
    """What a status other than success means."""
    fields = said.fields()
    code = str(fields.get("errorCode", ""))
    told = f"{code or said.status}: {fields.get('message', '')}"
    if code in _UNAUTHORIZED or said.status == HTTPStatus.UNAUTHORIZED:
        return said.refused("registrar-unauthorized", told)
    if code in _CLOCK or said.status == HTTPStatus.CONFLICT:
        return said.down(told)
    if said.status == HTTPStatus.NOT_FOUND:
        return said.missing(fqdn)
    if said.status == HTTPStatus.TOO_MANY_REQUESTS:
        return said.limited()
    if said.status == _SERVICE_EXPIRED:
        told = f"{told}; {fqdn} has expired there: renew it first"
    return said.refused("registrar-refused", told)


@asynccontextmanager
async def connect(parts: Mapping[str, str], root: str) -> AsyncIterator[Ovh]:
    """An account, opened with its credentials."""
    async with calling(_NAME, root) as caller:
        yield Ovh(caller, parts)


ADAPTER: Final = Adapter(
    "https://eu.api.ovh.com/1.0", ("application_key", "application_secret", "consumer_key"), connect
)
