"""A runner that was paused past its lease does no harm when it wakes up, although its OpenTofu went on meanwhile."""

import asyncio
import signal
from pathlib import Path

import pytest

from contracts.tofu import TofuApplied, TofuFailed, TofuStarted
from sandbox.hetzner.faults import NewFault
from tests.faults.test_runner_crash import provision_patiently, service
from tests.integration.tofu_runner.stand import ALIVE, SOVEREIGN, Stand, shape, until

pytestmark = pytest.mark.timeout(240)


def children(pid: int) -> list[str]:
    """Processes that this one has started and that have not ended."""
    return [child for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]


@pytest.mark.parametrize("mutation", [1, 6])
async def test_a_paused_runner_wakes_up_to_a_cloud_that_it_may_not_change(here: Stand, mutation: int) -> None:
    slow = {"method": "POST", "path": "*", "steps": [{"times": 100, "delay_s": 0.3}]}
    here.cloud.simulation.faults.add(NewFault.model_validate(slow))
    async with service(here) as paused:
        event = await here.request(shape(worker_count=0))
        await until(lambda: here.mutations() >= mutation)
        paused.send_signal(signal.SIGSTOP)
        here.cloud.simulation.faults.clear()
        try:
            assert children(paused.pid), "its OpenTofu goes on, into a pass-through that does not answer"
            await provision_patiently(here, event, here.world())
            done, head = changes(here), await here.runner.kv("tofu").get(f"{SOVEREIGN}.1.head")
        finally:
            paused.send_signal(signal.SIGCONT)
        await until(lambda: not children(paused.pid))
        assert changes(here) == done, "no change reached the cloud after the lease"
        after = await here.runner.kv("tofu").get(f"{SOVEREIGN}.1.head")
        assert head is not None
        assert after == head, "and no state came from it"
    history = await here.everything()
    assert (await here.history()).data(TofuFailed) is None
    tokens = [item.event.data.fencing_token for item in history if isinstance(item.event.data, TofuStarted)]
    assert len(tokens) == 2
    assert tokens == sorted(tokens)
    applied = [item for item in history if isinstance(item.event.data, TofuApplied)]
    assert len(applied) == 1
    assert applied[0].sequence == max(item.sequence for item in history), "the overtaken one said nothing afterwards"
    assert here.alive() == here.created() == ALIVE


def changes(here: Stand) -> dict[str, int]:
    """Calls that change something, by operation."""
    return {name: count for name, count in here.calls().items() if not name.startswith("GET")}


@pytest.mark.timeout(300)
# The client's transports that the outage cut are never closed by the client itself; this process holds three of them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_the_bus_is_away_for_a_minute_in_the_middle_of_an_apply_and_the_run_ends(here: Stand) -> None:
    slow = {"method": "POST", "path": "/servers", "steps": [{"action": {"duration_s": 4}}]}
    here.cloud.simulation.faults.add(NewFault.model_validate(slow))
    await here.request(shape(worker_count=0))
    async with service(here, lease={}):
        await until(lambda: here.calls()["POST /servers"] > 0)
        assert here.server.process is not None
        here.server.process.send_signal(signal.SIGSTOP)
        try:
            # The lease of twenty seconds runs out for its holder and for the server alike.
            await asyncio.sleep(60)
        finally:
            here.server.process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(150):
            while (await here.history()).data(TofuApplied) is None:
                assert (await here.history()).data(TofuFailed) is None
                await asyncio.sleep(0.5)
    assert here.alive() == here.created() == ALIVE, "nothing was killed, nothing lost, nothing made twice"
