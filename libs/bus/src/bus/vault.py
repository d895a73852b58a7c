"""Where sealed secrets rest: bucket ``sealed``, keys ``<reader>.<id>.<life>.<name>``.

Only the reader may read its keys (server permissions), and only it holds the key that opens them.
"""

import re
from collections import Counter

from bus import reading
from bus.connection import Connection
from bus.kv import Bucket
from bus.outcome import Conflict
from bus.seal import CannotOpen, SealKeys, digest
from bus.sign import signed, signing_keys
from contracts.proof import SignedProof, SigningKey
from contracts.questions import PublicKey
from contracts.request import SealedSecret, SecretRef

_MARKER_S = 60
"""A deletion of what may never have been there leaves nothing behind for longer."""


def reference(secret: SealedSecret) -> SecretRef:
    """How events speak of a sealed secret."""
    return SecretRef(reader=secret.reader, name=secret.name, kid=secret.kid, sha256=digest(secret))


async def sealed_to(connection: Connection, reader: str) -> Counter[str]:
    """How many resting secrets are sealed to each of a reader's keys, by key id; for who may read all of them."""
    found: Counter[str] = Counter()
    async for message in reading.everything(connection, "KV_sealed", f"$KV.sealed.{reader}.>"):
        if message.data:
            found[SealedSecret.model_validate_json(message.data).kid] += 1
    async for message in reading.everything(connection, "KV_draft", "$KV.draft.>"):
        # A draft carries sealed secrets inline, whatever else is in it.
        found.update(re.findall(r'"kid"\s*:\s*"([^"]+)"', message.data.decode("utf-8", "replace")))
    return found


class Vault:
    """The sealed bucket, as one service sees it."""

    def __init__(self, bucket: Bucket, keys: SealKeys | None) -> None:
        self._bucket = bucket
        self._keys = keys

    async def put(self, sovereign: str, life: int, secret: SealedSecret) -> SecretRef:
        """Store a sealed secret; an earlier one of the same name is replaced."""
        await self._bucket.put(f"{secret.reader}.{sovereign}.{life}.{secret.name}", secret.model_dump_json().encode())
        return reference(secret)

    async def put_once(self, sovereign: str, life: int, secret: SealedSecret) -> SecretRef:
        """Store a sealed secret unless there is one of that name already; the reference of the one that rests."""
        key = f"{secret.reader}.{sovereign}.{life}.{secret.name}"
        try:
            await self._bucket.create(key, secret.model_dump_json().encode())
        except Conflict:
            found = await self._bucket.get(key)
            if found is not None:
                secret = SealedSecret.model_validate_json(found.value)
        return reference(secret)

    async def open(self, sovereign: str, life: int, name: str) -> bytes:
        """The plaintext of one of our secrets; KeyError when it is gone, CannotOpen when it is not for us."""
        keys = self._own()
        found = await self._bucket.get(f"{keys.service}.{sovereign}.{life}.{name}")
        if found is None:
            raise KeyError(f"no secret {name!r} of {sovereign}, life {life}")
        secret = SealedSecret.model_validate_json(found.value)
        return keys.open(secret, bound_to=sovereign, purpose=name)

    async def revision(self, sovereign: str, life: int, name: str) -> int:
        """Which of our secrets of that name rests now; 0 when there never was one."""
        return await self._bucket.last_revision(f"{self._own().service}.{sovereign}.{life}.{name}")

    async def erase(self, sovereign: str, life: int, name: str, *, revision: int | None = None) -> None:
        """Remove one of our secrets and its bytes; absent is fine. Conflict when another than ``revision`` rests."""
        await self._bucket.delete(f"{self._own().service}.{sovereign}.{life}.{name}", revision=revision)

    async def take_away(self, reader: str, sovereign: str, life: int, name: str) -> None:
        """Remove a reader's secret without reading it; absent is fine."""
        await self._bucket.delete(f"{reader}.{sovereign}.{life}.{name}", ttl_s=_MARKER_S)

    def open_sealed(self, secret: SealedSecret, *, bound_to: str, purpose: str | None = None) -> bytes:
        """Open a secret that came inline."""
        return self._own().open(secret, bound_to=bound_to, purpose=purpose)

    def public_keys(self) -> tuple[PublicKey, ...]:
        """Our public keys, for the ``keys`` question."""
        return self._own().public()

    def sign(self, document: str) -> SignedProof:
        """The document with our signature."""
        return signed(document, self._own())

    def signing_keys(self) -> tuple[SigningKey, ...]:
        """What verifies our signatures."""
        return signing_keys(self._own())

    def _own(self) -> SealKeys:
        if self._keys is None:
            raise CannotOpen("this service has no seal keys: set CATALYST_SEAL_KEY_FILE (catalyst keys init makes one)")
        return self._keys
