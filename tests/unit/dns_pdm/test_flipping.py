"""byo-api: what is changed at a registrar, in which order, and put back. Every event is delivered twice."""

import json
from datetime import timedelta
from typing import Any

import pytest

from bus import Fired, TryAgain, Wake, seal
from contracts import About, Event
from contracts.catalogue import DS_DUE
from contracts.dns import (
    Delegation,
    DnsAwaitingDelegation,
    DnsDelegated,
    DnsFailed,
    DnsFlipped,
    DnsRefused,
    DnsReleased,
    DnsReserved,
    DsRecord,
)
from contracts.flux import FluxReleased
from contracts.sovereign import SovereignDecommissionRequested, SovereignHandedOver
from contracts.tofu import TofuDestroyed
from dns_pdm import handlers
from dns_pdm.registrars import ADAPTERS
from dns_pdm.registrars.port import RegistrarBusy, RegistrarRefused, Registrars, parts_of
from tests.unit.dns_pdm.said import applied, requested
from tests.unit.dns_pdm.scene import NS, OWN_KEYS, Failing, Scene

SHOP = About(sovereign="shop_example_org", owner="acme", life=1, run=1)
FQDN = "shop.example.org"
OLD = ("ns1.old.test", "ns2.old.test")


def with_token(scene: Scene, token: str = '{"key": "k"}') -> Scene:
    sealed = seal(
        token.encode(), to=OWN_KEYS.public()[0], reader="dns-pdm", purpose="registrar-token", bound_to=SHOP.sovereign
    )
    scene.sealed.secrets["dns-pdm", SHOP.sovereign, 1, "registrar-token"] = sealed
    return scene


@pytest.fixture
def shop() -> Scene:
    return with_token(Scene(SHOP))


async def check_due(scene: Scene, since: Event[Any]) -> list[Any]:
    """The last timer fires."""
    wake = scene.wakes[-1]
    due = since.time + wake.after
    scene.pass_time(max(due - scene.now, timedelta(0)))
    timer = Fired(timer=wake.timer.name, about=since.about, key=wake.key, due=due)
    handler = handlers.sign if wake.timer == DS_DUE else handlers.look_again
    for item in (said := list(await handler(timer, scene.history, dns=scene.dns))):
        if isinstance(item, Wake):
            scene.wakes.append(item)
        else:
            since = scene.say(item, cause=since)
    return said


async def until_delegated(scene: Scene) -> Event[Any]:
    await scene.hear(handlers.reserve, scene.say(requested(FQDN, "byo-api")))
    event = scene.say(applied())
    await scene.hear(handlers.publish, event)
    for _ in range(40):
        if scene.facts(DnsDelegated):
            return event
        await check_due(scene, event)
        event = scene.events[-1]
    raise AssertionError(scene.events)


async def test_name_servers_change_only_once_the_records_are_there(shop: Scene) -> None:
    await shop.hear(handlers.reserve, shop.say(requested(FQDN, "byo-api")))
    [reserved] = shop.facts(DnsReserved)
    assert reserved.registrar == Delegation(nameservers=OLD, ds=())
    assert shop.registrar.changes == []
    await shop.hear(handlers.publish, shop.say(applied()))
    [flipped] = shop.facts(DnsFlipped)
    assert (flipped.before, flipped.after, flipped.former.ds) == (OLD, NS, ())
    assert shop.facts(DnsAwaitingDelegation)[-1].registrar == "namecheap has our name servers; the parent zone follows"
    await check_due(shop, shop.events[-1])
    assert len(shop.facts(DnsDelegated)) == 1


async def test_our_ds_comes_when_nobody_asks_the_former_servers_any_more(shop: Scene) -> None:
    event = await until_delegated(shop)
    assert shop.wakes[-1].timer == DS_DUE
    await check_due(shop, event)
    flipped = shop.facts(DnsFlipped)[-1]
    assert flipped.ds == shop.registrar.held.ds == shop.facts(DnsReserved)[0].ds
    assert shop.registrar.changes == [f"0 DS at {NS[0]}", f"1 DS at {NS[0]}"]
    assert await check_due(shop, event) == []


