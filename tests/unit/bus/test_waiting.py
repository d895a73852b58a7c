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
