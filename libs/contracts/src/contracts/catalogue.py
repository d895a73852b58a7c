"""The one table of what is said.

Who says each event, who hears it, on which stream; who answers which question; which timer fires for whom. Subjects,
streams, consumers, permissions, schemas, API documents and routes derive from it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from contracts import dns, drafting, flux, node, questions, sovereign, tofu
from contracts.event import Fact, Model

INTAKE: Final = "intake"
DNS: Final = "dns-pdm"
TOFU: Final = "tofu-runner"
FLUX: Final = "flux-watcher"
GATEWAY: Final = "gateway"
CLI: Final = "cli"
SERVICES: Final = (INTAKE, TOFU, DNS, FLUX, GATEWAY)

Role = Literal["work", "command"]


class Guard(StrEnum):
    """How an append excludes others (docs/adr/0002-streams-and-guards.md)."""

    NONE = "none"
    SOVEREIGN = "sovereign"
    """Refused when any ``sovereign.*`` fact of this Sovereign was said since the reading."""
    CHAIN = "chain"
    """Refused when another writer said anything in this domain of this Sovereign since the reading."""


@dataclass(frozen=True)
class Heard:
    """A listener: a service and the consumer (role) that brings it the event."""

    service: str
    role: Role = "work"

    @property
    def consumer(self) -> str:
        """The durable consumer's name."""
        return f"{self.service}-{self.role}"


@dataclass(frozen=True)
class Entry:
    """One row: an event, who says it and who hears it."""

    fact: type[Fact]
    said_by: str
    heard_by: tuple[Heard, ...] = ()
    stream: str = "PROV"
    guard: Guard = Guard.NONE
    unheard_because: str = ""
    """Why no service listens, where none does: people and the gateway always can."""


def _work(*services: str) -> tuple[Heard, ...]:
    return tuple(Heard(service) for service in services)


def _command(*services: str) -> tuple[Heard, ...]:
    return tuple(Heard(service, "command") for service in services)


_SHOWN = "shown to people; the gateway relays every subject"

