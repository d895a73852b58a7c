"""A run is stopped: by its operator, by the service's own shutdown, by a token that cannot write."""

import asyncio

import pytest

from bus import TryAgain
from contracts.sovereign import SovereignCancelRequested
from contracts.tofu import TofuApplied, TofuFailed, TofuInterrupted
from sandbox.hetzner.faults import NewFault
from sandbox.hetzner.tokens import NewToken
from tests.integration.tofu_runner.stand import ALIVE, Stand, new_token, shape, until
from tofu_runner import handlers


async def slowly(here: Stand, seconds: float = 2.0) -> None:
    """Let every action take its time, so that there is a middle of an apply."""
    slow = {"method": "POST", "path": "/servers", "steps": [{"times": 9, "action": {"duration_s": seconds}}]}
    here.cloud.simulation.faults.add(NewFault.model_validate(slow))


async def test_a_cancel_anywhere_stops_the_run_and_a_retry_goes_on_from_what_exists(here: Stand) -> None:
    await slowly(here)
    event = await here.request(shape(worker_count=0))
    worker = here.world()
    async with asyncio.TaskGroup() as group:
        group.create_task(here.provision(event, worker))
        await until(lambda: here.calls()["POST /servers"] > 0)
        # The cancel arrives at a replica that does not hold the run.
        cancel = await here.say(here.intake, SovereignCancelRequested())
        with pytest.raises(TryAgain):
            await handlers.cancel(cancel, await here.history(), world=here.world())
    history = await here.history()
    interrupted = history.data(TofuInterrupted)
    assert interrupted is not None
    assert interrupted.why == "cancelled"
    assert interrupted.resources > 0
    assert history.data(TofuApplied) is None
    said = len((await here.everything()).recorded)
    await handlers.cancel(cancel, await here.history(), world=here.world())
    assert len((await here.everything()).recorded) == said, "the repeat says nothing"

    event, done = await here.request(shape(worker_count=0), run=2), sum(here.calls().values())
    async with asyncio.TaskGroup() as group:
        group.create_task(here.provision(event, worker))
        await until(lambda: sum(here.calls().values()) > done)
        # Delivered again, late and to the very replica that holds the retry: it is none of the retry's.
        await handlers.cancel(cancel, await here.history(), world=worker)
    assert (await here.history()).data(TofuFailed) is None
    assert (await here.history()).data(TofuApplied, run=2) is not None
    assert here.alive() == here.created() == ALIVE


async def test_a_cancel_of_what_never_began_says_nothing(here: Stand) -> None:
    await here.request(shape(worker_count=0))
    cancel = await here.say(here.intake, SovereignCancelRequested())
    await handlers.cancel(cancel, await here.history(), world=here.world())
    assert (await here.history()).data(TofuInterrupted) is None


async def test_a_cancel_comes_true_although_the_worker_died(here: Stand) -> None:
    event = await here.request(shape(worker_count=0))
    await slowly(here, 20)
    async with asyncio.TaskGroup() as group:
        doomed = group.create_task(here.provision(event))
        await until(lambda: here.calls()["POST /servers"] > 0)
        doomed.cancel()
    cancel = await here.say(here.intake, SovereignCancelRequested())
    await handlers.cancel(cancel, await here.history(), world=here.world())
    interrupted = (await here.history()).data(TofuInterrupted)
    assert interrupted is not None
    assert interrupted.why == "cancelled"


async def test_shutdown_interrupts_once_and_another_replica_finishes(here: Stand) -> None:
    await slowly(here)
    event = await here.request(shape(worker_count=0))
    async with asyncio.TaskGroup() as group:
        stopped = group.create_task(_again(here, event))
        await until(lambda: here.calls()["POST /servers"] > 0)
        here.runner.stopping.set()
    assert stopped.result()
    interrupted = (await here.history()).data(TofuInterrupted)
    assert interrupted is not None
    assert interrupted.why == "shutdown"

    here.runner.stopping.clear()
    await here.provision(event)
    assert (await here.history()).data(TofuApplied) is not None
    assert here.alive() == here.created() == ALIVE


async def _again(here: Stand, event: object) -> bool:
    try:
        await here.provision(event)  # type: ignore[arg-type]  # the event as it was said
    except TryAgain:
        return True
    return False


@pytest.mark.parametrize(("access", "code"), [("read", "token_readonly"), (None, "unauthorized")])
async def test_a_token_that_cannot_write_fails_before_anything_is_changed(
    here: Stand, access: str | None, code: str
) -> None:
    token = new_token()
    if access is not None:
        new = NewToken.model_validate({"token": token, "project": "acme", "access": access})
        here.cloud.simulation.tokens.add(new)
    await here.provision(await here.request(token=token))
    failed = (await here.history()).data(TofuFailed)
    assert failed is not None
    assert failed.trouble.code == code
    assert failed.trouble.owner == "user"
    assert failed.resources == 0
    assert here.mutations() == 0


async def test_a_component_that_the_kit_no_longer_has_fails_the_run_before_anything_is_changed(here: Stand) -> None:
    gone = shape().model_copy(update={"components": ("bp-gone",)})
    await here.provision(await here.request(gone))
    failed = (await here.history()).data(TofuFailed)
    assert failed is not None
    assert (failed.trouble.code, failed.trouble.owner) == ("kit-lacks-component", "us")
    assert "bp-gone" in failed.trouble.message
    assert here.mutations() == 0
