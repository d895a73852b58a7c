"""The life cycle under every order: what no order, duplicate, replay or toggle of facts can bring about.

The stories here are wider than causation allows: any facts of a life in any order. What holds for them holds for every
order that can happen. Where the outcome itself is asserted, the orders keep each writer's own.
"""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import About, Event, Fact, History
from contracts.dns import DnsDelegated, DnsFailed, DnsPublished, DnsRefused, DnsReleased
from contracts.flux import (
    FluxBootstrapped,
    FluxConverged,
    FluxDiverged,
    FluxReleased,
    FluxStalled,
    ProbeFailed,
    ProbePassed,
)
from contracts.node import NodeEnrolled
from contracts.request import SecretRef
from contracts.sovereign import (
    SovereignCancelled,
    SovereignCancelRequested,
    SovereignDecommissioned,
    SovereignDecommissionRequested,
    SovereignDegraded,
    SovereignFailed,
    SovereignHandedOver,
    SovereignReady,
    SovereignReminded,
)
from contracts.tofu import TofuApplied, TofuDestroyed, TofuFailed, TofuInterrupted
from intake.life import next_facts, standing
from tests.deliver import said
from tests.unit.intake.test_life import (
    APPLIED,
    CONVERGED,
    DIVERGED,
    DNS,
    FLUX,
    REQUESTED,
    STARTED,
    TOFU,
    WHY,
    fold,
    history,
    interleavings,
    settle,
)

ABOUT = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)
PROBED, UNPROBED = ProbePassed(hosts=()), ProbeFailed(hosts=(), trouble=WHY)
KUBECONFIG = SecretRef(reader="flux-watcher", name="kubeconfig", kid="1", sha256="0" * 64)
STALLED = FluxStalled(trouble=WHY, since=datetime(2026, 11, 25, tzinfo=UTC))
BOOTSTRAPPED = FluxBootstrapped(controllers=(), revision="main", expected=())
LATE = WHY.model_copy(update={"code": "enrol-timeout"})

MILESTONES: tuple[Fact, ...] = (
    *DNS,
    *TOFU,
    *FLUX,
    DIVERGED,
    UNPROBED,
    FluxReleased(verified=True),
    DnsReleased(zone="z"),
    DnsRefused(trouble=WHY),
    DnsFailed(trouble=WHY),
    TofuFailed(trouble=WHY),
    TofuInterrupted(why="cancelled", fencing_token=1),
    TofuInterrupted(why="deadline", fencing_token=1),
    TofuDestroyed(),
    STALLED,
    SovereignCancelRequested(),
    SovereignCancelRequested(reason="the deadline of the request passed", deadline=True),
    SovereignDecommissionRequested(),
)
"""What intake hears, and the commands that it takes; what follows from them it says itself."""
COMMANDS: dict[type[Fact], set[str]] = {
    SovereignCancelRequested: {"running"},
    SovereignDecommissionRequested: {
        "running",
        "cancelling",
        "failed",
        "cancelled",
        "ready",
        "degraded",
        "handed-over",
    },
}
stories = st.lists(st.sampled_from(MILESTONES), max_size=14)


def told(story: list[Fact]) -> list[History]:
    """The history after each fact and all that follows from it; a command that does not fit is refused."""
    now = settle(history(REQUESTED))
    steps = [now]
    for fact in story:
        fits = COMMANDS.get(type(fact))
        if fits is None or standing(now).stage in fits:
            now = settle(now.with_appended(now.upto + 1, said(fact, ABOUT)))
            steps.append(now)
    return steps


def said_of(now: History, *facts: type[Fact]) -> list[Event[Any]]:
    return [item.event for item in now if isinstance(item.event.data, facts)]


@given(stories)
@settings(deadline=None)
def test_every_step_of_every_story_settles_and_the_fold_agrees_with_the_whole(story: list[Fact]) -> None:
    for now in told(story):
        assert next_facts(now) == []
        assert next_facts(fold(now)) == []
        assert standing(fold(now)) == standing(now)


@given(stories)
@settings(deadline=None)
def test_no_state_has_two_ways_out_and_no_run_two_ends(story: list[Fact]) -> None:
    for before, now in zip(steps := told(story), steps[1:], strict=False):
        fresh = [item for item in now.recorded if item.sequence > before.upto][1:]
        for item in fresh:
            until = History(
                now.sovereign, tuple(i for i in now.recorded if i.sequence < item.sequence), item.sequence - 1
            )
            assert len(next_facts(until)) == 1
    last = told(story)[-1]
    assert len(said_of(last, SovereignFailed, SovereignCancelled)) <= 1
    assert not (said_of(last, SovereignFailed, SovereignCancelled) and said_of(last, SovereignReady))
    assert len(said_of(last, SovereignHandedOver)) <= 1
    assert len(said_of(last, SovereignDecommissioned)) <= 1