EVENTS: Final[tuple[Entry, ...]] = (
    Entry(
        sovereign.RequestRejected,
        INTAKE,
        stream="REJECTS",
        unheard_because="the receipt of a refused request",
    ),
    Entry(sovereign.SovereignRequested, INTAKE, _work(DNS, INTAKE), guard=Guard.SOVEREIGN),
    Entry(
        sovereign.SovereignCancelRequested,
        INTAKE,
        (*_command(DNS, TOFU, FLUX), Heard(INTAKE)),
        guard=Guard.SOVEREIGN,
    ),
    Entry(sovereign.SovereignApproved, INTAKE, _command(TOFU), guard=Guard.SOVEREIGN),
    Entry(
        sovereign.SovereignDecommissionRequested,
        INTAKE,
        (*_command(FLUX, TOFU), Heard(INTAKE)),
        guard=Guard.SOVEREIGN,
    ),
    Entry(sovereign.SovereignReconcileRequested, INTAKE, _command(FLUX), guard=Guard.SOVEREIGN),
    Entry(sovereign.SovereignSuspendRequested, INTAKE, _command(FLUX), guard=Guard.SOVEREIGN),
    Entry(sovereign.SovereignRestoreRequested, INTAKE, _command(TOFU), guard=Guard.SOVEREIGN),
    Entry(sovereign.SovereignReady, INTAKE, _work(FLUX, DNS), guard=Guard.SOVEREIGN),
    Entry(sovereign.SovereignHandedOver, INTAKE, _work(TOFU, DNS), guard=Guard.SOVEREIGN),
    Entry(sovereign.SovereignReminded, INTAKE, guard=Guard.SOVEREIGN, unheard_because=_SHOWN),
    Entry(sovereign.SovereignDegraded, INTAKE, guard=Guard.SOVEREIGN, unheard_because=_SHOWN),
    Entry(sovereign.SovereignFailed, INTAKE, guard=Guard.SOVEREIGN, unheard_because=_SHOWN),
    Entry(sovereign.SovereignCancelled, INTAKE, guard=Guard.SOVEREIGN, unheard_because=_SHOWN),
    Entry(sovereign.SovereignDecommissioned, INTAKE, guard=Guard.SOVEREIGN, unheard_because=_SHOWN),
    Entry(dns.DnsReserved, DNS, _work(TOFU), guard=Guard.SOVEREIGN),
    Entry(dns.DnsRefused, DNS, _work(INTAKE)),
    Entry(dns.DnsPublished, DNS, _work(INTAKE), guard=Guard.CHAIN),
    Entry(dns.DnsFlipped, DNS, _work(INTAKE), guard=Guard.CHAIN),
    Entry(dns.DnsAwaitingDelegation, DNS, _work(INTAKE), guard=Guard.CHAIN),
    Entry(dns.DnsDelegated, DNS, _work(INTAKE), guard=Guard.CHAIN),
    Entry(dns.DnsPropagated, DNS, guard=Guard.CHAIN, unheard_because=_SHOWN),
    Entry(dns.DnsFailed, DNS, _work(INTAKE), guard=Guard.CHAIN),
    Entry(dns.DnsWithdrawn, DNS, _work(TOFU), guard=Guard.CHAIN),
    Entry(dns.DnsReleased, DNS, _work(INTAKE), guard=Guard.CHAIN),
    Entry(tofu.TofuStarted, TOFU, _work(INTAKE), guard=Guard.SOVEREIGN),
    Entry(tofu.TofuPlanned, TOFU, guard=Guard.CHAIN, unheard_because=_SHOWN),
    Entry(tofu.TofuProgressed, TOFU, guard=Guard.CHAIN, unheard_because=_SHOWN),
    Entry(tofu.TofuWaiting, TOFU, _work(INTAKE), guard=Guard.CHAIN),
    Entry(tofu.TofuAdopted, TOFU, guard=Guard.CHAIN, unheard_because=_SHOWN),
    Entry(tofu.TofuRelocated, TOFU, guard=Guard.CHAIN, unheard_because=_SHOWN),
    Entry(tofu.TofuStateRestored, TOFU, guard=Guard.CHAIN, unheard_because=_SHOWN),
    Entry(tofu.TofuApplied, TOFU, _work(DNS, FLUX, INTAKE), guard=Guard.CHAIN),
    Entry(tofu.TofuFailed, TOFU, _work(INTAKE), guard=Guard.CHAIN),
    Entry(tofu.TofuInterrupted, TOFU, _work(INTAKE), guard=Guard.CHAIN),
    Entry(tofu.TofuDestroyed, TOFU, _work(DNS, INTAKE), guard=Guard.CHAIN),
    Entry(node.NodeReported, INTAKE, unheard_because=_SHOWN),
    Entry(node.NodeRefused, INTAKE, unheard_because=_SHOWN),
    Entry(node.NodeEnrolled, INTAKE, _work(FLUX, INTAKE)),
    Entry(flux.FluxBootstrapped, FLUX, _work(INTAKE)),
    Entry(flux.FluxChanged, FLUX, unheard_because=_SHOWN),
    Entry(flux.HrPending, FLUX, unheard_because=_SHOWN),
    Entry(flux.HrInstalling, FLUX, unheard_because=_SHOWN),
    Entry(flux.HrReady, FLUX, unheard_because=_SHOWN),
    Entry(flux.HrDegraded, FLUX, unheard_because=_SHOWN),
    Entry(flux.HrFailed, FLUX, unheard_because=_SHOWN),
    Entry(flux.FluxStalled, FLUX, unheard_because=_SHOWN),
    Entry(flux.FluxConverged, FLUX, _work(INTAKE)),
    Entry(flux.FluxDiverged, FLUX, _work(INTAKE)),
    Entry(flux.ProbePassed, FLUX, _work(INTAKE)),
    Entry(flux.ProbeFailed, FLUX, _work(INTAKE)),
    Entry(flux.FluxReleased, FLUX, _work(INTAKE, DNS)),
)

FACTS: Final[dict[str, type[Fact]]] = {entry.fact.fact: entry.fact for entry in EVENTS}
"""Every fact by its name (the first two subject tokens)."""
ENTRIES: Final[dict[str, Entry]] = {entry.fact.fact: entry for entry in EVENTS}


@dataclass(frozen=True)
class TimerRow:
    """A timer: it fires for one service; its handler looks whether it still matters."""

    name: str
    service: str
    meaning: str


ENROL_DEADLINE: Final = TimerRow("enrol-deadline", INTAKE, "no kubeconfig was handed in in time")
RUN_DEADLINE: Final = TimerRow("run-deadline", INTAKE, "the deadline of the request passed")
EMPTY_LIFE_EXPIRY: Final = TimerRow("empty-life-expiry", INTAKE, "a life without any cloud resource is given up")
STALLED_WINDOW: Final = TimerRow("stalled-window", INTAKE, "nothing was said of a run for a while")
APPROVAL_REMINDER: Final = TimerRow("approval-reminder", INTAKE, "a plan still waits for somebody's approval")
SECRETS_EXPIRY: Final = TimerRow("secrets-expiry", INTAKE, "what a run or life that ended has left sealed is erased")
CAPACITY_WAKE_UP: Final = TimerRow("capacity-wake-up", TOFU, "try again whether the cloud has capacity")
THROTTLE_WAKE_UP: Final = TimerRow("throttle-wake-up", TOFU, "the project's call budget has refilled")
WITHDRAW_DEADLINE: Final = TimerRow("withdraw-deadline", TOFU, "destroy although DNS was not withdrawn in time")
DELEGATION_CHECK: Final = TimerRow("delegation-check", DNS, "ask parent and child servers again")
PROPAGATION_CHECK: Final = TimerRow("propagation-check", DNS, "ask resolvers what the public sees")
DS_DUE: Final = TimerRow("ds-due", DNS, "the former servers are out of every cache: our DS may be set")

