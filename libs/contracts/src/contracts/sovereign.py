"""The life cycle of a Sovereign, said by intake: requests and commands that passed, and how runs end."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints

from contracts.errors import FieldError, Trouble
from contracts.event import Fact, Model
from contracts.identity import Digest
from contracts.request import SecretRef, Shape

Reason = Annotated[str, StringConstraints(max_length=500)]


class RequestRejected(Fact):
    """A request did not pass: every field error at once. Said on the request's id, not on a Sovereign's."""

    fact: ClassVar[str] = "request.rejected"
    request_id: UUID
    fqdn: str = ""
    trouble: Trouble
    errors: tuple[FieldError, ...] = ()


class SovereignRequested(Fact):
    """A request, a re-request or a retry passed validation and its secrets are stored sealed: opens a run."""

    fact: ClassVar[str] = "sovereign.requested"
    request_id: UUID
    kind: Literal["new", "change", "retry"]
    shape: Shape
    body_digest: Digest = Field(description="Of the request body without secrets: tells a repeat from another body.")
    secrets: tuple[SecretRef, ...] = ()
    admin_ref: str = Field(description="Key in KV account of the sovereign-admin's address.")


class SovereignCancelRequested(Fact):
    """An operator, or the deadline of the request, wants the run to stop; what exists is kept for a retry."""

    fact: ClassVar[str] = "sovereign.cancel-requested"
    reason: Reason = ""
    deadline: bool = Field(
        default=False, description="True when the request's own deadline passed: the run has failed."
    )


class SovereignApproved(Fact):
    """An operator approved the plan with this digest."""

    fact: ClassVar[str] = "sovereign.approved"
    plan_digest: Digest
    reason: Reason = ""


class SovereignDecommissionRequested(Fact):
    """An operator wants everything of this Sovereign gone."""

    fact: ClassVar[str] = "sovereign.decommission-requested"
    reason: Reason = ""
    restore_nameservers: bool = False
    reprovision: bool = Field(
        default=False, description="True when it is to be built anew: name and zone stay, the next life follows."
    )
    secrets: tuple[SecretRef, ...] = Field(default=(), description="What was brought for this life, and for the next.")


class SovereignReconcileRequested(Fact):
    """An operator wants the cluster listed anew and Flux kicked."""

    fact: ClassVar[str] = "sovereign.reconcile-requested"
    release: str = Field(default="", description="One HelmRelease, or all when empty.")


class SovereignRestoreRequested(Fact):
    """An operator wants an earlier version of the OpenTofu state back."""

    fact: ClassVar[str] = "sovereign.restore-requested"
    serial: int = Field(ge=1)
    reason: Reason


class SovereignSuspendRequested(Fact):
    """An operator wants a release suspended or resumed."""

    fact: ClassVar[str] = "sovereign.suspend-requested"
    release: str
    suspend: bool


class Url(Model):
    """One of the three addresses of a ready Sovereign."""

    name: Literal["console", "gitea", "admin"]
    url: str


class SovereignReady(Fact):
    """Converged, delegated and probed hold at once."""

    fact: ClassVar[str] = "sovereign.ready"
    urls: tuple[Url, ...]
    replaces: UUID | None = Field(default=None, description="The degraded fact that this one ends.")

    @property
    def key(self) -> str:
        """The occurrence: ready may come back after degraded."""
        return str(self.replaces or "")


class SovereignHandedOver(Fact):
    """Our access is revoked and erased: the Sovereign stands on its own."""

    fact: ClassVar[str] = "sovereign.handed-over"


class SovereignReminded(Fact):
    """A run waits for somebody: a plan for its approval, or all of us for a service that says nothing."""

    fact: ClassVar[str] = "sovereign.reminded"
    about: Literal["approval", "silence"]
    since: AwareDatetime
    trouble: Trouble

    @property
    def key(self) -> str:
        """Each firing of the timer reminds anew; its id is the cause."""
        return f"{self.about}/{self.since.isoformat()}"


class SovereignDegraded(Fact):
    """A ready Sovereign no longer is."""

    fact: ClassVar[str] = "sovereign.degraded"
    cause: UUID
    trouble: Trouble

    @property
    def key(self) -> str:
        """The occurrence: each diverged or failed probe starts its own."""
        return str(self.cause)


class SovereignFailed(Fact):
    """The run ended in a failure that needs somebody."""

    fact: ClassVar[str] = "sovereign.failed"
    cause: UUID
    trouble: Trouble
    cloud_touched: bool = Field(default=True, description="False when no cloud resource was ever created in this life.")


class SovereignCancelled(Fact):
    """The run ended because an operator stopped it, and every service that had begun said that it stopped."""

    fact: ClassVar[str] = "sovereign.cancelled"
    cause: UUID


class SovereignDecommissioned(Fact):
    """Nothing is left: the life has ended and the name is free."""

    fact: ClassVar[str] = "sovereign.decommissioned"
    cause: UUID
