"""The audit trail of a Sovereign: read as a fold or whole, appended under guards.

Of facts that exclude each other exactly one is stored: such an append carries what its writer had read, and the server
refuses it when anybody wrote since (docs/adr/0002-streams-and-guards.md). The caller then reads and decides again. Ids
are derived from the cause, so an append whose receipt was lost is repeated without harm.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from typing import Any
from uuid import UUID

from bus import reading
from bus.codec import Unreadable, decode, encode
from bus.connection import Connection, NoRoom
from bus.outcome import Conflict, TryAgain
from bus.tracing import inject
from contracts.catalogue import ENTRIES, Guard
from contracts.event import CONTENT_TYPE, About, Event, Fact, event_of
from contracts.history import History, Recorded
from contracts.topology import PROV

_STORE_ATTEMPTS = 4
_READ_ATTEMPTS = 20


class Journal:
    """Reads and appends as one service."""

    def __init__(self, connection: Connection, service: str) -> None:
        self._connection = connection
        self._service = service

    async def fold(self, sovereign: str, *, reaching: int = 0) -> History:
        """The last event per subject of one Sovereign, one consistent read that reaches ``reaching`` at least.

        TryAgain when no replica of the stream is that far (a read from a lagging replica is repeated first).
        """
        for attempt in range(_READ_ATTEMPTS):
            got = await reading.last_per_subject(self._connection, PROV, [f"*.*.{sovereign}"])
            if got.upto >= reaching or any(message.sequence >= reaching for message in got.messages):
                return History(sovereign, tuple(_recorded(got.messages)), got.upto)
            await asyncio.sleep(min(0.01 * 2**attempt, 0.5))
        raise TryAgain(f"the stream's replica has not reached sequence {reaching} yet")

    async def history(self, sovereign: str, *, after: int = 0) -> History:
        """Every event of one Sovereign after a stream sequence."""
        messages = [m async for m in reading.everything(self._connection, PROV, f"*.*.{sovereign}", after=after)]
        return History(sovereign, tuple(_recorded(messages)), messages[-1].sequence if messages else after)

    async def stream_epoch(self) -> str:
        """Names this stream's lifetime: a sequence is only comparable within one epoch."""
        info = await self._connection.api(f"$JS.API.STREAM.INFO.{PROV}")
        return "".join(character for character in info["created"].split(".")[0] if character.isdigit())

    async def last_sequence(self) -> int:
        """The newest sequence of the whole stream."""
        info = await self._connection.api(f"$JS.API.STREAM.INFO.{PROV}")
        return int(info["state"]["last_seq"])

    async def everything(self, subject: str, *, after: int = 0) -> AsyncIterator[Recorded]:
        """Every readable event of a subject filter, oldest first."""
        async for message in reading.everything(self._connection, PROV, subject, after=after):
            for item in _recorded([message]):
                yield item

    async def append(self, facts: Iterable[Fact], about: About, *, cause: UUID, after: History) -> History:
        """Say facts, guarded as the catalogue asks, ``after`` being what the decision was made on.

        Returns the history with them. Raises Conflict when somebody else wrote first; facts before the refused one
        are said then, and a repeat of the same decision says them again without harm.
        """
        history = after
        for fact in facts:
            event = event_of(fact, about, source=self._service, cause=cause)
            history = await self._append(event, history)
        return history

    async def _append(self, event: Event[Any], history: History) -> History:
        entry = ENTRIES[event.data.fact]
        headers = headers_of(event)
        if entry.guard is Guard.SOVEREIGN:
            headers |= _expect("sovereign", event.subject, history.sequence_of("sovereign"))
        elif entry.guard is Guard.CHAIN:
            domain = event.data.fact.split(".")[0]
            headers |= _expect(domain, event.subject, history.sequence_of(domain))
        payload = encode(event)
        try:
            stored = await self._store(event.nats_subject, payload, headers)
        except Conflict:
            # A repeat of our own append meets its own first success here (measured: dedupe does not mask the guard).
            mine = await self._already_said(event, payload, entry.guard)
            if mine is None:
                raise
            return history.with_appended(mine, event)
        return history.with_appended(stored, event)

    async def _store(self, subject: str, payload: bytes, headers: dict[str, str]) -> int:
        for attempt in range(_STORE_ATTEMPTS):
            try:
                return await self._connection.store(subject, payload, headers)
            except NoRoom:
                raise
            except TryAgain:
                if attempt == _STORE_ATTEMPTS - 1:
                    raise
                await asyncio.sleep(0.1 * 2**attempt * (1 + random.random()))  # noqa: S311 - jitter, no secret
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _already_said(self, event: Event[Any], payload: bytes, guard: Guard) -> int | None:
        """The sequence of our own append whose receipt was lost, or None.

        In a chain the bytes have to be ours: whoever took over says the same fact under the same derived id, and a
        writer that was overtaken has to be told so.
        """
        stream = ENTRIES[event.data.fact].stream
        found = await reading.last(self._connection, stream, event.nats_subject)
        if found is None or found.headers.get("Nats-Msg-Id") != str(event.id):
            return None
        return found.sequence if guard is Guard.SOVEREIGN or found.data == payload else None

    def chain(self, about: About, history: History, *, cause: UUID) -> "Chain":
        """For work that narrates: facts one after another, each guarded against every other writer."""
        return Chain(self, about, history, cause)


class Chain:
    """The narration of one piece of work. A Conflict means that another worker has taken over: stop."""

    def __init__(self, journal: Journal, about: About, history: History, cause: UUID) -> None:
        self._journal = journal
        self._cause = cause
        self._lock = asyncio.Lock()
        self.about = about
        self.history = history

    async def say(self, *facts: Fact) -> History:
        """Append facts after everything that this chain has said or read."""
        async with self._lock:
            self.history = await self._journal.append(facts, self.about, cause=self._cause, after=self.history)
            return self.history


def headers_of(event: Event[Any]) -> dict[str, str]:
    """The NATS headers of an event."""
    headers = {"Nats-Msg-Id": str(event.id), "Content-Type": CONTENT_TYPE}
    if event.causationid is not None:
        headers["X-Causation-Id"] = str(event.causationid)
    inject(headers)
    return headers


def _expect(domain: str, sovereign: str, sequence: int) -> dict[str, str]:
    return {
        "Nats-Expected-Last-Subject-Sequence": str(sequence),
        "Nats-Expected-Last-Subject-Sequence-Subject": f"{domain}.*.{sovereign}",
    }


def _recorded(messages: Iterable[reading.Stored]) -> list[Recorded]:
    found = []
    for message in messages:
        try:
            found.append(Recorded(message.sequence, decode(message.subject, message.data)))
        except Unreadable:
            # The consumers bury it with its reason; a reader of state knows nothing it could do with it.
            continue
    return found


__all__ = ["Chain", "Journal", "headers_of"]