TIMERS: Final[tuple[TimerRow, ...]] = (
    ENROL_DEADLINE,
    RUN_DEADLINE,
    EMPTY_LIFE_EXPIRY,
    STALLED_WINDOW,
    APPROVAL_REMINDER,
    SECRETS_EXPIRY,
    CAPACITY_WAKE_UP,
    THROTTLE_WAKE_UP,
    WITHDRAW_DEADLINE,
    DELEGATION_CHECK,
    PROPAGATION_CHECK,
    DS_DUE,
)


@dataclass(frozen=True)
class Question:
    """A question: who answers it, in which words, and how the gateway offers it over HTTP."""

    service: str
    name: str
    request: type[Model]
    reply: type[Model]
    meaning: str
    method: Literal["GET", "POST", "DELETE", "PUT"] | None = None
    path: str | None = None
    """Below the gateway's root; ``{field}`` is taken from the path into the request model."""
    role: Literal["viewer", "operator", "approver", "node", "anyone"] = "viewer"
    """Who may ask over HTTP."""
    deadline_s: float = 5.0

    @property
    def subject(self) -> str:
        """Where it is asked."""
        return f"ask.{self.service}.{self.name}"


_S = "/api/v1/sovereigns"
_D = "/api/v1/drafts"
# A table: who and what in the first line, how it is offered over HTTP in the second.
# fmt: off
SUBMIT: Final = Question(
    INTAKE, "submit", questions.Submit, questions.Accepted, "Open a run for a Sovereign.",
    "POST", _S, "operator", 10,
)
CANCEL: Final = Question(
    INTAKE, "cancel", questions.Command, questions.Accepted, "Stop the run; what exists is kept.",
    "POST", f"{_S}/{{sovereign}}/cancel", "operator",
)
RETRY: Final = Question(
    INTAKE, "retry", questions.Retry, questions.Accepted, "Go on from what exists.",
    "POST", f"{_S}/{{sovereign}}/retry", "operator",
)
SSH: Final = Question(
    INTAKE, "ssh", questions.Ssh, questions.Accepted, "Open or close SSH for one network, in place.",
    "POST", f"{_S}/{{sovereign}}/ssh", "operator",
)
RESTORE: Final = Question(
    INTAKE, "restore", questions.Restore, questions.Accepted, "Bring an earlier version of the OpenTofu state back.",
    "POST", f"{_S}/{{sovereign}}/state", "approver",
)
APPROVE: Final = Question(
    INTAKE, "approve", questions.Approve, questions.Accepted, "Approve the plan with this digest.",
    "POST", f"{_S}/{{sovereign}}/approve", "approver",
)
DECOMMISSION: Final = Question(
    INTAKE, "decommission", questions.Decommission, questions.Accepted, "Take everything away.",
    "POST", f"{_S}/{{sovereign}}/decommission", "operator",
)
REPROVISION: Final = Question(
    INTAKE, "reprovision", questions.Reprovision, questions.Accepted, "Take the cluster away and build it anew.",
    "POST", f"{_S}/{{sovereign}}/reprovision", "operator",
)
RECONCILE: Final = Question(
    INTAKE, "reconcile", questions.Reconcile, questions.Accepted, "List the cluster anew and kick Flux.",
    "POST", f"{_S}/{{sovereign}}/reconcile", "operator",
)
SUSPEND: Final = Question(
    INTAKE, "suspend", questions.Suspend, questions.Accepted, "Suspend or resume a release.",
    "POST", f"{_S}/{{sovereign}}/suspend", "operator",
)
DRAFT: Final = Question(
    INTAKE, "draft", drafting.Draft, drafting.DraftReply, "Keep a request that is being written, and judge it.",
    "PUT", f"{_D}/{{draft}}", "operator",
)
DRAFT_READ: Final = Question(
    INTAKE, "draft-read", drafting.OfDraft, drafting.DraftReply, "A request that is being written, and its errors.",
    "GET", f"{_D}/{{draft}}", "operator",
)
DRAFT_DROP: Final = Question(
    INTAKE, "draft-drop", drafting.OfDraft, questions.Done, "Forget a request that was being written.",
    "DELETE", f"{_D}/{{draft}}", "operator",
)
DRAFTS: Final = Question(
    INTAKE, "drafts", questions.Nothing, drafting.DraftsReply, "The requests that your organisation is writing.",
    "GET", _D, "operator",
)
CATALOGUE: Final = Question(
    INTAKE, "catalogue", questions.Nothing, drafting.CatalogueReply, "Regions, server types and components.",
    "GET", "/api/v1/catalogue",
)
COST: Final = Question(
    INTAKE, "cost", drafting.CostOf, drafting.CostReply, "What a topology costs, by the pinned catalogue.",
    "POST", "/api/v1/cost",
)
NODE_STAGE: Final = Question(
    INTAKE, "node-stage", questions.NodeStage, questions.Done, "A node reports a boot stage.",
    "POST", "/node/v1/sovereigns/{sovereign}/stages", "node",
)
NODE_ENROL: Final = Question(
    INTAKE, "node-enrol", questions.NodeEnrol, questions.Done, "A node hands in its kubeconfig.",
    "PUT", "/node/v1/sovereigns/{sovereign}/kubeconfig", "node", 10,
)
NAME: Final = Question(
    DNS, "name", questions.Name, questions.NameReply, "Is this name free, and if not, why.",
    "GET", "/api/v1/names/{fqdn}",
)
MAIL: Final = Question(
    DNS, "mail", questions.Mail, questions.MailReply, "Can mail reach this address, by its domain; none is sent.",
    "POST", "/api/v1/mail/validate", "operator", 15,
)
REGISTRAR: Final = Question(
    DNS, "registrar", questions.Registrar, questions.RegistrarReply,
    "Is this registrar token valid for this domain; nothing is changed.",
    "POST", "/api/v1/registrars/{registrar}/validate", "operator", 20,
)
ZONE: Final = Question(
    DNS, "zone", questions.OfSovereign, questions.ZoneReply, "The records of a Sovereign's zone.",
    "GET", f"{_S}/{{sovereign}}/zone",
)
PREFLIGHT: Final = Question(
    TOFU, "preflight", questions.Preflight, questions.PreflightReply,
    "Everything about a request that can be known before money is spent.",
    "POST", "/api/v1/preflight", "operator", 30,
)
TOKEN: Final = Question(
    TOFU, "token", questions.Token, questions.TokenReply, "Can this cloud token read and write.",
    "POST", "/api/v1/credentials/validate", "operator", 15,
)
PRICES: Final = Question(
    TOFU, "prices", questions.Token, questions.PricesReply, "What the account behind this cloud token pays.",
    "POST", "/api/v1/prices", "operator", 15,
)
STATE_VERSIONS: Final = Question(
    TOFU, "state-versions", questions.OfSovereign, questions.StateVersionsReply, "The kept versions of the state.",
    "GET", f"{_S}/{{sovereign}}/state", "operator", 15,
)
STATE: Final = Question(
    TOFU, "state", questions.OfState, questions.StateReply, "One version of the OpenTofu state, decrypted.",
    "GET", f"{_S}/{{sovereign}}/state/{{serial}}", "approver", 15,
)
DESCRIBE: Final = Question(
    FLUX, "describe", questions.Describe, questions.DescribeReply, "One object of the cluster in detail.",
    "GET", f"{_S}/{{sovereign}}/objects/{{kind}}/{{name}}", deadline_s=10,
)
CLUSTER_EVENTS: Final = Question(
    FLUX, "cluster-events", questions.OfSovereign, questions.ClusterEventsReply,
    "The last hundred events of the cluster's flux-system.",
    "GET", f"{_S}/{{sovereign}}/cluster-events", deadline_s=10,
)
# fmt: on
KEYS: Final[dict[str, Question]] = {
    service: Question(
        service,
        "keys",
        questions.Nothing,
        questions.KeysReply,
        f"Public keys to seal to {service}, and those that verify what it signed.",
        "GET",
        f"/api/v1/keys/{service}",
        "anyone",
    )
    for service in (TOFU, DNS, FLUX, GATEWAY)
}  # fmt: skip

QUESTIONS: Final[tuple[Question, ...]] = (
    SUBMIT, CANCEL, RETRY, SSH, RESTORE, APPROVE, DECOMMISSION, REPROVISION, RECONCILE, SUSPEND,
    DRAFT, DRAFT_READ, DRAFT_DROP, DRAFTS, CATALOGUE, COST, NODE_STAGE, NODE_ENROL, NAME, MAIL, REGISTRAR, ZONE, PREFLIGHT, TOKEN, PRICES,
    STATE_VERSIONS, STATE, DESCRIBE,
    CLUSTER_EVENTS,
    *KEYS.values(),
)  # fmt: skip

LISTENERS: Final[frozenset[Heard]] = frozenset(heard for entry in EVENTS for heard in entry.heard_by)
