"""From events to what a person sees: one fold for the run page, the terminal, the list and every past moment.

``Progress`` takes the events of one Sovereign in stream order, each once, and keeps a ``View``. It decides nothing
about the life cycle (intake does); it only tells what was said. A new life starts an empty view, a new run keeps what
exists and starts the phases anew.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from contracts import dns, flux, node, sovereign, tofu
from contracts.event import Event, Fact
from contracts.identity import fqdn_of
from contracts.sentence import sentence, word_and_commands
from contracts.view import PHASES, BootStage, FluxObject, Phase, Plan, Release, Resource, Server, View


def _phases() -> list[Phase]:
    return [Phase(name=name, field=runbook) for name, runbook in PHASES]


class Progress:
    """The fold: ``take`` each event once, read ``view`` at any time."""

    def __init__(self, sovereign_id: str) -> None:
        self.view = View(sovereign=sovereign_id, fqdn=fqdn_of(sovereign_id), phases=_phases())

    def take(self, sequence: int, event: Event[Any]) -> None:
        """Fold one event in; one that was taken before, or belongs to an earlier life or run, changes nothing."""
        if sequence <= self.view.last_sequence or event.life < self.view.life:
            return
        if event.life > self.view.life:
            self.view = View(sovereign=self.view.sovereign, fqdn=self.view.fqdn, phases=_phases(), life=event.life)
        view = self.view
        view.last_sequence, view.last_at, view.events = sequence, event.time, view.events + 1
        view.owner = event.owner
        view.handed_over = view.handed_over or isinstance(event.data, sovereign.SovereignHandedOver)
        taker = _TAKERS.get(type(event.data))
        if taker is not None and event.run >= view.run:
            taker(view, event.data, event.time, event)
        view.word, view.commands = word_and_commands(view)
        said = sentence(view)
        if said != view.sentence:
            view.sentence, view.since = said, event.time


def view_of(sovereign_id: str, events: Iterable[tuple[int, Event[Any]]]) -> View:
    """The view after these events."""
    progress = Progress(sovereign_id)
    for sequence, event in events:
        progress.take(sequence, event)
    return progress.view


def _begin(view: View, name: str, at: datetime) -> None:
    for phase in view.phases:
        if phase.name == name and phase.begun_at is None:
            phase.begun_at, phase.mark = at, "working"


def _end(view: View, name: str, at: datetime) -> None:
    """Mark a phase done, and with it each earlier one that is still open: facts may overtake each other."""
    reached = [phase.name for phase in view.phases].index(name)
    for index, phase in enumerate(view.phases):
        if index > reached or phase.mark == "done":
            continue
        phase.begun_at = phase.begun_at or at
        phase.ended_at, phase.mark = at, "done"
    if reached + 1 < len(view.phases):
        _begin(view, view.phases[reached + 1].name, at)


def _fail(view: View, at: datetime) -> None:
    for phase in view.phases:
        if phase.mark == "working":
            phase.mark, phase.ended_at = "failed", at


def _requested(view: View, fact: sovereign.SovereignRequested, at: datetime, event: Event[Any]) -> None:
    view.run, view.actor, view.begun_at, view.ended_at = event.run, event.actor or "", at, None
    view.phases, view.trouble, view.plan = _phases(), None, None
    view.resources, view.resources_done, view.resources_total, view.cloud_calls = [], 0, 0, 0
    view.waiting_for, view.waiting_until, view.state = "", None, "provisioning"
    shape = fact.shape
    view.organisation, view.region = shape.organisation.name, shape.topology.region
    view.control_planes, view.workers = shape.topology.control_plane_count, shape.topology.worker_count
    view.components, view.dns.mode = shape.components, shape.domain.mode
    _begin(view, "Reserved", at)


def _ended(state: str) -> Callable[[View, Any, datetime, Event[Any]], None]:
    def take(view: View, fact: Any, at: datetime, _event: Event[Any]) -> None:
        view.ended_at = view.ended_at if state == "handed-over" and view.ended_at else at
        view.state = state  # type: ignore[assignment]  # the table below names only states
        view.waiting_for, view.waiting_until = "", None
        trouble = getattr(fact, "trouble", None)
        view.trouble = trouble
        if state in ("failed", "cancelled"):
            _fail(view, at)

    return take


def _asked(state: str) -> Callable[[View, Any, datetime, Event[Any]], None]:
    def take(view: View, _fact: Any, _at: datetime, _event: Event[Any]) -> None:
        view.state, view.trouble = state, None  # type: ignore[assignment]  # the table below names only states

    return take


def _leaves(view: View, fact: sovereign.SovereignDecommissionRequested, at: datetime, event: Event[Any]) -> None:
    _asked("decommissioning")(view, fact, at, event)
    view.reprovisioning = fact.reprovision


def _ready(view: View, fact: sovereign.SovereignReady, at: datetime, _event: Event[Any]) -> None:
    # A later run of a Sovereign that stands on its own hands nothing over again.
    view.state = "handed-over" if view.handed_over else "ready"
    view.ended_at, view.urls, view.trouble = at, fact.urls, None
    _end(view, "Ready", at)


def _approved(view: View, _fact: Any, _at: datetime, _event: Event[Any]) -> None:
    view.state, view.waiting_for, view.waiting_until, view.trouble = "provisioning", "", None, None
    if view.plan is not None:
        view.plan.needs_approval = False


def _reserved(view: View, fact: dns.DnsReserved, at: datetime, _event: Event[Any]) -> None:
    view.dns.zone, view.dns.nameservers, view.dns.ds, view.dns.state = fact.zone, fact.nameservers, fact.ds, "reserved"
    _end(view, "Reserved", at)


def _published(view: View, fact: dns.DnsPublished, _at: datetime, _event: Event[Any]) -> None:
    view.dns.zone, view.dns.records = fact.zone, fact.records
    if view.dns.state != "delegated":
        view.dns.state = "published"


def _awaiting(view: View, fact: dns.DnsAwaitingDelegation, _at: datetime, _event: Event[Any]) -> None:
    view.dns.nameservers, view.dns.ds, view.dns.servers = fact.nameservers, fact.ds, fact.servers
    view.dns.state, view.dns.next_check_at = "awaiting-delegation", fact.next_check_at
    view.dns.registrar, view.dns.cached_for_s = fact.registrar, fact.cached_for_s


def _delegated(view: View, fact: dns.DnsDelegated, _at: datetime, _event: Event[Any]) -> None:
    view.dns.servers, view.dns.state, view.dns.next_check_at = fact.servers, "delegated", None
    view.dns.registrar, view.dns.cached_for_s = "", 0


def _propagated(view: View, fact: dns.DnsPropagated, _at: datetime, _event: Event[Any]) -> None:
    view.dns.seen_by, view.dns.asked, view.dns.cached_for_s = fact.seen_by, fact.asked, fact.cached_for_s


def _dns_trouble(view: View, fact: dns.DnsFailed | dns.DnsRefused, _at: datetime, _event: Event[Any]) -> None:
    view.dns.state, view.trouble = "failed", fact.trouble


def _withdrawn(view: View, _fact: Any, _at: datetime, _event: Event[Any]) -> None:
    view.dns.state, view.dns.records = "withdrawn", ()


def _dns_released(view: View, _fact: Any, _at: datetime, _event: Event[Any]) -> None:
    view.dns.state = "released"


def _started(view: View, fact: tofu.TofuStarted, at: datetime, _event: Event[Any]) -> None:
    if fact.action == "apply":
        _end(view, "Reserved", at)
    for token in fact.node_tokens:
        _server(view, token.server)


def _planned(view: View, fact: tofu.TofuPlanned, at: datetime, _event: Event[Any]) -> None:
    view.plan = Plan(
        add=fact.add,
        change=fact.change,
        destroy=fact.destroy,
        digest=fact.digest,
        needs_approval=fact.needs_approval,
        reasons=fact.reasons,
        changes=fact.changes,
    )
    view.cost = fact.cost or view.cost
    view.resources_total = fact.add + fact.change + fact.destroy
    _end(view, "Plan", at)


def _progressed(view: View, fact: tofu.TofuProgressed, _at: datetime, _event: Event[Any]) -> None:
    if view.state == "waiting":
        view.state, view.waiting_for, view.waiting_until = "provisioning", "", None
    view.resources_done, view.resources_total = fact.done, max(fact.total, view.resources_total)
    row = next((row for row in view.resources if row.address == fact.address), None)
    if row is None:
        row = Resource(address=fact.address, type=fact.resource_type, state=fact.state)
        view.resources.append(row)
    row.state, row.elapsed_s, row.cloud_id = fact.state, fact.elapsed_s, fact.cloud_id or row.cloud_id


def _waiting(view: View, fact: tofu.TofuWaiting, _at: datetime, _event: Event[Any]) -> None:
    view.state, view.waiting_for, view.waiting_until = "waiting", fact.why, fact.until


def _applied(view: View, fact: tofu.TofuApplied, at: datetime, _event: Event[Any]) -> None:
    if view.state == "waiting":
        view.state, view.waiting_for, view.waiting_until = "provisioning", "", None
    view.cost, view.cloud_calls, view.load_balancer_ipv4 = (
        fact.cost or view.cost,
        fact.cloud_calls,
        fact.load_balancer_ipv4,
    )
    for given in fact.nodes:
        row = _server(view, given.name)
        row.role, row.server_type, row.location = given.role, given.server_type, given.location
        row.cloud_id, row.public_ipv4 = given.cloud_id, given.public_ipv4
    # What stands on its own boots no first control plane and installs no kit again: only its addresses are asked.
    _end(view, "Kit" if view.handed_over else "Apply", at)


def _tofu_failed(view: View, fact: tofu.TofuFailed, at: datetime, _event: Event[Any]) -> None:
    view.trouble, view.cloud_calls = fact.trouble, fact.cloud_calls
    _fail(view, at)


def _destroyed(view: View, fact: tofu.TofuDestroyed, _at: datetime, _event: Event[Any]) -> None:
    view.gone = tuple(f"{gone.address} ({gone.kind} {gone.cloud_id})" for gone in fact.gone)
    view.servers, view.resources = [], []


def _server(view: View, name: str) -> Server:
    row = next((row for row in view.servers if row.name == name), None)
    if row is None:
        row = Server(name=name)
        view.servers.append(row)
    return row


def _reported(view: View, fact: node.NodeReported, _at: datetime, _event: Event[Any]) -> None:
    server = _server(view, fact.server)
    stage = next((row for row in server.stages if row.stage == fact.stage), None)
    if stage is None:
        stage = BootStage(stage=fact.stage, number=fact.number, state=fact.state)
        server.stages.append(stage)
        server.stages.sort(key=lambda row: row.number)
    if fact.state == "begun":
        stage.begun_at, stage.ended_at = fact.at, None
    else:
        stage.ended_at = fact.at
    stage.state, stage.log = fact.state, fact.log


def _enrolled(view: View, _fact: node.NodeEnrolled, at: datetime, _event: Event[Any]) -> None:
    _end(view, "Boot", at)


def _bootstrapped(view: View, fact: flux.FluxBootstrapped, at: datetime, _event: Event[Any]) -> None:
    known = {row.release for row in view.releases}
    fresh = [name for name in fact.expected if name not in known]
    view.releases += [Release(component=name.removeprefix("bp-"), release=name, since=at) for name in fresh]
    order = {name: index for index, name in enumerate(fact.expected)}
    view.releases.sort(key=lambda row: order.get(row.release, len(order)))
    _end(view, "Flux", at)


def _flux_changed(view: View, fact: flux.FluxChanged, at: datetime, _event: Event[Any]) -> None:
    row = next((row for row in view.flux if (row.kind, row.name) == (fact.kind, fact.name)), None)
    if row is None:
        row = FluxObject(kind=fact.kind, name=fact.name, state=fact.state, since=at)
        view.flux.append(row)
    row.state, row.reason, row.message, row.since = fact.state, fact.reason, fact.message, at
    row.revision, row.depends_on = fact.revision or row.revision, fact.depends_on or row.depends_on


def _release(view: View, fact: flux.ReleaseFact, at: datetime, _event: Event[Any]) -> None:
    row = next((row for row in view.releases if row.release == fact.release), None)
    if row is None:
        row = Release(component=fact.component, release=fact.release)
        view.releases.append(row)
    row.state = fact.fact.removeprefix("hr.")  # type: ignore[assignment]  # the five hr.* facts are the five states
    row.version, row.depends_on, row.blocked_by = fact.version or row.version, fact.depends_on, fact.blocked_by
    row.reason, row.message, row.attempts, row.since = fact.reason, fact.message, fact.attempts, fact.since or at
    row.trouble = fact.trouble if isinstance(fact, flux.HrFailed) else None
    if view.trouble is not None and view.state == "provisioning" and isinstance(fact, flux.HrReady | flux.HrInstalling):
        view.trouble = None  # what was stalled moves again


def _flux_trouble(view: View, fact: flux.FluxStalled | flux.FluxDiverged, _at: datetime, _event: Event[Any]) -> None:
    view.trouble = fact.trouble


def _converged(view: View, fact: flux.FluxConverged, at: datetime, _event: Event[Any]) -> None:
    view.trouble = None
    view.first_login = fact.first_login or view.first_login
    _end(view, "Kit", at)


def _probed(view: View, fact: flux.ProbePassed | flux.ProbeFailed, _at: datetime, _event: Event[Any]) -> None:
    view.probes = fact.hosts


def _flux_released(view: View, fact: flux.FluxReleased, _at: datetime, _event: Event[Any]) -> None:
    view.released = fact.removed if fact.verified else ()


_TAKERS: Final[dict[type[Fact], Callable[[View, Any, datetime, Event[Any]], None]]] = {
    sovereign.SovereignRequested: _requested,
    sovereign.SovereignCancelRequested: _asked("cancelling"),
    sovereign.SovereignDecommissionRequested: _leaves,
    sovereign.SovereignApproved: _approved,
    sovereign.SovereignReady: _ready,
    sovereign.SovereignHandedOver: _ended("handed-over"),
    sovereign.SovereignDegraded: _ended("degraded"),
    sovereign.SovereignFailed: _ended("failed"),
    sovereign.SovereignCancelled: _ended("cancelled"),
    sovereign.SovereignDecommissioned: _ended("decommissioned"),
    dns.DnsReserved: _reserved,
    dns.DnsRefused: _dns_trouble,
    dns.DnsPublished: _published,
    dns.DnsAwaitingDelegation: _awaiting,
    dns.DnsDelegated: _delegated,
    dns.DnsPropagated: _propagated,
    dns.DnsFailed: _dns_trouble,
    dns.DnsWithdrawn: _withdrawn,
    dns.DnsReleased: _dns_released,
    tofu.TofuStarted: _started,
    tofu.TofuPlanned: _planned,
    tofu.TofuProgressed: _progressed,
    tofu.TofuWaiting: _waiting,
    tofu.TofuApplied: _applied,
    tofu.TofuFailed: _tofu_failed,
    tofu.TofuDestroyed: _destroyed,
    node.NodeReported: _reported,
    node.NodeEnrolled: _enrolled,
    flux.FluxBootstrapped: _bootstrapped,
    flux.FluxChanged: _flux_changed,
    flux.HrPending: _release,
    flux.HrInstalling: _release,
    flux.HrReady: _release,
    flux.HrDegraded: _release,
    flux.HrFailed: _release,
    flux.FluxStalled: _flux_trouble,
    flux.FluxConverged: _converged,
    flux.FluxDiverged: _flux_trouble,
    flux.ProbePassed: _probed,
    flux.ProbeFailed: _probed,
    flux.FluxReleased: _flux_released,
}