async def test_a_former_ds_goes_first_and_is_left_to_expire(shop: Scene) -> None:
    old = DsRecord(key_tag=7, algorithm=8, digest_type=2, digest="cd" * 32)
    shop.registrar.held = Delegation(nameservers=OLD, ds=(old,))
    shop.registrar.publish(FQDN)
    began = shop.now
    event = await until_delegated(shop)
    assert shop.registrar.changes == [f"0 DS at {OLD[0]}", f"0 DS at {NS[0]}"]
    assert shop.now - began >= timedelta(hours=1)
    assert [(f.after, f.ds, f.former.ds) for f in shop.facts(DnsFlipped)] == [(OLD, (), (old,)), (NS, None, (old,))]
    shop.say(SovereignDecommissionRequested(restore_nameservers=True))
    await leave(shop)
    assert shop.registrar.held == Delegation(nameservers=OLD, ds=(old,))
    assert event


async def leave(scene: Scene, *, restoring: bool = True) -> None:
    await scene.hear(handlers.withdraw, scene.say(FluxReleased(verified=True)))
    scene.pass_time(timedelta(hours=2))
    destroyed = scene.say(TofuDestroyed())
    if restoring:
        with pytest.raises(TryAgain, match="still delegated to us"):
            await handlers.release(destroyed, scene.history, dns=scene.dns)
        scene.pass_time(timedelta(minutes=1))
    await scene.hear(handlers.release, destroyed)


async def test_a_decommission_puts_the_former_name_servers_back_when_asked(shop: Scene) -> None:
    await check_due(shop, await until_delegated(shop))
    shop.say(SovereignDecommissionRequested(restore_nameservers=True))
    await shop.hear(handlers.withdraw, shop.say(FluxReleased(verified=True)))
    assert shop.registrar.held == Delegation(nameservers=NS, ds=())
    [wake] = await shop.hear(handlers.release, shop.say(TofuDestroyed()))
    assert isinstance(wake, Wake)
    assert wake.after == timedelta(hours=1)
    shop.registrar.held = Delegation(nameservers=OLD, ds=())
    shop.pass_time(timedelta(hours=2))
    await check_due(shop, shop.events[-1])
    [released] = shop.facts(DnsReleased)
    assert (released.restored, released.left) == (OLD, "")
    assert shop.registrar.held == Delegation(nameservers=OLD, ds=())
    assert ("dns-pdm", SHOP.sovereign, 1, "registrar-token") not in shop.sealed.secrets


async def test_a_change_that_could_not_be_said_is_said_when_the_parent_shows_it(shop: Scene) -> None:
    await shop.hear(handlers.reserve, shop.say(requested(FQDN, "byo-api")))
    await shop.registrar.set(FQDN, NS)
    shop.registrar.publish(FQDN)
    said = await shop.hear(handlers.publish, shop.say(applied()))
    assert [fact.former.nameservers for fact in shop.facts(DnsFlipped)] == [OLD]
    assert isinstance(said[-1], Wake)
    assert said[-1].timer == DS_DUE


@pytest.mark.parametrize("asked", [False, True])
async def test_what_is_left_to_undo_is_told(shop: Scene, *, asked: bool) -> None:
    await until_delegated(shop)
    await shop.hear(handlers.forget_registrar, shop.say(SovereignHandedOver()))
    shop.say(SovereignDecommissionRequested(restore_nameservers=asked))
    await leave(shop, restoring=False)
    [released] = shop.facts(DnsReleased)
    assert f"put back {', '.join(OLD)}" in released.left
    assert ("no credentials" in released.left) == asked
    assert shop.registrar.held.nameservers == NS


async def test_a_late_farewell_leaves_the_credentials_that_a_decommission_brought(shop: Scene) -> None:
    await until_delegated(shop)
    handed_over = shop.say(SovereignHandedOver())
    shop.say(SovereignDecommissionRequested(restore_nameservers=True))
    await shop.hear(handlers.forget_registrar, handed_over)
    assert ("dns-pdm", SHOP.sovereign, 1, "registrar-token") in shop.sealed.secrets


