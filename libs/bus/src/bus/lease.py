"""Leases with fencing: work that must have one worker per Sovereign.

A lease is a key that expires by itself. Its holder renews it by compare-and-set; the revision at acquisition is the
fencing token, which only grows. A holder that could not renew for ``sure_s`` stops mutating the world, long before the
key expires and another worker can take it (docs/adr/0003-leases.md).
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from secrets import token_hex

from bus.kv import Bucket
from bus.metrics import Metrics
from bus.outcome import Conflict, LeaseBusy, LeaseLost, TryAgain
from bus.waiting import event_or

log = logging.getLogger(__name__)


class Lease:
    """A held lease. ``token`` is the revision at acquisition."""

    def __init__(self, key: str, holding: bytes, revision: int, sure_s: float) -> None:
        self.key = key
        self.holding = holding
        """What stands in the bucket for as long as it is held: nobody else's, nor another one's of the same holder."""
        self.token = revision
        self.lost = asyncio.Event()
        self.revision = revision
        self._sure_s = sure_s
        self.renewed_at = asyncio.get_running_loop().time()

    @property
    def sure(self) -> bool:
        """Whether nobody else can hold it now.

        The clock goes on while this process is stopped, so a paused worker knows at its first instruction.
        """
        age = asyncio.get_running_loop().time() - self.renewed_at
        return not self.lost.is_set() and age < self._sure_s

    def check(self) -> None:
        """Raise LeaseLost unless the lease is sure."""
        if not self.sure:
            self.lost.set()
            raise LeaseLost(f"lease {self.key}: not renewed for {self._sure_s:g} s")


class Leases:
    """Takes and keeps leases as one service."""

    def __init__(
        self,
        bucket: Bucket,
        service: str,
        holder: str,
        *,
        ttl_s: int = 20,
        sure_s: float = 12,
        renew_s: float = 5,
        metrics: Metrics,
    ) -> None:
        self._bucket = bucket
        self._service = service
        self._holder = holder
        self._ttl_s, self._sure_s, self._renew_s = ttl_s, sure_s, renew_s
        self._metrics = metrics

    async def acquire(self, key: str) -> Lease:
        """Take the lease; LeaseBusy when somebody holds it. The caller renews and releases: see ``hold``."""
        full, holding = f"{self._service}.{key}", f"{self._holder} {token_hex(8)}".encode()
        try:
            revision = await self._bucket.create(full, holding, ttl_s=self._ttl_s)
        except Conflict:
            raise LeaseBusy(f"another worker holds {full}") from None
        return Lease(full, holding, revision, self._sure_s)

    async def renew(self, lease: Lease) -> None:
        """One renewal; LeaseLost when another worker has it."""
        sent_at = asyncio.get_running_loop().time()
        try:
            lease.revision = await self._bucket.update(lease.key, lease.holding, lease.revision, ttl_s=self._ttl_s)
        except Conflict:
            await self._catch_up(lease)
            raise TryAgain(f"lease {lease.key}: an earlier renewal was stored, its answer was lost") from None
        lease.renewed_at = sent_at

    async def _catch_up(self, lease: Lease) -> None:
        """Learn the revision of a renewal whose answer was lost; LeaseLost when what stands there is not ours.

        TryAgain while the replica that answers is behind what we know ourselves.
        """
        found = await self._bucket.get(lease.key)
        if found is not None and found.revision <= lease.revision:
            raise TryAgain(f"lease {lease.key}: the replica that answers is behind")
        if found is None or found.value != lease.holding:
            lease.lost.set()
            raise LeaseLost(f"lease {lease.key} is another worker's")
        lease.revision = found.revision

    async def release(self, lease: Lease) -> None:
        """Give it back, so that the next worker need not wait for the expiry."""
        lease.lost.set()
        with suppress(Conflict, LeaseLost, TryAgain):
            try:
                await self._bucket.delete(lease.key, revision=lease.revision, ttl_s=1)
            except Conflict:
                await self._catch_up(lease)
                await self._bucket.delete(lease.key, revision=lease.revision, ttl_s=1)

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[Lease]:
        """Take, keep and give back. ``lease.lost`` is set as soon as it is no longer sure."""
        lease = await self.acquire(key)
        done = asyncio.Event()
        keeper = asyncio.get_running_loop().create_task(self._keep(lease, done), name=f"lease {lease.key}")
        try:
            yield lease
        finally:
            # Told, not cancelled: a renewal cut off on its way would leave us with an old revision.
            done.set()
            await asyncio.wait({keeper})
            if lease.sure:
                await self.release(lease)

    async def _keep(self, lease: Lease, done: asyncio.Event) -> None:
        pause_s = self._renew_s
        while lease.sure:
            if await event_or(done, pause_s):
                return
            pause_s = self._renew_s
            try:
                async with asyncio.timeout(self._renew_s):
                    await self.renew(lease)
            except LeaseLost:
                break
            except (TryAgain, TimeoutError) as error:
                why = str(error)
                log.warning("lease not renewed yet", extra={"action": "lease-late", "lease": lease.key, "why": why})
                pause_s = min(1.0, self._renew_s / 4)
        lease.lost.set()
        self._metrics.leases_lost.inc()
        log.error("lease lost", extra={"action": "lease-lost", "lease": lease.key})
