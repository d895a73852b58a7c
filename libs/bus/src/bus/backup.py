"""A backup of an installation: its streams and buckets as snapshots, its keys wrapped under a passphrase.

<directory>/manifest.json          what there is; written last, so a folder without it is no backup
<directory>/<stream>.snapshot      JetStream's own format, with sequences and consumers (``bus.snapshot``)
<directory>/keys.wrapped           the keys' folder (``bus.wrapping``)

Each snapshot is of one moment, but not all of the same one. Work queues are therefore paused until the facts and then
they are saved: whatever was taken from a queue before has its facts in the snapshot, whatever is taken afterwards is
still in the queue's. Buckets come last and are newer than the facts: handlers ensure, so newer is harmless. Presence
expires and the read model is rebuilt: these are not saved. See docs/adr/0013-backup.md.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bus import wrapping
from bus.connection import Connection
from bus.outcome import TryAgain
from bus.snapshot import digest_of, load, save
from bus.topology import consumer_rows, ensure_topology
from contracts.topology import BUCKETS, PROV, STREAMS, Consumer, consumers

MANIFEST = "manifest.json"
KEYS = "keys.wrapped"
FORMAT = 1
_NOT_SAVED = frozenset({"presence", "state"})
_PAUSE = timedelta(minutes=30)
"""A pause ends by itself, should the backup die."""
_DRAIN_S = 30.0

Tell = Callable[[str], None]


class NoBackup(Exception):
    """The folder holds no whole backup, or may not be used for one."""


class NotEmpty(Exception):
    """The broker holds messages; a restore would have to lose them."""


def saved_streams() -> list[str]:
    """What is saved, in its order: facts, then queues and chatter, then buckets, leases last.

    The tokens of leases are remembered elsewhere and must go on growing after a restore.
    """
    others = [stream.name for stream in STREAMS if stream.name != PROV]
    buckets = [bucket.name for bucket in BUCKETS if bucket.name not in {*_NOT_SAVED, "lease"}]
    return [PROV, *others, *(f"KV_{name}" for name in (*buckets, "lease"))]


async def back_up(connection: Connection, directory: Path, keys: Path, passphrase: bytes, *, tell: Tell) -> None:
    """Save everything into a new folder. Services go on; queues and timers wait for the seconds that it takes."""
    await asyncio.to_thread(_new_folder, directory)
    began = datetime.now(UTC)
    rows = []
    async with _queues_paused(connection, tell):
        for name in saved_streams():
            row = await save(connection, name, directory / f"{name}.snapshot")
            rows.append(row)
            tell(f"{name:<14} {row['state']['messages']:>9} messages  {row['bytes']:>12} bytes")
    wrapped = await asyncio.to_thread(wrapping.wrap, keys, passphrase)
    body = {"format": FORMAT, "began": began.isoformat(), "ended": datetime.now(UTC).isoformat(), "streams": rows}
    await asyncio.to_thread((directory / KEYS).write_bytes, wrapped)
    await asyncio.to_thread((directory / MANIFEST).write_text, json.dumps(body, indent=1))


def _new_folder(directory: Path) -> None:
    if directory.exists() and any(directory.iterdir()):
        raise NoBackup(f"{directory} is not empty: give each backup a folder of its own")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.chmod(0o700)


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a whole, undamaged backup."""
    try:
        manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text())
    except (FileNotFoundError, ValueError):
        raise NoBackup(f"{directory} holds no whole backup: {MANIFEST} is missing or damaged") from None
    if manifest.get("format") != FORMAT:
        raise NoBackup(f"{directory} has format {manifest.get('format')}, this release reads {FORMAT}")
    for row in manifest["streams"]:
        file = directory / f"{row['name']}.snapshot"
        if not file.exists() or digest_of(file) != row["sha256"]:
            raise NoBackup(f"{file} is missing or damaged")
    return manifest


async def restore(connection: Connection, directory: Path, *, replicas: int, scale: float, tell: Tell) -> None:
    """Make streams and buckets from a backup, on a broker that holds no messages; then the rest of the topology."""
    manifest = await asyncio.to_thread(read_manifest, directory)
    names = [row["name"] for row in manifest["streams"]]
    await _clear(connection, names)
    for row in manifest["streams"]:
        await load(connection, row, directory / f"{row['name']}.snapshot", replicas=replicas)
        tell(f"{row['name']:<14} {row['state']['messages']:>9} messages")
    await ensure_topology(connection, replicas=replicas, scale=scale)
    for queue in _queues():
        await _pause(connection, queue, until=None)


async def _clear(connection: Connection, names: list[str]) -> None:
    """Remove streams without messages: a snapshot makes its stream anew."""
    there = []
    for name in names:
        info = await connection.api(f"$JS.API.STREAM.INFO.{name}")
        if "error" not in info:
            there.append(name)
            if info["state"]["messages"]:
                raise NotEmpty(f"{name} holds {info['state']['messages']} messages; restore to an empty broker")
    for name in there:
        await connection.api(f"$JS.API.STREAM.DELETE.{name}")


def _queues() -> list[Consumer]:
    """Consumers whose stream forgets, or marks, what was taken."""
    return [consumer for consumer in consumers() if consumer.stream != PROV]


@asynccontextmanager
async def _queues_paused(connection: Connection, tell: Tell) -> AsyncIterator[None]:
    until = datetime.now(UTC) + _PAUSE
    try:
        for queue in _queues():
            await _pause(connection, queue, until=until)
        if not await _drained(connection):
            tell("some queue had work in hand for long: after a restore its messages may be handled once more")
        yield
    finally:
        for queue in _queues():
            await _pause(connection, queue, until=None)


async def _pause(connection: Connection, consumer: Consumer, *, until: datetime | None) -> None:
    subject = f"$JS.API.CONSUMER.PAUSE.{consumer.stream}.{consumer.name}"
    answer = await connection.api(subject, {"pause_until": until.isoformat()} if until else {})
    if "error" in answer:
        raise TryAgain(f"{consumer.name} is not paused: {answer['error'].get('description')}")


async def _drained(connection: Connection) -> bool:
    """Wait until nothing of the queues is in anybody's hand."""
    deadline = asyncio.get_running_loop().time() + _DRAIN_S
    streams = {queue.stream for queue in _queues()}
    while asyncio.get_running_loop().time() < deadline:
        rows = [row for stream in streams for row in await consumer_rows(connection, stream)]
        if not any(row["num_ack_pending"] for row in rows):
            return True
        await asyncio.sleep(0.1)
    return False
