"""The bus on a real server: guards, leases, burial, secrets, permissions."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from bus import (
    Bus,
    CannotOpen,
    Conflict,
    Denied,
    LeaseBusy,
    LeaseLost,
    NobodyAnswers,
    SealKeys,
    SecretInClear,
    TooLarge,
    TryAgain,
    seal,
)
from bus.server import NatsServer
from contracts import About, Fact, History
from contracts.catalogue import SUBMIT
from contracts.dns import DnsReserved
from contracts.questions import Submit
from contracts.sovereign import SovereignCancelRequested, SovereignReconcileRequested
from tests.conftest import BusOf
from tests.integration.bus.hosting import dns_pdm, hosted, until
from tests.unit.intake.test_life import REQUESTED

ABOUT = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)
RESERVED = DnsReserved(zone="demo.omani.works.", nameservers=())


async def test_of_facts_that_exclude_each_other_exactly_one_is_stored(bus_of: BusOf) -> None:
    intake = await bus_of("intake")
    reading = await intake.journal.fold(ABOUT.sovereign)
    attempts = (intake.journal.append([REQUESTED], ABOUT, cause=uuid4(), after=reading) for _ in range(20))
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(result, History) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 19


async def test_a_repeat_of_ones_own_append_is_recognised(bus_of: BusOf) -> None:
    intake = await bus_of("intake")
    reading, cause = await intake.journal.fold(ABOUT.sovereign), uuid4()
    first = await intake.journal.append([REQUESTED], ABOUT, cause=cause, after=reading)
    again = await intake.journal.append([REQUESTED], ABOUT, cause=cause, after=reading)
    assert [item.sequence for item in first] == [item.sequence for item in again] == [1]


async def test_a_start_of_work_is_refused_after_a_cancel_that_its_writer_had_not_read(bus_of: BusOf) -> None:
    intake, dns = await bus_of("intake"), await bus_of("dns-pdm")
    read = await intake.journal.append([REQUESTED], ABOUT, cause=uuid4(), after=History(ABOUT.sovereign))
    await intake.journal.append([SovereignCancelRequested()], ABOUT, cause=uuid4(), after=read)
    with pytest.raises(Conflict):
        await dns.journal.append([RESERVED], ABOUT, cause=uuid4(), after=read)


async def test_what_follows_is_said_once_although_the_message_came_twice(bus_of: BusOf) -> None:
    intake, dns = await bus_of("intake"), await bus_of("dns-pdm")
    tries = 0

    async def reserve(_event: Any, _history: History) -> list[Fact]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise TryAgain("not yet", after=timedelta(milliseconds=10))
        return [RESERVED]

    async def body() -> None:
        await intake.journal.append([REQUESTED], ABOUT, cause=uuid4(), after=History(ABOUT.sovereign))

        async def reserved() -> bool:
            return len((await intake.journal.history(ABOUT.sovereign)).recorded) == 2

        await until(reserved)

    async with hosted(dns, dns_pdm(reserve)):
        await body()
    assert tries == 2


async def test_one_holder_at_a_time_and_the_token_only_grows(bus_of: BusOf) -> None:
    first, second = await bus_of("tofu-runner"), await bus_of("tofu-runner", replica="other")
    async with first.leases.hold("demo_omani_works") as lease:
        assert lease.sure
        with pytest.raises(LeaseBusy):
            await second.leases.acquire("demo_omani_works")
        earlier = lease.token
    async with second.leases.hold("demo_omani_works") as lease:
        assert lease.token > earlier


async def test_a_lease_that_cannot_be_renewed_is_no_longer_sure(bus_of: BusOf) -> None:
    runner = await bus_of("tofu-runner", lease_sure_s=0.05)
    lease = await runner.leases.acquire("demo_omani_works")

    async def unsure() -> bool:
        return not lease.sure

    await asyncio.wait_for(until(unsure), 20)
    with pytest.raises(LeaseLost):
        lease.check()


async def test_nobody_says_anothers_facts(bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    with pytest.raises(Denied, match=r"gateway.*tofu\.applied"):
        await gateway.connection.store("tofu.applied.demo_omani_works", b"{}", {})


async def test_a_refusal_by_permissions_ends_the_wait_at_once_and_names_user_and_subject(bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    async with asyncio.timeout(60):
        for subject in ("$JS.API.STREAM.DELETE.PROV", "tofu.applied.demo_omani_works"):
            with pytest.raises(Denied) as refused:
                await gateway.connection.request(subject, timeout_s=600)
            assert (refused.value.user, refused.value.subject) == ("gateway", subject)
        with pytest.raises(Denied, match=r"gateway.*KV_sealed"):
            await gateway.kv("sealed").values("tofu-runner.>")


async def test_what_looks_like_a_secret_or_is_too_large_is_not_published(bus_of: BusOf) -> None:
    intake = await bus_of("intake")
    token = b"Aa1" * 21 + b"Z"
    with pytest.raises(SecretInClear):
        await intake.connection.store("sovereign.requested.x_y", b'{"token":"' + token + b'"}', {})
    with pytest.raises(TooLarge, match="256 KiB"):
        await intake.connection.store("sovereign.requested.x_y", b"x" * 300_000, {})


async def test_a_question_that_nobody_answers_says_so(bus_of: BusOf) -> None:
    with pytest.raises(NobodyAnswers):
        await (await bus_of("gateway")).ask(SUBMIT, Submit(body={}))


async def test_the_feed_is_without_gap_through_a_restart_of_the_server(bus_of: BusOf, nats_server: NatsServer) -> None:
    intake, gateway = await bus_of("intake"), await bus_of("gateway")
    seen: list[int] = []

    async def read() -> None:
        async for item in gateway.feed(after=0):
            seen.append(item.sequence)
            if len(seen) == 40:
                return

    async def write(begin: int, end: int) -> None:
        for number in range(begin, end):
            about = ABOUT.model_copy(update={"sovereign": f"s{number}_omani_works"})
            facts = [SovereignReconcileRequested(), REQUESTED]
            await intake.journal.append(facts, about, cause=uuid4(), after=History(about.sovereign))

    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        reading = group.create_task(read())
        await write(0, 10)
        port = nats_server.port
        await nats_server.stop(kill=True)
        nats_server.port = port
        await nats_server.start()
        await until(lambda: _connected(intake))
        await write(10, 20)
        await reading
    assert seen == list(range(1, 41))


async def _connected(bus: Bus) -> bool:
    return bool(bus.connection.client.is_connected)


def test_a_secret_opens_only_for_its_reader_purpose_and_sovereign() -> None:
    keys = SealKeys.generate("tofu-runner")
    secret = seal(b"canary", to=keys.public()[0], reader="tofu-runner", purpose="cloud-token", bound_to="a_b")
    assert keys.open(secret, bound_to="a_b", purpose="cloud-token") == b"canary"
    assert keys.rotated().open(secret, bound_to="a_b") == b"canary"
    moved = secret.model_copy(update={"bound_to": "c_d"})
    for wrong, bound in ((secret, "c_d"), (moved, "c_d")):
        with pytest.raises(CannotOpen):
            keys.open(wrong, bound_to=bound)
    with pytest.raises(CannotOpen):
        SealKeys.generate("tofu-runner").open(secret, bound_to="a_b")
