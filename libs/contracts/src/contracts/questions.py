"""Requests and replies of the questions. Every request may carry who asks; the gateway stamps it, nobody else can."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, JsonValue, StringConstraints

from contracts.dns import Record
from contracts.errors import FieldError, Trouble
from contracts.event import Model
from contracts.identity import Actor, Digest, Fqdn, Owner, SovereignId
from contracts.node import Stage, StageState
from contracts.proof import SigningKey
from contracts.request import Cidr, RegistrarName, SealedSecret, Shape
from contracts.tofu import Cost

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


class Ssh(Command):
    """Let a network reach the nodes by SSH, or no longer; the firewall changes in place."""

    cidr: Cidr = Field(description="Such as 203.0.113.7/32.")
    open: bool
    secrets: tuple[SealedSecret, ...] = ()


class Restore(OfSovereign):
    """Bring an earlier version of the OpenTofu state back, while no run is under way."""

    serial: int = Field(ge=1, description="As the list of versions has it.")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class OfState(OfSovereign):
    """One version of the state."""

    serial: int = Field(ge=0, description="0 is the newest one.")


class StateVersion(Model):
    """A version that is kept."""

    serial: int
    written_under: int = Field(description="Fencing token of its writer.")
    stored_bytes: int
    resources: int
    newest: bool = False


class StateVersionsReply(Model):
    """The kept versions, newest first."""

    versions: tuple[StateVersion, ...]


class StateReply(Model):
    """A version as OpenTofu reads it."""

    serial: int
    document: str = Field(description="JSON, decrypted: it names every resource, and holds no secret of ours.")


class Approve(Command):
    """Approve one plan."""

    plan_digest: Digest


class Decommission(Command):
    """Take everything away; brings the cloud token when it is gone."""

    confirm: Fqdn = Field(description="The FQDN, typed again.")
    secrets: tuple[SealedSecret, ...] = ()
    restore_nameservers: bool = False


class Reprovision(Command):
    """Take the cluster away and build it anew under the same name; brings the secrets that the new life needs."""

    confirm: Fqdn = Field(description="The FQDN, typed again.")
    secrets: tuple[SealedSecret, ...] = ()


class Reconcile(OfSovereign):
    """Kick Flux for one release or all."""

    release: str = ""


class Suspend(OfSovereign):
    """Suspend or resume a release."""

    release: str
    suspend: bool


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
    trouble: Trouble | None = Field(default=None, description="Why it is not free, by code, and what to do.")


class Mail(Model):
    """An address that mails are to be sent to. No mail is sent."""

    address: Annotated[str, StringConstraints(max_length=320)]


class MailReply(Model):
    """What DNS says of its domain."""

    domain: str
    verdict: Literal["deliverable", "undeliverable", "invalid", "not-checked"]
    reason: str = ""
    exchangers: tuple[str, ...] = Field(default=(), description="Where mail goes, best first.")
    trouble: Trouble | None = None


class ZoneReply(Model):
    """The zone as it is now."""

    zone: str
    serial: int
    records: tuple[Record, ...]


class Token(Model):
    """A cloud token to try, sealed to tofu-runner."""

    secret: SealedSecret


class Preflight(Shape):
    """A request as it would be sent; nothing is created. Without a cloud token only the request itself is judged."""

    secrets: tuple[SealedSecret, ...] = ()


class Finding(Model):
    """One thing that was checked before money is spent."""

    check: str = Field(description="What was looked at, such as token-writes or server-limit.")
    verdict: Literal["passed", "warning", "failed", "not-checked"]
    detail: str = ""
    trouble: Trouble | None = Field(default=None, description="With a warning or failure: whose it is, and what to do.")


class PreflightReply(Model):
    """All findings at once; nothing failed means that it can begin."""

    findings: tuple[Finding, ...]
    cost: Cost | None = None
    call_budget: int = Field(default=0, description="Cloud calls that the run will take, about.")


class Price(Model):
    """What the account pays for one type in one location; net, as decimal strings."""

    kind: Literal["server", "load-balancer"]
    name: str
    location: str
    monthly: str
    hourly: str
    available: bool = True
    deprecated: bool = False


class PricesReply(Model):
    """The live prices of an account."""

    prices: tuple[Price, ...]
    currency: str = "EUR"
    sample_prices: bool = Field(default=False, description="True where the prices are sample data (sandbox).")


class Registrar(Model):
    """A registrar token to try, sealed to dns-pdm. Nothing at the registrar is changed."""

    registrar: RegistrarName
    domain: Fqdn
    secret: SealedSecret


class RegistrarReply(Model):
    """What the token can do for the domain."""

    registrar: RegistrarName
    domain: Fqdn
    valid: bool
    in_account: bool = Field(default=False, description="The account holds the domain.")
    can_change: bool = Field(default=False, description="Name servers can be changed there by its API.")
    nameservers: tuple[str, ...] = Field(default=(), description="As they are now.")
    note: str = ""
    trouble: Trouble | None = None


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


class ClusterEventsReply(Model):
    """The last Kubernetes events of ``flux-system``, oldest first, a line each."""

    events: tuple[str, ...]


class PublicKey(Model):
    """A key to seal to (HPKE: DHKEM X25519, HKDF-SHA256; AEAD as named, or AES-128-GCM, which the secret then says)."""

    kid: str
    algorithm: Literal["hpke-x25519-hkdf-sha256-chacha20poly1305"] = "hpke-x25519-hkdf-sha256-chacha20poly1305"
    public_key: str = Field(description="Base64 of the 32 raw bytes.")
    not_after: str | None = None


class KeysReply(Model):
    """The public keys of one service; seal to the first."""

    service: str
    keys: tuple[PublicKey, ...]
    signing: tuple[SigningKey, ...] = Field(default=(), description="What verifies this service's proofs.")


class Problem(Model):
    """How a question is refused."""

    trouble: Trouble
    errors: tuple[FieldError, ...] = ()
