"""The cloud half, said by tofu-runner: what OpenTofu plans and does, and what exists afterwards."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from contracts.errors import Trouble
from contracts.event import Fact, Model
from contracts.identity import Digest
from contracts.proof import Gone, SignedProof


class NodeToken(Model):
    """The hash of the token with which one server reports its boot stages."""

    server: str
    sha256: Digest


class Node(Model):
    """One server of the Sovereign."""

    name: str
    cloud_id: int
    role: Literal["control-plane", "worker"]
    server_type: str
    location: str
    public_ipv4: str = ""
    private_ipv4: str = ""


class Cost(Model):
    """Money as the cloud's own prices say it. Amounts are decimal strings, net."""

    monthly: str
    currency: str = "EUR"
    lines: tuple[tuple[str, str], ...] = Field(default=(), description="(what, amount per month).")
    sample_prices: bool = Field(default=False, description="True where the prices are sample data (sandbox).")


class PlannedChange(Model):
    """One resource of the plan."""

    address: str
    action: Literal["create", "update", "replace", "delete", "import"]
    reason: str = ""


class TofuStarted(Fact):
    """Work begins, under a lease."""

    fact: ClassVar[str] = "tofu.started"
    action: Literal["apply", "destroy"]
    fencing_token: int = Field(description="Revision of the lease at acquisition.")
    node_tokens: tuple[NodeToken, ...] = ()
    hand_in_sha256: Digest | None = Field(default=None, description="Hash of the single-use hand-in token.")
    first_server: str = Field(default="", description="The control plane that hands in the kubeconfig.")

    @property
    def key(self) -> str:
        """Each acquisition starts anew."""
        return str(self.fencing_token)


class TofuPlanned(Fact):
    """What would change, what it costs, and whether somebody has to approve it."""

    fact: ClassVar[str] = "tofu.planned"
    add: int
    change: int
    destroy: int
    changes: tuple[PlannedChange, ...] = ()
    digest: Digest = Field(description="Of the normalised plan: the same plan has the same digest.")
    needs_approval: bool
    reasons: tuple[str, ...] = ()
    cost: Cost | None = None
    call_budget: int = Field(default=0, description="Cloud calls that this plan will take, about.")

    @property
    def key(self) -> str:
        """One fact per plan content."""
        return self.digest


class TofuProgressed(Fact):
    """One resource moved on."""

    fact: ClassVar[str] = "tofu.progressed"
    address: str
    resource_type: str
    state: Literal["creating", "created", "updating", "updated", "deleting", "deleted", "failed", "working"]
    elapsed_s: float = 0
    done: int = Field(description="Resources finished so far in this run of OpenTofu.")
    total: int
    cloud_id: str = ""
    fencing_token: int = 0

    @property
    def key(self) -> str:
        """One fact per resource, state and acquisition."""
        return f"{self.address}/{self.state}/{self.fencing_token}/{int(self.elapsed_s)}"


class TofuWaiting(Fact):
    """Nothing is held: the run goes on at the given time, or when somebody approves."""

    fact: ClassVar[str] = "tofu.waiting"
    why: Literal["throttled", "capacity", "approval"]
    until: AwareDatetime | None = None
    detail: str = ""

    @property
    def key(self) -> str:
        """One fact per reason and time."""
        return f"{self.why}/{self.until}"


class TofuAdopted(Fact):
    """A resource that the state did not know was found in the cloud and imported."""

    fact: ClassVar[str] = "tofu.adopted"
    address: str
    cloud_id: str

    @property
    def key(self) -> str:
        """One fact per resource."""
        return f"{self.address}/{self.cloud_id}"


class TofuRelocated(Fact):
    """Another type or location was chosen for lack of capacity."""

    fact: ClassVar[str] = "tofu.relocated"
    address: str
    from_type: str
    to_type: str
    from_location: str
    to_location: str
    reason: str

    @property
    def key(self) -> str:
        """One fact per choice."""
        return f"{self.address}/{self.to_type}/{self.to_location}"


class TofuStateRestored(Fact):
    """An operator restored an earlier version of the state."""

    fact: ClassVar[str] = "tofu.state-restored"
    serial: int
    reason: str

    @property
    def key(self) -> str:
        """One fact per restored serial."""
        return str(self.serial)


class TofuApplied(Fact):
    """The cloud holds what the run asked for: the outputs."""

    fact: ClassVar[str] = "tofu.applied"
    add: int
    change: int
    destroy: int
    nodes: tuple[Node, ...]
    load_balancer_id: int
    load_balancer_ipv4: str
    load_balancer_ipv6: str = ""
    network_id: int
    state_serial: int
    cloud_calls: int = 0
    cost: Cost | None = None


class TofuFailed(Fact):
    """OpenTofu or the cloud failed, classified."""

    fact: ClassVar[str] = "tofu.failed"
    trouble: Trouble
    others: tuple[Trouble, ...] = ()
    resources: int = Field(default=0, description="How many resources exist now.")
    cloud_calls: int = 0


class TofuInterrupted(Fact):
    """Stopped on request; the state is kept."""

    fact: ClassVar[str] = "tofu.interrupted"
    why: Literal["cancelled", "deadline", "shutdown"]
    resources: int = 0
    fencing_token: int = 0

    @property
    def key(self) -> str:
        """One fact per acquisition."""
        return f"{self.why}/{self.fencing_token}"


class TofuDestroyed(Fact):
    """Everything is destroyed and a second inventory was empty."""

    fact: ClassVar[str] = "tofu.destroyed"
    gone: tuple[Gone, ...] = ()
    left: tuple[str, ...] = Field(default=(), description="Protected or foreign resources that were named and left.")
    cloud_calls: int = 0
    proof: SignedProof | None = Field(default=None, description="The signed proof; catalyst proof verify checks it.")
