"""The OpenTofu state of one life of a Sovereign, kept in KV ``tofu`` as immutable, encrypted versions.

A version is cut into chunks ``<id>.<life>.<serial>.<chunk>``, the chunk's name beginning with its writer's fencing
token; the head ``<id>.<life>.head`` names the newest one and is moved by compare-and-set, with the fencing token of
the lease under which it was written. The lease is the lock. A version is refused unless it follows from the head:
same lineage, higher serial, and no more resources gone than the plan under way takes away. Bytes are only ever
stored encrypted; they are opened here, in memory, to know which resources they hold.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bus import Conflict

CHUNK_BYTES = 128 * 1024
MAX_BYTES = 16 * 1024 * 1024
"""Far beyond any state of ours (one of 53 servers has about 400 KiB); what is larger is not ours."""
VERSIONS_KEPT = 100
KEPT_TYPE = "terraform_data"
"""A value that OpenTofu keeps in its state; nothing of the cloud."""
JOIN_TOKEN = f"{KEPT_TYPE}.join_token"  # the module's (deploy/tofu/hetzner/user_data.tf)
_NONCE_BYTES = 12


class Bucket(Protocol):
    """What is needed of a KV bucket."""

    async def get(self, key: str) -> Any:
        """The value and its revision, or None."""

    async def put(self, key: str, value: bytes) -> int:
        """Write whatever was there."""

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Compare and set."""

    async def last_revision(self, key: str) -> int:
        """What an update has to expect."""

    async def delete(self, key: str) -> None:
        """Remove."""

    async def keys(self, pattern: str) -> list[str]:
        """Keys that match."""


class Held(Protocol):
    """What is needed of a lease."""

    token: int

    @property
    def sure(self) -> bool:
        """Whether nobody else can hold it now."""


class StateRefused(Exception):
    """A version was not taken; the text says why."""


class StateUnreadable(Exception):
    """What is stored is not what was written, or is not encrypted with this Sovereign's key."""


@dataclass(frozen=True)
class Resource:
    """One resource instance of the state."""

    address: str
    resource_type: str
    cloud_id: str
    name: str = ""
    tainted: bool = False


@dataclass(frozen=True)
class Head:
    """The newest version."""

    serial: int
    lineage: str
    chunks: int
    size: int
    sha256: str
    fencing_token: int


def opened(sealed: bytes, key: bytes) -> dict[str, Any]:
    """The state in an encrypted version (AES-256-GCM, nonce first, as OpenTofu writes it)."""
    try:
        outer = json.loads(sealed)
        data = base64.b64decode(outer["encrypted_data"], validate=True)
        state = json.loads(AESGCM(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None))
    except (ValueError, KeyError, TypeError, InvalidTag) as error:
        raise StateUnreadable(
            f"not a state that was encrypted with this Sovereign's key ({type(error).__name__})"
        ) from None
    if not isinstance(state, dict) or (state.get("serial"), state.get("lineage")) != (
        outer.get("serial"),
        outer.get("lineage"),
    ):
        raise StateUnreadable("serial or lineage outside the encryption differ from those inside")
    return state


def resealed(sealed: bytes, key: bytes, serial: int) -> bytes:
    """The same state under another serial, encrypted anew as OpenTofu encrypts it."""
    state, outer = opened(sealed, key) | {"serial": serial}, json.loads(sealed)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    data = nonce + AESGCM(key).encrypt(nonce, json.dumps(state).encode(), None)
    return json.dumps(outer | {"serial": serial, "encrypted_data": base64.b64encode(data).decode()}).encode()


def join_token(state: Mapping[str, Any]) -> str:
    """The cluster's join token, which the module keeps in its state; empty when it is not there."""
    for resource in state.get("resources", ()):
        if f"{resource.get('type')}.{resource.get('name')}" == JOIN_TOKEN:
            for instance in resource.get("instances", ()):
                return str((instance.get("attributes", {}).get("output") or {}).get("value") or "")
    return ""


