"""The real world of dns-pdm: PowerDNS, name servers, the zone door, and what the bus brings."""

import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from bus import Bus, Service, answer, on, on_timer
from contracts.catalogue import DELEGATION_CHECK, DNS, DS_DUE, KEYS, MAIL, NAME, PROPAGATION_CHECK, REGISTRAR, ZONE
from contracts.flux import FluxReleased
from contracts.questions import Asker, KeysReply, Nothing
from contracts.sovereign import (
    SovereignCancelRequested,
    SovereignHandedOver,
    SovereignReady,
    SovereignRequested,
)
from contracts.tofu import TofuApplied, TofuDestroyed
from dns_pdm import handlers, names, zone_door
from dns_pdm.asking import Server
from dns_pdm.credentials import READER, ZoneCredentials
from dns_pdm.delegation import Delegations
from dns_pdm.keeping import Hosting, ZoneKeeper
from dns_pdm.mail import MailDomains
from dns_pdm.ports import Dns
from dns_pdm.powerdns import PowerDns
from dns_pdm.propagation import Resolvers
from dns_pdm.questions import Answers
from dns_pdm.registrars import ADAPTERS
from dns_pdm.registrars.port import Registrars
from dns_pdm.settings import Settings
from dns_pdm.topology import IANA_ROOT, DescribedTopology, PublicTree, server_at
from dns_pdm.updates import PoolUpdates

_MINTING_KEY_BYTES = 32


@asynccontextmanager
async def dns_pdm(settings: Settings, bus: Bus) -> AsyncIterator[Service]:
    """Build, and take down in reverse order."""
    key = read_api_key(settings.powerdns_key_file)
    async with PowerDns.connect(settings.powerdns_url, key, settings.powerdns_server_id) as api:
        rules = rules_of(settings)
        minting_key = read_minting_key(settings.minting_key_file)
        parents = PoolUpdates(api, settings.update_server, minting_key, api.turns)
        keeper = ZoneKeeper(api, parents, hosting_of(settings), rules)
        if settings.create_pool_zones:
            await keeper.ensure_pools()
        credentials = ZoneCredentials(
            store=bus.kv("zone"),
            updates=api,
            sealed=bus.vault,
            seal_to_tofu=bus.public_keys_of(READER)[0],
            minting_key=minting_key,
            public_url=settings.zone_door_url,
            update_server=settings.update_server,
        )
        registrars = Registrars(ADAPTERS, settings.registrar_urls)
        dns = Dns(
            zones=keeper,
            world=Delegations(topology_of(settings)),
            public=public_of(settings),
            credentials=credentials,
            secrets=bus.vault,
            registrars=registrars,
            alone=bus.leases.hold,
            rules=rules,
            hosting=keeper.hosting,
            first_check=timedelta(seconds=settings.first_check_s),
            slowest_check=timedelta(seconds=settings.slowest_check_s),
        )
        door = zone_door.ZoneDoor(credentials, api).app()
        tls = tls_of(settings.zone_door_certificate)
        async with zone_door.listening(door, settings.zone_door_host, settings.zone_door_port, tls):
            mails = MailDomains(resolvers_of(settings))
            yield _service(dns, Answers(rules, bus.journal, api, registrars, bus.vault, mails), api, bus)


def _service(dns: Dns, answers: Answers, api: PowerDns, bus: Bus) -> Service:
    async def keys(_request: Nothing, _asker: Asker | None) -> KeysReply:
        return KeysReply(service=DNS, keys=bus.vault.public_keys())

    async def powerdns_answers() -> None:
        await api.version()

    return Service(
        name=DNS,
        routes=[
            on(SovereignRequested, partial(handlers.reserve, dns=dns)),
            on(SovereignCancelRequested, handlers.stand_down),
            on(TofuApplied, partial(handlers.publish, dns=dns)),
            on(SovereignReady, partial(handlers.settle, dns=dns)),
            on(SovereignHandedOver, partial(handlers.forget_registrar, dns=dns)),
            on(FluxReleased, partial(handlers.withdraw, dns=dns)),
            on(TofuDestroyed, partial(handlers.release, dns=dns)),
            on_timer(DELEGATION_CHECK, partial(handlers.look_again, dns=dns)),
            on_timer(PROPAGATION_CHECK, partial(handlers.look_around, dns=dns)),
            on_timer(DS_DUE, partial(handlers.sign, dns=dns)),
        ],
        answers=[
            answer(NAME, answers.name),
            answer(MAIL, answers.mail),
            answer(ZONE, answers.zone),
            answer(REGISTRAR, answers.registrar),
            answer(KEYS[DNS], keys),
        ],
        checks={"powerdns": powerdns_answers},
    )


def rules_of(settings: Settings) -> names.Rules:
    """The rules about names."""
    pools = tuple(names.normalise(pool) for pool in settings.pool_domains)
    return names.Rules(pools=pools, reserved=names.RESERVED_WORDS | frozenset(settings.reserved_labels))


def hosting_of(settings: Settings) -> Hosting:
    """How zones are made."""
    fallback = f"hostmaster.{settings.pool_domains[0] if settings.pool_domains else settings.nameservers[0]}"
    return Hosting(
        nameservers=tuple(sorted(host.lower().rstrip(".") for host in settings.nameservers)),
        hostmaster=settings.hostmaster or fallback,
        glue=settings.nameserver_addresses,
        nsec3=settings.nsec3,
        delegation_ttl_s=settings.delegation_ttl_s,
        ds_ttl_s=settings.ds_ttl_s,
        certificate_issuers=settings.certificate_issuers,
    )


def topology_of(settings: Settings) -> DescribedTopology:
    """Who serves what. The pool zones are served by our own name servers unless something else is said."""
    pools = dict.fromkeys(settings.pool_domains, settings.nameservers)
    tree = PublicTree(settings.root_servers or IANA_ROOT, settings.root_port) if settings.public_tree else None
    return DescribedTopology({**pools, **settings.tree_zones}, settings.tree_hosts, tree)


def public_of(settings: Settings) -> Resolvers | None:
    """The resolvers that stand for the public."""
    servers = resolvers_of(settings)
    return Resolvers(servers) if servers else None


def resolvers_of(settings: Settings) -> tuple[Server, ...]:
    """Where they listen."""
    return tuple(server_at(where, where) for where in settings.resolvers)


def read_api_key(file: Path) -> SecretStr:
    """PowerDNS's API key."""
    return SecretStr(file.read_text().strip())


def read_minting_key(path: Path) -> SecretStr:
    """The minting key; ValueError when anybody else can read it or it is too short."""
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f"{path} is readable by others: chmod 600 it, and make a new key if it was shared")
    text = path.read_text().strip()
    if len(text) < _MINTING_KEY_BYTES:
        raise ValueError(f"{path} holds {len(text)} characters, at least {_MINTING_KEY_BYTES} random ones are needed")
    return SecretStr(text)


def tls_of(certificate: Path | None) -> ssl.SSLContext | None:
    """TLS of the zone door."""
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context
