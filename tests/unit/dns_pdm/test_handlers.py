"""What follows from what dns-pdm hears. Every event is delivered twice."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bus import Fired, Wake, seal
from bus.timers import fired_id
from contracts import About, Event
from contracts.catalogue import DELEGATION_CHECK, PROPAGATION_CHECK
from contracts.dns import (
    DnsAwaitingDelegation,
    DnsDelegated,
    DnsPublished,
    DnsRefused,
    DnsReleased,
    DnsReserved,
    DnsWithdrawn,
)
from contracts.flux import FluxReleased
from contracts.sovereign import (
    SovereignCancelRequested,
    SovereignDecommissioned,
    SovereignDecommissionRequested,
    SovereignHandedOver,
    SovereignReady,
)
from contracts.tofu import TofuApplied, TofuDestroyed
from dns_pdm import handlers
from dns_pdm.zones import absolute
from tests.deliver import said
from tests.unit.dns_pdm.said import applied, requested
from tests.unit.dns_pdm.scene import NS, OWN_KEYS, POOL, Scene
from tests.unit.dns_pdm.test_propagation import Public

DEMO = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)
SHOP = About(sovereign="shop_example_org", owner="acme", life=1, run=1)
ZONE = absolute("demo.omani.works")


@pytest.fixture
def scene() -> Scene:
    return Scene(DEMO)


@pytest.fixture
def shop() -> Scene:
    return Scene(SHOP)


async def reserved(scene: Scene, mode: str = "pool") -> Event[Any]:
    event = scene.say(requested(scene.about.sovereign.replace("_", "."), mode))
    await scene.hear(handlers.reserve, event)
    return event


async def published(scene: Scene, mode: str = "pool") -> Event[Any]:
    await reserved(scene, mode)
    event = scene.say(applied())
    await scene.hear(handlers.publish, event)
    return event


def fired(scene: Scene, wake: Wake, since: Event[Any]) -> Fired:
    return Fired(timer=wake.timer.name, about=since.about, key=wake.key, due=since.time + wake.after)


async def test_a_pool_name_is_reserved_with_a_key_that_opens_its_zone_only(scene: Scene) -> None:
    await reserved(scene)
    [fact] = scene.facts(DnsReserved)
    assert (fact.zone, fact.ds[0].algorithm) == ("demo.omani.works", 13)
    sealed = scene.sealed.secrets["tofu-runner", DEMO.sovereign, 1, "zone-credential"]
    told = json.loads(scene.tofu.open(sealed, bound_to=DEMO.sovereign, purpose="zone-credential"))
    assert told["url"] == "https://zones.example/demo_omani_works/api/v1"
    assert await scene.credentials.admits(DEMO.sovereign, told["api_key"])
    assert not await scene.credentials.admits("other_omani_works", told["api_key"])
    assert not await scene.credentials.admits(DEMO.sovereign, "")
    assert told["api_key"] not in str(scene.bucket.values)
    assert told["nameserver"] == "ns1.omani.works:53"
    assert scene.zones.updaters == {"demo.omani.works": {told["tsig_name"]}}


async def test_a_name_that_cannot_be_had_is_refused_and_nothing_is_made(scene: Scene) -> None:
    about = DEMO.model_copy(update={"sovereign": "www_omani_works"})
    event = scene.say(requested("www.omani.works"), about)
    scene.about = about
    await scene.hear(handlers.reserve, event)
    assert [fact.trouble.code for fact in scene.facts(DnsRefused)] == ["fqdn-reserved"]
    assert set(scene.zones.zones) == {absolute(POOL)}
    assert not scene.sealed.secrets


async def test_a_run_that_is_over_before_it_begins_reserves_nothing(scene: Scene) -> None:
    event = scene.say(requested())
    scene.say(SovereignCancelRequested())
    assert await scene.hear(handlers.reserve, event) == []
    assert set(scene.zones.zones) == {absolute(POOL)}


async def test_records_are_published_and_the_delegation_is_proved_for_each_run(scene: Scene) -> None:
    await published(scene)
    [first] = scene.facts(DnsPublished)
    assert {record.ttl_s for record in first.records} == {60}
    assert len(scene.facts(DnsDelegated)) == 1
    second = DEMO.model_copy(update={"run": 2})
    again = scene.say(requested(kind="change"), second)
    await scene.hear(handlers.reserve, again)
    await scene.hear(handlers.publish, scene.say(applied(), second))
    assert [event.run for event in scene.events if isinstance(event.data, DnsPublished)] == [1, 2]
    assert [event.run for event in scene.events if isinstance(event.data, DnsDelegated)] == [1, 2]
    assert scene.facts(DnsPublished)[1].serial == first.serial


async def test_what_an_earlier_run_or_life_says_changes_nothing(scene: Scene) -> None:
    await reserved(scene)
    stale = scene.say(applied("192.0.2.66"))
    scene.say(requested(kind="retry"), DEMO.model_copy(update={"run": 2}))
    before = scene.zones.holding()
    assert await scene.hear(handlers.publish, stale) == []
    assert scene.zones.holding() == before


async def test_ready_raises_the_ttl_and_says_so_once(scene: Scene) -> None:
    await published(scene)
    ready = scene.say(SovereignReady(urls=()))
    await scene.hear(handlers.settle, ready)
    assert [{r.ttl_s for r in fact.records} for fact in scene.facts(DnsPublished)] == [{60}, {300}]
    assert await scene.hear(handlers.settle, ready) == []


async def test_hand_over_erases_the_registrar_token_and_keeps_the_zone(scene: Scene) -> None:
    await published(scene)
    key = ("dns-pdm", DEMO.sovereign, 1, "registrar-token")
    scene.sealed.secrets[key] = next(iter(scene.sealed.secrets.values()))
    before = scene.zones.holding()
    await scene.hear(handlers.forget_registrar, scene.say(SovereignHandedOver()))
    assert key not in scene.sealed.secrets
    assert scene.zones.holding() == before


async def test_a_customer_is_told_at_once_what_to_paste_and_checks_come_at_growing_distance(shop: Scene) -> None:
    event = shop.say(requested("shop.example.org", "byo-manual"))
    await shop.hear(handlers.reserve, event)
    [waiting] = shop.facts(DnsAwaitingDelegation)
    assert waiting.ds == shop.facts(DnsReserved)[0].ds
    pauses = []
    for _ in range(8):
        [wake] = shop.wakes
        shop.wakes.clear()
        timer = fired(shop, wake, event)
        pauses.append(timer.due - shop.now)
        shop.now = timer.due
        [said, next_wake] = await handlers.look_again(timer, shop.history, dns=shop.dns)
        assert isinstance(said, DnsAwaitingDelegation)
        assert isinstance(next_wake, Wake)
        event = shop.say(said, cause=event)
        shop.wakes.append(next_wake)
    assert [pause.total_seconds() for pause in pauses] == [15, 30, 60, 120, 240, 480, 900, 900]
    assert [fact.check for fact in shop.facts(DnsAwaitingDelegation)] == list(range(1, 10))


async def test_a_pasted_delegation_is_seen_at_the_next_check_and_then_no_more_is_asked(shop: Scene) -> None:
    event = await reserved(shop, "byo-manual")
    [wake] = shop.wakes
    shop.world.pasted.add("shop.example.org")
    timer = fired(shop, wake, event)
    shop.now = timer.due
    [fact] = await handlers.look_again(timer, shop.history, dns=shop.dns)
    assert isinstance(fact, DnsDelegated)
    shop.say(fact)
    assert await handlers.look_again(timer, shop.history, dns=shop.dns) == []
    assert [type(item) for item in await shop.hear(handlers.publish, shop.say(applied()))] == [DnsPublished]


async def test_a_repeat_after_a_crash_between_a_fact_and_its_timer_sets_the_timer(shop: Scene) -> None:
    shop.dns = replace(shop.dns, public=Public())
    event = await reserved(shop, "byo-manual")
    timer = fired(shop, shop.wakes[0], event)
    shop.now = timer.due
    waiting, *wakes = await handlers.look_again(timer, shop.history, dns=shop.dns)
    assert isinstance(waiting, DnsAwaitingDelegation)
    shop.events.append(said(waiting, SHOP, cause=fired_id(timer)))
    assert [wake.timer for wake in wakes if isinstance(wake, Wake)] == [DELEGATION_CHECK]
    assert await handlers.look_again(timer, shop.history, dns=shop.dns) == wakes

    timer = timer.model_copy(update={"due": waiting.next_check_at})
    shop.world.pasted.add("shop.example.org")
    delegated, *wakes = await handlers.look_again(timer, shop.history, dns=shop.dns)
    assert isinstance(delegated, DnsDelegated)
    shop.events.append(said(delegated, SHOP, cause=fired_id(timer)))
    assert [wake.timer for wake in wakes if isinstance(wake, Wake)] == [PROPAGATION_CHECK]
    assert await handlers.look_again(timer, shop.history, dns=shop.dns) == wakes


@pytest.mark.parametrize(
    "over", [SovereignCancelRequested(), SovereignDecommissionRequested(), SovereignDecommissioned]
)
async def test_nobody_is_asked_about_a_sovereign_that_nobody_wants_any_more(shop: Scene, over: Any) -> None:
    event = await reserved(shop, "byo-manual")
    shop.say(over if not isinstance(over, type) else SovereignDecommissioned(cause=event.id))
    asked = shop.failing.calls
    assert await handlers.look_again(fired(shop, shop.wakes[0], event), shop.history, dns=shop.dns) == []
    assert shop.failing.calls == asked


async def test_a_timer_that_a_later_check_has_overtaken_does_nothing(shop: Scene) -> None:
    event = await reserved(shop, "byo-manual")
    old = fired(shop, shop.wakes[0], event)
    shop.pass_time(timedelta(seconds=10))
    await shop.hear(handlers.publish, shop.say(applied()))
    assert [fact.check for fact in shop.facts(DnsAwaitingDelegation)] == [1, 2]
    assert await handlers.look_again(old, shop.history, dns=shop.dns) == []


async def test_a_decommission_leaves_the_pool_as_it_was_and_the_key_worthless(scene: Scene) -> None:
    before = scene.zones.holding()
    await published(scene)
    sealed = scene.sealed.secrets["tofu-runner", DEMO.sovereign, 1, "zone-credential"]
    key = json.loads(scene.tofu.open(sealed, bound_to=DEMO.sovereign))["api_key"]
    scene.say(SovereignDecommissionRequested())
    await scene.hear(handlers.withdraw, scene.say(FluxReleased(verified=True)))
    [withdrawn] = scene.facts(DnsWithdrawn)
    assert {"console.demo.omani.works A", "demo.omani.works DS"} <= set(withdrawn.removed)
    assert not await scene.credentials.admits(DEMO.sovereign, key)
    assert scene.zones.updaters == {}
    assert {kind for _name, kind, *_ in scene.zones.holding()[ZONE]} == {"NS"}
    scene.pass_time(timedelta(minutes=3))
    await scene.hear(handlers.release, scene.say(TofuDestroyed()))
    assert len(scene.facts(DnsReleased)) == 1
    assert scene.zones.holding() == before
    assert not await scene.credentials.admits(DEMO.sovereign, key)
    assert all(not value for value, _revision in scene.bucket.values.values())


async def test_the_zone_stays_until_no_cache_holds_its_ds(scene: Scene) -> None:
    await published(scene)
    scene.say(SovereignDecommissionRequested())
    await scene.hear(handlers.withdraw, scene.say(FluxReleased(verified=True)))
    scene.pass_time(timedelta(seconds=20))
    destroyed = scene.say(TofuDestroyed())
    [wake] = await scene.hear(handlers.release, destroyed)
    assert isinstance(wake, Wake)
    assert (wake.timer, wake.key, wake.after) == (DELEGATION_CHECK, handlers.RELEASE, timedelta(seconds=40))
    assert ZONE in scene.zones.zones
    scene.pass_time(wake.after)
    timer = fired(scene, wake, destroyed)
    [fact] = await handlers.look_again(timer, scene.history, dns=scene.dns)
    assert isinstance(fact, DnsReleased)
    assert ZONE not in scene.zones.zones
    scene.say(fact)
    assert await handlers.look_again(timer, scene.history, dns=scene.dns) == []


async def test_a_cloud_that_went_first_still_leaves_a_withdrawal_before_the_release(scene: Scene) -> None:
    await published(scene)
    scene.say(SovereignDecommissionRequested())
    [said, wake] = await scene.hear(handlers.release, scene.say(TofuDestroyed()))
    assert isinstance(said, DnsWithdrawn)
    assert isinstance(wake, Wake)
    assert wake.key == handlers.RELEASE


async def test_a_reprovision_keeps_zone_and_delegation_and_the_next_life_goes_on_with_both(scene: Scene) -> None:
    await reserved(scene)
    delegated = scene.zones.holding()
    await published(scene)
    key = json.loads(
        scene.tofu.open(
            scene.sealed.secrets["tofu-runner", DEMO.sovereign, 1, "zone-credential"], bound_to=DEMO.sovereign
        )
    )["api_key"]
    scene.say(SovereignDecommissionRequested(reprovision=True))
    await scene.hear(handlers.withdraw, scene.say(FluxReleased(verified=True)))
    [withdrawn] = scene.facts(DnsWithdrawn)
    assert "console.demo.omani.works A" in withdrawn.removed
    assert "demo.omani.works DS" not in withdrawn.removed
    assert scene.zones.holding() == delegated, "no address, but signed and delegated as before"
    assert not await scene.credentials.admits(DEMO.sovereign, key)
    await scene.hear(handlers.release, scene.say(TofuDestroyed()))
    [released] = scene.facts(DnsReleased)
    assert released.kept
    scene.say(SovereignDecommissioned(cause=scene.events[-1].id))
    next_life = DEMO.model_copy(update={"life": 2, "run": 2})
    await scene.hear(handlers.reserve, scene.say(requested(), next_life))
    assert scene.zones.holding() == delegated
    assert scene.zones.zones[ZONE].account == "catalyst-zero/2"
    assert not await scene.credentials.admits(DEMO.sovereign, key), "the former cluster's key stays worthless"


async def test_the_way_back_at_the_registrar_outlasts_a_reprovision(shop: Scene) -> None:
    former = shop.registrar.held
    first = shop.about
    token = seal(
        b'{"key": "k"}', to=OWN_KEYS.public()[0], reader="dns-pdm", purpose="registrar-token", bound_to=first.sovereign
    )
    for life in (1, 2):
        await shop.sealed.put(first.sovereign, life, token)
    await published(shop, "byo-api")
    assert shop.registrar.held.nameservers == NS
    shop.say(SovereignDecommissionRequested(reprovision=True))
    await shop.hear(handlers.withdraw, shop.say(FluxReleased(verified=True)))
    await shop.hear(handlers.release, shop.say(TofuDestroyed()))
    assert shop.registrar.held.nameservers == NS, "nothing changes there"
    shop.say(SovereignDecommissioned(cause=shop.events[-1].id))
    second = first.model_copy(update={"life": 2, "run": 2})
    await shop.hear(handlers.reserve, shop.say(requested("shop.example.org", "byo-api"), second))
    reserved_again = shop.history.data(DnsReserved)
    assert reserved_again is not None
    assert reserved_again.registrar == former


async def test_a_life_without_a_zone_is_released_too(scene: Scene) -> None:
    scene.say(requested())
    scene.say(SovereignDecommissionRequested())
    before = scene.zones.holding()
    await scene.hear(handlers.withdraw, scene.say(FluxReleased(verified=False)))
    scene.pass_time(timedelta(minutes=3))
    await scene.hear(handlers.release, scene.say(TofuDestroyed()))
    assert len(scene.facts(DnsReleased)) == 1
    assert scene.zones.holding() == before


async def test_our_access_ending_after_ready_withdraws_nothing(scene: Scene) -> None:
    await published(scene)
    before = scene.zones.holding()
    assert await scene.hear(handlers.withdraw, scene.say(FluxReleased(verified=True))) == []
    assert scene.zones.holding() == before


async def test_an_outdated_destruction_takes_nothing_from_the_next_life(scene: Scene) -> None:
    await published(scene)
    scene.say(SovereignDecommissionRequested())
    old = scene.say(TofuDestroyed())
    scene.say(SovereignDecommissioned(cause=old.id))
    next_life = DEMO.model_copy(update={"life": 2, "run": 2, "owner": "other"})
    await scene.hear(handlers.reserve, scene.say(requested(), next_life))
    before = scene.zones.holding()
    assert await scene.hear(handlers.release, old) == []
    assert scene.zones.holding() == before


async def test_a_cancel_keeps_the_zone_for_a_retry(scene: Scene) -> None:
    await reserved(scene)
    before = scene.zones.holding()
    cancel = scene.say(SovereignCancelRequested())
    assert list(await handlers.stand_down(cancel, scene.history)) == []
    assert scene.zones.holding() == before
    assert not scene.facts(TofuApplied)
