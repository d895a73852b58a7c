"""Sealed secrets: ciphertext for one reader, bound to what it is for.

HPKE (RFC 9180) base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305; what a browser sealed comes with
AES-128-GCM instead, which WebCrypto has everywhere. ``info`` carries purpose, reader and what it is bound to (a
Sovereign or a draft), so a ciphertext moved elsewhere does not open. The sender is not authenticated by HPKE; NATS
permissions say who may put what.
"""

import base64
import binascii
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from contracts.questions import PublicKey
from contracts.request import SealAlgorithm, SealedSecret

_SUITES: Final[Mapping[SealAlgorithm, hpke.Suite]] = {
    "hpke-x25519-hkdf-sha256-chacha20poly1305": hpke.Suite(
        hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305
    ),
    "hpke-x25519-hkdf-sha256-aes128gcm": hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_128_GCM),
}


class CannotOpen(ValueError):
    """Not sealed to us, not for this purpose or Sovereign, or damaged."""


def _info(purpose: str, reader: str, bound_to: str) -> bytes:
    return json.dumps(["catalyst-zero", purpose, reader, bound_to], separators=(",", ":")).encode()


def seal(plaintext: bytes, *, to: PublicKey, reader: str, purpose: str, bound_to: str) -> SealedSecret:
    """Encrypt to a reader's public key."""
    key = X25519PublicKey.from_public_bytes(base64.b64decode(to.public_key))
    ciphertext = _SUITES[to.algorithm].encrypt(plaintext, key, info=_info(purpose, reader, bound_to))
    return SealedSecret(
        reader=reader,
        purpose=purpose,
        kid=to.kid,
        bound_to=bound_to,
        algorithm=to.algorithm,
        ciphertext=base64.b64encode(ciphertext).decode(),
    )


def digest(secret: SealedSecret) -> str:
    """SHA-256 of the ciphertext, as references carry it."""
    return hashlib.sha256(secret.ciphertext.encode()).hexdigest()


@dataclass(frozen=True)
class SealKeys:
    """One service's private keys, newest first; old ones still open what was sealed to them."""

    service: str
    keys: tuple[tuple[str, X25519PrivateKey], ...]

    @classmethod
    def generate(cls, service: str) -> "SealKeys":
        """A first key pair."""
        return cls(service, ((_new_kid(), X25519PrivateKey.generate()),))

    def rotated(self) -> "SealKeys":
        """A new first key; the others stay to open."""
        return SealKeys(self.service, ((_new_kid(), X25519PrivateKey.generate()), *self.keys))

    @classmethod
    def load(cls, path: Path) -> "SealKeys":
        """Read a private key file."""
        body = json.loads(path.read_text())
        keys = tuple(
            (item["kid"], X25519PrivateKey.from_private_bytes(base64.b64decode(item["private"])))
            for item in body["keys"]
        )
        return cls(body["service"], keys)

    def dump(self) -> str:
        """The private key file's content; the caller writes it 0600."""
        rows = [{"kid": kid, "private": base64.b64encode(key.private_bytes_raw()).decode()} for kid, key in self.keys]
        return json.dumps({"service": self.service, "keys": rows}, indent=1)

    def public(self) -> tuple[PublicKey, ...]:
        """What others seal to: the first one."""
        return tuple(
            PublicKey(kid=kid, public_key=base64.b64encode(key.public_key().public_bytes_raw()).decode())
            for kid, key in self.keys
        )

    def open(self, secret: SealedSecret, *, bound_to: str, purpose: str | None = None) -> bytes:
        """Decrypt; CannotOpen unless it was sealed to us, for this purpose, bound to this."""
        if secret.reader != self.service:
            raise CannotOpen(f"sealed to {secret.reader}, not to {self.service}")
        if purpose is not None and secret.purpose != purpose:
            raise CannotOpen(f"sealed as {secret.purpose!r}, wanted is {purpose!r}")
        if secret.bound_to != bound_to:
            raise CannotOpen(f"sealed for {secret.bound_to!r}, not for {bound_to!r}")
        key = next((key for kid, key in self.keys if kid == secret.kid), None)
        if key is None:
            raise CannotOpen(f"sealed to key {secret.kid}, which {self.service} does not hold (rotated away?)")
        try:
            ciphertext = base64.b64decode(secret.ciphertext, validate=True)
            info = _info(secret.purpose, secret.reader, secret.bound_to)
            return _SUITES[secret.algorithm].decrypt(ciphertext, key, info=info)
        except (InvalidTag, ValueError, binascii.Error):
            raise CannotOpen("the ciphertext is damaged, or was sealed for something else") from None


def _new_kid() -> str:
    return secrets.token_hex(4)


def load_public_keys(directory: Path, service: str) -> tuple[PublicKey, ...]:
    """A service's public keys from the folder that ``catalyst keys init`` writes."""
    rows = json.loads((directory / f"{service}.keys.json").read_text())
    return tuple(PublicKey.model_validate(row) for row in rows)
