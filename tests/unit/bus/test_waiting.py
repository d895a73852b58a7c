import asyncio

import pytest

from bus.waiting import event_or, still_wanted


async def test_an_event_is_told_from_the_time_running_out() -> None:
    event = asyncio.Event()
    assert not await event_or(event, 0.01)
    event.set()
    assert await event_or(event, None)


async def test_a_cancellation_that_meets_the_event_is_not_lost() -> None:
    event = asyncio.Event()
    waiting = asyncio.get_running_loop().create_task(event_or(event, 60))
    await asyncio.sleep(0)
    event.set()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_cancellation_that_somebody_swallowed_is_noticed() -> None:
    async def deaf() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            still_wanted()

    task = asyncio.get_running_loop().create_task(deaf())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_that_meets_the_result_ends_whoever_waits_by_the_client() -> None:
    """``bus`` puts ``asyncio.wait_for`` right; Python 3.11's own goes on here as if nobody had cancelled."""
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    waiting = asyncio.get_running_loop().create_task(asyncio.wait_for(answered, 60))
    await asyncio.sleep(0)
    answered.set_result("pong")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("seconds", [0, 0.01])
async def test_what_does_not_come_in_time_is_given_up(seconds: float) -> None:
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(never, seconds)
    assert never.cancelled()


async def test_what_is_there_already_needs_no_time() -> None:
    there: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    there.set_result(1)
    assert await asyncio.wait_for(there, 0) == 1
    assert await asyncio.wait_for(there, None) == 1
