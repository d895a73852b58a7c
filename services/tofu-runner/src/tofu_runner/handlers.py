"""What tofu-runner does when something was said: the verbs. Each is safe to repeat at any point."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Literal
from uuid import UUID

from bus import Effects, Fired, LeaseLost, TryAgain, Wake
from bus.timers import fired_id
from contracts.catalogue import WITHDRAW_DEADLINE
from contracts.dns import DnsReserved, DnsWithdrawn
from contracts.event import About, Event, Fact
from contracts.history import History
from contracts.sovereign import (
    SovereignApproved,
    SovereignCancelRequested,
    SovereignDecommissionRequested,
    SovereignHandedOver,
)
from contracts.tofu import TofuInterrupted, TofuWaiting
from tofu_runner import standing
from tofu_runner.bench import Stopped, World
from tofu_runner.keeping import NoLease, versions_of
from tofu_runner.leasing import BUSY_PAUSE, leased
from tofu_runner.run import apply_shape
from tofu_runner.stateversions import StateUnreadable
from tofu_runner.teardown import destroy_all

log = logging.getLogger(__name__)

_NOTHING: tuple[Fact, ...] = ()
_WHYS: Mapping[str, Literal["cancelled", "deadline", "shutdown"]] = {"deadline": "deadline", "shutdown": "shutdown"}


async def provision(event: Event[DnsReserved], history: History, *, world: World) -> Effects:
    """The name is reserved: bring the cloud to the requested shape."""
    if standing.parked(history, event.run):
        return _NOTHING
    return await _bring_up(world, event.about, event.id, history, resume=False)


async def approve(event: Event[SovereignApproved], history: History, *, world: World) -> Effects:
    """A plan was approved: plan afresh, and apply if it is still that plan."""
    if not _waits_for(history, event.run, "approval"):
        return _NOTHING
    return await _bring_up(world, event.about, event.id, history, resume=True)


async def wake_for_capacity(fired: Fired, history: History, *, world: World) -> Effects:
    """Capacity may be back."""
    return await _wake(fired, history, "capacity", world)


async def wake_for_budget(fired: Fired, history: History, *, world: World) -> Effects:
    """The project's call budget may have refilled."""
    return await _wake(fired, history, "throttled", world)


async def _wake(fired: Fired, history: History, why: str, world: World) -> Effects:
    about = fired.about
    if about.life != history.life or not _waits_for(history, about.run, why):
        return _NOTHING
    return await _bring_up(world, about, fired_id(fired), history, resume=True)


def _waits_for(history: History, run: int, why: str) -> bool:
    waiting = history.data(TofuWaiting, run=run)
    # A worker that resumed and died before its next outcome left it waiting no more; its redelivery goes on.
    return waiting is not None and waiting.why == why


async def _bring_up(world: World, about: About, cause: UUID, history: History, *, resume: bool) -> Effects:
    if about.life != history.life or not standing.to_do(history, about.run):
        return _NOTHING
    async with _place(world), leased(world.bus, about.sovereign) as lease:
        history = await world.bus.journal.fold(about.sovereign, reaching=history.upto)
        waiting = standing.parked(history, about.run) and not resume
        if waiting or not standing.to_do(history, about.run):
            return _NOTHING
        chain = world.bus.journal.chain(about, history, cause=cause)
        try:
            await apply_shape(world, about, history, chain, lease)
        except Stopped as stopped:
            if stopped.why == "lease-lost":
                raise LeaseLost("the lease was lost during the run; another worker goes on") from None
            why = _WHYS.get(stopped.why, "cancelled")
            await chain.say(TofuInterrupted(why=why, resources=stopped.resources, fencing_token=lease.token))
            if stopped.why == "shutdown":
                raise TryAgain("this replica shuts down; another one goes on", after=timedelta(seconds=1)) from None
    return _NOTHING


@asynccontextmanager
async def _place(world: World) -> AsyncIterator[None]:
    """One of the places for OpenTofu; nobody waits for one holding a message."""
    if world.places.locked():
        raise TryAgain("every place for OpenTofu is taken", after=BUSY_PAUSE)
    async with world.places:
        yield


