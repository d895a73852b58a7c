"""Builds the real flux-watcher: the bus's ports, the cluster adapter, the prober, and the share of the Sovereigns."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from bus import Bus, Service, answer, hear, on
from contracts.catalogue import CLUSTER_EVENTS, DESCRIBE, FLUX, KEYS
from contracts.node import NodeEnrolled
from contracts.questions import KeysReply
from contracts.sovereign import (
    SovereignCancelRequested,
    SovereignDecommissionRequested,
    SovereignReady,
    SovereignReconcileRequested,
    SovereignSuspendRequested,
)
from contracts.tofu import TofuApplied
from flux_watcher import describe, handlers
from flux_watcher.cluster import Timeouts, open_cluster
from flux_watcher.expected import load_kit
from flux_watcher.handlers import Door
from flux_watcher.probe import Prober
from flux_watcher.settings import Settings
from flux_watcher.shards import Shards
from flux_watcher.watch import Ports


@asynccontextmanager
async def flux_watcher(settings: Settings, bus: Bus) -> AsyncIterator[Service]:
    """The service on a bus. BadKit at once when the expected set is none."""
    connect = partial(open_cluster, timeouts=Timeouts(silence_s=settings.silence_s))
    door = Door(bus.vault, connect, settings.api_port)
    ports = Ports(
        journal=bus.journal,
        secrets=bus.vault,
        hosts=Prober(settings.look),
        logs=bus.logs,
        connect=connect,
        kit=load_kit(settings.kit_catalogue),
        api_port=settings.api_port,
        root=settings.kit_root,
        windows=settings.windows,
        rhythm=settings.rhythm,
        lists=asyncio.Semaphore(settings.lists),
    )
    shards = Shards(
        stream=bus.journal,
        feed=lambda after: bus.feed(after=after),
        presence=bus.presence,
        ports=ports,
        look_s=settings.look_s,
    )
    yield Service(
        name=FLUX,
        slots=256,
        routes=[
            hear(NodeEnrolled, handlers.enrolled),
            hear(TofuApplied, handlers.applied),
            on(SovereignReady, partial(handlers.ready, door=door)),
            on(SovereignCancelRequested, handlers.cancelled),
            on(SovereignDecommissionRequested, partial(handlers.decommissioned, door=door)),
            on(SovereignReconcileRequested, partial(handlers.reconcile, door=door, now=_stamp)),
            on(SovereignSuspendRequested, partial(handlers.suspend, door=door)),
        ],
        answers=[
            answer(DESCRIBE, partial(describe.describe, journal=bus.journal, door=door)),
            answer(CLUSTER_EVENTS, partial(describe.cluster_events, journal=bus.journal, door=door)),
            answer(KEYS[FLUX], partial(describe.keys, reply=KeysReply(service=FLUX, keys=bus.vault.public_keys()))),
        ],
        background=[shards.run],
    )


def _stamp() -> str:
    return datetime.now(UTC).isoformat()
