import random

import pytest

from contracts import flux, tofu
from contracts.catalogue import FACTS
from contracts.event import Fact
from contracts.progress import Progress, view_of
from tests.unit.gateway import story


def upto(kind: type[Fact]) -> list[Fact]:
    facts = story.facts()
    last = max(index for index, fact in enumerate(facts) if isinstance(fact, kind))
    return facts[: last + 1]


def test_a_whole_run_ends_with_every_phase_done_and_its_times_known() -> None:
    view = view_of(story.ID, story.events())
    assert view.state == "handed-over"
    assert [phase.mark for phase in view.phases] == ["done"] * 7
    assert all(phase.seconds is not None and phase.seconds >= 0 for phase in view.phases)
    assert (view.cloud_calls, view.resources_done, len(view.servers)) == (42, 4, 2)
    assert view.released == ("ServiceAccount catalyst-zero/watcher",)


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        (tofu.TofuPlanned, "Creating cloud resources: 0 of 4 done."),
        (tofu.TofuApplied, "Booting: no server has reported yet."),
        (flux.FluxBootstrapped, "Installing the kit: 0 of 5 ready."),
        (flux.HrPending, "Installing the kit: 3 of 5 ready. openbao waits for spire."),
        (flux.ProbePassed, "Everything is installed; checking the addresses from outside."),
    ],
)
def test_the_sentence_says_what_is_going_on(last: type[Fact], sentence: str) -> None:
    assert view_of(story.ID, story.events(*upto(last))).sentence == sentence


def test_a_release_that_waits_for_something_of_its_own_says_so() -> None:
    waits = story.release("bp-spire", flux.HrPending, blocked_by="HelmChart/bp-spire")
    view = view_of(story.ID, story.events(*upto(flux.FluxBootstrapped), waits))
    assert view.sentence.endswith("spire waits for its HelmChart.")


def test_an_event_that_is_told_again_changes_nothing() -> None:
    once, twice = Progress(story.ID), Progress(story.ID)
    for sequence, event in story.events():
        once.take(sequence, event)
        twice.take(sequence, event)
        twice.take(sequence, event)
    assert once.view == twice.view


def test_a_new_life_shows_nothing_of_the_former() -> None:
    progress = Progress(story.ID)
    for sequence, event in story.events():
        progress.take(sequence, event)
    (_, again), *_ = story.events(story.requested(), life=2, run=2, owner="other")
    progress.take(1000, again)
    view = progress.view
    assert (view.life, view.owner, view.servers, view.releases, view.urls) == (2, "other", [], [], ())
    assert view.sentence == "Reserving demo.omani.works."


def test_a_later_run_of_a_sovereign_that_stands_on_its_own_hands_nothing_over_again() -> None:
    progress = Progress(story.ID)
    first = story.events()
    for sequence, event in first:
        progress.take(sequence, event)
    ready = next(fact for fact in story.end())
    for number, (_, event) in enumerate(story.events(story.requested(), ready, run=2), len(first) + 1):
        progress.take(number, event)
    assert (progress.view.run, progress.view.state) == (2, "handed-over")


def test_a_failure_shows_whose_move_it_is_and_which_commands_fit() -> None:
    view = view_of(story.ID, story.events(*upto(tofu.TofuPlanned), story.failure()))
    assert view.trouble is not None
    assert (view.state, view.trouble.owner.value) == ("failed", "user")
    assert view.commands == ("retry", "reprovision", "decommission")
    assert "failed" in [phase.mark for phase in view.phases]


def test_facts_that_overtake_each_other_leave_no_phase_open_behind_a_done_one() -> None:
    dice = random.Random(7)  # noqa: S311 - a test's shuffle
    for _ in range(50):
        facts = story.facts()
        middle = facts[1:-3]
        dice.shuffle(middle)
        view = view_of(story.ID, story.events(facts[0], *middle, *facts[-3:]))
        assert [phase.mark for phase in view.phases] == ["done"] * 7


def test_every_fact_of_the_catalogue_can_be_told_without_an_error() -> None:
    told = {fact.fact for fact in story.facts()}
    assert told <= set(FACTS)
