"""One stream as one file, and back: JetStream's own snapshots, with sequences, times, duplicate window and consumers.

The server sends chunks to an inbox and waits when too many are not acknowledged; at the end comes an empty message.
Back again each chunk is a request, so the server paces us. Source: the JetStream API (STREAM.SNAPSHOT,
STREAM.RESTORE), as the nats command uses it.
"""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any, BinaryIO

from bus.connection import Connection
from bus.outcome import TryAgain

_CHUNK_BYTES = 128 * 1024
_SILENCE_S = 30.0
_LARGE_S = 300.0
"""A big stream takes the server a while to check before it starts to send, and to index after it has received."""
_ENDED = frozenset({"", "204"})


class SnapshotFailed(Exception):
    """The server could not make or take the snapshot; its own words are in the message."""


async def save(connection: Connection, stream: str, file: Path) -> dict[str, Any]:
    """Write a snapshot; its row for the manifest. The stream goes on meanwhile: the snapshot is of one moment."""
    inbox = connection.client.new_inbox()
    chunks = await connection.client.subscribe(inbox)
    try:
        body = {"deliver_subject": inbox, "chunk_size": _CHUNK_BYTES, "no_consumers": False, "jsck": True}
        payload = json.dumps(body).encode()
        reply = await connection.request(f"$JS.API.STREAM.SNAPSHOT.{stream}", payload, timeout_s=_LARGE_S)
        answer = _good(stream, reply.data)
        with await asyncio.to_thread(file.open, "xb") as output:
            size, digest = await _receive(connection, stream, chunks, output)
    finally:
        await chunks.unsubscribe()
    return {
        "name": stream,
        "config": answer["config"],
        "state": answer["state"],
        "bytes": size,
        "sha256": digest,
    }


async def _receive(connection: Connection, stream: str, chunks: Any, output: BinaryIO) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    while True:
        try:
            chunk = await chunks.next_msg(timeout=_SILENCE_S)
        except TimeoutError:
            raise TryAgain(f"the snapshot of {stream} stopped half-way: nothing for {_SILENCE_S:g} s") from None
        if not chunk.data:
            headers = chunk.headers or {}
            if headers.get("Status", "") not in _ENDED:
                raise SnapshotFailed(f"{stream}: {headers.get('Status')} {headers.get('Description', '')}")
            return size, digest.hexdigest()
        size += len(chunk.data)
        digest.update(chunk.data)
        await asyncio.to_thread(output.write, chunk.data)
        if chunk.reply:
            await connection.client.publish(chunk.reply)


def digest_of(file: Path) -> str:
    """SHA-256 of a snapshot file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


async def load(connection: Connection, row: dict[str, Any], file: Path, *, replicas: int) -> None:
    """Make the stream from its snapshot; it must not exist."""
    stream = row["name"]
    asynchronous = row["config"].get("persist_mode") == "async"
    config = row["config"] | {"num_replicas": 1 if asynchronous else replicas}
    body = json.dumps({"config": config, "state": row["state"]}).encode()
    reply = await connection.request(f"$JS.API.STREAM.RESTORE.{stream}", body, timeout_s=_SILENCE_S)
    answer = _good(stream, reply.data)
    target = answer["deliver_subject"]
    with await asyncio.to_thread(file.open, "rb") as source:
        while chunk := await asyncio.to_thread(source.read, _CHUNK_BYTES):
            reply = await connection.request(target, chunk, timeout_s=_SILENCE_S)
            if reply.data:
                _good(stream, reply.data)
    done = await connection.request(target, b"", timeout_s=_LARGE_S)
    _good(stream, done.data)


def _good(stream: str, data: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(data)
    if "error" in answer:
        raise SnapshotFailed(f"{stream}: {answer['error'].get('description')} ({answer['error'].get('err_code')})")
    return answer
