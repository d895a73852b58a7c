"""The dead letter queue: what could not be handled, kept 90 days with its reason, given again on request.

``dlq.<service>.<consumer>.<stream>.<sequence>`` holds what a service buried. Beside it lie the server's advisories on
messages that some other client terminated or that ran out of deliveries. ``replay.<service>.…`` brings a message again
to that service alone: others who heard the first one hear nothing.

What looks like a secret is never kept here. A fact rests in its stream anyway and is read there when it is replayed;
what came through the door is only described.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from bus import reading
from bus.arrived import Arrived
from bus.codec import Unreadable
from bus.connection import Connection
from bus.erasing import erase
from bus.outcome import Refused
from bus.scan import masked, secret_in
from contracts.event import Model
from contracts.topology import DLQ, INBOX, consumers

MAX_LETTER_BYTES = 768 * 1024
"""Below the server's max_payload of 1 MB; room for 256 KiB in base64."""
_MAX_KEPT_BYTES = 512 * 1024
_MAX_REASON = 2000
_ADVISORY = "$JS.EVENT.ADVISORY.CONSUMER."
_SECRET_HEADERS = frozenset({"authorization", "x-asker"})


class DeadLetter(Model):
    """A buried message."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    stream: str
    consumer: str
    sequence: int
    at: str = ""
    subject: str
    headers: dict[str, str] = Field(default_factory=dict)
    payload: bytes | None = None
    payload_sha256: str
    withheld: str = ""
    """Why there is no payload."""
    reason: str
    attempts: int
    buried_at: AwareDatetime


@dataclass(frozen=True)
class Entry:
    """A row of the queue: a buried message, or an advisory (then ``letter.payload`` is None)."""

    number: int
    """Its sequence in the stream ``DLQ``: how people name it."""
    kind: str
    """``buried``, ``terminated`` or ``max-deliveries``."""
    letter: DeadLetter

    @property
    def replayable(self) -> bool:
        """Whether the original can still be given again."""
        return self.letter.payload is not None or self.letter.stream != INBOX


def letter_of(arrived: Arrived, *, reason: str) -> DeadLetter:
    """What is kept of a message that is buried now."""
    withheld = _withheld(arrived)
    headers = {
        name: "[withheld]" if name.lower() in _SECRET_HEADERS else masked(value)
        for name, value in arrived.headers.items()
    }
    return DeadLetter(
        stream=arrived.stream,
        consumer=arrived.consumer,
        sequence=arrived.sequence,
        at=arrived.at,
        subject=arrived.subject,
        headers=headers,
        payload=None if withheld else arrived.data,
        payload_sha256=hashlib.sha256(arrived.data).hexdigest(),
        withheld=withheld,
        reason=masked(reason)[:_MAX_REASON],
        attempts=arrived.attempt,
        buried_at=datetime.now(UTC),
    )


def _withheld(arrived: Arrived) -> str:
    if arrived.stream == INBOX:
        return "it came through the door and may hold a secret in clear; it is erased"
    if kind := secret_in(arrived.data):
        return f"it holds what looks like {kind}"
    if len(arrived.data) > _MAX_KEPT_BYTES:
        return f"its {len(arrived.data)} bytes do not fit into the queue"
    return ""


async def original_of(connection: Connection, replayed: Arrived) -> Arrived:
    """The message that a replay brings again.

    Raises Unreadable for a replay that carries no dead letter, Refused when the original is gone.
    """
    try:
        letter = DeadLetter.model_validate_json(replayed.data)
    except ValidationError as error:
        raise Unreadable(f"no dead letter to replay: {error}") from None
    here = (letter.consumer, letter.stream, letter.sequence)
    if letter.payload is not None:
        return Arrived(*here, letter.subject, letter.headers, letter.payload, letter.at, replayed.attempt)
    found = await reading.at(connection, letter.stream, letter.sequence)
    if found is None:
        raise Refused(f"the original is gone: sequence {letter.sequence} of {letter.stream}")
    return Arrived(*here, found.subject, found.headers, found.data, found.at, replayed.attempt)


async def bury(connection: Connection, letter: DeadLetter, *, carrier: str) -> None:
    """Put a message into the queue. ``carrier`` names this delivery's message: its repeat is stored once."""
    service = letter.consumer.rsplit("-", 1)[0]
    await connection.store(
        f"dlq.{service}.{letter.consumer}.{letter.stream}.{letter.sequence}",
        letter.model_dump_json().encode(),
        {"Nats-Msg-Id": f"dlq|{letter.consumer}|{carrier}"},
        limit=MAX_LETTER_BYTES,
        # The payload is scanned before it is encoded, reason and headers are masked.
        scan=False,
    )


