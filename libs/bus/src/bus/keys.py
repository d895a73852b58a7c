"""Keys of an installation: an NKey per NATS user, HPKE keys per reader. Private ones are files 0600.

<directory>/<user>.nk              NKey seed
<directory>/<service>.seal.json    HPKE private keys, newest first
<directory>/public/<user>.nkey     NKey public key
<directory>/public/<service>.keys.json   HPKE public keys
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import nkeys

from bus.seal import SealKeys
from contracts.catalogue import SERVICES
from contracts.topology import permissions

READERS = tuple(service for service in SERVICES if service not in {"intake", "gateway"})
"""Services that something is ever sealed to: intake and gateway never see a secret in clear."""


@dataclass(frozen=True)
class KeyRow:
    """One key, as ``catalyst keys list`` shows it."""

    owner: str
    kind: str
    public: str


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def init_keys(directory: Path) -> list[str]:
    """Make what is missing; never touches what exists. The names of what was made."""
    public = directory / "public"
    public.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    made = []
    for user in (row.user for row in permissions()):
        seed_file = directory / f"{user}.nk"
        if not seed_file.exists():
            _write_private(seed_file, nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER).decode())
            made.append(seed_file.name)
        pair = nkeys.from_seed(seed_file.read_bytes().strip())
        (public / f"{user}.nkey").write_text(pair.public_key.decode() + "\n")
    for service in READERS:
        file = directory / f"{service}.seal.json"
        if not file.exists():
            _write_private(file, SealKeys.generate(service).dump())
            made.append(file.name)
        _write_public(public, SealKeys.load(file))
    return made


def rotate_seal_key(directory: Path, service: str) -> str:
    """A new first key for a reader; the old ones go on opening. The new key's id."""
    file = directory / f"{service}.seal.json"
    keys = SealKeys.load(file).rotated()
    _write_private(file, keys.dump())
    _write_public(directory / "public", keys)
    return keys.keys[0][0]


def list_keys(directory: Path) -> list[KeyRow]:
    """Every public key of the installation."""
    rows = [
        KeyRow(file.stem, "nkey", file.read_text().strip()) for file in sorted((directory / "public").glob("*.nkey"))
    ]
    for service in READERS:
        file = directory / "public" / f"{service}.keys.json"
        if file.exists():
            rows += [KeyRow(service, f"seal {row['kid']}", row["public_key"]) for row in json.loads(file.read_text())]
    return rows


def public_nkey(directory: Path, user: str) -> str:
    """The public NKey of a user."""
    return (directory / "public" / f"{user}.nkey").read_text().strip()


def _write_public(public: Path, keys: SealKeys) -> None:
    rows = [key.model_dump(mode="json") for key in keys.public()]
    (public / f"{keys.service}.keys.json").write_text(json.dumps(rows, indent=1) + "\n")
