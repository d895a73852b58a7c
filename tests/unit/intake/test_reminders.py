"""Runs that wait: who is reminded, and that a timer never decides anything."""

import itertools
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from bus import Elsewhere, Fired, Vault, Wake
from bus.timers import fired_id
from contracts import About, Fact, History, event_of
from contracts.catalogue import APPROVAL_REMINDER, EMPTY_LIFE_EXPIRY, RUN_DEADLINE, SECRETS_EXPIRY, STALLED_WINDOW
from contracts.dns import DnsAwaitingDelegation, DnsRefused, DnsReleased
from contracts.errors import trouble
from contracts.sovereign import (
    SovereignApproved,
    SovereignCancelled,
    SovereignCancelRequested,
    SovereignDecommissioned,
    SovereignDecommissionRequested,
    SovereignFailed,
    SovereignReminded,
    SovereignRequested,
)
from contracts.tofu import TofuFailed, TofuInterrupted, TofuStarted, TofuWaiting
from intake import milestones
from intake.reminders import approval_reminder, stalled_window
from intake.settings import Settings
from tests.deliver import ABOUT, said
from tests.unit.intake.test_life import APPLIED, REQUESTED

START = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)
WINDOW = timedelta(minutes=5)
WHY = trouble("internal", attempted="test", on="test")
AWAITING = DnsAwaitingDelegation(nameservers=(), next_check_at=START + timedelta(minutes=90))
SETTINGS = Settings(nats_url="nats://127.0.0.1:1", empty_life_days=7)


class Untouched(Vault):
    """Nothing of a life that goes on is taken away."""

    def __init__(self) -> None:
        """Nothing is kept."""


advance = partial(milestones.advance, settings=SETTINGS, vault=Untouched())


def history(*facts: tuple[int, Fact]) -> History:
    """Facts and the minute in which each was said."""
    counter = itertools.count(1)
    events = [
        (
            next(counter),
            event_of(fact, ABOUT, source="test", cause=REQUESTED.request_id, at=START + timedelta(minutes=at)),
        )
        for at, fact in facts
    ]
    return History.of(ABOUT.sovereign, events)


def fired(minute: int, about: About = ABOUT) -> Fired:
    return Fired(timer="test", about=about, due=START + timedelta(minutes=minute))


STARTED = TofuStarted(action="apply", fencing_token=1)


async def test_a_run_that_says_nothing_for_the_window_is_reminded_again_and_again() -> None:
    quiet = history((0, REQUESTED), (1, STARTED))
    first, again = await stalled_window(fired(6), quiet, window=WINDOW)
    assert isinstance(first, SovereignReminded)
    assert (first.about, first.since, first.trouble.code) == ("silence", START + timedelta(minutes=1), "silent-apply")
    assert again == Wake(STALLED_WINDOW, WINDOW)
    second, _ = await stalled_window(fired(11), history((0, REQUESTED), (1, STARTED), (6, first)), window=WINDOW)
    assert isinstance(second, SovereignReminded)
    assert second.since == first.since, "a reminder is no word of the run"


async def test_a_run_that_spoke_is_looked_at_again_when_its_window_is_over() -> None:
    spoke = history((0, REQUESTED), (4, STARTED))
    assert list(await stalled_window(fired(5), spoke, window=WINDOW)) == [Wake(STALLED_WINDOW, timedelta(minutes=4))]


@pytest.mark.parametrize(
    "reason",
    [
        (TofuWaiting(why="approval"),),
        (TofuWaiting(why="capacity", until=START + timedelta(minutes=60)),),
        (AWAITING,),
    ],
    ids=["approval", "capacity", "delegation"],
)
async def test_a_wait_with_a_named_reason_is_not_called_silence(reason: tuple[Fact, ...]) -> None:
    waiting = history((0, REQUESTED), (1, STARTED), *((2, fact) for fact in reason))
    assert list(await stalled_window(fired(30), waiting, window=WINDOW)) == [Wake(STALLED_WINDOW, WINDOW)]


async def test_a_wait_whose_time_is_over_is_silence() -> None:
    overdue = TofuWaiting(why="capacity", until=START + timedelta(minutes=10))
    effects = list(await stalled_window(fired(30), history((0, REQUESTED), (1, STARTED), (2, overdue)), window=WINDOW))
    assert isinstance(effects[0], SovereignReminded)


async def test_a_run_that_is_over_or_overtaken_is_left_alone() -> None:
    ended = history((0, REQUESTED), (1, SovereignFailed(cause=REQUESTED.request_id, trouble=WHY)))
    assert list(await stalled_window(fired(9), ended, window=WINDOW)) == []
    earlier = ABOUT.model_copy(update={"run": 0})
    assert list(await stalled_window(fired(9, earlier), history((0, REQUESTED)), window=WINDOW)) == []


async def test_a_plan_that_waits_for_approval_is_reminded_until_it_is_approved() -> None:
    waiting = (0, REQUESTED), (1, STARTED), (2, TofuWaiting(why="approval", detail="replaces a worker"))
    day = timedelta(hours=24)
    reminded, again = await approval_reminder(fired(1442), history(*waiting), every=day)
    assert isinstance(reminded, SovereignReminded)
    assert (reminded.about, reminded.trouble.code) == ("approval", "approval-missing")
    assert again == Wake(APPROVAL_REMINDER, day)
    approved = history(*waiting, (3, SovereignApproved(plan_digest="0" * 64)))
    assert list(await approval_reminder(fired(1442), approved, every=day)) == []
    cancelled = history(*waiting, (3, SovereignCancelRequested()), (4, SovereignCancelled(cause=REQUESTED.request_id)))
    assert list(await approval_reminder(fired(1442), cancelled, every=day)) == []


