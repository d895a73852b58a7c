"""Each known trap of the client (docs/adr/0001), and that our bus is safe from it. These decide about upgrades."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

import bus as bus_package
from bus import Bucket, Bus, BusSettings, Conflict, LeaseBusy, LeaseLost, TryAgain, connect
from bus.health import Health
from bus.metrics import Metrics
from bus.server import NatsServer, server_config
from bus.topology import ensure_topology
from contracts import About, Fact, History
from contracts.dns import DnsReserved
from contracts.topology import consumers
from tests.conftest import BusOf
from tests.integration.bus.hosting import dns_pdm, hosted, nothing, until
from tests.proxy import Proxy
from tests.unit.intake.test_life import REQUESTED

ABOUT = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)
NEW = History(ABOUT.sovereign)
RESERVED = DnsReserved(zone="demo.omani.works.", nameservers=())


@pytest.fixture
async def proxy(nats_server: NatsServer) -> AsyncIterator[Proxy]:
    async with Proxy(nats_server.port) as running:
        yield running


@pytest.fixture
async def far(nats_server: NatsServer, proxy: Proxy) -> AsyncIterator[Bus]:
    """dns-pdm, connected through the proxy."""
    settings = nats_server.settings("dns-pdm").model_copy(update={"nats_url": proxy.url})
    async with connect(settings, "dns-pdm") as bus:
        yield bus


async def test_1_a_connection_that_closes_for_ever_ends_the_process(far: Bus, proxy: Proxy) -> None:
    # The client never reconnects after this word of the server (nats.py issue 1019), at whatever setting.
    async def expire() -> None:
        proxy.say(b"-ERR 'User Authentication Expired'\r\n")

    assert await _end_of_a_service(far, expire)


async def _end_of_a_service(bus: Bus, act: Callable[[], Awaitable[None]]) -> bool:
    """Whether a service that runs on this bus ends with an error, long before the test's bound, when this was done.

    Which error depends on who notices first: whoever watches the connection, or whoever uses it.
    """
    try:
        async with hosted(bus, dns_pdm(nothing)):
            await until(bus.presence.replicas)
            await act()
            await asyncio.Event().wait()
    except ExceptionGroup as ended:
        return ended.subgroup(TimeoutError) is None and bus.connection.closed.is_set()
    return False


async def test_2_a_reported_error_leaves_the_read_loop_alive(far: Bus, proxy: Proxy) -> None:
    for words in (b"-ERR 'Permissions Violation for Publish to \"x\"'\r\n", b"-ERR 'Permissions Violation'\r\n"):
        proxy.say(words)
    assert await far.connection.round_trip_s() < 10
    assert (await far.journal.fold(ABOUT.sovereign)).recorded == ()


async def test_2_liveness_is_a_real_round_trip(far: Bus, proxy: Proxy) -> None:
    health = Health(far.connection, Metrics(), {})
    watching = asyncio.get_running_loop().create_task(health.watch())
    proxy.freeze()
    assert far.connection.client.is_connected, "the client believes in a dead connection: that is the trap"
    health._answered_at -= 31
    assert any("not answered" in problem for problem in health.problems())
    proxy.thaw()

    async def well() -> bool:
        return health.problems() == []

    await asyncio.wait_for(until(well), 30)
    watching.cancel()


async def test_2_a_cancelled_flush_ends_the_clients_reader_so_nothing_of_ours_flushes(far: Bus) -> None:
    client = far.connection.client
    flushing = asyncio.get_running_loop().create_task(client.flush())
    await asyncio.sleep(0)
    flushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flushing
    with pytest.raises((TimeoutError, TryAgain)):
        await far.connection.request("$JS.API.STREAM.INFO.PROV", timeout_s=0.5)
    sources = Path(bus_package.__file__).parent.glob("*.py")
    assert [path.name for path in sources if re.search(r"client\.(flush|rtt)\(", path.read_text())] == []


async def test_2_a_round_trip_that_is_given_up_leaves_the_reader_alive(far: Bus, proxy: Proxy) -> None:
    for _ in range(3):
        asked = asyncio.get_running_loop().create_task(far.connection.round_trip_s())
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    assert await far.connection.round_trip_s() < 10
    assert (await far.connection.api("$JS.API.STREAM.INFO.PROV"))["state"] is not None


async def test_3_every_wait_for_a_receipt_ends(far: Bus, proxy: Proxy) -> None:
    proxy.freeze()
    waits = [far.connection.request("$JS.API.STREAM.INFO.PROV", timeout_s=0.3) for _ in range(10)]
    answers = await asyncio.wait_for(asyncio.gather(*waits, return_exceptions=True), 20)
    assert all(isinstance(answer, TimeoutError) for answer in answers)
    assert not far.connection.replies._waiting, "nothing is kept of a request that nobody answered"


async def test_4_an_append_whose_receipt_was_lost_is_stored_once(far: Bus, proxy: Proxy, bus_of: BusOf) -> None:
    intake = await bus_of("intake")
    read = await intake.journal.append([REQUESTED], ABOUT, cause=uuid4(), after=NEW)
    proxy.freeze(answers_only=True)
    async with asyncio.TaskGroup() as group:
        appending = group.create_task(far.journal.append([RESERVED], ABOUT, cause=uuid4(), after=read))

        async def stored() -> bool:
            return len((await intake.journal.history(ABOUT.sovereign)).recorded) == 2

        await asyncio.wait_for(until(stored), 20)
        assert not appending.done()
        proxy.cut()
    recorded = (await intake.journal.history(ABOUT.sovereign)).recorded
    assert [item.sequence for item in appending.result()] == [item.sequence for item in recorded]
    assert len(recorded) == 2


async def test_5_the_guard_answers_before_the_duplicate_window_and_our_own_write_is_recognised(bus_of: BusOf) -> None:
    intake, cause = await bus_of("intake"), uuid4()
    first = await intake.journal.append([REQUESTED], ABOUT, cause=cause, after=NEW)
    event = first.recorded[0].event
    guarded = {
        "Nats-Msg-Id": str(event.id),
        "Nats-Expected-Last-Subject-Sequence": "0",
        "Nats-Expected-Last-Subject-Sequence-Subject": f"sovereign.*.{ABOUT.sovereign}",
    }
    with pytest.raises(Conflict):
        await intake.connection.store(event.nats_subject, b"{}", guarded)
    assert (await intake.journal.append([REQUESTED], ABOUT, cause=cause, after=NEW)).upto == first.upto
    with pytest.raises(Conflict):
        await intake.journal.append([REQUESTED], ABOUT, cause=uuid4(), after=NEW)


async def test_a_stream_that_is_away_is_a_reason_to_try_again_and_no_handlers_bug(bus_of: BusOf) -> None:
    """No responders (a restart, an election) come from the client as an error of its own, at reads as at writes."""
    intake, admin = await bus_of("intake"), await bus_of("admin")
    await admin.connection.api("$JS.API.STREAM.DELETE.KV_idem")
    idem = intake.kv("idem")
    for attempt in (idem.get("a.b"), idem.create("a.b", b""), idem.put("a.b", b""), idem.values("a.*")):
        with pytest.raises(TryAgain):
            await attempt


def test_the_calls_of_the_client_that_trap_are_not_used() -> None:
    """3: publish_async. 6: fetch. 8, 9: its KV and watch. 9: ordered consumers. 12: drain. 14: its object store."""
    source = "\n".join(file.read_text() for file in Path(bus_package.__path__[0]).glob("*.py"))
    trapping = r"\.(publish_async|fetch|pull_subscribe|key_value|create_key_value|watch|object_store|jetstream|drain)\("
    assert set(re.findall(trapping, source)) <= {"watch"}, "watch is Health.watch"
    assert "ordered_consumer" not in source


async def test_6_a_consumer_made_anew_is_pulled_from_again(bus_of: BusOf) -> None:
    intake, dns, admin = await bus_of("intake"), await bus_of("dns-pdm"), await bus_of("admin")
    handled: asyncio.Queue[str] = asyncio.Queue()

    async def reserve(event: Any, _history: History) -> list[Fact]:
        handled.put_nowait(event.subject)
        return []

    async with hosted(dns, dns_pdm(reserve)):
        await until(dns.presence.replicas)
        await admin.connection.api("$JS.API.CONSUMER.DELETE.PROV.dns-pdm-work")
        await intake.journal.append([REQUESTED], ABOUT, cause=uuid4(), after=NEW)
        await ensure_topology(admin.connection, scale=0.02)
        assert await handled.get() == ABOUT.sovereign


async def test_7_a_closed_connection_never_blocks_the_loop(far: Bus) -> None:
    # A loop around the client's fetch would spin here without ever yielding, and this test would not end.
    assert await _end_of_a_service(far, far.connection.client.close)


async def test_8_renewals_keep_the_expiry_and_an_expired_key_is_free_at_once(bus_of: BusOf) -> None:
    first, second = await bus_of("tofu-runner", lease_ttl_s=1), await bus_of("tofu-runner", replica="other")
    lease = await first.leases.acquire("demo_omani_works")
    for _ in range(3):
        await first.leases.renew(lease)
    with pytest.raises(LeaseBusy):
        await second.leases.acquire("demo_omani_works")

    async def free() -> bool:
        return await second.kv("lease").get("tofu-runner.demo_omani_works") is None

    await asyncio.wait_for(until(free), 20)
    assert (await second.leases.acquire("demo_omani_works")).token > lease.revision
    with pytest.raises(LeaseLost):
        await first.leases.renew(lease)


async def test_8_a_renewal_whose_answer_is_lost_loses_no_lease(far: Bus, proxy: Proxy, bus_of: BusOf) -> None:
    lease = await far.leases.acquire(ABOUT.sovereign)
    token, leases = lease.token, (await bus_of("admin")).kv("lease")

    async def renewed_unheard() -> None:
        known = lease.revision

        async def stored() -> bool:
            found = await leases.get(lease.key)
            return found is not None and found.revision > known

        proxy.freeze(answers_only=True)
        renewal = asyncio.get_running_loop().create_task(far.leases.renew(lease))
        await asyncio.wait_for(until(stored), 20)
        renewal.cancel()
        proxy.thaw()
        assert lease.revision == known, "nobody waits for the answer any more"

    await renewed_unheard()
    with pytest.raises(TryAgain, match="its answer was lost"):
        await far.leases.renew(lease)
    await far.leases.renew(lease)
    assert lease.sure
    assert lease.token == token
    await renewed_unheard()
    await far.leases.release(lease)
    again = await far.leases.acquire(ABOUT.sovereign)
    assert again.token > token, "given back, so nobody has to wait for the expiry"
    with pytest.raises(LeaseLost):
        await far.leases.renew(lease)
    assert again.sure, "a former lease of the same worker is not taken for this one"


async def test_8_a_marker_that_expires_while_a_key_is_taken_is_no_rival(bus_of: BusOf) -> None:
    """A lease that was given back a second ago: its marker is read, expires, and the write expects it."""
    runner = await bus_of("tofu-runner")
    bucket = runner.kv("lease")
    first = await bucket.create("tofu-runner.demo_omani_works", b"first")
    expired = False

    class Expiring(Bucket):
        async def update(self, key: str, value: bytes, revision: int, *, ttl_s: int | None = None) -> int:
            nonlocal expired
            while not expired and await self.last_revision(key) == revision:
                await asyncio.sleep(0.05)
            expired = True
            return await super().update(key, value, revision, ttl_s=ttl_s)

    async with asyncio.timeout(60):
        await bucket.delete("tofu-runner.demo_omani_works", revision=first, ttl_s=1)
        await Expiring(runner.connection, "lease").create("tofu-runner.demo_omani_works", b"second")
    assert expired
    with pytest.raises(Conflict):
        await bucket.create("tofu-runner.demo_omani_works", b"third")


async def test_8_no_bucket_keeps_markers_of_what_expired(bus_of: BusOf) -> None:
    admin = await bus_of("admin")
    for bucket in ("lease", "presence"):
        config = (await admin.connection.api(f"$JS.API.STREAM.INFO.KV_{bucket}"))["config"]
        assert config["allow_msg_ttl"]
        assert not config.get("subject_delete_marker_ttl")


def test_8_a_lease_lasts_whole_seconds() -> None:
    with pytest.raises(ValidationError):
        BusSettings(lease_ttl_s=0.5)  # type: ignore[arg-type]  # what the environment could say


async def test_9_the_feed_leaves_no_consumer_on_the_server(bus_of: BusOf) -> None:
    gateway, intake = await bus_of("gateway"), await bus_of("intake")
    await intake.journal.append([REQUESTED], ABOUT, cause=uuid4(), after=NEW)
    async for item in gateway.feed(after=0):
        assert item.sequence == 1
        break
    info = await gateway.connection.api("$JS.API.STREAM.INFO.PROV")
    assert info["state"]["consumer_count"] == sum(row.stream == "PROV" for row in consumers())


async def test_10_acks_keep_their_first_form(nats_server: NatsServer) -> None:
    conf = server_config(nats_server.keys, name="x", listen="127.0.0.1:0", store="/nowhere")
    assert "js_ack_fc_v2: false" in conf


async def test_11_a_consumer_or_stream_that_drifted_is_put_right(bus_of: BusOf) -> None:
    admin = await bus_of("admin")
    assert await ensure_topology(admin.connection, scale=0.02) == []
    info = await admin.connection.api("$JS.API.CONSUMER.INFO.PROV.dns-pdm-work")
    drifted = info["config"] | {"max_deliver": 3, "backoff": [10**9, 2 * 10**9]}
    body = {"stream_name": "PROV", "config": drifted}
    answer = await admin.connection.api("$JS.API.CONSUMER.CREATE.PROV.dns-pdm-work", body)
    assert answer["config"]["ack_wait"] == 10**9, "a backoff silently replaces the ack wait: that is the trap"
    changes = await ensure_topology(admin.connection, scale=0.02)
    assert [change.name for change in changes] == ["dns-pdm-work"]
    config = (await admin.connection.api("$JS.API.CONSUMER.INFO.PROV.dns-pdm-work"))["config"]
    assert (config["ack_wait"], config["max_deliver"]) == (30 * 10**9, -1)
    assert not config.get("backoff")


async def test_11_a_handler_that_failed_has_not_acked(bus_of: BusOf) -> None:
    intake, dns = await bus_of("intake"), await bus_of("dns-pdm")
    tries = asyncio.Queue[int]()

    async def reserve(_event: Any, _history: History) -> list[Fact]:
        tries.put_nowait(1)
        raise TryAgain("not yet", after=timedelta(milliseconds=10))

    async with hosted(dns, dns_pdm(reserve)):
        await intake.journal.append([REQUESTED], ABOUT, cause=uuid4(), after=NEW)
        for _ in range(3):
            await tries.get()


async def test_12_a_stop_while_reconnecting_ends_in_time(far: Bus, proxy: Proxy) -> None:
    async with hosted(far, dns_pdm(nothing)):
        await until(far.presence.replicas)
        proxy.refusing = True
        proxy.cut()

        async def lost() -> bool:
            return bool(far.connection.client.is_reconnecting)

        await until(lost)
        far.stopping.set()


async def test_12_a_stop_lets_work_in_hand_finish_and_takes_no_more(bus_of: BusOf) -> None:
    intake, dns = await bus_of("intake"), await bus_of("dns-pdm")
    begun, go = asyncio.Event(), asyncio.Event()
    handled = []

    async def reserve(event: Any, _history: History) -> list[Fact]:
        handled.append(event.subject)
        begun.set()
        await go.wait()
        return [RESERVED]

    async with hosted(dns, dns_pdm(reserve)):
        await intake.journal.append([REQUESTED], ABOUT, cause=uuid4(), after=NEW)
        await begun.wait()
        dns.stopping.set()
        other = ABOUT.model_copy(update={"sovereign": "other_omani_works"})
        await intake.journal.append([REQUESTED], other, cause=uuid4(), after=History(other.sovereign))
        go.set()
    assert handled == [ABOUT.sovereign]
    facts = [item.event.data.fact for item in (await intake.journal.history(ABOUT.sovereign)).recorded]
    assert facts == ["sovereign.requested", "dns.reserved"]
