"""The Sovereign's own credential for its zone: minted, known by its hash, taken back.

One secret, derived from a minting key, the Sovereign and its life (HMAC-SHA256), so that whoever mints it again, after
a crash or for another run, mints the same: user data of existing servers stays true. It opens two doors: DNS UPDATE,
as a TSIG key that PowerDNS knows (cert-manager), and the zone door, which knows its hash (clients of PowerDNS's API).
See docs/adr/0010-zone-credential.md and 0014-dns-update.md.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from pydantic import SecretStr

from bus import Value, seal
from contracts.event import Model
from contracts.identity import Digest, fqdn_of
from contracts.questions import PublicKey
from contracts.request import SealedSecret, SecretRef

READER: Final = "tofu-runner"
PURPOSE: Final = "zone-credential"


class KeyStore(Protocol):
    """A bucket, as far as hashes need it."""

    async def get(self, key: str) -> Value | None:
        """The value, or None."""
        ...

    async def last_revision(self, key: str) -> int:
        """What an update has to expect."""
        ...

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Compare and set; Conflict when somebody else wrote."""
        ...

    async def delete(self, key: str) -> None:
        """Remove; absent is fine."""
        ...


class SealedStore(Protocol):
    """Where sealed secrets rest."""

    async def put(self, sovereign: str, life: int, secret: SealedSecret) -> SecretRef:
        """Store; an earlier one of the same name is replaced."""
        ...


class Updates(Protocol):
    """The DNS server, as far as it admits DNS UPDATE."""

    async def admit_updates(self, fqdn: str, keys: Mapping[str, SecretStr], names: Iterable[str]) -> None:
        """Make these TSIG keys (name to base64 secret); let exactly those of these names change the zone."""
        ...

    async def refuse_updates(self, fqdn: str, keys: Iterable[str]) -> None:
        """Nobody changes the zone any more, and these keys are gone."""
        ...


class Standing(Model):
    """What is kept of a Sovereign's keys."""

    life: int
    hashes: tuple[Digest, ...]
    revoked: bool = False


@dataclass(frozen=True)
class ZoneCredentials:
    """Mints, checks and revokes."""

    store: KeyStore
    updates: Updates
    sealed: SealedStore
    seal_to_tofu: PublicKey
    minting_key: SecretStr
    public_url: str
    """Where Sovereigns reach the zone door; its path goes on with the Sovereign's id."""
    update_server: str
    """Where they send DNS UPDATE: host:port of the PowerDNS that is written to."""

    async def issue(self, sovereign: str, life: int) -> SecretRef:
        """Make the credential of this life valid and seal it to tofu-runner, which puts it into user data."""
        secret, key = self._mint(sovereign, life)
        standing = await self._ensure_known(sovereign, life, hash_of(key))
        name = tsig_name(sovereign, life, hash_of(key))
        signed = base64.b64encode(secret).decode()
        if not standing.revoked and standing.life == life:
            held = {tsig_name(sovereign, life, digest) for digest in standing.hashes}
            await self.updates.admit_updates(fqdn_of(sovereign), {name: SecretStr(signed)}, held)
        plaintext = {
            "url": f"{self.public_url.rstrip('/')}/{sovereign}/api/v1",
            "api_key": key,
            "nameserver": self.update_server,
            "tsig_name": name,
            "tsig_secret": signed,
        }
        sealed = seal(
            json.dumps(plaintext).encode(), to=self.seal_to_tofu, reader=READER, purpose=PURPOSE, bound_to=sovereign
        )
        return await self.sealed.put(sovereign, life, sealed)

    async def admits(self, sovereign: str, key: str) -> bool:
        """Whether this is a valid key of this Sovereign."""
        found = await self._standing(sovereign)
        if found is None or found.revoked:
            return False
        given = hash_of(key)
        return any(hmac.compare_digest(given, known) for known in found.hashes)

    async def revoke(self, sovereign: str, life: int) -> None:
        """From now on no key of this life opens anything. A key of a later life is left alone."""
        revision = await self.store.last_revision(_place(sovereign))
        found = await self._standing(sovereign)
        if found is not None and found.life > life:
            return
        hashes = found.hashes if found is not None and found.life == life else ()
        await self._write(sovereign, Standing(life=life, hashes=hashes, revoked=True), revision)
        names = [tsig_name(sovereign, life, digest) for digest in hashes]
        await self.updates.refuse_updates(fqdn_of(sovereign), names)

    async def forget(self, sovereign: str, life: int) -> None:
        """Nothing is kept of an ended life."""
        found = await self._standing(sovereign)
        if found is not None and found.life <= life:
            await self.store.delete(_place(sovereign))

    async def _ensure_known(self, sovereign: str, life: int, digest: str) -> Standing:
        revision = await self.store.last_revision(_place(sovereign))
        found = await self._standing(sovereign)
        if found is None or found.life < life:
            standing = Standing(life=life, hashes=(digest,))
        elif found.life == life and not found.revoked and digest not in found.hashes:
            # The minting key was changed since: what servers already hold stays valid beside the new one.
            standing = Standing(life=life, hashes=(*found.hashes, digest))
        else:
            return found
        await self._write(sovereign, standing, revision)
        return standing

    async def _standing(self, sovereign: str) -> Standing | None:
        found = await self.store.get(_place(sovereign))
        return Standing.model_validate_json(found.value) if found else None

    async def _write(self, sovereign: str, standing: Standing, revision: int) -> None:
        await self.store.update(_place(sovereign), standing.model_dump_json().encode(), revision)

    def _mint(self, sovereign: str, life: int) -> tuple[bytes, str]:
        """The secret itself, and as the zone door takes it."""
        message = f"{PURPOSE}|{sovereign}|{life}".encode()
        made = hmac.digest(self.minting_key.get_secret_value().encode(), message, "sha256")
        return made, base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def hash_of(key: str) -> str:
    """What is stored of a key. It holds 256 bits of its own, so no slow hash is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def tsig_name(sovereign: str, life: int, digest: str) -> str:
    """What the TSIG key is called: another minting key makes another name beside it."""
    return f"catalyst-{life}-{digest[:8]}.{fqdn_of(sovereign)}"


def _place(sovereign: str) -> str:
    return f"{sovereign}.credential"
