"""Private keys under a passphrase: the keys' folder as one encrypted file.

scrypt (RFC 7914) makes the key, ChaCha20-Poly1305 (RFC 8439) encrypts; a wrong passphrase and a damaged file look the
same, as they should.
"""

import base64
import json
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

_FORMAT = "catalyst-zero keys, format 1"
_COST, _BLOCK, _PARALLEL = 2**16, 8, 1
"""64 MiB and about a fifth of a second per guess."""


class CannotUnwrap(ValueError):
    """The passphrase is wrong, or the file is damaged."""


class KeysDiffer(ValueError):
    """A key of another content is already there; nothing was written."""


def wrap(keys: Path, passphrase: bytes) -> bytes:
    """Every file below the folder, encrypted."""
    files = {str(f.relative_to(keys)): f.read_bytes() for f in sorted(keys.rglob("*")) if f.is_file()}
    plain = json.dumps({name: base64.b64encode(content).decode() for name, content in files.items()}).encode()
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    sealed = ChaCha20Poly1305(_key(passphrase, salt)).encrypt(nonce, plain, _FORMAT.encode())
    encoded = {"salt": salt, "nonce": nonce, "ciphertext": sealed}
    body = {"format": _FORMAT, **{name: base64.b64encode(value).decode() for name, value in encoded.items()}}
    return json.dumps(body).encode()


def unwrap(wrapped: bytes, passphrase: bytes, keys: Path) -> list[str]:
    """Write the files back, private ones 0600; the names of those that were missing."""
    try:
        body = json.loads(wrapped)
        salt, nonce, sealed = (base64.b64decode(body[name]) for name in ("salt", "nonce", "ciphertext"))
        plain = ChaCha20Poly1305(_key(passphrase, salt)).decrypt(nonce, sealed, body["format"].encode())
    except (InvalidTag, ValueError, KeyError):
        raise CannotUnwrap("the passphrase is wrong, or the file is damaged") from None
    files = {name: base64.b64decode(content) for name, content in json.loads(plain).items()}
    root = keys.resolve()
    for name, content in files.items():
        target = (root / name).resolve()
        if not target.is_relative_to(root):
            raise CannotUnwrap(f"{name!r} lies outside the keys' folder")
        if target.exists() and target.read_bytes() != content:
            raise KeysDiffer(f"{target} is there already and differs")
    missing = [name for name in files if not (root / name).exists()]
    for name in missing:
        _write(root / name, files[name])
    root.chmod(0o700)
    return missing


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _key(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=_COST, r=_BLOCK, p=_PARALLEL).derive(passphrase)
