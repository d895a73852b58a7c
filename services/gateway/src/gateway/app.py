"""The composition root: the one HTTP edge, put together from its parts."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import aiohttp
from aiohttp import web

from bus import Bus, SealKeys, Service, answer
from bus.sign import keys_of_user, signing_keys
from bus.survey import standing
from contracts.catalogue import GATEWAY, KEYS
from contracts.openapi import MAX_BODY_BYTES
from contracts.questions import Asker, KeysReply, Nothing
from contracts.summary import Summary, summary_key
from gateway import access
from gateway.accounts import AccountsFolder, People
from gateway.api import Api
from gateway.bundle import Bundles
from gateway.claims import Reading
from gateway.heartbeat import Heartbeat, Replicas
from gateway.hub import Hub
from gateway.limits import Limit
from gateway.logbook import Logbook
from gateway.logins import Logins
from gateway.node_door import NodeDoor
from gateway.openid import Client, Provider
from gateway.pages import Pages, security_headers
from gateway.problems import middleware as problems
from gateway.reads import Reads, Summaries
from gateway.sealing import Asking, Sealing
from gateway.sessions import Sessions
from gateway.settings import Settings
from gateway.single_sign_on import BACK, SingleSignOn
from gateway.sockets import Sockets
from gateway.trail import BusTrail
from gateway.well import Well

log = logging.getLogger(__name__)


def edge(
    settings: Settings,
    *,
    hub: Hub,
    heartbeat: Heartbeat,
    asking: Asking,
    people: People,
    summaries: Summaries,
    logbook: Logbook,
    keys: SealKeys,
    well: Well,
    provider: Provider | None = None,
) -> web.Application:
    """Every route of the edge."""
    sessions = Sessions.from_file(settings.session_key_file, hours=settings.session_hours)
    sealing = Sealing(asking)
    label = settings.oidc_label if provider else ""
    pages = Pages(hub, sessions, summaries, hub.owner_of, settings.sandbox, settings.trusted_proxy, label)
    app = web.Application(
        client_max_size=MAX_BODY_BYTES,
        middlewares=[
            security_headers,
            problems(pages.problem),
            access.middleware(people, sessions, settings.public_url),
        ],
    )
    node_limit = Limit(burst=240, per_s=8)
    app.add_routes(Reads(hub, heartbeat, summaries, hub.owner_of, logbook).routes())
    app.add_routes(Api(asking, sealing, hub.owner_of, Limit(burst=60, per_s=2)).routes())
    app.add_routes(NodeDoor(asking, sealing, node_limit, settings.trusted_proxy).routes())
    passwords = Limit(burst=20, per_s=0.2)
    app.add_routes(Logins(people, sessions, passwords, settings.public_url, settings.trusted_proxy).routes())
    if provider is not None:
        begun = Limit(burst=20, per_s=0.2)
        door = SingleSignOn(provider, reading_of(settings), people, sessions, pages, begun, settings)
        app.add_routes(door.routes())
    app.add_routes(well.routes())
    bundles = Limit(burst=5, per_s=0.05)
    app.add_routes(Bundles(hub, heartbeat, logbook, asking, hub.owner_of, keys, bundles).routes())
    sockets = Sockets(hub, heartbeat, hub.owner_of, settings.public_url, logbook)
    app.add_routes([web.get("/ws", sockets.handle)])
    app.add_routes(pages.routes())
    return app


def reading_of(settings: Settings) -> Reading:
    """Which claims of the provider's tell what."""
    return Reading(
        name_claim=settings.oidc_name_claim,
        owner_claim=settings.oidc_owner_claim,
        roles_claim=settings.oidc_roles_claim,
        roles=settings.oidc_roles,
    )


def signing_keys_of(settings: Settings) -> SealKeys:
    """What signs support bundles: derived from our NKey, so that replicas sign alike and there is no more to guard."""
    if settings.nkey_file is None:
        raise ValueError("CATALYST_NKEY_FILE is not set: the gateway's seed that catalyst keys init writes")
    return keys_of_user(GATEWAY, settings.nkey_file.read_bytes().strip())


@asynccontextmanager
async def provider_of(settings: Settings) -> AsyncIterator[Provider | None]:
    """The provider that people log in by, if there is one; it is not asked before the first login."""
    if not settings.oidc_issuer:
        yield None
        return
    secret = settings.oidc_client_secret_file
    here = settings.public_url or f"http://{settings.host}:{settings.port}"
    client = Client(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=(await asyncio.to_thread(secret.read_text)).strip() if secret else "",
        scopes=settings.oidc_scopes,
        redirect_uri=f"{here.rstrip('/')}{BACK}",
    )
    trust = await asyncio.to_thread(ssl.create_default_context, cafile=settings.oidc_ca)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as http:
        yield Provider(client, http)


def summaries_of(bus: Bus) -> Summaries:
    """The list, from the read model that intake keeps."""
    bucket = bus.kv("state")

    async def read() -> list[Summary]:
        return [Summary.model_validate_json(item.value) for item in await bucket.values(summary_key("*"))]

    return read


def replicas_of(bus: Bus) -> Replicas:
    """Who is alive."""

    async def read(service: str) -> list[str]:
        return await bus.presence.replicas(service)

    return read


@asynccontextmanager
async def gateway(settings: Settings, bus: Bus) -> AsyncIterator[Service]:
    """The real world: bind the address, then serve."""
    async with provider_of(settings) as provider, listening(settings, bus, provider) as service:
        yield service


@asynccontextmanager
async def listening(settings: Settings, bus: Bus, provider: Provider | None) -> AsyncIterator[Service]:
    """The edge on its address."""
    hub = Hub(BusTrail(bus), cache_bytes=settings.cache_mib * 1024 * 1024, slow_s=settings.slow_s)
    await hub.start()
    heartbeat = Heartbeat(hub, replicas_of(bus), every_s=settings.heartbeat_s)
    keys = await asyncio.to_thread(signing_keys_of, settings)
    logbook = Logbook(bus.log_trail)
    app = edge(
        settings,
        hub=hub,
        heartbeat=heartbeat,
        asking=bus,
        people=AccountsFolder(settings.accounts_dir),
        summaries=summaries_of(bus),
        logbook=logbook,
        keys=keys,
        well=Well(replicas_of(bus), partial(standing, bus.connection)),
        provider=provider,
    )
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=3.0)
    await runner.setup()
    site = web.TCPSite(runner, settings.host, settings.port)
    await site.start()
    host, port = runner.addresses[0][:2]
    log.info("listening", extra={"action": "listening", "url": f"http://{host}:{port}"})
    try:
        told = KeysReply(service=GATEWAY, keys=(), signing=signing_keys(keys))

        async def tell_keys(_request: Nothing, _asker: Asker | None) -> KeysReply:
            return told

        yield Service(
            name=GATEWAY,
            answers=[answer(KEYS[GATEWAY], tell_keys)],
            background=[hub.read, hub.pump, heartbeat.run, logbook.listen, logbook.pump],
        )
    finally:
        heartbeat.close_all("the gateway restarts: resume from the last id")
        await runner.cleanup()
