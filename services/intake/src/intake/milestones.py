"""Milestones and timers: after each, what follows for the Sovereign's life."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from bus import Effects, Elsewhere, Fired, Vault, Wake
from bus.timers import fired_id
from contracts.catalogue import (
    APPROVAL_REMINDER,
    EMPTY_LIFE_EXPIRY,
    ENROL_DEADLINE,
    INTAKE,
    RUN_DEADLINE,
    SECRETS_EXPIRY,
    STALLED_WINDOW,
)
from contracts.errors import trouble
from contracts.event import Event, Fact, event_of
from contracts.history import History
from contracts.identity import fqdn_of
from contracts.node import NodeEnrolled
from contracts.secrets import EDGE, SECRETS
from contracts.sovereign import (
    SovereignCancelled,
    SovereignCancelRequested,
    SovereignDecommissioned,
    SovereignDecommissionRequested,
    SovereignFailed,
    SovereignHandedOver,
    SovereignRequested,
)
from contracts.tofu import TofuApplied, TofuWaiting
from intake.life import leaves_for_good, next_facts, next_life, standing, touched
from intake.settings import Settings

_ENDS = (SovereignFailed, SovereignCancelled, SovereignDecommissioned)


async def advance(event: Event[Any], history: History, *, settings: Settings, vault: Vault) -> Effects:
    """Say what follows now, and set the timers that this milestone starts."""
    if event.life != history.life or event.run != history.run:
        return []
    facts = next_facts(history)
    if leaves_for_good(history) and any(isinstance(fact, SovereignDecommissioned) for fact in facts):
        # What a reprovision that was thought better of laid ready: while this life lasts, no other can need it.
        for row in SECRETS:
            if row.sealed_by == EDGE:
                await vault.take_away(row.reader, history.sovereign, history.life + 1, row.name)
    return [*facts, *_opened_anew(event, facts, history), *_wakes(event, facts, history, settings)]


def _wakes(event: Event[Any], facts: list[Fact], history: History, settings: Settings) -> list[Wake]:
    """The timers that this milestone starts."""
    followed = [*facts, *_said_because_of(event.id, history)]
    wakes: list[Wake] = []
    if isinstance(event.data, SovereignRequested):
        wakes.append(Wake(STALLED_WINDOW, timedelta(seconds=settings.stalled_window_s)))
        if minutes := event.data.shape.deadline_minutes:
            wakes.append(Wake(RUN_DEADLINE, timedelta(minutes=minutes)))
    if isinstance(event.data, TofuWaiting) and event.data.why == "approval":
        wakes.append(Wake(APPROVAL_REMINDER, timedelta(hours=settings.approval_reminder_h)))
    if isinstance(event.data, TofuApplied) and history.last(SovereignHandedOver) is None:
        wakes.append(Wake(ENROL_DEADLINE, timedelta(seconds=settings.enrol_deadline_s)))
    if any(_ends_empty(fact, history) for fact in followed):
        wakes.append(Wake(EMPTY_LIFE_EXPIRY, timedelta(days=settings.empty_life_days)))
    if any(isinstance(fact, _ENDS) for fact in followed):
        wakes.append(Wake(SECRETS_EXPIRY, timedelta(days=settings.secrets_days)))
    return wakes


def _opened_anew(event: Event[Any], facts: list[Fact], history: History) -> list[Elsewhere]:
    """At a reprovision the end of a life opens the next one; the name is nobody else's in between."""
    ended = next((fact for fact in facts if isinstance(fact, SovereignDecommissioned)), None)
    if ended is not None:
        then = event_of(ended, event.about, source=INTAKE, cause=event.id)
        history = history.with_appended(history.upto + 1, then)
    following = next_life(history)
    return [Elsewhere(*following)] if following else []


async def enrol_deadline(fired: Fired, history: History, *, settings: Settings) -> Effects:
    """No kubeconfig was handed in: the run failed, unless it did or the run is over."""
    if not _matters(fired, history) or history.last(NodeEnrolled) is not None:
        return []
    expiry = Wake(SECRETS_EXPIRY, timedelta(days=settings.secrets_days))
    if _said_because_of(fired_id(fired), history):
        return [expiry]
    applied = history.last(TofuApplied, run=fired.about.run)
    if applied is None or standing(history).stage != "running":
        return []
    why = trouble("enrol-timeout", attempted="receive the kubeconfig of the first node", on=fqdn_of(history.sovereign))
    return [SovereignFailed(cause=applied.event.id, trouble=why), expiry]


async def run_deadline(fired: Fired, history: History) -> Effects:
    """The request's own deadline: stop gracefully, as at a cancel; the run ends as failed, with this as its cause."""
    if not _matters(fired, history) or standing(history).stage != "running":
        return []
    return [SovereignCancelRequested(reason="the deadline of the request passed", deadline=True)]


async def empty_life_expiry(fired: Fired, history: History) -> Effects:
    """A life that ended without any cloud resource is given up, so that its name is free again."""
    if not _matters(fired, history) or standing(history).stage not in {"failed", "cancelled"} or touched(history):
        return []
    return [SovereignDecommissionRequested(reason="nothing was ever created, and nobody tried again in time")]


async def secrets_expiry(fired: Fired, history: History, *, vault: Vault) -> Effects:
    """Erase what the readers had no occasion to erase: all of ended lives, of a run that stopped what we were given.

    Earlier lives are swept too: there is one timer of a kind per Sovereign, a later life's replaces theirs.
    """
    ended = history.life - 1 if history.alive else history.life
    for life in range(1, ended + 1):
        for row in SECRETS:
            await vault.take_away(row.reader, history.sovereign, life, row.name)
    if history.alive and _matters(fired, history) and standing(history).stage in {"failed", "cancelled"}:
        for row in SECRETS:
            if row.ends_with_a_failed_run:
                await vault.take_away(row.reader, history.sovereign, history.life, row.name)
    return []


def _said_because_of(cause: UUID, history: History) -> list[Fact]:
    """What a first attempt has said already: a repeat after a crash says nothing more, but sets the same timers."""
    return [item.event.data for item in history if item.event.causationid == cause]


def _ends_empty(fact: Fact, history: History) -> bool:
    """Whether this fact ends a run of a life that has nothing in the cloud."""
    return isinstance(fact, SovereignFailed | SovereignCancelled) and not touched(history)


def _matters(fired: Fired, history: History) -> bool:
    return fired.about.life == history.life and fired.about.run == history.run
