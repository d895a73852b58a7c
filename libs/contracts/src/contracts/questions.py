"""Requests and replies of the questions. Every request may carry who asks; the gateway stamps it, nobody else can."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, JsonValue, StringConstraints

from contracts.dns import Record
from contracts.errors import FieldError, Trouble
from contracts.event import Model
from contracts.identity import Actor, Digest, Fqdn, Owner, SovereignId
from contracts.node import Stage, StageState
from contracts.request import SealedSecret

Reason = Annotated[str, StringConstraints(max_length=500)]


class Asker(Model):
    """Who asks, as the edge authenticated it."""

    actor: Actor
    owner: Owner
    roles: tuple[Literal["viewer", "operator", "approver", "admin"], ...] = ()


class Nothing(Model):
    """A question without parameters."""


class OfSovereign(Model):
    """A question about one Sovereign."""

    sovereign: SovereignId


class Submit(Model):
    """A request for a Sovereign; its body is judged by intake, so that every field error is told at once."""

    body: dict[str, JsonValue]
    idempotency_key: str | None = None


class Accepted(Model):
    """The command is a fact now."""

    sovereign: SovereignId
    life: int
    run: int
    event_id: UUID
    existing: bool = Field(default=False, description="True when the same request had been accepted before.")


class Command(OfSovereign):
    """A command with nothing but a reason."""

    reason: Reason = ""


class Retry(Command):
    """Go on from what exists; brings the secrets that are gone."""

    secrets: tuple[SealedSecret, ...] = ()


class Approve(Command):
    """Approve one plan."""

    plan_digest: Digest


class Decommission(Command):
    """Take everything away; brings the cloud token when it is gone."""

    confirm: Fqdn = Field(description="The FQDN, typed again.")
    secrets: tuple[SealedSecret, ...] = ()
    restore_nameservers: bool = False


class Reconcile(OfSovereign):
    """Kick Flux for one release or all."""

    release: str = ""


class Suspend(OfSovereign):
    """Suspend or resume a release."""

    release: str
    suspend: bool


class ServerTypeRow(Model):
    """A server type as the wizard offers it."""

    name: str
    cores: int
    memory_gib: float
    disk_gib: int
    architecture: Literal["x86", "arm"]


class RegionRow(Model):
    """A location as the wizard offers it."""

    name: str
    city: str
    network_zone: str


class ComponentRow(Model):
    """A component of the kit."""

    name: str
    family: str
    tier: Literal["mandatory", "recommended", "optional"]
    depends_on: tuple[str, ...] = ()
    description: str = ""


class CatalogueReply(Model):
    """What can be asked for."""

    regions: tuple[RegionRow, ...]
    server_types: tuple[ServerTypeRow, ...]
    components: tuple[ComponentRow, ...]
    pool_domains: tuple[str, ...]


class NodeStage(OfSovereign):
    """A boot stage, with the hash of the node's token (the gateway never passes the token on)."""

    token_sha256: Digest
    server: Annotated[str, StringConstraints(max_length=63)]
    stage: Stage
    number: int = Field(ge=1, le=99)
    state: StageState
    sequence: int = Field(ge=0, le=100_000)
    at: str
    log: tuple[Annotated[str, StringConstraints(max_length=2000)], ...] = Field(default=(), max_length=50)


class NodeEnrol(OfSovereign):
    """A kubeconfig, sealed by the gateway to flux-watcher."""

    token_sha256: Digest
    kubeconfig: SealedSecret
    body_sha256: Digest
    caller_ip: str = ""


class Done(Model):
    """It is taken."""

    again: bool = Field(default=False, description="True when the same body had been taken before.")


class Name(Model):
    """A name to check."""

    fqdn: Annotated[str, StringConstraints(max_length=300)]
    mode: Literal["pool", "byo-manual", "byo-api"] = "pool"


class NameReply(Model):
    """Free, or why not."""

    fqdn: str
    verdict: Literal["free", "taken", "reserved", "nested", "invalid", "unmanaged"]
    reason: str = ""


class ZoneReply(Model):
    """The zone as it is now."""

    zone: str
    serial: int
    records: tuple[Record, ...]


class Token(Model):
    """A cloud token to try, sealed to tofu-runner."""

    secret: SealedSecret


class TokenReply(Model):
    """What the token can do."""

    valid: bool
    can_write: bool
    trouble: Trouble | None = None


class Describe(OfSovereign):
    """One object of the cluster."""

    kind: str
    name: str
    namespace: str = "flux-system"


class DescribeReply(Model):
    """Conditions, events and last log lines of one object."""

    kind: str
    name: str
    conditions: tuple[dict[str, str], ...] = ()
    events: tuple[str, ...] = ()
    log: tuple[str, ...] = ()


class PublicKey(Model):
    """A key to seal to (HPKE: DHKEM X25519, HKDF-SHA256, ChaCha20-Poly1305)."""

    kid: str
    algorithm: Literal["hpke-x25519-hkdf-sha256-chacha20poly1305"] = "hpke-x25519-hkdf-sha256-chacha20poly1305"
    public_key: str = Field(description="Base64 of the 32 raw bytes.")
    not_after: str | None = None


class KeysReply(Model):
    """The public keys of one service; seal to the first."""

    service: str
    keys: tuple[PublicKey, ...]


class Problem(Model):
    """How a question is refused."""

    trouble: Trouble
    errors: tuple[FieldError, ...] = ()
