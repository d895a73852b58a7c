"""A service that is told to stop stops."""

import asyncio

from bus.service import _end


async def test_background_work_that_misses_its_cancellation_is_cancelled_again() -> None:
    missed = 0

    async def deaf() -> None:
        nonlocal missed
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                missed += 1
                if missed > 1:
                    raise

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        task = group.create_task(deaf())
        await asyncio.sleep(0)
        await _end([task])
    assert missed == 2
    assert task.cancelled()
