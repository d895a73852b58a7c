"""What was asked of the cloud and what it answered: the record that a dead worker leaves behind.

One value per life in KV ``tofu``, ``<id>.<life>.mutations``, moved by compare-and-set: a worker that was overtaken
cannot write it, and what cannot be written down is not asked of the cloud. An entry without an answer is a change
of which nobody knows whether it happened.
"""

import asyncio
import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from bus import Conflict, TryAgain
from tofu_runner.stateversions import Bucket

KEPT = 300
"""Entries kept; a creation of the largest Sovereign takes about 250 changes."""


class NotRecorded(Exception):
    """The record could not be written: another worker has it, or the bus is away."""


@dataclass
class Mutation:
    """One change asked of the cloud."""

    number: int
    method: str
    path: str
    name: str
    asked_at: str
    fencing_token: int
    status: int | None = None
    ids: dict[str, int] = field(default_factory=dict)


class Mutations:
    """The record of one life, for one run."""

    def __init__(self, bucket: Bucket, sovereign: str, life: int, fencing_token: int) -> None:
        self._bucket = bucket
        self._key = f"{sovereign}.{life}.mutations"
        self._fencing_token = fencing_token
        self._entries: list[Mutation] = []
        self._revision = 0
        self._writing = asyncio.Lock()

    async def load(self) -> tuple[Mutation, ...]:
        """What earlier workers left; from now on the record that writes have to follow."""
        found = await self._bucket.get(self._key)
        self._revision = found.revision if found else await self._bucket.last_revision(self._key)
        self._entries = [Mutation(**entry) for entry in json.loads(found.value)] if found else []
        return tuple(self._entries)

    @property
    def any(self) -> bool:
        """Whether any change was ever asked in this life."""
        return bool(self._entries)

    @property
    def unanswered(self) -> tuple[Mutation, ...]:
        """Changes of which nobody knows whether they happened."""
        return tuple(entry for entry in self._entries if entry.status is None)

    async def asked(self, method: str, path: str, name: str) -> int:
        """Write down a change before it is asked; NotRecorded when that fails."""
        async with self._writing:
            number = self._entries[-1].number + 1 if self._entries else 1
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._entries.append(Mutation(number, method, path, name, now, self._fencing_token))
            del self._entries[:-KEPT]
            await self._write()
        return number

    async def answered(self, number: int, status: int, ids: dict[str, int]) -> None:
        """Write down the answer. A failure leaves the entry open, which only costs the next worker a look."""
        async with self._writing:
            for entry in self._entries:
                if entry.number == number:
                    entry.status, entry.ids = status, ids
            try:
                await self._write()
            except NotRecorded:
                return

    async def settle(self) -> None:
        """An inventory has answered what was open."""
        async with self._writing:
            for entry in self._entries:
                if entry.status is None:
                    entry.status = 0
            await self._write()

    async def _write(self) -> None:
        raw = json.dumps([asdict(entry) for entry in self._entries]).encode()
        try:
            self._revision = await self._bucket.update(self._key, raw, self._revision)
        except Conflict:
            raise NotRecorded("another worker has taken over") from None
        except TryAgain as error:
            raise NotRecorded(error.reason) from None