def without_secrets(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state as it may be shown: the join token is left out."""
    kept = [r for r in state.get("resources", ()) if f"{r.get('type')}.{r.get('name')}" != JOIN_TOKEN]
    return {**state, "resources": kept}


def resources_of(state: Mapping[str, Any]) -> tuple[Resource, ...]:
    """The resource instances of a state that exist in the cloud."""
    found = []
    for resource in state.get("resources", ()):
        if resource.get("mode") != "managed" or resource["type"] == KEPT_TYPE:
            continue
        for instance in resource.get("instances", ()):
            index = instance.get("index_key")
            suffix = "" if index is None else f"[{json.dumps(index)}]"
            attributes = instance.get("attributes") or {}
            found.append(
                Resource(
                    address=f"{resource['type']}.{resource['name']}{suffix}",
                    resource_type=resource["type"],
                    cloud_id=str(attributes.get("id", "") or ""),
                    name=str(attributes.get("name", "") or ""),
                    tainted=instance.get("status") == "tainted",
                )
            )
    return tuple(found)


class StateVersions:
    """The versions of one life, for one run under one lease."""

    def __init__(self, bucket: Bucket, sovereign: str, life: int, *, key: bytes, lease: Held) -> None:
        self._bucket = bucket
        self._prefix = f"{sovereign}.{life}"
        self._key = key
        self._lease = lease
        self._head: Head | None = None
        self._revision = 0
        self.resources: tuple[Resource, ...] = ()
        self.join_token = ""
        self.removable: frozenset[str] = frozenset()
        """Addresses that may leave the state: those which the applied plan removes."""

    @property
    def serial(self) -> int:
        """Of the newest version; 0 when there is none."""
        return self._head.serial if self._head else 0

    async def load(self) -> bytes | None:
        """The newest version's bytes, and from now on the head that writes have to follow; None when there is none."""
        found = await self._bucket.get(f"{self._prefix}.head")
        self._revision = found.revision if found else await self._bucket.last_revision(f"{self._prefix}.head")
        self._head = Head(**json.loads(found.value)) if found else None
        if self._head is None:
            self.resources, self.join_token = (), ""
            return None
        body = await self._bytes(self._head)
        state = opened(body, self._key)
        self.resources, self.join_token = resources_of(state), join_token(state)
        return body

    async def _bytes(self, head: Head) -> bytes:
        parts = []
        for chunk in range(head.chunks):
            found = await self._bucket.get(self._chunk(head, chunk))
            if found is None:
                raise StateUnreadable(f"chunk {chunk} of version {head.serial} is gone")
            parts.append(found.value)
        body = b"".join(parts)
        if hashlib.sha256(body).hexdigest() != head.sha256:
            raise StateUnreadable(f"version {head.serial} is not what was written: its checksum differs")
        return body

    async def save(self, body: bytes) -> None:
        """Store a version and move the head to it; StateRefused says why not."""
        self._check_lease()
        if len(body) > MAX_BYTES:
            raise StateRefused(f"{len(body)} bytes; a state holds at most {MAX_BYTES}")
        try:
            state = opened(body, self._key)
        except StateUnreadable as error:
            raise StateRefused(str(error)) from None
        resources = resources_of(state)
        digest = hashlib.sha256(body).hexdigest()
        if self._head is not None and self._head.sha256 == digest:
            return
        self._check_follows(int(state["serial"]), str(state["lineage"]), resources)
        if self.join_token not in {"", join_token(state)} and JOIN_TOKEN not in self.removable:
            raise StateRefused("the join token of the cluster is not in it: no node could be added any more")
        chunks = [body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES)]
        head = Head(int(state["serial"]), str(state["lineage"]), len(chunks), len(body), digest, self._lease.token)
        for number, chunk in enumerate(chunks):
            await self._bucket.put(self._chunk(head, number), chunk)
        self._check_lease()
        try:
            self._revision = await self._bucket.update(
                f"{self._prefix}.head", json.dumps(asdict(head)).encode(), self._revision
            )
        except Conflict:
            raise StateRefused("another worker wrote a version since this run read the state") from None
        self._head, self.resources, self.join_token = head, resources, join_token(state)
        await self._forget_oldest(head.serial)

    def _chunk(self, head: Head, number: int) -> str:
        """A chunk's key. With the writer's token, so that a worker that was overtaken never writes over another's."""
        return f"{self._prefix}.{head.serial}.{head.fencing_token}-{number}"

    def _check_lease(self) -> None:
        if not self._lease.sure:
            raise StateRefused("the lease is not sure any more: another worker may hold it")

    def _check_follows(self, serial: int, lineage: str, resources: tuple[Resource, ...]) -> None:
        if self._head is None:
            return
        if lineage != self._head.lineage:
            raise StateRefused(f"lineage {lineage!r} is not that of the stored state, {self._head.lineage!r}")
        if serial <= self._head.serial:
            raise StateRefused(f"serial {serial} does not follow {self._head.serial}")
        lost = {r.address for r in self.resources} - {r.address for r in resources} - self.removable
        if lost:
            raise StateRefused(
                f"{len(lost)} resources are gone that no step of this run takes away: {', '.join(sorted(lost)[:5])}"
            )

    async def kept(self) -> tuple[tuple[int, int], ...]:
        """(serial, fencing token of the writer) of every version that is kept, newest first."""
        found = set()
        for key in await self._bucket.keys(f"{self._prefix}.*.*"):
            serial, _, chunk = key.removeprefix(f"{self._prefix}.").partition(".")
            if serial.isdecimal():
                found.add((int(serial), int(chunk.partition("-")[0])))
        return tuple(sorted(found, reverse=True))

    async def read(self, serial: int) -> bytes:
        """The bytes of a kept version, of its latest writer; StateUnreadable when it is not kept."""
        token = next((token for kept, token in await self.kept() if kept == serial), None)
        if token is None:
            raise StateUnreadable(f"version {serial} is not kept")
        parts: list[bytes] = []
        while (found := await self._bucket.get(f"{self._prefix}.{serial}.{token}-{len(parts)}")) is not None:
            parts.append(found.value)
        return b"".join(parts)

    async def restore(self, serial: int) -> None:
        """Make a kept version the newest one, under the next serial; nothing is overwritten."""
        body = resealed(await self.read(serial), self._key, self.serial + 1)
        # What came since is not in it: the next run takes inventory and adopts what exists.
        self.removable = frozenset(resource.address for resource in self.resources)
        await self.save(body)

    async def _forget_oldest(self, newest: int) -> None:
        """Keep the last hundred: the version that just left the window goes."""
        oldest = newest - VERSIONS_KEPT
        if oldest > 0:
            for key in await self._bucket.keys(f"{self._prefix}.{oldest}.*"):
                await self._bucket.delete(key)

    async def keep_errored(self, body: bytes) -> None:
        """Keep beside the versions what could not be pushed, whoever holds the lease: it may be the only record."""
        for number, at in enumerate(range(0, min(len(body), MAX_BYTES), CHUNK_BYTES)):
            key = f"{self._prefix}.errored-{self._lease.token}.{number}"
            await self._bucket.put(key, body[at : at + CHUNK_BYTES])
