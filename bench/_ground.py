"""The ground of benchmarks on the bus: a real server with the settings of production, and a stream with a past."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from bus import Bus, connect
from bus.codec import encode
from bus.journal import headers_of
from bus.server import NatsServer, running_server
from contracts import About, Event, Fact, event_of
from contracts.dns import DnsDelegated, DnsPublished, DnsReserved
from contracts.flux import (
    FluxBootstrapped,
    FluxChanged,
    FluxConverged,
    FluxReleased,
    HrInstalling,
    HrPending,
    HrReady,
    ProbePassed,
)
from contracts.node import NodeEnrolled, NodeReported
from contracts.request import SecretRef
from contracts.sovereign import SovereignHandedOver, SovereignReady
from contracts.tofu import TofuPlanned, TofuProgressed, TofuStarted, TofuWaiting

_AT_ONCE = 512
_DIGEST = "ab" * 32


@dataclass
class Ground:
    """A running server and buses on it, closed at the end."""

    server: NatsServer
    stack: AsyncExitStack

    async def bus(self, user: str, **settings: object) -> Bus:
        """Connect as a user of the catalogue."""
        return await self.stack.enter_async_context(connect(self.server.settings(user, **settings), user))


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """A server that syncs always, as in production, on a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="catalyst-bench-") as folder:
        async with running_server(Path(folder) / "nats") as server, AsyncExitStack() as stack:
            yield Ground(server, stack)


@asynccontextmanager
async def ground_with_past(events: Iterable[Event[Any]]) -> AsyncIterator[Ground]:
    """The same, where these events were stored before: written by a server that does not sync, or it takes minutes."""
    with tempfile.TemporaryDirectory(prefix="catalyst-bench-") as folder:
        place = Path(folder) / "nats"
        async with running_server(place, sync="2m") as server, connect(server.settings("admin"), "admin") as admin:
            await fill(admin, events)
        async with running_server(place, topology=False) as server, AsyncExitStack() as stack:
            yield Ground(server, stack)


def about(number: int) -> About:
    """One Sovereign of many."""
    return About(sovereign=f"bench{number}_omani_works", owner="acme", life=1, run=1)


def enrolled(of: About, number: int) -> Event[Any]:
    """One event of a line of them: what flux-watcher's consumer brings, about 900 bytes."""
    kubeconfig = SecretRef(reader="flux-watcher", name=f"kubeconfig-{number}", kid="k1", sha256=_DIGEST)
    fact = NodeEnrolled(server=f"bench-cp-{number}", kubeconfig=kubeconfig, body_sha256=_DIGEST)
    return event_of(fact, of, source="intake", cause=uuid4())


def story(of: About, length: int) -> Iterator[Event[Any]]:
    """A Sovereign's past of ``length`` events, of every kind that a run says often and most that it says once."""
    once = (
        DnsReserved(zone="bench.omani.works.", nameservers=("ns1.omani.works.", "ns2.omani.works.")),
        TofuStarted(action="apply", fencing_token=1),
        TofuPlanned(add=14, change=0, destroy=0, digest=_DIGEST, needs_approval=False),
        TofuWaiting(why="throttled"),
        DnsPublished(zone="bench.omani.works.", serial=1, records=()),
        DnsDelegated(servers=()),
        FluxBootstrapped(controllers=("source-controller", "helm-controller"), revision="main@sha1:0", expected=()),
        FluxConverged(revision="main@sha1:0", releases=(), stable_s=30.0),
        ProbePassed(hosts=()),
        SovereignReady(urls=()),
        FluxReleased(verified=True),
        SovereignHandedOver(),
    )
    for number in range(length - len(once)):
        yield event_of(_often(number), of, source="bench", cause=uuid4())
    for fact in once:
        yield event_of(fact, of, source="bench", cause=uuid4())


def _often(number: int) -> Fact:
    release: dict[str, Any] = {"component": "keycloak", "release": f"bp-{number % 12}", "occurrence": f"{number}"}
    match number % 6:
        case 0:
            return TofuProgressed(
                address=f"hcloud_server.node[{number}]",
                resource_type="hcloud_server",
                state="created",
                done=number,
                total=500,
            )
        case 1:
            moment = datetime.now(UTC)
            return NodeReported(server="cp-1", stage="k3s", number=1, state="done", sequence=number, at=moment)
        case 2:
            return FluxChanged(kind="Kustomization", name=f"bp-{number % 12}", state="ready", occurrence=f"{number}")
        case 3:
            return HrPending(**release)
        case 4:
            return HrInstalling(**release)
        case _:
            return HrReady(**release)


async def fill(bus: Bus, events: Iterable[Event[Any]]) -> None:
    """Store events without waiting for each receipt: a past, not a measurement."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def store(event: Event[Any]) -> None:
        try:
            await bus.connection.store(event.nats_subject, encode(event), headers_of(event), scan=False)
        finally:
            room.release()

    async with asyncio.TaskGroup() as group:
        for event in events:
            await room.acquire()
            group.create_task(store(event))
