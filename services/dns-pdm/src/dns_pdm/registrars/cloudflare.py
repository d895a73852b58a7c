"""Cloudflare: a name within a zone that it hosts, delegated by NS and DS records there.

A domain registered at Cloudflare keeps Cloudflare's name servers: no call of its API changes them, and its own advice
is to move the domain elsewhere. So the zone itself is refused here, and a name below it is what can be delegated.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from contracts.dns import Delegation, DsRecord
from contracts.request import REGISTRAR_PARTS
from dns_pdm.registrars.calls import Caller, Said, calling, host, understood
from dns_pdm.registrars.port import Adapter, RegistrarRefused

_NAME: Final = "cloudflare"
_PER_PAGE: Final = 100
_TTL_S: Final = 300
_WRITE: Final = "#dns_records:edit"
_UNAUTHORIZED: Final = {1000, 1001, 6003, 6103, 6111, 10000}
_CALLER: Final = {9109}
"""Said to a token that may be used from other addresses only; and, in other words, to one without the right."""


@dataclass(frozen=True)
class Zone:
    """A zone of the account."""

    id: str
    name: str
    permissions: tuple[str, ...]


@dataclass(frozen=True)
class Cloudflare:
    """An account at Cloudflare."""

    caller: Caller
    parts: Mapping[str, str]

    async def validate(self, fqdn: str) -> Delegation:
        """What stands at the name; and that the token may write the zone, by the zone's own list of rights."""
        zone = await self._zone(fqdn)
        if _WRITE not in zone.permissions:
            told = f"cloudflare: the token may not edit DNS records of {zone.name}: give it Zone / DNS / Edit there"
            raise RegistrarRefused("registrar-unauthorized", told)
        return read(await self._records(zone, fqdn))

    async def get(self, fqdn: str) -> Delegation:
        """NS and DS at the name; none when it is not delegated."""
        return read(await self._records(await self._zone(fqdn), fqdn))

    async def set(self, fqdn: str, nameservers: tuple[str, ...]) -> None:
        """Ensure these NS records at the name, in one batch."""
        zone = await self._zone(fqdn)
        held = {host(row["content"]): row for row in await self._records(zone, fqdn) if row["type"] == "NS"}
        wanted = {host(name) for name in nameservers}
        await self._batch(
            zone,
            gone=[row for name, row in held.items() if name not in wanted],
            new=[{"type": "NS", "name": fqdn, "content": name, "ttl": _TTL_S} for name in sorted(wanted - set(held))],
        )

    async def set_ds(self, fqdn: str, ds: tuple[DsRecord, ...]) -> None:
        """Ensure these DS records at the name, in one batch."""
        zone = await self._zone(fqdn)
        held = {ds_in(row).identity: row for row in await self._records(zone, fqdn) if row["type"] == "DS"}
        wanted = {one.identity: one for one in ds}
        await self._batch(
            zone,
            gone=[row for key, row in held.items() if key not in wanted],
            new=[written(fqdn, one) for key, one in wanted.items() if key not in held],
        )

    async def rollback(self, fqdn: str, former: Delegation) -> None:
        """Ensure what stood at the name: DS go before NS do, and come after them (Cloudflare wants NS beside DS)."""
        if not former.ds:
            await self.set_ds(fqdn, ())
        await self.set(fqdn, former.nameservers)
        await self.set_ds(fqdn, former.ds or ())

    async def _zone(self, fqdn: str) -> Zone:
        """The zone that holds the name: the longest one of the account above it."""
        labels = fqdn.split(".")
        for count in range(len(labels) - 1):
            name = ".".join(labels[count:])
            for row in await self._pages("/zones", {"name": name}, fqdn):
                zone = Zone(str(row["id"]), str(row["name"]), tuple(row.get("permissions") or ()))
                if zone.name == fqdn:
                    told = "cloudflare keeps its own name servers for a domain that it hosts: take a name below it"
                    raise RegistrarRefused("registrar-unsupported", told)
                return zone
        raise RegistrarRefused("registrar-domain-missing", f"cloudflare: no zone of this account holds {fqdn}")

    async def _records(self, zone: Zone, fqdn: str) -> list[dict[str, Any]]:
        rows = await self._pages(f"/zones/{zone.id}/dns_records", {"name": fqdn}, fqdn)
        return [row for row in rows if row["type"] in {"NS", "DS"}]

    async def _batch(self, zone: Zone, *, gone: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
        if gone or new:
            body = {"deletes": [{"id": row["id"]} for row in gone], "posts": new}
            await self._call("POST", f"/zones/{zone.id}/dns_records/batch", zone.name, body=body)

    async def _pages(self, path: str, query: Mapping[str, str], fqdn: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        page, pages = 1, 1
        while page <= pages:
            asked = {**query, "page": str(page), "per_page": str(_PER_PAGE)}
            fields = await self._call("GET", path, fqdn, query=asked)
            rows += fields.get("result") or ()
            page, pages = page + 1, int((fields.get("result_info") or {}).get("total_pages", 1))
        return rows

    async def _call(
        self, method: str, path: str, fqdn: str, *, body: Any = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.parts['api_token']}"}
        said = await self.caller.send(method, path, headers=headers, body=body, query=query)
        if said.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise said.limited()
        fields = said.fields()
        if not said.good or not fields.get("success"):
            raise refusal(said, fields, fqdn)
        return fields


def read(rows: list[dict[str, Any]]) -> Delegation:
    """What NS and DS records say."""
    with understood(_NAME):
        servers = tuple(host(str(row["content"])) for row in rows if row["type"] == "NS")
        return Delegation(nameservers=servers, ds=tuple(ds_in(row) for row in rows if row["type"] == "DS"))


def ds_in(row: Mapping[str, Any]) -> DsRecord:
    """A DS record of a zone."""
    data = row["data"]
    return DsRecord(
        key_tag=int(data["key_tag"]),
        algorithm=int(data["algorithm"]),
        digest_type=int(data["digest_type"]),
        digest=str(data["digest"]).lower(),
    )


def written(fqdn: str, one: DsRecord) -> dict[str, Any]:
    """A DS record as it is posted."""
    return {"type": "DS", "name": fqdn, "ttl": _TTL_S, "data": one.model_dump(exclude={"dnskey"})}


def refusal(said: Said, fields: Mapping[str, Any], fqdn: str) -> Exception:
    """What an answer without success means."""
    errors = [row for row in fields.get("errors") or () if isinstance(row, dict)]
    codes = {row.get("code") for row in errors}
    told = "; ".join(f"{row.get('code')}: {row.get('message')}" for row in errors) or f"{said.status} for {fqdn}"
    if codes & _CALLER:
        why = f"{told}; either the token's address filter lacks us, or it lacks Zone / DNS / Edit"
        return said.refused("registrar-caller-refused", why)
    if codes & _UNAUTHORIZED or said.status == HTTPStatus.UNAUTHORIZED:
        return said.refused("registrar-unauthorized", told)
    return said.refused("registrar-refused", told)


@asynccontextmanager
async def connect(parts: Mapping[str, str], root: str) -> AsyncIterator[Cloudflare]:
    """An account, opened with its credentials."""
    async with calling(_NAME, root) as caller:
        yield Cloudflare(caller, parts)


ADAPTER: Final = Adapter("https://api.cloudflare.com/client/v4", REGISTRAR_PARTS["cloudflare"], connect)
