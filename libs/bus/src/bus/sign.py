"""Signatures of documents that outlive us, such as the proof of a decommission: Ed25519 (RFC 8032).

The signing key is derived from the service's seal key (HKDF, RFC 5869, with a label of its own): an installation has
one private key per service to guard and to rotate, and old keys go on verifying as long as they go on opening. The
gateway, which opens nothing, derives its own from its NKey.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bus.seal import SealKeys
from contracts.proof import SignedProof, SigningKey

_USER_LABEL = b"catalyst-zero keys of a user, version 1"
_LABEL = b"catalyst-zero document signing, version 1"


class NotVerified(ValueError):
    """The signature is not one of the known keys', or the document is another one than was signed."""


def keys_of_user(service: str, seed: bytes) -> SealKeys:
    """Keys that only sign, for a service that nothing is sealed to: derived from its NKey seed, and of one rotation."""
    raw = HKDF(algorithm=SHA256(), length=32, salt=None, info=_USER_LABEL).derive(seed)
    private = X25519PrivateKey.from_private_bytes(raw)
    kid = hashlib.sha256(_derived(private).public_key().public_bytes_raw()).hexdigest()[:8]
    return SealKeys(service, ((kid, private),))


def _derived(private: X25519PrivateKey) -> Ed25519PrivateKey:
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=_LABEL).derive(private.private_bytes_raw())
    return Ed25519PrivateKey.from_private_bytes(seed)


def signed(document: str, keys: SealKeys) -> SignedProof:
    """The document with a signature of the newest key."""
    kid, private = keys.keys[0]
    signature = _derived(private).sign(document.encode())
    return SignedProof(document=document, kid=kid, signature=base64.b64encode(signature).decode())


def signing_keys(keys: SealKeys) -> tuple[SigningKey, ...]:
    """What verifies signatures of these keys, newest first."""
    return tuple(
        SigningKey(kid=kid, public_key=base64.b64encode(_derived(private).public_key().public_bytes_raw()).decode())
        for kid, private in keys.keys
    )


def verify(proof: SignedProof, trusted: Iterable[SigningKey]) -> SigningKey:
    """The trusted key that signed this document; NotVerified when none did."""
    key = next((key for key in trusted if key.kid == proof.kid), None)
    if key is None:
        raise NotVerified(f"it is signed with key {proof.kid}, which is none of the trusted keys")
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.public_key, validate=True))
        public.verify(base64.b64decode(proof.signature, validate=True), proof.document.encode())
    except (InvalidSignature, binascii.Error, ValueError):
        raise NotVerified(f"the signature of key {proof.kid} is not over this document: it was changed") from None
    return key
