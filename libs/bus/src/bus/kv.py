"""Buckets: keyed values with compare-and-set, on JetStream streams ``KV_<bucket>``.

Raw publishes instead of the client's own KV: that one removes the expiry of a key on update and cannot tell a marker
from a value (measured traps of the client). Every key has at least two tokens, so that no key's subject looks like a
Sovereign's. A deleted key leaves a marker, which counts as absent.
"""

from contextlib import suppress
from dataclasses import dataclass

from bus import reading
from bus.connection import Connection
from bus.outcome import Conflict

_MARKERS = frozenset({"DEL", "PURGE"})
MAX_VALUE_BYTES = 768 * 1024
"""Below the server's max_payload of 1 MB."""

_CREATE_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Value:
    """A value and its revision."""

    key: str
    value: bytes
    revision: int


class Bucket:
    """One bucket, as one service sees it."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self.name = name
        self._stream = f"KV_{name}"

    def _subject(self, key: str) -> str:
        if "." not in key:
            raise ValueError(f"key {key!r} of bucket {self.name}: at least two tokens")
        return f"$KV.{self.name}.{key}"

    async def get(self, key: str) -> Value | None:
        """The value, or None when there is none or it was deleted."""
        found = await reading.last(self._connection, self._stream, self._subject(key))
        if found is None or _is_marker(found):
            return None
        return Value(key, found.data, found.sequence)

    async def last_revision(self, key: str) -> int:
        """The revision that an update has to expect: of the value or of its deletion; 0 when there never was one."""
        found = await reading.last(self._connection, self._stream, self._subject(key))
        return found.sequence if found else 0

    async def put(self, key: str, value: bytes) -> int:
        """Write whatever was there before; the new revision."""
        return await self._write(key, value, {})

    async def create(self, key: str, value: bytes, *, ttl_s: int | None = None) -> int:
        """Write only when there is no value; Conflict otherwise."""
        for _ in range(_CREATE_ATTEMPTS):
            found = await reading.last(self._connection, self._stream, self._subject(key))
            if found is not None and not _is_marker(found):
                break
            # A deletion's marker that expires after it was read refuses the write as well as a rival does.
            with suppress(Conflict):
                return await self.update(key, value, found.sequence if found else 0, ttl_s=ttl_s)
        raise Conflict(f"{self.name}: {key} exists")

    async def update(self, key: str, value: bytes, revision: int, *, ttl_s: int | None = None) -> int:
        """Compare and set; Conflict when somebody else wrote since ``revision``."""
        headers = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        if ttl_s is not None:
            headers["Nats-TTL"] = str(ttl_s)
        return await self._write(key, value, headers)

    async def delete(self, key: str, *, revision: int | None = None, ttl_s: int | None = None) -> None:
        """Remove the value and its bytes; absent is fine. With a revision, Conflict when it is another by now."""
        headers = {"KV-Operation": "PURGE", "Nats-Rollup": "sub"}
        if revision is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(revision)
        if ttl_s is not None:
            headers["Nats-TTL"] = str(ttl_s)
        await self._write(key, b"", headers)

    async def values(self, pattern: str) -> list[Value]:
        """Every value whose key matches (NATS wildcards)."""
        prefix = f"$KV.{self.name}."
        # By pages: one read of the last message per subject is refused from 1,025 subjects on.
        stored = reading.everything(self._connection, self._stream, prefix + pattern)
        # A key that changes meanwhile comes twice; its later value counts.
        newest = {message.subject: message async for message in stored}
        return [Value(m.subject[len(prefix) :], m.data, m.sequence) for m in newest.values() if not _is_marker(m)]

    async def keys(self, pattern: str) -> list[str]:
        """Every key that matches (NATS wildcards) and has a value."""
        return [item.key for item in await self.values(pattern)]

    async def _write(self, key: str, value: bytes, headers: dict[str, str]) -> int:
        # Buckets hold ciphertext and our own state: the scanner looks at what people read, the streams.
        return await self._connection.store(self._subject(key), value, headers, limit=MAX_VALUE_BYTES, scan=False)


def _is_marker(message: reading.Stored) -> bool:
    return message.headers.get("KV-Operation") in _MARKERS