@given(stories)
@settings(deadline=None)
def test_ready_is_said_only_while_everything_holds_at_once(story: list[Fact]) -> None:
    last = told(story)[-1]
    for ready in (item for item in last if isinstance(item.event.data, SovereignReady)):
        then = History(
            last.sovereign, tuple(i for i in last.recorded if i.sequence < ready.sequence), ready.sequence - 1
        )
        assert then.last(TofuApplied)
        assert then.last(DnsPublished)
        assert then.later(DnsDelegated, DnsFailed)
        assert then.later(FluxConverged, FluxDiverged)
        assert then.later(ProbePassed, ProbeFailed)


@given(st.lists(st.sampled_from((CONVERGED, DIVERGED, PROBED, UNPROBED)), min_size=1, max_size=10))
@settings(deadline=None)
def test_toggles_end_as_the_last_of_each_pair_says(toggles: list[Fact]) -> None:
    now = settle(history(REQUESTED, *DNS, *TOFU, *FLUX))
    for fact in toggles:
        now = settle(now.with_appended(now.upto + 1, said(fact, ABOUT)))
    holds = now.later(FluxConverged, FluxDiverged) is not None and now.later(ProbePassed, ProbeFailed) is not None
    assert standing(now).stage == ("ready" if holds else "degraded")
    assert len(said_of(now, SovereignReady)) - len(said_of(now, SovereignDegraded)) == int(holds)


@given(stories)
@settings(deadline=None)
def test_every_reachable_state_has_a_way_to_decommissioned_and_from_there_only_a_request_leads_on(
    story: list[Fact],
) -> None:
    now = told(story)[-1]
    for fact in (SovereignDecommissionRequested(), TofuDestroyed(), DnsReleased(zone="z")):
        if not isinstance(fact, SovereignDecommissionRequested) or standing(now).stage in COMMANDS[type(fact)]:
            now = settle(now.with_appended(now.upto + 1, said(fact, ABOUT)))
    assert standing(now).stage == "decommissioned"
    for milestone in MILESTONES:
        late = now.with_appended(now.upto + 1, said(milestone, ABOUT))
        assert (next_facts(late), standing(late).stage) == ([], "decommissioned")
    again = now.with_appended(now.upto + 1, said(REQUESTED, ABOUT.model_copy(update={"life": 2, "run": 2})))
    assert standing(again).stage == "running"
    assert next_facts(again) == []


@given(interleavings(DNS, TOFU, FLUX), st.data())
@settings(deadline=None)
def test_duplicates_and_replays_change_nothing_about_the_outcome(order: list[Fact], data: st.DataObject) -> None:
    events = [said(fact, ABOUT) for fact in order]
    now = history(REQUESTED)
    for index, event in enumerate(events):
        now = settle(now.with_appended(now.upto + 1, event))
        for again in data.draw(st.lists(st.sampled_from(events[: index + 1]), max_size=2)):
            now = settle(now.with_appended(now.upto + 1, again))
    assert standing(now).stage == "ready"
    assert len(said_of(now, SovereignReady)) == 1


TIMEOUTS = (
    SovereignFailed(cause=REQUESTED.request_id, trouble=LATE),
    TofuInterrupted(why="deadline", fencing_token=1),
    SovereignReminded(about="silence", since=datetime(2026, 11, 25, tzinfo=UTC), trouble=WHY),
    STALLED,
)
NEEDED = (DNS[1], DNS[2], APPLIED, CONVERGED, PROBED)


@given(st.sampled_from(TIMEOUTS), st.sampled_from(NEEDED), st.data())
@settings(deadline=None)
def test_a_timeout_never_takes_the_place_of_what_ready_needs(timeout: Fact, missing: Fact, data: st.DataObject) -> None:
    facts = [timeout, *(fact for fact in NEEDED if fact is not missing)]
    order = data.draw(st.permutations(facts))
    now = history(REQUESTED, STARTED)
    for fact in order:
        now = settle(now.with_appended(now.upto + 1, said(fact, ABOUT)))
    assert said_of(now, SovereignReady) == []


@given(st.permutations(NEEDED))
@settings(deadline=None)
def test_a_run_that_a_deadline_ended_never_becomes_ready(order: list[Fact]) -> None:
    now = settle(history(REQUESTED, STARTED, SovereignFailed(cause=REQUESTED.request_id, trouble=LATE)))
    for fact in order:
        now = settle(now.with_appended(now.upto + 1, said(fact, ABOUT)))
    assert standing(now).stage == "failed"


@given(interleavings(TOFU, (BOOTSTRAPPED, *FLUX), DNS, (SovereignCancelRequested(),)))
@settings(deadline=None)
def test_a_cancel_ends_in_cancelled_or_came_too_late_and_never_in_both(order: list[Fact]) -> None:
    now = told(order)[-1]
    assert standing(now).stage in {"cancelled", "ready"}
    assert len(said_of(now, SovereignCancelled, SovereignReady)) == 1


def test_an_enrolment_alone_says_nothing() -> None:
    enrolled = NodeEnrolled(server="cp-0", kubeconfig=KUBECONFIG, caller_ip="", body_sha256="0" * 64)
    assert next_facts(history(REQUESTED, STARTED, enrolled)) == []
