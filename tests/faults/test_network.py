"""The server is killed, the line is cut, slowed and half-opened while events flow: nothing that was acked is lost."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bus import Bus
from bus.server import NatsServer
from tests.conftest import BusOf
from tests.faults.running import FOLLOWING, all_followed, redeliver_soon, request, said_of, until, workers_in
from tests.proxy import Proxy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ONCE = Counter({"sovereign.requested": 1, **dict.fromkeys(FOLLOWING, 1)})
ROUNDS = 3
PER_ROUND = 25


async def _flow(intake: Bus, between: Callable[[], Awaitable[None]]) -> dict[str, int]:
    """Requests in rounds, something bad in the middle of each; the sequences that were acknowledged."""
    acked: dict[str, int] = {}

    async def one(name: str) -> None:
        acked[name] = await request(intake, name)

    for turn in range(ROUNDS):
        async with asyncio.TaskGroup() as group:
            for number in range(PER_ROUND):
                group.create_task(one(f"flow{turn}x{number}"))
            await between()
    return acked


async def _nothing_is_lost(intake: Bus, acked: dict[str, int]) -> None:
    assert len(acked) == ROUNDS * PER_ROUND
    await all_followed(intake, acked)
    stored = {item.sequence: item.event.subject async for item in intake.journal.everything("sovereign.requested.*")}
    assert {sequence: f"{name}_omani_works" for name, sequence in acked.items()} == stored
    for name in acked:
        assert await said_of(intake, name) == ONCE, name


async def test_a_server_killed_and_restarted_mid_stream_loses_nothing_and_nobody_repeats(
    nats_server: NatsServer, bus_of: BusOf, tmp_path: Path
) -> None:
    intake = await bus_of("intake")
    await redeliver_soon(await bus_of("admin"), "dns-pdm-work")

    async def crash() -> None:
        await asyncio.sleep(0.05)
        await nats_server.stop(kill=True)
        await nats_server.start()

    async with workers_in(tmp_path) as workers:
        worker = await workers.start(nats_server, "dns-pdm", "one")
        acked = await _flow(intake, crash)
        await _nothing_is_lost(intake, acked)
        assert worker.returncode is None, "it reconnected"


async def test_a_line_that_is_cut_slow_or_half_open_loses_nothing(
    nats_server: NatsServer, bus_of: BusOf, tmp_path: Path
) -> None:
    intake = await bus_of("intake")
    await redeliver_soon(await bus_of("admin"), "dns-pdm-work")
    async with Proxy(nats_server.port) as proxy, workers_in(tmp_path) as workers:

        async def trouble() -> None:
            before = proxy.accepted
            proxy.delay_s = 0.05
            await asyncio.sleep(0.3)
            proxy.delay_s = 0.0
            proxy.cut()

            async def back() -> bool:
                return proxy.accepted > before

            await until(back)

        worker = await workers.start(nats_server, "dns-pdm", "far", url=proxy.url)
        acked = await _flow(intake, trouble)
        await _nothing_is_lost(intake, acked)

        # Half-open: nobody says goodbye. The client's pings find out, and it connects anew.
        before = proxy.accepted
        proxy.freeze()
        acked["half-open"] = await request(intake, "half-open")
        await all_followed(intake, ["half-open"])
        assert proxy.accepted > before
        assert await said_of(intake, "half-open") == ONCE
        assert worker.returncode is None
