"""The cloud's limit of calls, shared by every run of one cloud project. Decisions are pure (``Book``).

The cloud counts calls per project (3600 an hour, given back evenly) and refuses what goes beyond; the clients of a
project do not know of each other. So the runs keep one book in KV ``budget``: each reserves a chunk of calls by
compare-and-set before it makes them, no more than its fair share of what is left, and corrects the book by what the
cloud itself says in ``RateLimit-*``. The project's name is not in the API: the book is the token's, by its hash, and
the cloud's own count corrects for other tokens of the same project.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace

from bus import Conflict, TryAgain
from tofu_runner.stateversions import Bucket

CHUNK = 20
"""Calls reserved at once: one write to the book for each of them."""
_FORGOTTEN_AFTER_S = 60.0
"""A run that has not reserved anything for so long has died, or needs nothing."""
_DECISIONS = 20
_HOUR_S = 3600.0


@dataclass(frozen=True)
class Book:
    """What is left of a project's calls at a time, and what each run holds of them unused."""

    limit: int = 3600
    left: float = 3600.0
    at: float = 0.0
    runs: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    """By run: calls that it has reserved, and when; or none, and since when it waits for some."""

    @property
    def per_second(self) -> float:
        """How many calls come back in a second."""
        return self.limit / _HOUR_S

    def at_time(self, now: float) -> "Book":
        """The book with what has come back by now, and without those who are gone."""
        runs = {name: row for name, row in self.runs.items() if now - row[1] < _FORGOTTEN_AFTER_S}
        back = max(0.0, now - self.at) * self.per_second if self.at else 0.0
        return replace(self, left=min(float(self.limit), self.left + back), at=now, runs=runs)

    def corrected(self, run: str, limit: int, remaining: int) -> "Book":
        """By what the cloud said: others may still make the calls that they hold."""
        held = sum(held for name, (held, _) in self.runs.items() if name != run)
        return replace(self, limit=limit, left=float(max(0, remaining - held)))

    def reserved(self, run: str, wanted: int) -> tuple["Book", int]:
        """A run's next chunk: its share among those at work, or a single call for whoever waits longest."""
        held, since = self.runs.get(run, (1, self.at))
        since = since if held == 0 else self.at
        ahead = sum(held == 0 and began < since for name, (held, began) in self.runs.items() if name != run)
        share = int(self.left) // len({*self.runs, run})
        given = min(wanted, share) if share else int(self.left >= ahead + 1)
        row = (given, self.at) if given else (0, since)
        return replace(self, left=self.left - given, runs={**self.runs, run: row}), given

    def without(self, run: str, unused: int) -> "Book":
        """The run is over and gives back what it did not use."""
        runs = {name: row for name, row in self.runs.items() if name != run}
        return replace(self, left=min(float(self.limit), self.left + unused), runs=runs)

    def dump(self) -> bytes:
        """For KV."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def load(cls, raw: bytes) -> "Book":
        """From KV."""
        body = json.loads(raw)
        return cls(
            body["limit"], body["left"], body["at"], {name: (row[0], row[1]) for name, row in body["runs"].items()}
        )


def key_of(token: str) -> str:
    """The book's key: who reads keys learns nothing of the token."""
    return f"project.{hashlib.sha256(token.encode()).hexdigest()[:24]}"


class Budget:
    """One run's part in its project's book."""

    def __init__(self, bucket: Bucket, token: str, run: str, *, clock: Callable[[], float] = time.time) -> None:
        self._bucket, self._key, self._run, self._clock = bucket, key_of(token), run, clock
        self._own = 0
        self._said: tuple[int, int] | None = None
        self._reserving = asyncio.Lock()
        self.book = Book()
        """As this run last saw it."""

    async def take(self) -> float:
        """One call: 0 when it may go now, else the seconds after which asking again makes sense."""
        async with self._reserving:
            if self._own < 1:
                self._own = await self._reserve()
            if self._own < 1:
                return max(1.0, (1.0 - self.book.left) / self.book.per_second) if self.book.left < 1 else 1.0
            self._own -= 1
            return 0.0

    def heard(self, limit: int, remaining: int) -> None:
        """What the cloud said with an answer; it goes into the book with the next chunk."""
        self._said = (limit, remaining)
        self._own = min(self._own, remaining)

    def seconds_until(self, calls: int) -> float:
        """How long until so many calls are left, as far as this run knows."""
        book = self.book.at_time(self._clock())
        return max(0.0, (min(calls, book.limit) - book.left) / book.per_second)

    async def give_back(self) -> None:
        """The run is over."""
        unused, self._own = self._own, 0
        try:
            await self._change(lambda book: (book.without(self._run, unused), 0))
        except TryAgain:
            # What is not given back is forgotten by the others after a minute.
            return

    async def _reserve(self) -> int:
        said, self._said = self._said, None

        def decide(book: Book) -> tuple[Book, int]:
            if said is not None:
                book = book.corrected(self._run, *said)
            return book.reserved(self._run, CHUNK)

        try:
            return await self._change(decide)
        except TryAgain:
            # Without the bus nobody can share; the cloud's own limit still holds, and a read does no harm.
            self._said = said
            return 1

    async def _change(self, decide: Callable[[Book], tuple[Book, int]]) -> int:
        for _ in range(_DECISIONS):
            found = await self._bucket.get(self._key)
            revision = found.revision if found else await self._bucket.last_revision(self._key)
            now = self._clock()
            before = Book.load(found.value) if found else Book(at=now)
            self.book, given = decide(before.at_time(now))
            try:
                await self._bucket.update(self._key, self.book.dump(), revision)
            except Conflict:
                continue
            return given
        # Every other run of the project reserves at this moment: ask again in a second, like with an empty book.
        return 0
