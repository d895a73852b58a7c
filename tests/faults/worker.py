"""A worker of the fault tests: a real service on the real bus whose ports can be told to die or to sleep at a step.

    python -m tests.faults.worker

As dns-pdm it answers a request with three facts; as tofu-runner it works under a lease and narrates. Every step of a
message's life cycle goes through ``Steps``; the bus itself knows nothing of them.
"""

import os
import signal
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from bus import Bus, BusSettings, Conflict, Journal, Service, on, on_timer, run
from contracts import About, Event, Fact, History
from contracts.catalogue import DNS, EVENTS, TIMERS, TOFU
from contracts.dns import DnsDelegated, DnsPublished, DnsReserved
from contracts.sovereign import SovereignRequested
from contracts.tofu import TofuApplied, TofuPlanned, TofuStarted


class Settings(BusSettings):
    """Variables begin with WORKER_; those of the bus with CATALYST_."""

    model_config = SettingsConfigDict(env_prefix="WORKER_", frozen=True, extra="ignore", populate_by_name=True)

    service: str = DNS
    """Whose consumers it works on: dns-pdm or tofu-runner."""
    ledger: Path = Field(...)
    """File to which each process appends what it did."""
    at: str = ""
    """``<step>@<sovereign>``: where something happens to this process."""
    signal: str = "SIGKILL"
    """What happens there."""


class Steps:
    """Where a message is in its life cycle, written to the ledger; at one of them the process gets its signal."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def reach(self, step: str, sovereign: str) -> None:
        """The message about this Sovereign comes to this step."""
        self.note(step, sovereign)
        if self._settings.at == f"{step}@{sovereign}":
            os.kill(os.getpid(), signal.Signals[self._settings.signal])

    def note(self, what: str, sovereign: str, *more: object) -> None:
        """One line, whole even if the process dies after it. The clock is one for all processes of a machine."""
        words = (self._settings.replica, time.monotonic(), what, sovereign, *more)
        ledger = os.open(self._settings.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(ledger, (" ".join(map(str, words)) + "\n").encode())
        os.close(ledger)


_FOLLOW = 3
"""Facts that follow from a request."""


class SteppingJournal(Journal):
    """The journal of the bus, one fact at a time, with a step around each."""

    def __init__(self, bus: Bus, steps: Steps) -> None:
        super().__init__(bus.connection, bus.service)
        self._steps = steps
        self._said: dict[str, int] = {}
        """Facts that followed from the message in hand, by Sovereign: the bus appends them one by one."""

    async def fold(self, sovereign: str, *, reaching: int = 0) -> History:
        """The reading comes right before the handler."""
        self._steps.reach("before-handler", sovereign)
        self._said[sovereign] = 0
        return await super().fold(sovereign, reaching=reaching)

    async def append(self, facts: Iterable[Fact], about: About, *, cause: UUID, after: History) -> History:
        """Publish one by one."""
        for fact in facts:
            self._said[about.sovereign] = number = self._said.get(about.sovereign, 0) + 1
            self._steps.reach(f"before-publish-{number}", about.sovereign)
            after = await super().append([fact], about, cause=cause, after=after)
            if number == _FOLLOW:
                self._steps.reach("before-ack", about.sovereign)
        return after


async def reserve(event: Event[SovereignRequested], _history: History, *, steps: Steps) -> list[Fact]:
    """Three facts follow from one request."""
    steps.reach("in-handler", event.subject)
    zone = f"{event.subject}."
    return [
        DnsReserved(zone=zone, nameservers=()),
        DnsPublished(zone=zone, serial=1, records=()),
        DnsDelegated(servers=()),
    ]


async def provision(event: Event[DnsReserved], history: History, *, bus: Bus, steps: Steps) -> list[Fact]:
    """Work under a lease that narrates; a holder that lost it is refused, says so, and ends its process."""
    if history.last(TofuApplied) is not None:
        return []
    async with bus.leases.hold(event.subject) as lease:
        chain = bus.journal.chain(event.about, history, cause=event.id)
        await chain.say(TofuStarted(action="apply", fencing_token=lease.token))
        steps.note("begin", event.subject, lease.token)
        steps.reach("working", event.subject)
        if not lease.sure:
            steps.note("unsure", event.subject, lease.token)
        try:
            # Said although the lease may be lost: the guard of the stream has to hold by itself.
            await chain.say(TofuPlanned(add=1, change=0, destroy=0, digest="0" * 64, needs_approval=False))
            steps.note("end", event.subject, lease.token)
            await chain.say(_applied())
        except Conflict:
            steps.note("refused", event.subject, lease.token)
            bus.stopping.set()
            raise
    return []


def _applied() -> TofuApplied:
    counts: dict[str, Any] = {"add": 1, "change": 0, "destroy": 0, "state_serial": 1}
    cloud: dict[str, Any] = {"nodes": (), "load_balancer_id": 1, "load_balancer_ipv4": "192.0.2.1", "network_id": 1}
    return TofuApplied(**counts, **cloud)


async def _nothing(_event: Any, _history: History) -> list[Fact]:
    return []


@asynccontextmanager
async def worker(settings: Settings, bus: Bus) -> AsyncIterator[Service]:
    """The service, with its journal stepping."""
    steps = Steps(settings)
    bus.journal = SteppingJournal(bus, steps)
    handlers: dict[type[Fact], Any] = {
        SovereignRequested: partial(reserve, steps=steps),
        DnsReserved: partial(provision, bus=bus, steps=steps),
    }
    heard = [e.fact for e in EVENTS if any(listener.service == settings.service for listener in e.heard_by)]
    timers = [on_timer(row, _nothing) for row in TIMERS if row.service == settings.service]
    yield Service(name=settings.service, routes=[*(on(fact, handlers.get(fact, _nothing)) for fact in heard), *timers])


if __name__ == "__main__":
    served = os.environ.get("WORKER_SERVICE", DNS)
    assert served in {DNS, TOFU}
    run(worker, Settings, name=served)
