"""A fact in one line of text, for terminals and plain logs."""

from collections.abc import Callable
from typing import Any, Final

from contracts import dns, flux, node, sovereign, tofu
from contracts.event import Event, Fact

_GOOD: Final = (
    "ready", "passed", "applied", "converged", "delegated", "handed-over", "enrolled", "bootstrapped", "reserved",
)  # fmt: skip
_BAD: Final = ("failed", "refused", "degraded", "stalled", "diverged", "rejected", "interrupted")


def style_of(event: Event[Any]) -> str:
    """The colour of its line, where there is colour."""
    outcome = event.data.fact.partition(".")[2]
    if outcome in _BAD:
        return "red"
    return "green" if outcome in _GOOD else ""


def line(event: Event[Any]) -> str:
    """Time, fact and what it says beyond its name."""
    return f"{event.time:%H:%M:%S}  {event.data.fact:<24} {words(event.data)}".rstrip()


def words(fact: Fact) -> str:
    """What it says beyond its name."""
    trouble = getattr(fact, "trouble", None)
    if trouble is not None:
        return f"{trouble.attempted}, on {trouble.on}: {trouble.message or trouble.code}. {trouble.next_step}"
    known = next((_WORDS[kind] for kind in type(fact).__mro__ if kind in _WORDS), None)
    return known(fact) if known else str(getattr(fact, "reason", "") or getattr(fact, "server", ""))


def _requested(fact: sovereign.SovereignRequested) -> str:
    shape = fact.shape.topology
    servers = f"{shape.control_plane_count} control plane, {shape.worker_count} worker"
    return f"{fact.kind} run, {servers}, {shape.region}"


def _planned(fact: tofu.TofuPlanned) -> str:
    cost = f", {fact.cost.monthly} {fact.cost.currency} a month" if fact.cost else ""
    return f"{fact.add} to add, {fact.change} to change, {fact.destroy} to destroy{cost}"


def _progressed(fact: tofu.TofuProgressed) -> str:
    took = f", {fact.elapsed_s:.0f} s" if fact.elapsed_s else ""
    return f"{fact.address} {fact.state} ({fact.done}/{fact.total}{took})"


def _waiting(fact: tofu.TofuWaiting) -> str:
    until = f" until {fact.until:%H:%M:%S}" if fact.until else ""
    return f"{fact.why}{until} {fact.detail}".rstrip()


def _applied(fact: tofu.TofuApplied) -> str:
    nodes = ", ".join(f"{row.name} {row.public_ipv4}" for row in fact.nodes)
    return f"{nodes}, load balancer {fact.load_balancer_ipv4}, {fact.cloud_calls} calls"


def _release(fact: flux.ReleaseFact) -> str:
    waits = f" ← {fact.blocked_by}" if fact.blocked_by else ""
    return f"{fact.component} {fact.version}{waits} {fact.message or fact.reason}".strip()


def _delegated(fact: dns.DnsDelegated) -> str:
    sides = dict.fromkeys(row.side for row in fact.servers)
    return "; ".join(
        f"{side}: " + ", ".join(f"{row.server} {row.verdict}" for row in fact.servers if row.side == side)
        for side in sides
    )


_WORDS: Final[dict[type, Callable[[Any], str]]] = {
    sovereign.SovereignRequested: _requested,
    sovereign.SovereignReady: lambda fact: " ".join(url.url for url in fact.urls),
    dns.DnsReserved: lambda fact: fact.zone,
    dns.DnsPublished: lambda fact: f"{fact.zone}, {len(fact.records)} record sets",
    dns.DnsReleased: lambda fact: fact.zone,
    dns.DnsAwaitingDelegation: lambda fact: f"paste NS {', '.join(fact.nameservers)} at the registrar",
    dns.DnsDelegated: _delegated,
    tofu.TofuStarted: lambda fact: fact.action,
    tofu.TofuPlanned: _planned,
    tofu.TofuProgressed: _progressed,
    tofu.TofuWaiting: _waiting,
    tofu.TofuApplied: _applied,
    tofu.TofuDestroyed: lambda fact: f"{len(fact.gone)} resources seen gone",
    node.NodeReported: lambda fact: f"{fact.server} {fact.number}. {fact.stage} {fact.state}",
    flux.ReleaseFact: _release,
    flux.FluxChanged: lambda fact: f"{fact.kind}/{fact.name} {fact.state} {fact.message or fact.reason}".rstrip(),
    flux.FluxBootstrapped: lambda fact: f"{len(fact.expected)} releases expected, {fact.revision}",
    flux.FluxConverged: lambda fact: f"{len(fact.releases)} releases ready, stable for {fact.stable_s:g} s",
    flux.FluxReleased: lambda fact: f"{len(fact.removed)} accesses revoked",
    flux.ProbePassed: lambda fact: ", ".join(host.url for host in fact.hosts),
}
