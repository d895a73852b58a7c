"""Which Sovereigns this replica watches: those that rendezvous hashing over the live replicas gives it.

The set of Sovereigns is read from the stream at the start and followed in the live feed; what is to be done for one is
decided from its own fold. Watching is read-only and ids repeat, so two replicas that both think a Sovereign is
theirs do no harm: a replica that goes is replaced as soon as its presence ends, at once when it says goodbye.
"""

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from bus.presence import owner_of
from bus.waiting import event_or, still_wanted
from contracts.flux import FluxReleased
from contracts.history import History, Recorded
from contracts.node import NodeEnrolled
from contracts.sovereign import (
    SovereignCancelRequested,
    SovereignDecommissioned,
    SovereignDecommissionRequested,
    SovereignHandedOver,
    SovereignReconcileRequested,
    SovereignRequested,
)
from contracts.tofu import TofuApplied
from flux_watcher.charge import Charge, charge_of
from flux_watcher.watch import Ports, Watch

log = logging.getLogger(__name__)

BEGINS: Final = (NodeEnrolled, TofuApplied)
CHANGES: Final = frozenset(
    fact.fact
    for fact in (
        *BEGINS,
        SovereignRequested,
        SovereignCancelRequested,
        SovereignDecommissionRequested,
        SovereignDecommissioned,
        SovereignHandedOver,
        FluxReleased,
    )
)
"""Facts after which a Sovereign is looked at again."""


class Heard(Protocol):
    """One event of the live feed."""

    @property
    def subject(self) -> str:
        """Its subject."""
        ...


class Stream(Protocol):
    """What is read of the stream."""

    async def fold(self, sovereign: str, *, reaching: int = 0) -> History:
        """The last event per subject of one Sovereign."""
        ...

    async def last_sequence(self) -> int:
        """The newest sequence."""
        ...

    def everything(self, subject: str, *, after: int = 0) -> AsyncIterator[Recorded]:
        """Every event of a subject filter."""
        ...


class Replicas(Protocol):
    """Who shares the work."""

    me: str

    async def replicas(self) -> list[str]:
        """The live replicas, this one among them once it has announced itself."""
        ...


@dataclass
class Running:
    """A watch under way."""

    charge: Charge
    watch: Watch
    task: asyncio.Task[None]


@dataclass(kw_only=True)
class Shards:
    """This replica's share."""

    stream: Stream
    feed: Callable[[int], AsyncIterable[Any]]
    """The live feed after a sequence."""
    presence: Replicas
    ports: Ports
    look_s: float = 1.0
    """How often the replicas are counted."""
    restart_s: float = 5.0
    """Pause before a watch that failed is begun again."""
    running: dict[str, Running] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)
    _dirty: set[str] = field(default_factory=set)
    _anew: set[str] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until cancelled; all watches end with it."""
        last = await self.stream.last_sequence()
        for fact in BEGINS:
            async for item in self.stream.everything(f"{fact.fact}.*"):
                self._known.add(item.event.subject)
        self._dirty |= self._known
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(last))
            group.create_task(self._share(group))

    async def _follow(self, after: int) -> None:
        async for heard in self.feed(after):
            still_wanted()
            domain, name, sovereign = heard.subject.split(".", 2)
            fact = f"{domain}.{name}"
            if fact in CHANGES:
                self._known.add(sovereign)
                self._dirty.add(sovereign)
                self._wake.set()
            elif fact == SovereignReconcileRequested.fact:
                self._anew.add(sovereign)
                self._wake.set()

    async def _share(self, group: asyncio.TaskGroup) -> None:
        before: list[str] = []
        while True:
            still_wanted()
            self._wake.clear()
            replicas = await self.presence.replicas() or [self.presence.me]
            if replicas != before:
                log.info("sharing", extra={"action": "share", "replicas": replicas, "sovereigns": len(self._known)})
            look = set(self._known) if replicas != before else set(self._dirty)
            self._dirty -= look
            before = replicas
            for sovereign in sorted(look):
                await self._settle(group, sovereign, mine=owner_of(sovereign, replicas) == self.presence.me)
            for sovereign in list(self._anew):
                self._anew.discard(sovereign)
                if sovereign in self.running:
                    self.running[sovereign].watch.list_anew()
            await event_or(self._wake, self.look_s)

    async def _settle(self, group: asyncio.TaskGroup, sovereign: str, *, mine: bool) -> None:
        """Begin, end or change the watch of one Sovereign."""
        charge = charge_of(await self.stream.fold(sovereign)) if mine else None
        now = self.running.get(sovereign)
        if now is not None and now.charge == charge and not now.task.done():
            return
        if now is not None:
            now.task.cancel()
            del self.running[sovereign]
            log.info("no longer watching", extra={"action": "watch-ends", "sovereign": sovereign})
        if charge is not None:
            watch = Watch(charge, self.ports)
            self.running[sovereign] = Running(charge, watch, group.create_task(self._keep(watch)))

    async def _keep(self, watch: Watch) -> None:
        """A watch that fails is begun again: one Sovereign's trouble is no other's."""
        while True:
            try:
                await watch.run()
            except Exception:
                extra = {"action": "watch-failed", "sovereign": watch.charge.about.sovereign}
                log.exception("a watch failed and begins again", extra=extra)
                await asyncio.sleep(self.restart_s)
            else:
                return
