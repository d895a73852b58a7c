"""One connection to NATS, with the traps of the client closed.

A closed connection ends the process (the supervisor starts it again): a client that looks connected and is not would
be worse. A publish is a request whose answer is read by code; a timeout says nothing about storage, so the caller
repeats with the same message id. Liveness is a real round trip, never ``is_connected``.
"""

import asyncio
import json
import logging
import random
import ssl
from dataclasses import dataclass
from typing import Any

import nats.errors
from nats.aio.msg import Msg

from bus.client import Client
from bus.outcome import Conflict, SecretInClear, TooLarge, TryAgain
from bus.replies import Replies, violation_in
from bus.scan import secret_in
from bus.settings import BusSettings
from contracts.topology import MAX_EVENT_BYTES

log = logging.getLogger(__name__)

WRONG_LAST_SEQUENCE = 10071
"""JetStream error code of a refused ``Expected-Last-*`` (nats-server, errors.json)."""
STREAM_FULL = frozenset({10047, 10077, 10023, 10122})
"""Codes of "no room": insufficient storage, maximum bytes or messages reached, insufficient resources."""
MESSAGE_TOO_LARGE = 10054
_PONG_WITHIN_S = 10.0


class NoRoom(TryAgain):
    """The stream or the disk is full: nothing was stored, publishers wait."""


@dataclass
class Connection:
    """A connected client and who it is."""

    client: Client
    user: str
    closed: asyncio.Event
    replies: Replies

    async def request(self, subject: str, payload: bytes = b"", *, timeout_s: float = 5.0,
                      headers: dict[str, str] | None = None) -> Msg:  # fmt: skip
        """A request and its answer; Denied when the permissions forbid it, TimeoutError when nobody answered."""
        try:
            return await self.replies.request(subject, payload, timeout_s=timeout_s, headers=headers)
        except TimeoutError:
            raise TimeoutError(f"no answer on {subject} within {timeout_s:g} s") from None

    async def store(self, subject: str, payload: bytes, headers: dict[str, str], *, limit: int = MAX_EVENT_BYTES,
                    scan: bool = True) -> int:  # fmt: skip
        """Publish into a stream and read the receipt: the sequence, of the first one when it was a repeat.

        Raises Conflict for a refused guard, NoRoom when the stream is full, TooLarge, SecretInClear, Denied, and
        TryAgain when no receipt came: then nobody knows, and the same message id makes the repeat harmless.
        """
        if len(payload) > limit:
            raise TooLarge(subject, len(payload), limit)
        if scan and (kind := secret_in(payload)):
            raise SecretInClear(subject, kind)
        answer = json.loads((await self.call(subject, payload, headers)).data)
        if "error" in answer:
            raise _refusal(subject, len(payload), answer["error"])
        return int(answer["seq"])

    async def call(self, subject: str, payload: bytes = b"", headers: dict[str, str] | None = None) -> Msg:
        """A request to JetStream itself. TryAgain while it is away (a restart, an election): no bug of a handler's."""
        try:
            return await self.request(subject, payload, headers=headers)
        except nats.errors.NoRespondersError:
            raise TryAgain(f"JetStream does not serve {subject} just now") from None
        except TimeoutError as error:
            raise TryAgain(str(error)) from None

    async def api(self, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A call of the JetStream API; the answer as it is, errors included. TryAgain when none came."""
        reply = await self.call(subject, json.dumps(body).encode() if body is not None else b"")
        answer: dict[str, Any] = json.loads(reply.data)
        return answer

    async def round_trip_s(self) -> float:
        """Seconds to the server and back; TimeoutError when the connection only looks alive.

        Not the client's own ``rtt``: when that is cancelled or runs out of time, the late answer ends its reader.
        """
        loop = asyncio.get_running_loop()
        started, pong = loop.time(), loop.create_future()
        await self.client._send_ping(pong)  # noqa: SLF001 - the client has no other way to wait without cancelling
        async with asyncio.timeout(_PONG_WITHIN_S):
            await asyncio.shield(pong)
        return loop.time() - started


def _refusal(subject: str, size: int, error: dict[str, Any]) -> Exception:
    code, text = int(error.get("err_code", 0)), str(error.get("description", ""))
    if code == WRONG_LAST_SEQUENCE:
        return Conflict(f"{subject}: {text}")
    if code in STREAM_FULL:
        log.error(
            "the stream is full, its publishers wait",
            extra={"action": "no-room", "subject": subject, "why": text, "code": code},
        )
        return NoRoom(f"{subject}: {text} ({code})")
    if code == MESSAGE_TOO_LARGE:
        return TooLarge(subject, size, MAX_EVENT_BYTES)
    return TryAgain(f"{subject}: {text} ({code})")


async def open_connection(settings: BusSettings, user: str) -> Connection:
    """Connect as ``user``. Callbacks never raise: an exception in one would end the client's read loop."""
    closed = asyncio.Event()
    client = Client()
    connection = Connection(client=client, user=user, closed=closed, replies=Replies(client, user))

    async def disconnected() -> None:
        if not connection.client.is_reconnecting:
            return
        log.warning("bus connection lost, reconnecting", extra={"action": "disconnected"})

    async def reconnected() -> None:
        log.info("bus connection is back", extra={"action": "reconnected"})

    async def is_closed() -> None:
        closed.set()

    async def failed(error: Exception) -> None:
        text = str(error)
        if violation := violation_in(text):
            what, subject = violation
            connection.replies.deny(subject)
            log.error("denied", extra={"action": "denied", "user": user, "what": what, "subject": subject})
            return
        log.warning("bus reports an error", extra={"action": "bus-error", "error": text})

    await connection.client.connect(
        servers=settings.nats_url.split(","),
        name=f"{user}-{settings.replica}",
        nkeys_seed=str(settings.nkey_file) if settings.nkey_file else None,
        tls=ssl.create_default_context(cafile=settings.nats_ca) if settings.nats_ca else None,
        inbox_prefix=f"_INBOX_{user}",
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        reconnect_to_server_handler=_jittered_wait,
        ping_interval=10,
        max_outstanding_pings=2,
        connect_timeout=3,
        drain_timeout=20,
        pending_size=8 * 1024 * 1024,
        disconnected_cb=disconnected,
        reconnected_cb=reconnected,
        closed_cb=is_closed,
        error_cb=failed,
    )
    await connection.replies.open()
    return connection


def _jittered_wait(servers: list[Any], _info: dict[str, Any]) -> tuple[Any, float]:
    """Which server next, after how many seconds: the client's own wait has no jitter, so all would come at once."""
    server = min(servers, key=lambda candidate: (candidate.reconnects, random.random()))  # noqa: S311 - no secret
    return server, 0.0 if server.reconnects == 0 else 0.2 + random.random()  # noqa: S311 - no secret


__all__ = ["Connection", "NoRoom", "open_connection"]
