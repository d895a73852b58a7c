"""What a person sees of a Sovereign: the shape that the run page, the terminal and the list draw.

These are rows that ``contracts.progress`` fills from events and nothing else does. Every word and number in them was
said by an event; screens add the clock ("since") and the colours. The same view is served for now and for any past
moment, so a screen only draws.
"""

from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.dns import DsRecord, Record, ServerSays
from contracts.errors import Trouble
from contracts.flux import HostProbe
from contracts.sovereign import Url
from contracts.tofu import Cost, PlannedChange

Mark = Literal["waiting", "working", "done", "failed"]
State = Literal[
    "requested",
    "provisioning",
    "waiting",
    "ready",
    "handed-over",
    "degraded",
    "failed",
    "cancelling",
    "cancelled",
    "decommissioning",
    "decommissioned",
]
DnsState = Literal[
    "none", "reserved", "published", "awaiting-delegation", "delegated", "failed", "withdrawn", "released"
]
ReleaseState = Literal["pending", "installing", "ready", "degraded", "failed"]
Command = Literal["approve", "cancel", "retry", "reconcile", "decommission", "reprovision"]

PHASES: Final = (
    ("Reserved", "dns-reserve"),
    ("Plan", "tofu-plan"),
    ("Apply", "tofu-apply"),
    ("Boot", "tofu-output"),
    ("Flux", "flux-bootstrap"),
    ("Kit", "flux-reconcile"),
    ("Ready", "ready"),
)
"""The console's word and the runbook's name of each phase, in order."""


class Row(BaseModel):
    """Filled in place by the fold."""

    model_config = ConfigDict(extra="forbid")


class Phase(Row):
    """One step of the line."""

    name: str
    field: str = Field(description="The runbook's name of it.")
    mark: Mark = "waiting"
    begun_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it has not ended."""
        if self.begun_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.begun_at).total_seconds()


class Resource(Row):
    """One cloud resource of the run."""

    address: str
    type: str
    state: str
    cloud_id: str = ""
    elapsed_s: float = 0


class Plan(Row):
    """What OpenTofu means to do."""

    add: int
    change: int
    destroy: int
    digest: str
    needs_approval: bool
    reasons: tuple[str, ...] = ()
    changes: tuple[PlannedChange, ...] = ()


class Release(Row):
    """One HelmRelease of the kit."""

    component: str
    release: str
    state: ReleaseState = "pending"
    version: str = ""
    depends_on: tuple[str, ...] = ()
    blocked_by: str = ""
    reason: str = ""
    message: str = ""
    attempts: int = 0
    since: AwareDatetime | None = None
    trouble: Trouble | None = None


class FluxObject(Row):
    """A source or Kustomization."""

    kind: str
    name: str
    state: str
    reason: str = ""
    message: str = ""
    revision: str = ""
    depends_on: tuple[str, ...] = ()
    since: AwareDatetime


class BootStage(Row):
    """A boot stage of one server."""

    stage: str
    number: int
    state: str
    begun_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    log: tuple[str, ...] = ()


class Server(Row):
    """A server, as planned, as it boots, and as the outputs name it."""

    name: str
    role: str = ""
    server_type: str = ""
    location: str = ""
    cloud_id: int | None = None
    public_ipv4: str = ""
    stages: list[BootStage] = Field(default_factory=list)


class Dns(Row):
    """Who says what about the name."""

    mode: str = ""
    zone: str = ""
    nameservers: tuple[str, ...] = ()
    ds: tuple[DsRecord, ...] = ()
    records: tuple[Record, ...] = ()
    servers: tuple[ServerSays, ...] = ()
    state: DnsState = "none"
    next_check_at: AwareDatetime | None = None
    registrar: str = Field(default="", description="byo-api: what is being waited for at the registrar.")
    cached_for_s: int = Field(default=0, description="How long resolvers may keep the old answers, in seconds.")
    seen_by: int | None = None
    asked: int | None = None


class View(Row):
    """A Sovereign at one moment."""

    sovereign: str
    fqdn: str
    owner: str = ""
    actor: str = ""
    organisation: str = ""
    life: int = 0
    run: int = 0
    state: State = "requested"
    word: str = "Requested"
    sentence: str = ""
    since: AwareDatetime | None = Field(default=None, description="Since when the sentence holds.")
    begun_at: AwareDatetime | None = Field(default=None, description="When the run began.")
    ended_at: AwareDatetime | None = None
    region: str = ""
    control_planes: int = 0
    workers: int = 0
    components: tuple[str, ...] = ()
    phases: list[Phase] = Field(default_factory=list)
    plan: Plan | None = None
    cost: Cost | None = None
    waiting_for: str = ""
    waiting_until: AwareDatetime | None = None
    resources: list[Resource] = Field(default_factory=list)
    resources_done: int = 0
    resources_total: int = 0
    cloud_calls: int = 0
    servers: list[Server] = Field(default_factory=list)
    releases: list[Release] = Field(default_factory=list)
    flux: list[FluxObject] = Field(default_factory=list)
    dns: Dns = Field(default_factory=Dns)
    probes: tuple[HostProbe, ...] = ()
    urls: tuple[Url, ...] = ()
    load_balancer_ipv4: str = ""
    trouble: Trouble | None = Field(default=None, description="What somebody has to act on now.")
    commands: tuple[Command, ...] = ()
    handed_over: bool = Field(default=False, description="It was handed over in this life.")
    first_login: str = Field(default="", description="The first password, encrypted to the SSH key of the request.")
    released: tuple[str, ...] = Field(default=(), description="Which accesses of ours were revoked, proved and erased.")
    reprovisioning: bool = Field(default=False, description="It is taken away to be built anew in the next life.")
    gone: tuple[str, ...] = Field(default=(), description="After a decommission: what was seen gone.")
    events: int = 0
    last_sequence: int = 0
    last_at: AwareDatetime | None = None
