"""What an operator asks for: the request body of ``sovereign.requested``, and the shape that is kept of it.

The body is the same through every door (HTTP, NATS, CLI). Secrets in it are sealed to the one service that opens
them; a secret in clear is refused. The shape is the request without secrets and personal data: it travels in events.
"""

import base64
import binascii
import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from contracts.event import Model
from contracts.identity import Digest, Fqdn

Location = Literal["fsn1", "nbg1", "hel1", "ash", "hil"]
"""Hetzner Cloud locations that the runbook lists."""

NETWORK_ZONES: dict[str, str] = {
    "fsn1": "eu-central",
    "nbg1": "eu-central",
    "hel1": "eu-central",
    "ash": "us-east",
    "hil": "us-west",
}

SSH_ALGORITHMS = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
)


_PRIVATE = ("PRIVATE KEY", "Private-Lines", "b3BlbnNzaC1rZXktdjE")
"""Marks of a private half: PEM, PuTTY, and the base64 of OpenSSH's own magic without its PEM lines."""


def _ssh_public_key(value: str) -> str:
    text = value.strip()
    if any(mark in text for mark in _PRIVATE):
        raise ValueError(
            "plaintext-secret: this is the private half; it has been erased: rotate it, give the .pub file"
        )
    parts = text.split()
    if len(parts) < 2 or "\n" in text:  # noqa: PLR2004 - algorithm and key
        raise ValueError("one line as in ~/.ssh/sovereign_admin.pub: algorithm, key, comment")
    algorithm, encoded = parts[0], parts[1]
    if algorithm not in SSH_ALGORITHMS:
        # Not repeated: whatever stands there may be a secret in the wrong field.
        raise ValueError(f"ssh-algorithm: the first word has to be one of {', '.join(SSH_ALGORITHMS)}")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the key's second part is not base64") from None
    fields = _wire_fields(blob)
    if not fields or fields[0] != algorithm.encode():
        raise ValueError(f"the key's body is cut off or not of algorithm {algorithm}")
    if algorithm == "ssh-rsa" and (len(fields) != _RSA_FIELDS or len(fields[2].lstrip(b"\0")) * 8 < _RSA_BITS):
        raise ValueError(f"ssh-algorithm: an RSA key has at least {_RSA_BITS} bits; better: ssh-keygen -t ed25519")
    return " ".join(parts)


_RSA_FIELDS = 3
_RSA_BITS = 2048


def _wire_fields(blob: bytes) -> list[bytes]:
    """The strings of an SSH public key (RFC 4253, section 6.6); none when it is cut off."""
    fields = []
    while blob:
        size = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + size:
            return []
        fields.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return fields


def _email(value: str) -> str:
    text = value.strip()
    # What an address may hold, and nobody's does, would break out of the manifests that it is written into.
    if not re.fullmatch(r"\w[^@\s'\"\\]*@[^@\s'\"\\]+\.[^@\s.'\"\\]+", text):
        raise ValueError("an address such as admin@example.org: Keycloak sends the password reset there")
    return text


SshPublicKey = Annotated[str, AfterValidator(_ssh_public_key), StringConstraints(max_length=2000)]
Email = Annotated[str, AfterValidator(_email), StringConstraints(max_length=254)]
ServerType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,30}$")]
"""As the cloud names it; which ones exist, the catalogue knows."""
Cidr = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F.:]{2,45}/[0-9]{1,3}$")]


RegistrarName = Literal["namecheap", "godaddy", "ovh", "dynadot", "cloudflare"]
REGISTRAR_PARTS: Final[dict[RegistrarName, tuple[str, ...]]] = {
    "namecheap": ("api_user", "api_key", "client_ip"),
    "godaddy": ("key", "secret"),
    "ovh": ("application_key", "application_secret", "consumer_key"),
    "dynadot": ("api_key", "api_secret"),
    "cloudflare": ("api_token",),
}
"""What a registrar's credentials consist of: the fields of the JSON object that is sealed as the registrar token."""
SealAlgorithm = Literal["hpke-x25519-hkdf-sha256-chacha20poly1305", "hpke-x25519-hkdf-sha256-aes128gcm"]
"""The suites that every reader opens: programs seal with the first, browsers with the second (ADR 0011)."""


class SealedSecret(Model):
    """A secret as ciphertext: HPKE (RFC 9180, base mode) to the public key of one service."""

    reader: str = Field(description="The one service that can open it.")
    purpose: str = Field(description="What it is, such as cloud-token; part of what is authenticated.")
    kid: str = Field(description="Which of the reader's keys.")
    bound_to: str = Field(description="Sovereign id or draft id; part of what is authenticated.")
    algorithm: SealAlgorithm = "hpke-x25519-hkdf-sha256-chacha20poly1305"
    ciphertext: str = Field(description="Base64 of encapsulated key and ciphertext.", max_length=20_000)

    @property
    def name(self) -> str:
        """The KV key part under which it rests."""
        return self.purpose


class SecretRef(Model):
    """Where a sealed secret rests, and how to recognise it. Never the secret."""

    reader: str
    name: str
    kid: str
    sha256: Digest = Field(description="Of the ciphertext.")


class Organisation(Model):
    """Step 1 of the wizard."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True)]
    industry: Annotated[str, StringConstraints(max_length=80)] = ""
    size: Annotated[str, StringConstraints(max_length=40)] = ""
    headquarters: Annotated[str, StringConstraints(max_length=80)] = ""
    compliance: tuple[Annotated[str, StringConstraints(max_length=40)], ...] = ()


class Topology(Model):
    """Step 2: where, how many, how large."""

    region: Location
    control_plane_type: ServerType = "cpx22"
    control_plane_count: Literal[1, 3] = 1
    worker_type: ServerType = "cpx32"
    worker_count: int = Field(default=1, ge=0, le=50)
    placement_fallback: Literal["none", "type", "location"] = "none"


class Domain(Model):
    """Step 6: how the Sovereign is named in DNS."""

    mode: Literal["pool", "byo-manual", "byo-api"] = "pool"
    fqdn: Fqdn
    registrar: RegistrarName | None = None

    @model_validator(mode="after")
    def _api_needs_registrar(self) -> "Domain":
        if (self.mode == "byo-api") != (self.registrar is not None):
            raise ValueError("a registrar is given with mode byo-api, and only then")
        return self


class Shape(Model):
    """What a run brings the Sovereign to: the request without secrets and personal data."""

    organisation: Organisation
    topology: Topology
    domain: Domain
    ssh_public_key: SshPublicKey
    ssh_allowed_cidrs: tuple[Cidr, ...] = ()
    components: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")], ...] = ()
    approve_plans: Literal["destructive", "always"] = "destructive"
    deadline_minutes: int | None = Field(default=None, ge=5, le=24 * 60)


class SovereignRequest(Shape):
    """The body of a request, through every door."""

    admin_email: Email
    secrets: tuple[SealedSecret, ...] = Field(default=(), description="Sealed; see catalyst seal.")
    idempotency_key: Annotated[str, StringConstraints(max_length=120)] | None = None
    comment: Annotated[str, StringConstraints(max_length=500)] = ""

    def shape(self) -> Shape:
        """What of this request goes into events."""
        return Shape.model_validate(self.model_dump(include=set(Shape.model_fields)))