async def test_milestones_set_the_timers_that_they_start() -> None:
    asked = REQUESTED.model_copy(update={"shape": REQUESTED.shape.model_copy(update={"deadline_minutes": 30})})
    effects = list(await advance(said(asked), history((0, asked))))
    assert {effect.timer for effect in effects if isinstance(effect, Wake)} == {STALLED_WINDOW, RUN_DEADLINE}
    waiting = TofuWaiting(why="approval")
    effects = list(await advance(said(waiting), history((0, asked), (1, waiting))))
    assert effects == [Wake(APPROVAL_REMINDER, timedelta(hours=24))]


@pytest.mark.parametrize(
    "end",
    [
        (DnsRefused(trouble=WHY),),
        (STARTED, TofuFailed(trouble=WHY, resources=0)),
        (SovereignCancelRequested(),),
    ],
    ids=["refused name", "failed before anything was made", "cancelled before anything began"],
)
async def test_a_life_that_ends_empty_is_given_up_by_its_timer(end: tuple[Fact, ...]) -> None:
    before = history((0, REQUESTED), *((1, fact) for fact in end))
    fact, *wakes = await advance(said(end[-1]), before)
    assert wakes == [Wake(EMPTY_LIFE_EXPIRY, timedelta(days=7)), Wake(SECRETS_EXPIRY, timedelta(days=14))]
    assert isinstance(fact, Fact)
    ended = before.with_appended(before.upto + 1, said(fact))
    (given_up,) = await milestones.empty_life_expiry(fired(0), ended)
    assert isinstance(given_up, SovereignDecommissionRequested)


async def test_a_repeat_after_a_crash_between_the_fact_and_its_timers_sets_the_timers() -> None:
    refused = said(DnsRefused(trouble=WHY))
    before = history((0, REQUESTED), (1, refused.data))
    fact, *wakes = await advance(refused, before)
    assert isinstance(fact, Fact)
    after = before.with_appended(before.upto + 1, said(fact, cause=refused.id))
    assert wakes
    assert list(await advance(refused, after)) == wakes
    assert list(await advance(said(STARTED), after)) == [], "what comes later sets none"

    due, applied = fired(30), history((0, REQUESTED), (1, STARTED), (2, APPLIED))
    fact, *wakes = await milestones.enrol_deadline(due, applied, settings=SETTINGS)
    assert isinstance(fact, Fact)
    assert wakes
    after = applied.with_appended(applied.upto + 1, said(fact, cause=fired_id(due)))
    assert list(await milestones.enrol_deadline(due, after, settings=SETTINGS)) == wakes


async def test_a_crash_between_the_end_of_a_life_and_the_next_ones_beginning_loses_no_reprovision() -> None:
    released = said(DnsReleased(zone="z", kept=True))
    before = history((0, REQUESTED), (1, SovereignDecommissionRequested(reprovision=True)), (2, released.data))
    ended, begins, *wakes = await advance(released, before)
    assert isinstance(ended, SovereignDecommissioned)
    assert isinstance(begins, Elsewhere)
    assert (begins.about.life, begins.about.run) == (2, 2)
    after = before.with_appended(before.upto + 1, said(ended, cause=released.id))
    assert list(await advance(released, after)) == [begins, *wakes], "the same event again, whoever says it"
    begun = after.with_appended(after.upto + 1, said(begins.fact, begins.about))
    assert list(await advance(released, begun)) == []


async def test_a_life_with_something_in_the_cloud_is_never_given_up() -> None:
    made = history((0, REQUESTED), (1, STARTED), (2, TofuFailed(trouble=WHY, resources=3)))
    effects = list(await advance(said(TofuFailed(trouble=WHY, resources=3)), made))
    assert [type(effect) for effect in effects] == [SovereignFailed, Wake]
    assert effects[1] == Wake(SECRETS_EXPIRY, timedelta(days=14))
    ended = made.with_appended(made.upto + 1, said(SovereignFailed(cause=REQUESTED.request_id, trouble=WHY)))
    assert list(await milestones.empty_life_expiry(fired(0), ended)) == []
    again = history((0, REQUESTED), (1, SovereignFailed(cause=REQUESTED.request_id, trouble=WHY)))
    retried = again.with_appended(
        9, said(SovereignRequested(**REQUESTED.model_dump()), ABOUT.model_copy(update={"run": 2}))
    )
    assert list(await milestones.empty_life_expiry(fired(0), retried)) == []


@pytest.mark.parametrize("begun", [False, True], ids=["before any work", "while the runner works"])
async def test_a_deadline_stops_the_run_as_a_cancel_does_and_ends_it_as_failed(begun: bool) -> None:
    now = history((0, REQUESTED), *([(1, STARTED)] if begun else []))
    (asked,) = await milestones.run_deadline(fired(30), now)
    assert isinstance(asked, SovereignCancelRequested)
    now = now.with_appended(now.upto + 1, said(asked))
    if begun:
        assert list(await advance(said(asked), now)) == []
        stopped = TofuInterrupted(why="cancelled", resources=3, fencing_token=1)
        now = now.with_appended(now.upto + 1, said(stopped))
    failed, *_ = await advance(said(asked), now)
    assert isinstance(failed, SovereignFailed)
    assert (failed.trouble.code, failed.trouble.owner, failed.cloud_touched) == ("run-deadline", "user", begun)


async def test_a_deadline_of_a_run_that_is_over_or_overtaken_does_nothing() -> None:
    ended = history((0, REQUESTED), (1, SovereignFailed(cause=REQUESTED.request_id, trouble=WHY)))
    assert list(await milestones.run_deadline(fired(30), ended)) == []
    earlier = ABOUT.model_copy(update={"run": 0})
    assert list(await milestones.run_deadline(fired(30, earlier), history((0, REQUESTED)))) == []
