"""The cluster half, said by flux-watcher: only what was seen, and only on change."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints

from contracts.errors import Trouble
from contracts.event import Fact, Model


class FluxBootstrapped(Fact):
    """Controllers available, source fetched, kit Kustomization applied: seen."""

    fact: ClassVar[str] = "flux.bootstrapped"
    controllers: tuple[str, ...]
    revision: str
    expected: tuple[str, ...] = Field(description="The releases of the kit, in dependency order.")
    cluster_uid: str = Field(default="", description="uid of kube-system: another one is another cluster.")


class FluxChanged(Fact):
    """A source or Kustomization changed condition."""

    fact: ClassVar[str] = "flux.changed"
    kind: str
    name: str
    state: Literal["pending", "working", "ready", "blocked", "retrying", "failed", "suspended", "gone"]
    reason: str = ""
    message: str = ""
    revision: str = ""
    depends_on: tuple[str, ...] = ()
    occurrence: str = Field(description="uid, generation, state, transition time, revision: names this change.")

    @property
    def key(self) -> str:
        """The occurrence."""
        return f"{self.kind}/{self.name}/{self.occurrence}"


class ReleaseFact(Fact):
    """What every fact about one HelmRelease tells."""

    component: str
    release: str
    version: str = Field(default="", description="Chart version that is installed or wanted.")
    revision: str = ""
    depends_on: tuple[str, ...] = ()
    blocked_by: str = Field(default="", description="The object that this one waits for.")
    generation: int = 0
    reason: str = ""
    message: str = ""
    attempts: int = Field(default=0, description="How often it was tried.")
    since: AwareDatetime | None = None
    changes: int = Field(default=1, description="State changes since the last fact about this release (damped).")
    occurrence: str = Field(description="uid, generation, state, transition time, revision: names this change.")

    @property
    def key(self) -> str:
        """The occurrence."""
        return f"{self.release}/{self.occurrence}"


class HrPending(ReleaseFact):
    """Waits for a dependency or its source."""

    fact: ClassVar[str] = "hr.pending"


class HrInstalling(ReleaseFact):
    """Is being installed or upgraded, or tries again."""

    fact: ClassVar[str] = "hr.installing"


class HrReady(ReleaseFact):
    """Installed at the wanted version."""

    fact: ClassVar[str] = "hr.ready"


class HrDegraded(ReleaseFact):
    """Was ready and is not, or is suspended, or keeps retrying."""

    fact: ClassVar[str] = "hr.degraded"


class HrFailed(ReleaseFact):
    """Stalled: a person must act."""

    fact: ClassVar[str] = "hr.failed"
    trouble: Trouble


class FluxStalled(Fact):
    """Nothing appeared, or nothing moved, within the window. The watch goes on."""

    fact: ClassVar[str] = "flux.stalled"
    trouble: Trouble
    blocking: str = Field(default="", description="First blocking object of the dependency chain.")
    evidence: tuple[str, ...] = ()
    since: AwareDatetime

    @property
    def key(self) -> str:
        """One fact per standstill."""
        return f"{self.trouble.code}/{self.since.isoformat()}"


class FluxConverged(Fact):
    """Every member of the expected set is ready at the wanted version and stayed so for the stability window."""

    fact: ClassVar[str] = "flux.converged"
    revision: str
    releases: tuple[tuple[str, str], ...] = Field(description="(release, version).")
    stable_s: float
    extras: tuple[str, ...] = Field(default=(), description="Releases beside Flux that nobody asked for.")
    first_login: Annotated[str, StringConstraints(max_length=8000)] = Field(
        default="", description="The first password, encrypted with age to the SSH key of the request; empty when not."
    )
    replaces: UUID | None = Field(default=None, description="The diverged fact that this one ends.")

    @property
    def key(self) -> str:
        """The occurrence."""
        return str(self.replaces or "")


class FluxDiverged(Fact):
    """A converged set no longer is."""

    fact: ClassVar[str] = "flux.diverged"
    missing: tuple[str, ...]
    trouble: Trouble
    replaces: UUID | None = Field(default=None, description="The converged fact that this one ends.")

    @property
    def key(self) -> str:
        """The occurrence."""
        return str(self.replaces or "")


class FluxReleased(Fact):
    """Our access to the cluster is revoked (a refused call proved it) and erased, or the watch ended."""

    fact: ClassVar[str] = "flux.released"
    removed: tuple[str, ...] = ()
    verified: bool = Field(description="True when a call with the old credential was refused.")


class HostProbe(Model):
    """What one address of the Sovereign answered."""

    host: str
    url: str
    addresses: tuple[str, ...] = ()
    status: int | None = None
    issuer: str = ""
    staging_issuer: bool = False
    certificate_days: int | None = None
    reason: str = Field(default="", description="Empty when the host passed.")


class ProbePassed(Fact):
    """DNS, TLS and HTTP of all hosts hold."""

    fact: ClassVar[str] = "probe.passed"
    hosts: tuple[HostProbe, ...]
    replaces: UUID | None = Field(default=None, description="The failed probe that this one ends.")

    @property
    def key(self) -> str:
        """The occurrence."""
        return str(self.replaces or "")


class ProbeFailed(Fact):
    """Which host does not hold, and why."""

    fact: ClassVar[str] = "probe.failed"
    hosts: tuple[HostProbe, ...]
    trouble: Trouble
    replaces: UUID | None = Field(default=None, description="The passed probe that this one ends.")

    @property
    def key(self) -> str:
        """The occurrence: the reason, and what it replaces."""
        failing = ",".join(f"{host.host}:{host.reason}" for host in self.hosts if host.reason)
        return f"{self.replaces or ''}/{failing}"
