"""A worker dies at each step of a message's life, sleeps past its lease, or shares the load: one effect per cause."""

import asyncio
import signal
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bus.server import NatsServer
from contracts.dns import DnsReserved
from tests.conftest import BusOf
from tests.faults.running import (
    FOLLOWING,
    STEPS,
    Line,
    about,
    all_followed,
    redeliver_soon,
    request,
    said_of,
    until,
    workers_in,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
RESERVED = DnsReserved(zone="sleeps.omani.works.", nameservers=())
SHORT_LEASES: dict[str, Any] = {"catalyst_lease_ttl_s": 3, "catalyst_lease_sure_s": 2, "catalyst_lease_renew_s": 0.5}
ONCE = Counter({"sovereign.requested": 1, **dict.fromkeys(FOLLOWING, 1)})


async def test_a_worker_killed_at_any_step_of_a_message_leaves_one_effect(
    nats_server: NatsServer, bus_of: BusOf, tmp_path: Path
) -> None:
    intake, admin = await bus_of("intake"), await bus_of("admin")
    await redeliver_soon(admin, "dns-pdm-work")
    async with workers_in(tmp_path) as workers:
        for step in STEPS:
            place = f"{step}@{about(step).sovereign}"
            doomed = await workers.start(nats_server, "dns-pdm", f"dies-{step}", worker_at=place)
            await request(intake, step)
            assert await asyncio.wait_for(doomed.wait(), 60) == -signal.SIGKILL, f"it reached {step} and died there"
        await workers.start(nats_server, "dns-pdm", "survivor")
        await all_followed(intake, STEPS)
        for step in STEPS:
            assert await said_of(intake, step) == ONCE, step

        async def settled() -> bool:
            info = await admin.connection.api("$JS.API.CONSUMER.INFO.PROV.dns-pdm-work")
            return bool(info["num_ack_pending"] == 0 and info["num_pending"] == 0)

        await until(settled)
    killed = {line.replica for line in workers.lines()} - {"survivor"}
    assert killed == {f"dies-{step}" for step in STEPS}


async def test_a_worker_that_slept_past_its_lease_is_refused_and_ends(
    nats_server: NatsServer, bus_of: BusOf, tmp_path: Path
) -> None:
    intake, dns = await bus_of("intake"), await bus_of("dns-pdm")
    await redeliver_soon(await bus_of("admin"), "tofu-runner-work")
    async with workers_in(tmp_path) as workers:

        def noted(what: str, replica: str) -> Line | None:
            return next((line for line in workers.lines() if (line.what, line.replica) == (what, replica)), None)

        async def overtaken() -> Line | None:
            return noted("end", "second")

        place = f"working@{about('sleeps').sovereign}"
        first = await workers.start(
            nats_server, "tofu-runner", "first", worker_at=place, worker_signal="SIGSTOP", **SHORT_LEASES
        )
        await request(intake, "sleeps")
        read = await intake.journal.fold(about("sleeps").sovereign)
        await dns.journal.append([RESERVED], about("sleeps"), cause=read.recorded[0].event.id, after=read)

        async def asleep() -> bool:
            return Path(f"/proc/{first.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"

        await until(asleep)
        await workers.start(nats_server, "tofu-runner", "second", **SHORT_LEASES)
        await until(overtaken)
        first.send_signal(signal.SIGCONT)
        assert await asyncio.wait_for(first.wait(), 60) == 0, "it drained and ended by itself"
        begun, again = noted("begin", "first"), noted("begin", "second")
        assert begun is not None
        assert again is not None
        assert again.token > begun.token, "the fencing token grows"
        assert noted("unsure", "first") is not None, "its first look says that the lease is not sure"
        assert noted("refused", "first") is not None, "and the stream refuses what it would say"
        assert noted("end", "first") is None
    said = await said_of(intake, "sleeps")
    assert (said["tofu.planned"], said["tofu.applied"]) == (1, 1)


async def test_two_replicas_under_load_one_of_them_killed_do_each_thing_once_and_one_at_a_time(
    nats_server: NatsServer, bus_of: BusOf, tmp_path: Path
) -> None:
    intake, admin = await bus_of("intake"), await bus_of("admin")
    for consumer in ("dns-pdm-work", "tofu-runner-work"):
        await redeliver_soon(admin, consumer)
    names = [f"load{number}" for number in range(60)]
    async with workers_in(tmp_path) as workers:
        await workers.start(nats_server, "dns-pdm", "dns-a")
        await workers.start(nats_server, "dns-pdm", "dns-b")
        victim = await workers.start(nats_server, "tofu-runner", "tofu-a", **SHORT_LEASES)
        await workers.start(nats_server, "tofu-runner", "tofu-b", **SHORT_LEASES)
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(request(intake, name))

            async def busy() -> bool:
                return any(line.replica == "tofu-a" and line.what == "end" for line in workers.lines())

            await until(busy)
            victim.kill()
        await all_followed(intake, names, last="tofu.applied")
        await all_followed(intake, names)
    for name in names:
        said = await said_of(intake, name)
        started = said.pop("tofu.started")
        assert said == ONCE + Counter({"tofu.planned": 1, "tofu.applied": 1}) or _taken_over(said, started), (
            name,
            said,
        )
    shares = Counter(line.replica for line in workers.lines() if line.what == "before-ack")
    assert shares["dns-a"] > 0
    assert shares["dns-b"] > 0
    _one_holder_at_a_time(workers.lines(), survivor="tofu-b")


def _taken_over(said: Counter[str], started: int) -> bool:
    """The victim may have planned before it died; its successor began again under a lease of its own."""
    return started == 2 and said == ONCE + Counter({"tofu.planned": 2, "tofu.applied": 1})


def _one_holder_at_a_time(lines: list[Line], *, survivor: str) -> None:
    """Per Sovereign: tokens grow, and whoever ended its work had done so before the next began."""
    by_sovereign = defaultdict(list)
    for line in lines:
        if line.what in {"begin", "end"}:
            by_sovereign[line.sovereign].append(line)
    for sovereign, own in by_sovereign.items():
        for earlier, later in pairwise(own):
            assert later.token >= earlier.token, (sovereign, own)
            assert later.what == "begin" or later.token == earlier.token, (sovereign, own)
        assert own[-1].what == "end", (sovereign, own)
        holders = {line.token: line.replica for line in own}
        assert len(holders) == 1 or holders[max(holders)] == survivor, (sovereign, own)