async def cancel(event: Event[SovereignCancelRequested], history: History, *, world: World) -> Effects:
    """An operator wants the run to stop. Its worker hears of it wherever it is; where there is none, say so here."""
    about = event.about
    # Of this run only: a cancel that is delivered again must not stop the retry.
    if (working := world.working.get(about.sovereign)) is not None and working.run == about.run:
        working.ask("cancelled")
    if not standing.started(history, about.run) or standing.ended(history, about.run):
        return _NOTHING
    async with leased(world.bus, about.sovereign) as lease:
        history = await world.bus.journal.fold(about.sovereign, reaching=history.upto)
        if standing.ended(history, about.run):
            return _NOTHING
        chain = world.bus.journal.chain(about, history, cause=event.id)
        resources = await _resources(world, about)
        await chain.say(TofuInterrupted(why="cancelled", resources=resources, fencing_token=lease.token))
    return _NOTHING


async def _resources(world: World, about: About) -> int:
    """How many resources this life's state holds."""
    versions, _ = await versions_of(world, about, NoLease())
    try:
        await versions.load()
    except StateUnreadable as error:
        log.warning("state unreadable", extra={"action": "state-unreadable", "why": str(error)})
    return len(versions.resources)


async def expect_withdrawal(
    event: Event[SovereignDecommissionRequested], _history: History, *, world: World
) -> Effects:
    """A life is to end: stop what runs, and do not wait for DNS for ever."""
    if (working := world.working.get(event.subject)) is not None:
        working.ask("cancelled")
    return (Wake(WITHDRAW_DEADLINE, timedelta(seconds=world.settings.withdraw_deadline_s)),)


async def destroy(event: Event[DnsWithdrawn], history: History, *, world: World) -> Effects:
    """No name points at our addresses any more: take everything away."""
    return await _take_down(world, event.about, event.id, history)


async def destroy_anyway(fired: Fired, history: History, *, world: World) -> Effects:
    """DNS was not withdrawn in time: take everything away nevertheless."""
    asked = history.last(SovereignDecommissionRequested)
    withdrawn = history.last(DnsWithdrawn)
    if asked is None or (withdrawn is not None and withdrawn.sequence > asked.sequence):
        return _NOTHING
    return await _take_down(world, fired.about, fired_id(fired), history)


async def _take_down(world: World, about: About, cause: UUID, history: History) -> Effects:
    if not _to_destroy(about, history):
        return _NOTHING
    async with _place(world), leased(world.bus, about.sovereign) as lease:
        history = await world.bus.journal.fold(about.sovereign, reaching=history.upto)
        if not _to_destroy(about, history):
            return _NOTHING
        chain = world.bus.journal.chain(about, history, cause=cause)
        try:
            await destroy_all(world, about, history, chain, lease)
        except Stopped as stopped:
            if stopped.why == "lease-lost":
                raise LeaseLost("the lease was lost during the destroy; another worker goes on") from None
            await chain.say(TofuInterrupted(why="shutdown", resources=stopped.resources, fencing_token=lease.token))
            raise TryAgain("this replica shuts down; another one goes on", after=timedelta(seconds=1)) from None
    return _NOTHING


def _to_destroy(about: About, history: History) -> bool:
    return about.life == history.life and standing.decommissioning(history) and not standing.destroyed(history)


async def forget(event: Event[SovereignHandedOver], history: History, *, world: World) -> Effects:
    """The Sovereign stands on its own: erase what we could reach it with, but not what was brought since."""
    if standing.needed_again(history):
        return _NOTHING
    held = await world.keep.held(event.about)
    # Read again after looking: what a decommission or another run brings rests behind its fact at the latest, so it is
    # either seen here or newer than what is erased.
    if not standing.needed_again(await world.bus.journal.fold(event.subject)):
        await world.keep.forget(event.about, held)
    return _NOTHING
