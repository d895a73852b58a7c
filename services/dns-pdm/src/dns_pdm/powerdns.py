"""The PowerDNS API (Authoritative 4.7 and later), as far as zones need it. No vendor error leaves this module.

Every change raises the zone's serial, even one that changes nothing, so callers compare before they write. Error
bodies are JSON for 422 only, everything else is plain text. Answers to key calls may hold private keys: only the
fields named here are read, and no body is logged.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

import aiohttp
from pydantic import SecretStr

from bus import Refused, TryAgain
from contracts.dns import DsRecord
from dns_pdm.zones import MARK, Change, RecordSet, absolute

log = logging.getLogger(__name__)

CALL_WITHIN_S = 10.0
"""Longer than any call on a healthy server takes by three orders of magnitude."""
TSIG_ALGORITHM = "hmac-sha256"
_ANYWHERE = ("0.0.0.0/0", "::/0")
"""A Sovereign's nodes have whatever address the cloud gives them: the key decides, not the address."""
_COMMENT = "kept by Catalyst Zero"
_DIGEST_TYPES = frozenset({2})
"""SHA-256 alone is published: RFC 8624 asks for it, SHA-1 is out, SHA-384 adds nothing for this algorithm."""


class ZoneExists(Exception):
    """There is a zone of this name already."""


class ServerDown(TryAgain):
    """PowerDNS does not answer, or answers with an error of its own."""


@dataclass(frozen=True)
class Zone:
    """A zone as PowerDNS holds it. ``account`` says whose it is."""

    name: str
    account: str
    serial: int
    signed: bool
    nsec3: str
    records: tuple[RecordSet, ...]

    @property
    def nameservers(self) -> tuple[str, ...]:
        """The NS set of the apex."""
        apex = next((found for found in self.records if found.place == (self.name, "NS")), None)
        return tuple(sorted(apex.content)) if apex else ()


@dataclass(frozen=True)
class NewZone:
    """A zone to make."""

    name: str
    account: str
    records: tuple[RecordSet, ...]
    """Apex SOA and NS among them."""
    signed: bool
    nsec3: str
    """NSEC3 parameters for narrow mode; empty for NSEC."""


@dataclass(frozen=True)
class SigningKey:
    """A published key: its DNSKEY content and the DS records that fit it."""

    dnskey: str
    ds: tuple[DsRecord, ...]


class PowerDns:
    """One server's API."""

    def __init__(self, session: aiohttp.ClientSession, server_id: str = "localhost") -> None:
        self._session = session
        self._root = f"/api/v1/servers/{server_id}"
        # On sqlite a change that began before another one was committed fails at once (500), whatever its zone: ours
        # take turns. One that meets another replica's comes again with its message.
        self.turns = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, key: SecretStr, server_id: str = "localhost") -> AsyncIterator[Self]:
        """A client for as long as the context lives."""
        async with aiohttp.ClientSession(
            url,
            headers={"X-API-Key": key.get_secret_value()},
            timeout=aiohttp.ClientTimeout(total=CALL_WITHIN_S, connect=3),
            connector=aiohttp.TCPConnector(limit=16),
        ) as session:
            yield cls(session, server_id)

    async def version(self) -> str:
        """The server's version; raises ServerDown when it is not there."""
        body = await self._call("GET", "")
        return str(body.get("version", "")) if isinstance(body, dict) else ""

    async def zone(self, fqdn: str) -> Zone | None:
        """The zone with its records, or None."""
        body = await self._call("GET", f"/zones/{absolute(fqdn)}", absent_is_none=True)
        return None if body is None else _zone(body)

    async def records_at(self, zone: str, name: str) -> tuple[RecordSet, ...] | None:
        """The record sets of one name of a zone, without reading all of a large one; None when there is no zone."""
        query = {"rrset_name": absolute(name)}
        body = await self._call("GET", f"/zones/{absolute(zone)}", query=query, absent_is_none=True)
        return None if body is None else _zone(body).records

    async def zone_names(self) -> tuple[str, ...]:
        """Every zone of the server, without the final dot."""
        body = await self._call("GET", "/zones", query={"dnssec": "false"})
        return tuple(str(row["name"]).removesuffix(".") for row in body or ())

    async def create(self, new: NewZone) -> None:
        """Make a zone; ZoneExists when there is one."""
        body: dict[str, Any] = {
            "name": absolute(new.name),
            "kind": "Native",
            "account": new.account,
            "nameservers": [],
            "rrsets": [_written(item) for item in new.records],
            "soa_edit_api": "DEFAULT",
            "api_rectify": True,
            "dnssec": new.signed,
        }
        if new.signed and new.nsec3:
            body |= {"nsec3param": new.nsec3, "nsec3narrow": True}
        await self._call("POST", "/zones", body=body)

    async def secure(self, fqdn: str, nsec3: str) -> None:
        """Sign a zone that is not signed yet (an interrupted creation), with the server's default key (ECDSA P-256)."""
        await self._call("PUT", f"/zones/{absolute(fqdn)}", body={"dnssec": True, "api_rectify": True})
        if nsec3:
            await self._call(
                "PUT", f"/zones/{absolute(fqdn)}", body={"nsec3param": nsec3, "nsec3narrow": True, "api_rectify": True}
            )

    async def assign(self, fqdn: str, account: str) -> None:
        """Write another account on a zone; nothing else of it changes."""
        await self._call("PUT", f"/zones/{absolute(fqdn)}", body={"account": account})

    async def change(self, fqdn: str, changes: Iterable[Change]) -> None:
        """Apply changes, all or none."""
        body = {"rrsets": [_changed(change) for change in changes]}
        if body["rrsets"]:
            await self._call("PATCH", f"/zones/{absolute(fqdn)}", body=body)

    async def delete(self, fqdn: str) -> None:
        """Remove a zone; one that is gone already is fine."""
        await self._call("DELETE", f"/zones/{absolute(fqdn)}", absent_is_none=True)

    async def admit_updates(self, fqdn: str, keys: Mapping[str, SecretStr], names: Iterable[str]) -> None:
        """Make these TSIG keys (name to base64 secret); let exactly those of these names change the zone (RFC 2136)."""
        for name, secret in keys.items():
            body = {"name": name, "algorithm": TSIG_ALGORITHM, "key": secret.get_secret_value()}
            with suppress(ZoneExists):  # a key's name holds its digest: one of this name is the same key
                await self._call("POST", "/tsigkeys", body=body)
        wanted = {
            "SOA-EDIT-DNSUPDATE": ["DEFAULT"],
            "TSIG-ALLOW-DNSUPDATE": sorted(names),
            # Last: without an address to come from nobody is admitted, whatever else a half-done change left.
            "ALLOW-DNSUPDATE-FROM": list(_ANYWHERE),
        }
        rows = await self._call("GET", f"/zones/{absolute(fqdn)}/metadata")
        there = {str(row["kind"]): sorted(row["metadata"]) for row in rows}
        for kind, values in wanted.items():
            if there.get(kind) != sorted(values):
                await self._call("PUT", f"/zones/{absolute(fqdn)}/metadata/{kind}", body={"metadata": values})

    async def refuse_updates(self, fqdn: str, keys: Iterable[str]) -> None:
        """Nobody changes the zone by DNS UPDATE any more, and these keys are gone; absent is fine."""
        for kind in ("ALLOW-DNSUPDATE-FROM", "TSIG-ALLOW-DNSUPDATE"):
            await self._call("DELETE", f"/zones/{absolute(fqdn)}/metadata/{kind}", absent_is_none=True)
        for name in keys:
            await self._call("DELETE", f"/tsigkeys/{absolute(name)}", absent_is_none=True)

    async def signing_keys(self, fqdn: str) -> tuple[SigningKey, ...]:
        """The active, published keys that a parent's DS may point at."""
        rows = await self._call("GET", f"/zones/{absolute(fqdn)}/cryptokeys", absent_is_none=True)
        usable = [row for row in rows or () if row.get("active") and row.get("published", True) and row.get("ds")]
        return tuple(SigningKey(str(row["dnskey"]), _ds_records(row["ds"], str(row["dnskey"]))) for row in usable)

    async def _call(
        self, method: str, path: str, *, body: Any = None, query: Mapping[str, str] | None = None,
        absent_is_none: bool = False,
    ) -> Any:  # fmt: skip
        turn = nullcontext() if method == "GET" else self.turns
        url = f"{self._root}{path}"
        try:
            async with turn, self._session.request(method, url, json=body, params=query) as answer:
                text = await answer.text(errors="replace")
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServerDown(f"PowerDNS does not answer {method} {path}: {type(error).__name__}") from None
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return json.loads(text) if text else {}
        if status == HTTPStatus.NOT_FOUND and absent_is_none:
            return None
        raise _refusal(method, path, status, text)


