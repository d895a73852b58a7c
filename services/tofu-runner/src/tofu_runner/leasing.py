"""One worker per Sovereign: the lease, or the message comes again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from bus import Bus, Lease, LeaseBusy, TryAgain

BUSY_PAUSE = timedelta(seconds=3)


@asynccontextmanager
async def leased(bus: Bus, sovereign: str) -> AsyncIterator[Lease]:
    """Hold a Sovereign's lease; TryAgain when another worker does."""
    try:
        async with bus.leases.hold(sovereign) as lease:
            yield lease
    except LeaseBusy as busy:
        raise TryAgain(busy.reason, after=BUSY_PAUSE) from None
