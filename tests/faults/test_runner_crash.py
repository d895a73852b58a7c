"""A runner dies in the middle of an apply: whoever takes over ends in the same cloud, with one of each."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from contracts.tofu import TofuAdopted, TofuApplied, TofuFailed
from sandbox.hetzner.faults import NewFault
from tests.integration.tofu_runner.stand import ALIVE, Stand, shape, until
from tofu_runner.bench import World
from tofu_runner.settings import Settings

LEASE = {"CATALYST_LEASE_TTL_S": "3", "CATALYST_LEASE_SURE_S": "2", "CATALYST_LEASE_RENEW_S": "0.5"}


def environment(here: Stand, lease: dict[str, str]) -> dict[str, str]:
    settings = here.settings
    own = {
        name: str(getattr(settings, name))
        for name in Settings.model_fields
        if name in Settings.__annotations__ and getattr(settings, name) is not None
    }
    given = {f"TOFU_RUNNER_{name.upper()}": value for name, value in own.items() if not name.startswith("tofu")}
    tools = {"CATALYST_TOFU": own["tofu"], "CATALYST_TOFU_CLI_CONFIG": own["tofu_cli_config"]}
    path = {"PATH": os.environ["PATH"]}
    return path | given | tools | lease | here.server.environment("tofu-runner") | {"CATALYST_REPLICA": "doomed"}


@asynccontextmanager
async def service(here: Stand, lease: dict[str, str] | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service as a process, with a short lease unless another is given."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tofu_runner",
        env=environment(here, LEASE if lease is None else lease),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def provision_patiently(here: Stand, event: object, world: World) -> None:
    """As the bus would deliver it: again while the dead runner's lease lasts."""
    from bus import TryAgain

    async with asyncio.timeout(120):
        while True:
            try:
                await here.provision(event, world)  # type: ignore[arg-type]  # the event as it was said
            except TryAgain:
                await asyncio.sleep(0.3)
            else:
                return


async def killed_at(here: Stand, mutation: int) -> set[str]:
    """Kill the runner when so many changes were asked of the cloud; what the one after it adopts."""
    hold = NewFault.model_validate({"method": "GET", "path": "/actions", "steps": [{"times": 400, "delay_s": 0.4}]})
    here.cloud.simulation.faults.add(hold)
    async with service(here) as doomed:
        event = await here.request(shape(worker_count=0))
        await until(lambda: here.mutations() >= mutation)
        doomed.send_signal(signal.SIGKILL)
        await doomed.wait()
    here.cloud.simulation.faults.clear()

    await provision_patiently(here, event, here.world())

    history = await here.history()
    assert history.data(TofuFailed) is None, history.data(TofuFailed)
    applied = history.data(TofuApplied)
    assert applied is not None
    assert applied.destroy == 0
    assert here.alive() == ALIVE
    assert here.created() == ALIVE, "nothing was made twice"
    return {item.event.data.address for item in await here.everything() if isinstance(item.event.data, TofuAdopted)}


@pytest.mark.parametrize("mutation", [7, 10])
async def test_a_killed_runner_leaves_nothing_that_the_next_one_does_not_adopt(here: Stand, mutation: int) -> None:
    assert await killed_at(here, mutation)


@pytest.mark.slow
@pytest.mark.parametrize("mutation", range(1, 14))
async def test_a_runner_killed_at_any_change_ends_in_the_same_cloud(here: Stand, mutation: int) -> None:
    await killed_at(here, mutation)
