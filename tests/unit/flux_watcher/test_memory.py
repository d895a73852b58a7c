"""What was said decides what is said next: what counts as movement, and what as the same again."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from contracts.event import About, Fact, event_of
from contracts.flux import FluxChanged, HrDegraded, HrInstalling
from flux_watcher.memory import Memory

ABOUT = About(sovereign="acme_omani_works", owner="omantel", life=1, run=1)
START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def say(memory: Memory, fact: Fact, minutes: int) -> datetime:
    at = START + timedelta(minutes=minutes)
    memory.add(event_of(fact, ABOUT, source="flux-watcher", cause=uuid4(), at=at))
    return at


def test_a_release_that_is_tried_again_and_again_stands_still() -> None:
    memory = Memory(1, 1)
    for minute in range(0, 20, 2):
        kind = HrInstalling if minute % 4 else HrDegraded
        say(memory, kind(component="bp-a", release="bp-a", occurrence=f"u/1/{minute}"), minute)
    assert memory.progress_at == START + timedelta(minutes=2)


def test_what_is_ready_again_is_not_said_again_but_at_another_revision_it_is() -> None:
    memory = Memory(1, 1)
    said = say(memory, FluxChanged(kind="Kustomization", name="a", state="ready", occurrence="u/1/ready/9/main@b"), 0)
    later = said + timedelta(minutes=10)
    title = "Kustomization/a"
    assert not memory.due(title, "ready", "u/1/ready/17/main@b", later, timeless=True).now
    assert memory.due(title, "ready", "u/1/ready/23/main@c", later, timeless=True).now
    assert memory.due(title, "retrying", "u/1/retrying/29/main@b", later, timeless=True).now
