"""Reading a stream without a consumer: batched direct get.

``last_per_subject`` is one consistent read of the last message of every matching subject; ``everything`` pages through
all of them in order. Source: NATS ADR-31 (direct get, batched and multi-last requests).
"""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from nats.aio.msg import Msg

from bus.connection import Connection
from bus.outcome import TryAgain

BATCH = 500
_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as the stream keeps it."""

    sequence: int
    subject: str
    data: bytes
    headers: dict[str, str]
    at: str


@dataclass(frozen=True, slots=True)
class Page:
    """The answer to one request. ``upto`` is the stream sequence that this reading reaches."""

    messages: tuple[Stored, ...]
    upto: int
    pending: int


async def last_per_subject(connection: Connection, stream: str, subjects: list[str], *, upto: int = 0) -> Page:
    """The last message of each matching subject, as of one moment (up to ``upto`` when given)."""
    body: dict[str, Any] = {"multi_last": subjects, "batch": 1024}
    if upto:
        body["up_to_seq"] = upto
    return await _request(connection, stream, body)


async def page(connection: Connection, stream: str, subject: str, *, start: int, limit: int = BATCH) -> Page:
    """Messages of a subject filter from sequence ``start`` on, oldest first."""
    return await _request(connection, stream, {"seq": start, "batch": limit, "next_by_subj": subject})


async def everything(connection: Connection, stream: str, subject: str, *, after: int = 0) -> AsyncIterator[Stored]:
    """All messages of a subject filter after a sequence, oldest first."""
    start = after + 1
    while True:
        got = await page(connection, stream, subject, start=start)
        for message in got.messages:
            yield message
        if not got.messages or got.pending == 0:
            return
        start = got.messages[-1].sequence + 1


async def last(connection: Connection, stream: str, subject: str) -> Stored | None:
    """The last message of one subject, or None."""
    reply = await connection.call(f"$JS.API.DIRECT.GET.{stream}.{subject}")
    return None if _status(reply) else _stored(reply)


async def at(connection: Connection, stream: str, sequence: int) -> Stored | None:
    """The message of one sequence, or None."""
    reply = await connection.call(f"$JS.API.DIRECT.GET.{stream}", json.dumps({"seq": sequence}).encode())
    return None if _status(reply) else _stored(reply)


async def _request(connection: Connection, stream: str, body: dict[str, Any]) -> Page:
    messages: list[Stored] = []
    subject, payload = f"$JS.API.DIRECT.GET.{stream}", json.dumps(body).encode()
    try:
        async with aclosing(connection.replies.answers(subject, payload, silence_s=_WAIT_S)) as replies:
            async for reply in replies:
                status = _status(reply)
                if status is None:
                    messages.append(_stored(reply))
                    if _ends_single_reply(reply):
                        return Page(tuple(messages), messages[-1].sequence, 0)
                    continue
                headers = reply.headers or {}
                if status in {"204", "404"}:
                    reached = headers.get("Nats-UpTo-Sequence") or headers.get("Nats-Last-Sequence") or "0"
                    return Page(tuple(messages), int(reached), int(headers.get("Nats-Num-Pending", "0")))
                raise TryAgain(f"stream {stream} refused a read: {status} {headers.get('Description', '')}")
    except TimeoutError:
        raise TryAgain(f"stream {stream} did not answer a read within {_WAIT_S:g} s") from None
    raise AssertionError("unreachable: answers end by a return or an exception")


def _ends_single_reply(reply: Msg) -> bool:
    return "Nats-Num-Pending" not in (reply.headers or {})


def _status(reply: Msg) -> str | None:
    return (reply.headers or {}).get("Status")


def _stored(reply: Msg) -> Stored:
    headers = dict(reply.headers or {})
    return Stored(
        sequence=int(headers.pop("Nats-Sequence")),
        subject=headers.pop("Nats-Subject"),
        data=reply.data,
        headers=headers,
        at=headers.pop("Nats-Time-Stamp", ""),
    )


__all__ = ["BATCH", "Page", "Stored", "at", "everything", "last", "last_per_subject", "page"]
