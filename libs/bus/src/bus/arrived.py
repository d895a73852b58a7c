"""A message as its service sees it, with what JetStream's reply subject says about its delivery."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from nats.aio.msg import Msg

_STREAM_AT: Final = {9: 2, 11: 4, 12: 4}
"""Where the stream's name stands, by the count of tokens: without and with a domain, and with a random end."""


class Arrived(NamedTuple):
    """A message, whether it came straight from its stream or by a replay."""

    consumer: str
    stream: str
    sequence: int
    subject: str
    headers: Mapping[str, str]
    data: bytes
    at: str
    """When it was stored, as whoever brought it writes that; with the sequence it names the message for ever."""
    attempt: int
    """Deliveries so far, this one included."""


def as_it_came(message: Msg, consumer: str) -> Arrived:
    """Read a delivery; ValueError when its reply subject is no ack subject (NATS ADR-15, ``$JS.ACK.…``).

    The client's own ``metadata`` makes two objects and a datetime of what is mostly thrown away.
    """
    tokens = message.reply.split(".")
    start = _STREAM_AT.get(len(tokens))
    if start is None or tokens[1] != "ACK":
        raise ValueError(f"{message.reply!r} is not the reply subject of a delivery")
    stream, _consumer, delivered, sequence, _of_consumer, stored_ns = tokens[start : start + 6]
    headers = message.headers or {}
    return Arrived(consumer, stream, int(sequence), message.subject, headers, message.data, stored_ns, int(delivered))
