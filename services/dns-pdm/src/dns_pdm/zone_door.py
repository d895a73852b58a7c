"""The zone door: PowerDNS's API again, but for one zone and few operations, to whoever holds that zone's key.

Each Sovereign has a root of its own, ``/<id>/api/v1``, at which clients of the PowerDNS API (cert-manager's DNS-01
webhook, external-dns) find a server with one zone. Whatever is asked beyond that zone is refused, and so are the types
that would delegate, re-sign or run code. A request is read into our own types and written anew: nothing of a body
passes through, so nobody can forge the mark that tells our records. See docs/adr/0010-zone-credential.md.
"""

import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, Protocol

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from bus import Refused, TryAgain
from contracts.identity import SovereignId, fqdn_of
from dns_pdm.powerdns import Zone
from dns_pdm.zones import Change, RecordSet, absolute

log = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 64 * 1024
_WAY: Final = "/{sovereign}/api/v1/servers/localhost/zones"
_ID: Final = TypeAdapter(SovereignId)
_LABELS: Final = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*")

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Keys(Protocol):
    """Who may."""

    async def admits(self, sovereign: str, key: str) -> bool:
        """Whether this is a valid key of this Sovereign."""
        ...


class Api(Protocol):
    """The DNS server behind the door."""

    async def zone(self, fqdn: str) -> Zone | None:
        """The zone with its records, or None."""
        ...

    async def change(self, fqdn: str, changes: tuple[Change, ...]) -> None:
        """Apply changes, all or none."""
        ...


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Content(_Strict):
    content: Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f]+$")]
    disabled: Literal[False] = False


class _RecordSet(_Strict):
    name: Annotated[str, StringConstraints(max_length=255, to_lower=True)]
    type: Literal["A", "AAAA", "CAA", "CNAME", "HTTPS", "MX", "NAPTR", "PTR", "SRV", "SSHFP", "SVCB", "TLSA", "TXT"]
    changetype: Literal["REPLACE", "DELETE"]
    ttl: int = Field(default=300, ge=1, le=7 * 86400)
    records: tuple[_Content, ...] = Field(default=(), max_length=100)

    def change(self, apex: str) -> Change:
        """The change, if it stays inside the zone; ValueError otherwise."""
        name = self.name if self.name.endswith(".") else f"{self.name}."
        if name != apex and not (name.endswith(f".{apex}") and _LABELS.fullmatch(name.removesuffix(apex))):
            raise ValueError(f"{self.name} is not in the zone {apex}")
        if self.changetype == "DELETE":
            return Change(name, self.type)
        if not self.records:
            raise ValueError(f"{self.name} {self.type}: REPLACE without records")
        return Change(
            name, self.type, RecordSet(name, self.type, self.ttl, tuple(item.content for item in self.records))
        )


class _Patch(_Strict):
    rrsets: tuple[_RecordSet, ...] = Field(min_length=1, max_length=100)


@dataclass(frozen=True)
class ZoneDoor:
    """The application behind the port."""

    keys: Keys
    api: Api

    def app(self) -> web.Application:
        """Its routes; every other path is refused in the same words, authenticated or not."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_plainly, self._guard])
        app.router.add_get(_WAY, self._list)
        app.router.add_get(f"{_WAY}/{{zone}}", self._show)
        app.router.add_patch(f"{_WAY}/{{zone}}", self._change)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        try:
            sovereign = _ID.validate_python(request.match_info.get("sovereign", ""))
        except ValidationError:
            return _refused(HTTPStatus.FORBIDDEN, "a key opens one zone, under its own root, and nothing else")
        if not await self.keys.admits(sovereign, request.headers.get("X-API-Key", "")):
            return web.Response(status=HTTPStatus.UNAUTHORIZED, text="Unauthorized")
        zone = request.match_info.get("zone")
        if zone is not None and absolute(zone.lower()) != absolute(fqdn_of(sovereign)):
            return _refused(HTTPStatus.FORBIDDEN, f"{zone} is not the zone of this key")
        return await handler(request)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        zone = await self._zone_of(request)
        asked = request.query.get("zone")
        shown = [] if asked is not None and absolute(asked.lower()) != zone.name else [_told(zone, request)]
        return web.json_response(shown)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        zone = await self._zone_of(request)
        return web.json_response({**_told(zone, request), "rrsets": [_row(item) for item in zone.records]})

    async def _change(self, request: web.Request) -> web.StreamResponse:
        fqdn = fqdn_of(request.match_info["sovereign"])
        try:
            patch = _Patch.model_validate_json(await request.read())
            changes = tuple(item.change(absolute(fqdn)) for item in patch.rrsets)
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:5])
            return _refused(HTTPStatus.UNPROCESSABLE_ENTITY, told)
        except ValueError as error:
            return _refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        await self.api.change(fqdn, changes)
        log.info("zone changed by its Sovereign",
                 extra={"action": "zone-door-change", "zone": fqdn, "record_sets": len(changes)})  # fmt: skip
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _zone_of(self, request: web.Request) -> Zone:
        zone = await self.api.zone(fqdn_of(request.match_info["sovereign"]))
        if zone is None:
            raise web.HTTPNotFound
        return zone


@web.middleware
async def _plainly(request: web.Request, handler: Answer) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _refused(HTTPStatus(error.status), error.reason)
    except Refused as error:
        return _refused(HTTPStatus.UNPROCESSABLE_ENTITY, error.reason)
    except TryAgain as error:
        log.warning("zone door cannot serve", extra={"action": "zone-door-down", "why": error.reason})
        return _refused(HTTPStatus.SERVICE_UNAVAILABLE, "the DNS server does not answer; try again")


def _refused(status: HTTPStatus, why: str) -> web.Response:
    return web.json_response({"error": why}, status=status)


def _told(zone: Zone, request: web.Request) -> dict[str, Any]:
    way = request.path.split("/zones", 1)[0]
    return {
        "id": zone.name,
        "name": zone.name,
        "type": "Zone",
        "kind": "Native",
        "serial": zone.serial,
        "dnssec": zone.signed,
        "url": f"{way}/zones/{zone.name}",
    }


def _row(item: RecordSet) -> dict[str, Any]:
    return {
        "name": item.name,
        "type": item.type,
        "ttl": item.ttl_s,
        "records": [{"content": text, "disabled": False} for text in item.content],
        "comments": [],
    }


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """The door on a port of its own; the port it got."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