@pytest.mark.parametrize(
    ("token", "code"),
    [('{"key": ""}', "registrar-token-incomplete"), ("k", "registrar-token-incomplete"), (None, "credential-required")],
)
async def test_credentials_that_cannot_do_are_refused_before_anything_is_made(token: str | None, code: str) -> None:
    scene = with_token(Scene(SHOP), token) if token else Scene(SHOP)
    before = scene.zones.holding()
    event = scene.say(requested(FQDN, "byo-api"))
    scene.pass_time(timedelta(minutes=1))
    await scene.hear(handlers.reserve, event)
    assert [(fact.trouble.code, fact.trouble.owner) for fact in scene.facts(DnsRefused)] == [(code, "user")]
    assert scene.zones.holding() == before


async def test_credentials_that_are_stored_after_their_request_was_said_are_waited_for() -> None:
    scene = Scene(SHOP)
    event = scene.say(requested(FQDN, "byo-api"))
    with pytest.raises(TryAgain):
        await handlers.reserve(event, scene.history, dns=scene.dns)
    await with_token(scene).hear(handlers.reserve, event)
    assert len(scene.facts(DnsReserved)) == 1


async def test_a_registrar_that_says_no_fails_the_run_and_is_not_asked_again(shop: Scene) -> None:
    await shop.hear(handlers.reserve, shop.say(requested(FQDN, "byo-api")))
    shop.registrar.refusing = RegistrarRefused("registrar-caller-refused", "192.0.2.7 is not on the list")
    await shop.hear(handlers.publish, shop.say(applied()))
    [failed] = shop.facts(DnsFailed)
    assert (failed.trouble.code, failed.trouble.retryable) == ("registrar-caller-refused", False)
    shop.wakes.append(shop.wakes[-1])
    assert await check_due(shop, shop.events[-1]) == []


async def test_a_busy_registrar_is_waited_for_and_shown(shop: Scene) -> None:
    await shop.hear(handlers.reserve, shop.say(requested(FQDN, "byo-api")))
    shop.registrar.refusing = RegistrarBusy("registrar-rate-limited", "60 calls a minute", after=timedelta(minutes=5))
    await shop.hear(handlers.publish, shop.say(applied()))
    waiting = shop.facts(DnsAwaitingDelegation)[-1]
    assert "registrar-rate-limited: 60 calls a minute" in waiting.registrar
    assert waiting.next_check_at - shop.now == timedelta(minutes=5)
    shop.registrar.refusing = None
    await check_due(shop, shop.events[-1])
    assert shop.registrar.held.nameservers == NS


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
async def test_a_failure_at_any_call_loses_no_way_back(*, after: bool) -> None:
    async def flip(scene: Scene) -> Any:
        with_token(scene)
        await scene.hear(handlers.reserve, scene.say(requested(FQDN, "byo-api")))
        await scene.hear(handlers.publish, scene.say(applied()))
        return scene.registrar.held, [fact.former for fact in scene.facts(DnsFlipped)]

    undisturbed = Scene(SHOP)
    end = await flip(undisturbed)
    assert end == (Delegation(nameservers=NS, ds=()), [Delegation(nameservers=OLD, ds=())])
    for at in range(1, undisturbed.failing.calls + 1):
        assert await flip(Scene(SHOP, failing=Failing(at, after))) == end, f"call {at}"


def test_a_token_with_wrong_parts_names_them() -> None:
    assert parts_of("ovh", json.dumps({"a": " 1 ", "b": "2"}).encode(), ("a", "b")) == {"a": "1", "b": "2"}
    with pytest.raises(RegistrarRefused, match="missing: b; unknown: c"):
        parts_of("ovh", json.dumps({"a": "1", "c": "3"}).encode(), ("a", "b"))


async def test_a_registrar_without_adapter_is_refused_with_the_other_way() -> None:
    with pytest.raises(RegistrarRefused) as refused:
        async with Registrars({}, {}).open("namecheap", b"{}"):
            pass
    assert "byo-manual" in refused.value.trouble("open", FQDN).next_step
    assert set(ADAPTERS) <= {"namecheap", "godaddy", "ovh", "dynadot", "cloudflare"}