def _refusal(method: str, path: str, status: int, text: str) -> Exception:
    said = text.strip()[:300]
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        said = str(json.loads(text).get("error", said))[:300] if text.startswith("{") else said
        return Refused(f"PowerDNS refuses {method} {path}: {said}")
    if status == HTTPStatus.CONFLICT:
        return ZoneExists(f"{method} {path}: {said}")
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ServerDown(f"PowerDNS does not accept our API key ({status}): check DNS_PDM_POWERDNS_KEY_FILE")
    # A zone that vanished between two calls is made again by the next attempt; the rest is the server's trouble.
    return ServerDown(f"PowerDNS answers {method} {path} with {status}: {said}")


def _zone(body: Mapping[str, Any]) -> Zone:
    records = tuple(
        RecordSet(
            name=str(row["name"]).lower(),
            type=str(row["type"]),
            ttl_s=int(row["ttl"]),
            content=tuple(sorted(str(item["content"]) for item in row["records"] if not item.get("disabled"))),
            mark=next((str(note["account"]) for note in row.get("comments", ()) if note.get("account")), ""),
        )
        for row in body.get("rrsets", ())
        if row["records"]
    )
    return Zone(
        name=str(body["name"]),
        account=str(body.get("account", "")),
        serial=int(body["serial"]),
        signed=bool(body.get("dnssec")),
        nsec3=str(body.get("nsec3param", "")),
        records=records,
    )


def _written(item: RecordSet) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": item.name,
        "type": item.type,
        "ttl": item.ttl_s,
        "records": [{"content": text, "disabled": False} for text in item.content],
    }
    if item.mark:
        row["comments"] = [{"content": _COMMENT if item.mark == MARK else "", "account": item.mark}]
    return row


def _changed(change: Change) -> dict[str, Any]:
    if change.records is None:
        return {"name": change.name, "type": change.type, "changetype": "DELETE"}
    return {**_written(change.records), "changetype": "REPLACE"}


def _ds_records(rows: Iterable[str], dnskey: str) -> tuple[DsRecord, ...]:
    told = [row.split(maxsplit=3) for row in rows]
    return tuple(
        DsRecord(key_tag=int(tag), algorithm=int(algorithm), digest_type=int(digest_type), digest=digest, dnskey=dnskey)
        for tag, algorithm, digest_type, digest in told
        if int(digest_type) in _DIGEST_TYPES
    )
