"""OVH: every call signed with the account's keys and the registrar's own time; changes are tasks that take a while.

Its API makes DS from public keys, which it takes, and shows, whole: the digests are computed here. While a task of the
domain runs no other is begun.
"""

import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any, Final

import dns.dnssec
import dns.rdata

from contracts.dns import Delegation, DsRecord
from contracts.request import REGISTRAR_PARTS
from dns_pdm.registrars.calls import Caller, Said, calling, host, json_of, no_ds, same_hosts, understood
from dns_pdm.registrars.port import Adapter, RegistrarRefused

_NAME: Final = "ovh"
_UNAUTHORIZED: Final = {"INVALID_KEY", "INVALID_CREDENTIAL", "NOT_CREDENTIAL", "INVALID_SIGNATURE", "NOT_GRANTED_CALL"}
_CLOCK: Final = {"QUERY_TIME_OUT"}
_SERVICE_EXPIRED: Final = 460
_GONE: Final = {"removed", "revoked"}
_DIGEST: Final = "SHA256"


@dataclass
class Ovh:
    """An account at OVH."""

    caller: Caller
    parts: Mapping[str, str]
    _offset_s: int | None = field(default=None, init=False)
    """How far OVH's clock is ahead of ours."""
    _rules: Any = field(default=None, init=False)
    """What the consumer key may do."""

    async def validate(self, fqdn: str) -> Delegation:
        """The name servers; and that the consumer key may change them, by its own list of rights."""
        held = await self.get(fqdn)
        needed = f"/domain/{fqdn}/nameServers/update"
        if not await self._granted(fqdn, needed):
            raise RegistrarRefused("registrar-unauthorized", f"ovh: the consumer key lacks the right POST {needed}")
        return held

    async def get(self, fqdn: str) -> Delegation:
        """The name servers and keys that are not on their way out, and whether the servers are OVH's own by default.

        No DS are told where the top-level domain has none, or the consumer key may not change them.
        """
        domain = await self._call("GET", f"/domain/{fqdn}", fqdn)
        numbers = await self._call("GET", f"/domain/{fqdn}/nameServer", fqdn)
        rows = [await self._call("GET", f"/domain/{fqdn}/nameServer/{number}", fqdn) for number in numbers]
        with understood(_NAME):
            servers = tuple(host(str(row["host"])) for row in rows if not row.get("toDelete"))
            default, signable = domain.get("nameServerType") == "hosted", domain.get("dnssecSupported", True)
        signs = signable and await self._granted(fqdn, f"/domain/{fqdn}/dsRecord")
        return Delegation(nameservers=servers, ds=await self._ds(fqdn) if signs else None, by_default=default)

    async def set(self, fqdn: str, nameservers: tuple[str, ...]) -> None:
        """Ensure these name servers: begin the task, unless one is under way."""
        if same_hosts((await self.get(fqdn)).nameservers, nameservers):
            return
        await self._idle(fqdn)
        body = {"nameServers": [{"host": name} for name in nameservers]}
        await self._call("POST", f"/domain/{fqdn}/nameServers/update", fqdn, body)

    async def set_ds(self, fqdn: str, ds: tuple[DsRecord, ...]) -> None:
        """Ensure the DS of these keys, all in one task."""
        if any(not one.dnskey for one in ds):
            raise no_ds(_NAME)
        if {one.identity for one in await self._ds(fqdn)} == {one.identity for one in ds}:
            return
        await self._idle(fqdn)
        await self._call("POST", f"/domain/{fqdn}/dsRecord", fqdn, {"keys": [written(one) for one in ds]})

    async def rollback(self, fqdn: str, former: Delegation) -> None:
        """Ensure the former name servers and the DS that fit them; or OVH's own, whose DS it keeps itself."""
        if not former.by_default:
            await self.set(fqdn, former.nameservers)
            if former.ds is not None:
                await self.set_ds(fqdn, former.ds)
        elif not (await self.get(fqdn)).by_default:
            await self._idle(fqdn)
            await self._call("PUT", f"/domain/{fqdn}", fqdn, {"nameServerType": "hosted"})

    async def _ds(self, fqdn: str) -> tuple[DsRecord, ...]:
        numbers = await self._call("GET", f"/domain/{fqdn}/dsRecord", fqdn)
        rows = [await self._call("GET", f"/domain/{fqdn}/dsRecord/{number}", fqdn) for number in numbers]
        with understood(_NAME):
            return tuple(ds_of(fqdn, row) for row in rows if row.get("status") not in _GONE)

    async def _granted(self, fqdn: str, path: str) -> bool:
        if self._rules is None:
            self._rules = (await self._call("GET", "/auth/currentCredential", fqdn)).get("rules") or ()
        return may(self._rules, "POST", path)

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


def ds_of(fqdn: str, row: Mapping[str, Any]) -> DsRecord:
    """The DS that a key of its list makes in the parent zone."""
    text = f"{int(row['flags'])} 3 {int(row['algorithm'])} {row['publicKey']}"
    key = dns.rdata.from_text("IN", "DNSKEY", text)
    made = dns.dnssec.make_ds(f"{fqdn}.", key, _DIGEST)
    return DsRecord(
        key_tag=made.key_tag,
        algorithm=made.algorithm,
        digest_type=made.digest_type,
        digest=made.digest.hex(),
        dnskey=text,
    )


def written(one: DsRecord) -> dict[str, Any]:
    """A key as it is posted."""
    flags, _protocol, algorithm, key = one.dnskey.split(maxsplit=3)
    return {"algorithm": int(algorithm), "flags": int(flags), "publicKey": "".join(key.split()), "tag": one.key_tag}


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


ADAPTER: Final = Adapter("https://eu.api.ovh.com/1.0", REGISTRAR_PARTS["ovh"], connect)
