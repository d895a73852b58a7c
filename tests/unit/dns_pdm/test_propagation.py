"""When resolvers are asked, and what is said of them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from bus import Fired, Wake
from contracts import About
from contracts.catalogue import PROPAGATION_CHECK
from contracts.dns import DnsPropagated, Record
from dns_pdm import handlers
from tests.unit.dns_pdm.said import applied, requested
from tests.unit.dns_pdm.scene import Scene

DEMO = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)


@dataclass
class Public:
    """Resolvers of which so many have seen it."""

    seen: int = 0

    async def see(self, records: Iterable[Record], zone: str) -> DnsPropagated:
        assert {record.type for record in records} >= {"A", "AAAA", "CAA"}
        return DnsPropagated(servers=(), seen_by=self.seen, asked=3, percent=100 * self.seen // 3)


async def test_resolvers_are_asked_at_growing_distance_until_all_see_it_and_each_number_is_said_once() -> None:
    scene, public = Scene(DEMO), Public()
    scene.dns = replace(scene.dns, public=public)
    await scene.hear(handlers.reserve, scene.say(requested()))
    event = scene.say(applied())
    await scene.hear(handlers.publish, event)
    due, pauses = event.time, list[timedelta]()
    for seen in (0, 0, 0, 2, 3):
        [wake] = [wake for wake in scene.wakes if wake.timer == PROPAGATION_CHECK]
        scene.wakes.clear()
        due += wake.after
        pauses.append(wake.after)
        public.seen = seen
        timer = Fired(timer=wake.timer.name, about=DEMO, key="", due=due)
        for item in await handlers.look_around(timer, scene.history, dns=scene.dns):
            scene.wakes.append(item) if isinstance(item, Wake) else scene.say(item, cause=event)
    assert [pause.total_seconds() for pause in pauses] == [0, 15, 15, 30, 60]
    assert [(fact.seen_by, fact.percent) for fact in scene.facts(DnsPropagated)] == [(0, 0), (2, 66), (3, 100)]
    assert scene.wakes == []


async def test_nobody_is_asked_where_no_resolver_is_named() -> None:
    scene = Scene(DEMO)
    await scene.hear(handlers.reserve, scene.say(requested()))
    await scene.hear(handlers.publish, scene.say(applied()))
    assert scene.wakes == []
