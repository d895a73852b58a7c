"""Keys of an installation: an NKey per NATS user, HPKE keys per reader. Private ones are files 0600.

<directory>/<user>.nk              NKey seed
<directory>/<service>.seal.json    HPKE private keys, newest first
<directory>/public/<user>.nkey     NKey public keys that the servers accept, newest first
<directory>/public/<service>.keys.json   HPKE public keys
"""

import json
import os
import secrets
from collections.abc import Container
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
    state: str
    """``current``, or what an older one is still good for until it is retired: ``accepted`` or ``opens``."""


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
            _write_private(seed_file, _new_seed())
            made.append(seed_file.name)
        current = _public_of(seed_file)
        if current not in public_nkeys(directory, user):
            _write_nkeys(directory, user, (current,))
    for service in READERS:
        file = directory / f"{service}.seal.json"
        if not file.exists():
            _write_private(file, SealKeys.generate(service).dump())
            made.append(file.name)
        _write_public(public, SealKeys.load(file))
    return made


def rotate_nkey(directory: Path, user: str) -> str:
    """A new NKey for a user; the servers accept the old one too until it is retired. The new public key."""
    known = public_nkeys(directory, user)
    seed_file = directory / f"{user}.nk"
    _write_private(seed_file, _new_seed())
    current = _public_of(seed_file)
    _write_nkeys(directory, user, (current, *known))
    return current


def retire_nkeys(directory: Path, user: str) -> tuple[str, ...]:
    """Only the current NKey of a user is accepted from the servers' next reload on; the others, which are not."""
    current, *old = public_nkeys(directory, user)
    _write_nkeys(directory, user, (current,))
    return tuple(old)


def retire_seal_keys(directory: Path, service: str, *, in_use: Container[str]) -> tuple[str, ...]:
    """Forget a reader's old keys but those that something is still sealed to; the ids of the forgotten ones."""
    file = directory / f"{service}.seal.json"
    keys = SealKeys.load(file)
    kept = (keys.keys[0], *(row for row in keys.keys[1:] if row[0] in in_use))
    gone = tuple(kid for kid, _key in keys.keys if kid not in {kept_kid for kept_kid, _kept in kept})
    left = SealKeys(service, kept)
    _write_private(file, left.dump())
    _write_public(directory / "public", left)
    return gone


def rotate_seal_key(directory: Path, service: str) -> str:
    """A new first key for a reader; the old ones go on opening. The new key's id."""
    file = directory / f"{service}.seal.json"
    keys = SealKeys.load(file).rotated()
    _write_private(file, keys.dump())
    _write_public(directory / "public", keys)
    return keys.keys[0][0]


def list_keys(directory: Path) -> list[KeyRow]:
    """Every public key of the installation."""
    rows = []
    for file in sorted((directory / "public").glob("*.nkey")):
        current, *old = public_nkeys(directory, file.stem)
        rows.append(KeyRow(file.stem, "nkey", current, "current"))
        rows += [KeyRow(file.stem, "nkey", key, "accepted") for key in old]
    for service in READERS:
        file = directory / "public" / f"{service}.keys.json"
        for number, row in enumerate(json.loads(file.read_text()) if file.exists() else ()):
            state = "opens" if number else "current"
            rows.append(KeyRow(service, f"seal {row['kid']}", row["public_key"], state))
    return rows


def public_nkeys(directory: Path, user: str) -> tuple[str, ...]:
    """The public NKeys of a user that the servers accept, newest first."""
    file = directory / "public" / f"{user}.nkey"
    return tuple(file.read_text().split()) if file.exists() else ()


def _new_seed() -> str:
    return str(nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER).decode())


def _public_of(seed_file: Path) -> str:
    return str(nkeys.from_seed(seed_file.read_bytes().strip()).public_key.decode())


def _write_nkeys(directory: Path, user: str, keys: tuple[str, ...]) -> None:
    (directory / "public" / f"{user}.nkey").write_text("".join(f"{key}\n" for key in keys))


def _write_public(public: Path, keys: SealKeys) -> None:
    rows = [key.model_dump(mode="json") for key in keys.public()]
    (public / f"{keys.service}.keys.json").write_text(json.dumps(rows, indent=1) + "\n")