class DeadLetters:
    """The queue, as an operator sees it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def entries(self) -> list[Entry]:
        """Everything in it, oldest first."""
        found = [entry async for m in reading.everything(self._connection, DLQ, ">") if (entry := _entry(m))]
        return sorted(found, key=lambda entry: entry.number)

    async def entry(self, number: int) -> Entry:
        """One of them; KeyError when there is none of this number."""
        message = await reading.at(self._connection, DLQ, number)
        found = _entry(message) if message else None
        if found is None:
            raise KeyError(f"no dead letter {number}")
        return found

    async def replay(self, number: int) -> Entry:
        """Give the original to its consumer's service again, and take it off the list.

        A repeat after a crash in between gives it twice at worst: handlers are safe to repeat. Raises KeyError, and
        ValueError when the original is gone or no such consumer exists any more.
        """
        found = await self.entry(number)
        letter = found.letter
        owner = next((row.service for row in consumers() if row.name == letter.consumer), None)
        if owner is None:
            raise ValueError(f"dead letter {number} is of consumer {letter.consumer!r}, which no service has now")
        if not found.replayable:
            raise ValueError(f"dead letter {number} cannot be replayed: {letter.withheld}; its sender must send again")
        if letter.payload is None and await reading.at(self._connection, letter.stream, letter.sequence) is None:
            raise ValueError(f"dead letter {number} cannot be replayed: sequence {letter.sequence} is gone")
        await self._connection.store(
            f"replay.{owner}.{letter.consumer}.{letter.stream}.{letter.sequence}",
            letter.model_dump_json().encode(),
            {"Nats-Msg-Id": f"replay|{number}"},
            limit=MAX_LETTER_BYTES,
            scan=False,
        )
        await self.drop(number)
        return found

    async def drop(self, number: int) -> None:
        """Take it off the list for good; absent is fine."""
        await erase(self._connection, DLQ, number)


def _entry(message: reading.Stored) -> Entry | None:
    """The row that a message of the stream makes; None for a replay's carrier."""
    if message.subject.startswith("dlq."):
        try:
            return Entry(message.sequence, "buried", DeadLetter.model_validate_json(message.data))
        except ValidationError as error:
            return Entry(message.sequence, "buried", _unknown(message, f"an unreadable dead letter: {error}"))
    if message.subject.startswith(_ADVISORY):
        kind = message.subject.removeprefix(_ADVISORY).split(".")[0]
        return _advisory(message, "terminated" if kind == "MSG_TERMINATED" else "max-deliveries")
    return None


def _advisory(message: reading.Stored, kind: str) -> Entry:
    """The server's own word (``io.nats.jetstream.advisory.v1``): it names the message, it does not hold it."""
    body = json.loads(message.data)
    letter = _unknown(message, masked(str(body.get("reason") or f"the server reports {kind}")))
    return Entry(
        message.sequence,
        kind,
        letter.model_copy(
            update={
                "stream": body["stream"],
                "consumer": body["consumer"],
                "sequence": int(body["stream_seq"]),
                "attempts": int(body.get("deliveries", 0)),
                "withheld": "an advisory holds no message; the original is read in its stream",
            }
        ),
    )


def _unknown(message: reading.Stored, reason: str) -> DeadLetter:
    return DeadLetter(
        stream=DLQ,
        consumer="",
        sequence=message.sequence,
        subject=message.subject,
        payload_sha256=hashlib.sha256(message.data).hexdigest(),
        withheld="it is not readable",
        reason=reason[:_MAX_REASON],
        attempts=0,
        buried_at=datetime.fromisoformat(message.at) if message.at else datetime.now(UTC),
    )
