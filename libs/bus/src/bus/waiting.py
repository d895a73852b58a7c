"""Waiting that can be ended: for an event, under a bound, without losing a cancellation.

Python 3.11's ``wait_for`` swallows a cancellation that comes in the same turn as the result (bpo-37658), and the bus's
client uses it. A loop that goes on after such a call would never end; ``still_wanted`` notices.
"""

import asyncio


async def event_or(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait for the event, so long at most; whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def still_wanted() -> None:
    """Raise CancelledError when this task was cancelled, also when somebody swallowed that."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
