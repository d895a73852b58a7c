"""Erasing one message of a stream, with its bytes: an ack alone leaves them on disk (measured)."""

from bus import reading
from bus.connection import Connection
from bus.outcome import TryAgain


async def erase(connection: Connection, stream: str, sequence: int) -> None:
    """Remove it; gone already is fine. TryAgain when it is still there."""
    answer = await connection.api(f"$JS.API.STREAM.MSG.DELETE.{stream}", {"seq": sequence})
    # The server has one code for "there is none" and "it could not": whether it is there tells.
    if "error" in answer and await reading.at(connection, stream, sequence) is not None:
        raise TryAgain(f"message {sequence} of {stream} is not erased: {answer['error'].get('description')}")
