"""The composition root: the one place that builds tofu-runner's real world."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import ClientSession, TCPConnector

from bus import Bus, Service, answer, on, on_timer
from contracts.catalogue import (
    CAPACITY_WAKE_UP,
    KEYS,
    PREFLIGHT,
    PRICES,
    STATE,
    STATE_VERSIONS,
    THROTTLE_WAKE_UP,
    TOFU,
    TOKEN,
    WITHDRAW_DEADLINE,
)
from contracts.dns import DnsReserved, DnsWithdrawn
from contracts.sovereign import (
    SovereignApproved,
    SovereignCancelRequested,
    SovereignDecommissionRequested,
    SovereignHandedOver,
    SovereignRestoreRequested,
)
from tofu_runner import asking, handlers, keeping
from tofu_runner.admission import admitted
from tofu_runner.bench import World
from tofu_runner.keep import Keep
from tofu_runner.kit import kit_beside
from tofu_runner.settings import Settings
from tofu_runner.tofu import Tofu

log = logging.getLogger(__name__)

_CONNECTIONS = 100
"""To the cloud at once, for all runs of this replica together."""


@asynccontextmanager
async def tofu_runner(settings: Settings, bus: Bus) -> AsyncIterator[Service]:
    """The service with its adapters."""
    places = admitted(settings.places)
    log.info("places for OpenTofu", extra={"action": "places", "places": places})
    tofu = Tofu(settings.tofu, settings.tofu_cli_config, settings.module, settings.work_dir)
    async with ClientSession(connector=TCPConnector(limit=_CONNECTIONS)) as session:
        world = World(
            bus=bus,
            settings=settings,
            session=session,
            tofu=tofu,
            keep=Keep(bus.vault, bus.account),
            kit=kit_beside(settings.module),
            places=asyncio.Semaphore(places),
        )
        yield Service(
            name=TOFU,
            routes=[
                on(DnsReserved, partial(handlers.provision, world=world)),
                on(SovereignApproved, partial(handlers.approve, world=world)),
                on(SovereignCancelRequested, partial(handlers.cancel, world=world)),
                on(SovereignDecommissionRequested, partial(handlers.expect_withdrawal, world=world)),
                on(DnsWithdrawn, partial(handlers.destroy, world=world)),
                on(SovereignRestoreRequested, partial(keeping.restore, world=world)),
                on(SovereignHandedOver, partial(handlers.forget, world=world)),
                on_timer(CAPACITY_WAKE_UP, partial(handlers.wake_for_capacity, world=world)),
                on_timer(THROTTLE_WAKE_UP, partial(handlers.wake_for_budget, world=world)),
                on_timer(WITHDRAW_DEADLINE, partial(handlers.destroy_anyway, world=world)),
            ],
            answers=[
                answer(KEYS[TOFU], partial(asking.tell_keys, world=world)),
                answer(TOKEN, partial(asking.judge_token, world=world)),
                answer(PREFLIGHT, partial(asking.look_ahead, world=world)),
                answer(PRICES, partial(asking.tell_prices, world=world)),
                answer(STATE_VERSIONS, partial(keeping.tell_versions, world=world)),
                answer(STATE, partial(keeping.tell_state, world=world)),
            ],
            checks={"tofu": tofu.version},
        )
