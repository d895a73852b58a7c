"""What goes over the wire: events encoded once, for WebSocket and for SSE, whoever reads them.

A ``Frame`` is one stored event; its bytes are spliced into the transport's own framing without being parsed. A resume
token is ``<stream epoch>-<sequence>``: sequences of another stream's lifetime mean nothing here.
"""

import json
import re
import struct
from dataclasses import dataclass
from typing import Any, Final, Literal

from bus import Answer
from contracts.errors import trouble

Kind = Literal["ws", "sse"]
EVERYTHING: Final = "*"
"""The channel of all Sovereigns that a viewer may see."""
_OWNER: Final = re.compile(rb'"owner":\s*"([a-z0-9-]{1,63})"')
_TIME: Final = re.compile(rb'"time":\s*"([0-9T:.-]{19,30})')
_NO_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")
_DIGITS: Final = 18
_TEXT: Final = 0x81
_SHORT: Final = 126
_MEDIUM: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as the stream keeps it."""

    sequence: int
    fact: str
    sovereign: str
    owner: str
    raw: bytes

    @classmethod
    def of(cls, sequence: int, subject: str, raw: bytes) -> "Frame":
        """From a stored message; newlines in JSON are only blanks, and SSE could not carry them."""
        fact, _, sovereign = subject.rpartition(".")
        owner = _OWNER.search(raw)  # the envelope's, since writers put the data last
        flat = raw.translate(_NO_BREAKS) if b"\n" in raw or b"\r" in raw else raw
        return cls(sequence, fact, sovereign, owner[1].decode() if owner else "", flat)

    @property
    def said_at(self) -> str:
        """When it was said (UTC, RFC 3339 without its zone); empty when the envelope does not tell."""
        time = _TIME.search(self.raw)
        return time[1].decode() if time else ""

    @property
    def domain(self) -> str:
        """The first token of the fact."""
        return self.fact.partition(".")[0]

    def encoded(self, kind: Kind, channel: str, epoch: str) -> bytes:
        """The frame for this kind of transport."""
        if kind == "sse":
            return b"id: %s-%d\ndata: %s\n\n" % (epoch.encode(), self.sequence, self.raw)
        head = f'{{"type":"event","channel":"{channel}","id":"{epoch}-{self.sequence}","event":'.encode()
        return ws_frame(head + self.raw + b"}")


def ws_frame(payload: bytes) -> bytes:
    """An unmasked final text frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < _SHORT:
        return struct.pack("!BB", _TEXT, size) + payload
    if size < _MEDIUM:
        return struct.pack("!BBH", _TEXT, 126, size) + payload
    return struct.pack("!BBQ", _TEXT, 127, size) + payload


def said(kind: Kind, what: str, body: dict[str, Any] | str) -> bytes:
    """Anything that is no event: ``live``, ``view``, ``heartbeat``, ``subscribed``. A string is JSON already."""
    text = body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
    if kind == "sse":
        return f"event: {what}\ndata: {text}\n\n".encode()
    inner = text[1:-1]
    return ws_frame(f'{{"type":"{what}"{"," if inner else ""}{inner}}}'.encode())


def token(epoch: str, sequence: int) -> str:
    """Where to go on."""
    return f"{epoch}-{sequence}"


def sequence_of(resume: str | int | None, *, epoch: str, newest: int) -> int:
    """The sequence to go on after; Answer when the token is of another stream or of the future."""
    if resume in (None, ""):
        return 0
    text = str(resume)
    named, dash, number = text.rpartition("-")
    readable = number.isascii() and number.isdecimal() and len(number) <= _DIGITS
    if (dash and named != epoch) or not readable or int(number) > newest:
        raise Answer(trouble("resume-unknown", attempted="resume", on=text[:80]))
    return int(number)
