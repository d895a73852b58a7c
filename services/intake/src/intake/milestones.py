"""Milestones and timers: after each, what follows for the Sovereign's life."""

from datetime import timedelta
from typing import Any

from bus import Effects, Fired, Wake
from contracts.catalogue import EMPTY_LIFE_EXPIRY, ENROL_DEADLINE, RUN_DEADLINE
from contracts.errors import trouble
from contracts.event import Event
from contracts.history import History
from contracts.identity import fqdn_of
from contracts.node import NodeEnrolled
from contracts.sovereign import (
    SovereignCancelRequested,
    SovereignDecommissionRequested,
    SovereignFailed,
    SovereignHandedOver,
    SovereignRequested,
)
from contracts.tofu import TofuApplied
from intake.life import next_facts, standing
from intake.settings import Settings


async def advance(event: Event[Any], history: History, *, settings: Settings) -> Effects:
    """Say what follows now, and set the timers that this milestone starts."""
    if event.life != history.life or event.run != history.run:
        return []
    facts = next_facts(history)
    wakes: list[Wake] = []
    if isinstance(event.data, SovereignRequested) and event.data.shape.deadline_minutes:
        wakes.append(Wake(RUN_DEADLINE, timedelta(minutes=event.data.shape.deadline_minutes)))
    if isinstance(event.data, TofuApplied) and history.last(SovereignHandedOver) is None:
        wakes.append(Wake(ENROL_DEADLINE, timedelta(seconds=settings.enrol_deadline_s)))
    if any(isinstance(fact, SovereignFailed) and not fact.cloud_touched for fact in facts):
        wakes.append(Wake(EMPTY_LIFE_EXPIRY, timedelta(days=settings.empty_life_days)))
    return [*facts, *wakes]


async def enrol_deadline(fired: Fired, history: History) -> Effects:
    """No kubeconfig was handed in: the run failed, unless it did or the run is over."""
    if not _matters(fired, history) or history.last(NodeEnrolled) is not None:
        return []
    applied = history.last(TofuApplied, run=fired.about.run)
    if applied is None or standing(history).stage != "running":
        return []
    why = trouble("enrol-timeout", attempted="receive the kubeconfig of the first node", on=fqdn_of(history.sovereign))
    return [SovereignFailed(cause=applied.event.id, trouble=why)]


async def run_deadline(fired: Fired, history: History) -> Effects:
    """The request's own deadline: stop gracefully, as a cancel with its reason."""
    if not _matters(fired, history) or standing(history).stage != "running":
        return []
    return [SovereignCancelRequested(reason="the deadline of the request passed")]


async def empty_life_expiry(fired: Fired, history: History) -> Effects:
    """A failed life without any cloud resource ends by itself, so that its name is free again."""
    if not _matters(fired, history) or standing(history).stage != "failed":
        return []
    failed = history.data(SovereignFailed, run=fired.about.run)
    if failed is None or failed.cloud_touched:
        return []
    return [SovereignDecommissionRequested(reason="nothing was ever created, and nobody tried again in time")]


def _matters(fired: Fired, history: History) -> bool:
    return fired.about.life == history.life and fired.about.run == history.run
