"""SSH keys: name and key material are unique in the project."""

import base64
import binascii
import hashlib
from typing import Final

from sandbox.hetzner.calls import Answer, Call, Routes
from sandbox.hetzner.errors import invalid, not_unique
from sandbox.hetzner.listing import named_routes
from sandbox.hetzner.state import Record, shown

_KINDS: Final = frozenset(
    {
        "ssh-rsa",
        "ssh-dss",
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)


def fingerprint(public_key: str) -> str:
    """The MD5 fingerprint of a key in OpenSSH notation, as the API shows it."""
    kind, _, rest = public_key.strip().partition(" ")
    material = rest.split(" ", 1)[0]
    try:
        blob = base64.b64decode(material, validate=True)
    except binascii.Error:
        raise invalid("public_key", "is not a valid SSH public key") from None
    if kind not in _KINDS or blob[4 : 4 + int.from_bytes(blob[:4], "big")] != kind.encode():
        raise invalid("public_key", "is not a valid SSH public key")
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


def _shown(_call: Call, record: Record) -> Record:
    return shown(record)


def _created(call: Call) -> Answer:
    body = call.body()
    name, public_key, labels = body.text("name", longest=255), body.text("public_key"), body.labels()
    body.check()
    mark = fingerprint(public_key)
    if any(other["fingerprint"] == mark for other in call.project.tables["ssh_keys"].values()):
        raise not_unique("public_key", "SSH key with the same fingerprint already exists")
    call.project.ensure_free_name("ssh_keys", name)
    call.project.ensure_room("ssh_keys")
    record = call.project.add(
        "ssh_keys", {"name": name, "fingerprint": mark, "public_key": public_key.strip(), "labels": labels or {}}
    )
    return Answer(201, {"ssh_key": shown(record)})


def _deleted(call: Call) -> Answer:
    call.project.drop("ssh_keys", call.record("ssh_keys"))
    return Answer(204)


ROUTES: Routes = {
    **named_routes("ssh_keys", _shown, filters=("fingerprint",)),
    ("POST", "/ssh_keys"): _created,
    ("DELETE", "/ssh_keys/{id}"): _deleted,
}
