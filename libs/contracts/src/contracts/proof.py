"""The proof of a decommission: what is gone, and which event saw it gone, as one document with one signature.

The signature is over the document's own bytes, so a reader of any release verifies what was signed, whatever fields
it knows. It is tofu-runner's (Ed25519); its public keys are in the answer of ``ask.tofu-runner.keys``.
"""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from contracts.event import Model


class Gone(Model):
    """A resource that no longer exists."""

    address: str
    cloud_id: str
    kind: str
    seen_by: UUID | None = Field(default=None, description="The event that saw it gone.")


class Proof(Model):
    """The document."""

    sovereign: str
    owner: str
    life: int
    asked_by: UUID | None = Field(default=None, description="The decommission-requested event.")
    gone: tuple[Gone, ...]
    left: tuple[str, ...] = Field(default=(), description="Protected or foreign resources that were named and left.")
    inventory_at: AwareDatetime | None = Field(
        description="When the cloud's own lists held nothing else any more; none where nothing was ever asked of it."
    )


class SignedProof(Model):
    """The document's text and its signature."""

    document: str = Field(description="JSON of Proof: the bytes that are signed.")
    algorithm: Literal["ed25519"] = "ed25519"
    kid: str
    signature: str = Field(description="Base64.")

    def proof(self) -> Proof:
        """The document, read; verify its signature first."""
        return Proof.model_validate_json(self.document)


class SigningKey(Model):
    """A public key that verifies proofs."""

    kid: str
    algorithm: Literal["ed25519"] = "ed25519"
    public_key: str = Field(description="Base64 of the 32 raw bytes.")
