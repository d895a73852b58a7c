"""Who is there: replicas of a service keep an expiring key; work is spread by rendezvous hashing over them.

Every replica computes the same owner for a Sovereign from the same list, and a replica that comes or goes moves only
its own share (highest random weight hashing, Thaler and Ravishankar 1998).
"""

import asyncio
import hashlib
import json
import logging
from datetime import UTC, datetime

from bus.kv import Bucket
from bus.outcome import Conflict, TryAgain

log = logging.getLogger(__name__)

TTL_S = 6
_RENEW_S = 2.0


def owner_of(key: str, replicas: list[str]) -> str | None:
    """The replica with the highest weight for this key; None when there is none."""
    return max(replicas, key=lambda replica: hashlib.sha256(f"{replica}|{key}".encode()).digest(), default=None)


class Presence:
    """One replica's presence among its service's."""

    def __init__(self, bucket: Bucket, service: str, me: str) -> None:
        self._bucket = bucket
        self._service = service
        self.me = me
        self._revision = 0

    async def replicas(self, service: str | None = None) -> list[str]:
        """The live replicas of a service (ours by default), sorted."""
        prefix = service or self._service
        return sorted(key.split(".", 1)[1] for key in await self._bucket.keys(f"{prefix}.*"))

    async def mine(self, key: str) -> bool:
        """Whether this replica is the one for the key, as things stand."""
        return owner_of(key, await self.replicas() or [self.me]) == self.me

    async def announce(self) -> None:
        """Say that we are there, for the next few seconds."""
        body = json.dumps({"at": datetime.now(UTC).isoformat()}).encode()
        key = f"{self._service}.{self.me}"
        try:
            self._revision = await self._bucket.update(key, body, self._revision, ttl_s=TTL_S)
        except Conflict:
            self._revision = await self._bucket.update(key, body, await self._bucket.last_revision(key), ttl_s=TTL_S)

    async def keep(self) -> None:
        """Announce for ever; run it as a background task."""
        while True:
            try:
                async with asyncio.timeout(_RENEW_S):
                    await self.announce()
            except (TryAgain, Conflict, TimeoutError) as error:
                log.warning("presence not announced", extra={"action": "presence-late", "why": str(error)})
            await asyncio.sleep(_RENEW_S)

    async def leave(self) -> None:
        """Say that we are gone, so that others take over at once."""
        await self._bucket.delete(f"{self._service}.{self.me}", ttl_s=1)
