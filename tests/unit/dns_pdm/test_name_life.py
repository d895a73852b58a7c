"""A name through any lives: never two owners, never freed while its zone answers or its cloud exists.

What intake, the runner and the watcher would say comes in any order that they could say it in; every event and timer
may come again at any later time, calls fail, and time passes as it likes.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus import Fired, Refused, TryAgain, Wake
from contracts import About, Event, Fact
from contracts.dns import DnsReleased, DnsReserved, DnsWithdrawn
from contracts.flux import FluxReleased
from contracts.sovereign import (
    SovereignCancelRequested,
    SovereignDecommissioned,
    SovereignDecommissionRequested,
    SovereignRequested,
)
from contracts.tofu import TofuApplied, TofuDestroyed
from dns_pdm import handlers
from dns_pdm.zones import absolute
from tests.unit.dns_pdm.said import applied, requested
from tests.unit.dns_pdm.scene import POOL, Scene

FQDN, ID = "demo.omani.works", "demo_omani_works"
HANDLERS: dict[type[Fact], Callable[..., Any]] = {
    SovereignRequested: handlers.reserve,
    TofuApplied: handlers.publish,
    FluxReleased: handlers.withdraw,
    TofuDestroyed: handlers.release,
}
ACTIONS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(["acme", "globex"])),
    st.tuples(st.sampled_from(["cloud", "cancel", "decommission", "reprovision", "destroy", "end"]), st.none()),
    st.tuples(st.just("deliver"), st.integers(0, 50)),
    st.tuples(st.just("latest"), st.none()),
    st.tuples(st.just("fire"), st.integers(0, 50)),
    st.tuples(st.just("pass"), st.sampled_from([1, 70, 4000])),
    st.tuples(st.just("crash"), st.tuples(st.integers(1, 12), st.booleans())),
)


@dataclass
class World:
    """The scene, and who else acts in it."""

    scene: Scene = field(default_factory=lambda: Scene(About(sovereign=ID, owner="acme", life=1, run=1)))
    clouds: set[int] = field(default_factory=set)
    """Lives whose cloud exists."""
    owners: dict[int, str] = field(default_factory=dict)
    heard: list[Event[Any]] = field(default_factory=list)
    timers: list[Fired] = field(default_factory=list)

    @property
    def about(self) -> About:
        history = self.scene.history
        return About(sovereign=ID, owner=self.owners[history.life], life=history.life, run=history.run)

    def said(self, fact: type[Fact]) -> bool:
        return self.scene.history.alive and self.scene.history.last(fact) is not None

    def say(self, fact: Fact, about: About | None = None) -> None:
        event = self.scene.say(fact, about or self.about)
        if type(fact) in HANDLERS:
            self.heard.append(event)

    async def act(self, action: str, argument: Any) -> None:
        history, leaving = self.scene.history, self.said(SovereignDecommissionRequested)
        if action == "ask" and not history.alive:
            self.owners[history.life + 1] = argument
            about = About(sovereign=ID, owner=argument, life=history.life + 1, run=history.run + 1)
            self.say(requested(), about)
        elif action == "ask" and argument == self.owners[history.life] and not leaving:
            self.say(requested(kind="retry"), self.about.model_copy(update={"run": history.run + 1}))
        elif action == "cloud" and self.said(DnsReserved) and not leaving:
            self.clouds.add(history.life)
            self.say(applied(f"192.0.2.{history.life}", ""))
        elif action == "cancel" and history.alive and not leaving:
            self.say(SovereignCancelRequested())
        elif action in {"decommission", "reprovision"} and history.alive and not self.said(DnsReleased):
            self.say(SovereignDecommissionRequested(reprovision=action == "reprovision"))
            self.say(FluxReleased(verified=True))
        elif action == "destroy" and leaving:
            self.clouds.discard(history.life)
            self.say(TofuDestroyed())
        elif action == "end" and self.said(DnsReleased):
            self._end()
        elif action == "pass":
            self.scene.pass_time(timedelta(seconds=argument))
        elif action == "crash":
            at, after = argument
            failing = self.scene.failing
            failing.at, failing.after = failing.calls + at, after
        elif self.heard and action in {"deliver", "latest"}:
            event = self.heard[-1] if action == "latest" else self.heard[argument % len(self.heard)]
            await self._run(HANDLERS[type(event.data)], event, event.about, event.time)
        elif self.timers and action == "fire":
            timer = self.timers[argument % len(self.timers)]
            self.scene.now = max(self.scene.now, timer.due)
            await self._run(handlers.look_again, timer, timer.about, timer.due)

    def _end(self) -> None:
        """What intake says: a reprovisioned life is followed by the next one, in the same breath."""
        history, asked = self.scene.history, self.scene.history.data(SovereignDecommissionRequested)
        about = self.about.model_copy(update={"life": history.life + 1, "run": history.run + 1})
        self.say(SovereignDecommissioned(cause=self.heard[-1].id))
        if asked is not None and asked.reprovision:
            self.owners[about.life] = about.owner
            self.say(requested(), about)

    async def _run(self, handler: Callable[..., Any], event: Any, about: About, since: Any) -> None:
        try:
            effects = list(await handler(event, self.scene.history, dns=self.scene.dns))
        except (TryAgain, Refused):
            return
        for effect in effects:
            if isinstance(effect, Wake):
                due = since + effect.after
                self.timers.append(Fired(timer=effect.timer.name, about=about, key=effect.key, due=due))
                continue
            if isinstance(effect, DnsReleased):
                assert about.life not in self.clouds, "freed while its cloud exists"
            self.scene.say(effect, about, cause=event if isinstance(event, Event) else None)

    def check(self) -> None:
        """What holds at any time."""
        history = self.scene.history
        zone = self.scene.zones.zones.get(absolute(FQDN))
        in_pool = [item.type for item in self.scene.zones.zones[absolute(POOL)].records if item.name == absolute(FQDN)]
        released = history.data(DnsReleased)
        kept = released is not None and released.kept
        free = not history.alive or (released is not None and not kept)
        if free:
            assert zone is None, "freed while its zone answers"
            assert in_pool == [], "freed while it is delegated"
        if zone is not None:
            # One that is handed on bears the next life's number, from before it is said that it was; and until it is
            # taken back, when its owner wants to leave after all.
            commands = [e for e in self.scene.events if isinstance(e.data, SovereignDecommissionRequested)]
            ever = any(e.data.reprovision for e in commands if e.life == history.life)
            numbers = {history.life, history.life + 1} if ever else {history.life}
            of = {f"catalyst-zero/{number}" for number in numbers}
            assert zone.account in of, "a zone of a life that is not the present one"
            addresses = {text for item in zone.records if item.type == "A" for text in item.content}
            assert addresses <= {f"192.0.2.{history.life}"}, "a name points at another life's cloud"
        asked, withdrawn = history.last(SovereignDecommissionRequested), history.last(DnsWithdrawn)
        if history.alive and withdrawn and asked and zone is not None:
            assert {item.type for item in zone.records} <= {"SOA", "NS"}, "withdrawn, but something is written again"
            assert handlers.kept(history) or withdrawn.sequence < asked.sequence or "DS" not in in_pool
        for event in self.scene.events:
            assert event.owner == self.owners[event.life], "two owners"


def story_of(owner: str) -> list[tuple[str, Any]]:
    """A life as it usually goes; each delivery twice."""
    before = ("ask", "latest", "latest", "cloud", "latest", "latest")
    after = ("decommission", "latest", "latest", "destroy", "pass", "latest", "latest", "end")
    return [(step, {"ask": owner, "pass": 70}.get(step)) for step in (*before, *after)]


STORY = [*story_of("acme"), *story_of("globex")]


async def live(actions: list[tuple[str, Any]]) -> World:
    world = World()
    for action, argument in actions:
        await world.act(action, argument)
        world.check()
    return world


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(STORY)), ACTIONS), max_size=16))
def test_a_name_has_one_owner_and_is_free_only_when_nothing_of_it_is_left(
    disturbances: list[tuple[int, tuple[str, Any]]],
) -> None:
    actions = list(STORY)
    for place, disturbance in sorted(disturbances, key=lambda item: item[0], reverse=True):
        actions.insert(place, disturbance)
    asyncio.run(live(actions))


def test_undisturbed_a_reprovision_keeps_the_name_for_its_owner() -> None:
    story = [("reprovision", None) if step == "decommission" else (step, of) for step, of in story_of("acme")]
    world = asyncio.run(live([*story, ("latest", None), ("ask", "globex")]))
    assert world.owners == {1: "acme", 2: "acme"}
    assert world.scene.history.alive
    assert [fact.kept for fact in world.scene.facts(DnsReleased)] == [True]
    first, second = world.scene.facts(DnsReserved)
    assert first.ds == second.ds


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_name_that_was_nearly_handed_on_is_free_when_its_owner_leaves_after_all(at: int, *, after: bool) -> None:
    begun = [("ask", "acme"), *((step, None) for step in ("latest", "cloud", "latest", "reprovision", "latest"))]
    cut_off = [("destroy", None), ("crash", (at, after)), ("latest", None)]
    leaving = [(step, None) for step in ("decommission", "latest", "destroy")]
    gone = [("pass", 4000), ("latest", None), ("latest", None), ("end", None)]
    world = asyncio.run(live([*begun, *cut_off, *leaving, *gone]))
    assert not world.scene.history.alive
    assert [fact.kept for fact in world.scene.facts(DnsReleased)] == [False]


def test_undisturbed_the_name_is_had_by_two_owners_one_after_the_other() -> None:
    world = asyncio.run(live(STORY))
    assert world.owners == {1: "acme", 2: "globex"}
    assert not world.scene.history.alive
    assert [len(world.scene.facts(fact)) for fact in (DnsReserved, DnsReleased)] == [2, 2]
