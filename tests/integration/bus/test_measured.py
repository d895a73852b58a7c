"""What was measured of the server and is relied on (docs/adr/0002, 0003): held here, so that an upgrade is judged."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from bus import Conflict, SealKeys, Service, on, on_timer, seal
from contracts import About, Fact, History
from contracts.catalogue import EVENTS, RUN_DEADLINE, TIMERS
from contracts.dns import DnsReserved
from contracts.flux import HrDegraded, HrReady
from contracts.sovereign import SovereignCancelRequested, SovereignDecommissioned, SovereignRequested
from contracts.tofu import TofuApplied, TofuStarted
from contracts.topology import DOOR, INBOX, TIMER_STREAM
from tests.conftest import BusOf
from tests.integration.bus.hosting import hosted, nothing, until
from tests.unit.intake.test_life import APPLIED, REQUESTED

ABOUT = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)
NEW = History(ABOUT.sovereign)
RESERVED = DnsReserved(zone="demo.omani.works.", nameservers=())


async def test_a_fact_that_comes_back_is_told_apart_from_a_repeat_by_its_occurrence(bus_of: BusOf) -> None:
    watcher, cause = await bus_of("flux-watcher"), uuid4()

    async def say(kind: type[HrReady | HrDegraded], occurrence: str) -> None:
        fact = kind(component="keycloak", release="bp-keycloak", occurrence=occurrence)
        await watcher.journal.append([fact], ABOUT, cause=cause, after=NEW)

    await say(HrReady, "first")
    await say(HrDegraded, "second")
    await say(HrReady, "first")
    history = await watcher.journal.fold(ABOUT.sovereign)
    assert history.later(HrReady, HrDegraded) is None, "the stream drops the repeat: it degraded after it was ready"
    await say(HrReady, "third")
    history = await watcher.journal.fold(ABOUT.sovereign)
    assert history.later(HrReady, HrDegraded) is not None


async def test_a_chain_that_was_overtaken_is_told_so_although_the_other_said_the_same(bus_of: BusOf) -> None:
    intake, runner, other = await bus_of("intake"), await bus_of("tofu-runner"), await bus_of("tofu-runner")
    cause = uuid4()
    read = await intake.journal.append([REQUESTED], ABOUT, cause=cause, after=NEW)
    chain = runner.journal.chain(ABOUT, read, cause=cause)
    await chain.say(TofuStarted(action="apply", fencing_token=1))
    successor = other.journal.chain(ABOUT, await other.journal.fold(ABOUT.sovereign), cause=cause)
    await successor.say(TofuStarted(action="apply", fencing_token=2), APPLIED)
    with pytest.raises(Conflict):
        await chain.say(APPLIED)
    assert len((await intake.journal.history(ABOUT.sovereign)).recorded) == 4


async def test_a_command_overtakes_work_that_holds_all_slots(bus_of: BusOf) -> None:
    intake, dns = await bus_of("intake"), await bus_of("dns-pdm")
    holding, done, cancelled = asyncio.Queue[str](), asyncio.Event(), asyncio.Queue[str]()

    async def reserve(event: Any, _history: History) -> list[Fact]:
        holding.put_nowait(event.subject)
        await done.wait()
        return []

    async def stand_down(event: Any, _history: History) -> list[Fact]:
        cancelled.put_nowait(event.subject)
        return []

    handlers = {SovereignRequested: reserve, SovereignCancelRequested: stand_down}
    heard = [e.fact for e in EVENTS if any(listener.service == "dns-pdm" for listener in e.heard_by)]
    routes = [on(fact, handlers.get(fact, nothing)) for fact in heard]
    async with hosted(dns, Service(name="dns-pdm", routes=routes, slots=2)):
        for number in range(6):
            about = ABOUT.model_copy(update={"sovereign": f"s{number}_omani_works"})
            facts = [REQUESTED, SovereignCancelRequested()] if number == 5 else [REQUESTED]
            await intake.journal.append(facts, about, cause=uuid4(), after=History(about.sovereign))
        assert {await holding.get(), await holding.get()} == {"s0_omani_works", "s1_omani_works"}
        assert await cancelled.get() == "s5_omani_works"
        assert holding.empty(), "the work behind it still waits for a slot"
        done.set()


async def test_whoever_asks_at_the_door_gets_the_receipt_of_the_stream(bus_of: BusOf) -> None:
    publisher = await bus_of("publisher")
    receipt = json.loads((await publisher.connection.client.request(DOOR, b"{}", timeout=10)).data)
    assert (receipt["stream"], receipt["seq"]) == (INBOX, 1)


async def test_a_timer_set_again_is_one_timer_and_another_time_replaces_it(bus_of: BusOf) -> None:
    intake, admin = await bus_of("intake"), await bus_of("admin")
    fired: asyncio.Queue[datetime] = asyncio.Queue()
    now = datetime.now(UTC)
    late, due = now + timedelta(hours=1), now - timedelta(seconds=1)

    async def deadline(timer: Any, _history: History) -> list[Fact]:
        fired.put_nowait(timer.due)
        return []

    async def waiting() -> int:
        return int((await admin.connection.api(f"$JS.API.STREAM.INFO.{TIMER_STREAM}"))["state"]["messages"])

    for moment in (late, late):
        await intake.timers.set(RUN_DEADLINE, ABOUT, moment)
    assert await waiting() == 1
    heard = [e.fact for e in EVENTS if any(listener.service == "intake" for listener in e.heard_by)]
    timers = [on_timer(row, deadline) for row in TIMERS if row.service == "intake"]
    async with hosted(intake, Service(name="intake", routes=[*(on(fact, nothing) for fact in heard), *timers])):
        await intake.timers.set(RUN_DEADLINE, ABOUT, due)
        assert await fired.get() == due

        async def none_left() -> bool:
            return await waiting() == 0

        await until(none_left)
    assert fired.empty()


async def test_no_key_of_a_bucket_looks_like_a_sovereign(bus_of: BusOf) -> None:
    intake = await bus_of("intake")
    with pytest.raises(ValueError, match="two tokens"):
        await intake.kv("idem").put(ABOUT.sovereign, b"")


async def test_a_bucket_is_listed_whole_however_many_keys_it_has(bus_of: BusOf) -> None:
    """The server refuses a read of the last message per subject from 1,025 subjects on (413)."""
    state = (await bus_of("intake")).kv("state")
    names = {f"sovereign.s{number}" for number in range(1100)}
    await asyncio.gather(*(state.put(name, b"{}") for name in names))
    await state.delete("sovereign.s7")
    assert set(await state.keys("sovereign.*")) == names - {"sovereign.s7"}


async def test_nothing_of_the_first_life_counts_in_the_second(bus_of: BusOf) -> None:
    intake, dns, runner = await bus_of("intake"), await bus_of("dns-pdm"), await bus_of("tofu-runner")
    cause, key = uuid4(), SealKeys.load(intake.settings.public_keys_dir.parent / "tofu-runner.seal.json").public()[0]  # type: ignore[union-attr]  # the fixture sets it
    token = seal(b"canary", to=key, reader="tofu-runner", purpose="cloud-token", bound_to=ABOUT.sovereign)
    read = await intake.journal.append([REQUESTED], ABOUT, cause=cause, after=NEW)
    await intake.vault.put(ABOUT.sovereign, 1, token)
    read = await dns.journal.append([RESERVED], ABOUT, cause=cause, after=read)
    read = await runner.journal.append([APPLIED], ABOUT, cause=cause, after=read)
    lease = await runner.leases.acquire(ABOUT.sovereign)
    ended = await intake.journal.append([SovereignDecommissioned(cause=cause)], ABOUT, cause=cause, after=read)
    assert (ended.life, ended.alive) == (1, False)

    again = ABOUT.model_copy(update={"owner": "other", "life": 2, "run": 2})
    with pytest.raises(Conflict):
        await intake.journal.append([REQUESTED], again, cause=cause, after=read)
    second = await intake.journal.append([REQUESTED], again, cause=cause, after=ended)
    assert (second.life, second.owner, second.run, second.alive) == (2, "other", 2, True)
    assert second.last(TofuApplied) is None
    assert second.last(DnsReserved) is None
    assert [item.event.life for item in second] == [2], "the same cause and fact made another event of another life"

    # What the first life left behind: a repeat of its work, its secret, its lease.
    late = await runner.journal.append([APPLIED], ABOUT, cause=uuid4(), after=second)
    assert late.last(TofuApplied) is None
    fold = await intake.journal.fold(ABOUT.sovereign, reaching=late.upto)
    assert (fold.life, fold.owner, fold.last(TofuApplied), fold.last(DnsReserved)) == (2, "other", None, None)
    with pytest.raises(KeyError):
        await runner.vault.open(ABOUT.sovereign, 2, "cloud-token")
    await runner.leases.release(lease)
    assert (await runner.leases.acquire(ABOUT.sovereign)).token > lease.token


async def test_a_consumer_of_ours_has_no_backoff_and_gives_up_never(bus_of: BusOf) -> None:
    admin = await bus_of("admin")
    for name in ("dns-pdm-work", "tofu-runner-command", "intake-work"):
        config = (await admin.connection.api(f"$JS.API.CONSUMER.INFO.PROV.{name}"))["config"]
        assert (config["ack_wait"], config["max_deliver"], config.get("backoff")) == (30 * 10**9, -1, None)
    assert (await admin.connection.api("$JS.API.STREAM.INFO.PROV"))["config"]["duplicate_window"] == 600 * 10**9
