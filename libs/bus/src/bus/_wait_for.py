"""Python 3.12's ``asyncio.wait_for``, put in place of Python 3.11's for the whole process.

Python 3.11 loses a cancellation that comes in the same turn as the result (cpython#86296, mended in 3.12). The bus's
client waits by ``wait_for`` for everything (round trips, requests, flushes), so that any task that talks to the bus
could miss its end: now and then a service did not stop. Its callers are in many places and in other people's code; the
cause is in one. Goes when 3.12 is the oldest Python that is run.
"""

import asyncio
import sys
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def wait_for(fut: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109 - the signature of asyncio's
    """Wait so many seconds at most (for ever with None); TimeoutError, and the awaitable is cancelled."""
    async with asyncio.timeout(timeout):
        return await fut


def install() -> None:
    """Replace it where Python needs that; the second time does nothing."""
    if sys.version_info < (3, 12):
        vars(asyncio)["wait_for"] = vars(asyncio.tasks)["wait_for"] = wait_for
