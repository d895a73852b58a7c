"""The picture of one cluster: every object that is watched, as it was seen last.

A list replaces what was known of its kind, so what is missing from it is gone; a watch event changes one object. The
picture is pure: it knows no clock, no network and nothing of what was said about it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from contracts.kit import Component
from flux_watcher.decide import Verdict, decide
from flux_watcher.expected import Expected, same_version
from flux_watcher.objects import FLUX_KINDS, FLUX_SYSTEM, LISTED_KINDS, Kind, Seen

CONTROLLERS = ("source-controller", "kustomize-controller", "helm-controller")
"""Without these nothing is reconciled."""


@dataclass(frozen=True)
class Wanted:
    """What the picture is compared with."""

    expected: Expected
    nodes: tuple[str, ...] = ()
    """The servers that the run's outputs name."""
    root: str = "catalyst-kit"
    """Name of the kit's GitRepository and of its root Kustomization."""


@dataclass(frozen=True)
class Missing:
    """Something that keeps the expected set from being ready."""

    what: str
    verdict: Verdict


@dataclass
class Picture:
    """Objects by kind, by namespace and name."""

    _objects: dict[str, dict[tuple[str, str], Seen]] = field(default_factory=dict)
    _synced: set[str] = field(default_factory=set)
    _unserved: set[str] = field(default_factory=set)

    def replace(self, kind: Kind, listed: Iterable[Seen]) -> None:
        """A list came: it is the whole truth of its kind."""
        self._objects[kind.name] = {seen.key: seen for seen in listed}
        self._synced.add(kind.name)
        self._unserved.discard(kind.name)

    def put(self, kind: Kind, seen: Seen) -> None:
        """An object was added or changed."""
        self._objects.setdefault(kind.name, {})[seen.key] = seen

    def remove(self, kind: Kind, seen: Seen) -> None:
        """An object was deleted."""
        self._objects.get(kind.name, {}).pop(seen.key, None)

    def not_served(self, kind: Kind) -> None:
        """The cluster does not know this kind (yet)."""
        self.replace(kind, ())
        self._unserved.add(kind.name)

    @property
    def complete(self) -> bool:
        """Whether every kind that readiness rests on was listed at least once."""
        return all(kind.name in self._synced for kind in (*FLUX_KINDS, *LISTED_KINDS))

    def synced(self, kind: str) -> bool:
        """Whether this kind was listed."""
        return kind in self._synced

    def of(self, kind: str) -> Iterator[Seen]:
        """Every object of a kind."""
        return iter(self._objects.get(kind, {}).values())

    def get(self, kind: str, name: str, namespace: str = FLUX_SYSTEM) -> Seen | None:
        """One object."""
        return self._objects.get(kind, {}).get((namespace, name))

    def verdict(self, kind: str, name: str, namespace: str = FLUX_SYSTEM) -> Verdict:
        """The state of one object; pending when it is not there."""
        found = self.get(kind, name, namespace)
        return decide(found) if found else Verdict("pending", "NotThere", f"{kind} {name} does not exist yet")

    # What the whole is: bootstrapped, converged, or what is missing.

    def revision(self, wanted: Wanted) -> str:
        """The revision of the kit that its source holds now."""
        source = self.get("GitRepository", wanted.root)
        return source.revision if source else ""

    def bootstrapped(self, wanted: Wanted) -> bool:
        """Controllers available, source fetched, kit Kustomization applied: each of them seen."""
        root = self.get("Kustomization", wanted.root)
        return (
            all(self.verdict("Deployment", name).ready for name in CONTROLLERS)
            and self.verdict("GitRepository", wanted.root).ready
            and bool(self.revision(wanted))
            and root is not None
            and root.deployed
        )

    def missing(self, wanted: Wanted) -> tuple[Missing, ...]:
        """What keeps this cluster from being what is wanted, dependencies first; empty when it is."""
        if not self.complete:
            return (Missing("the first listing", Verdict("pending", "NotListed")),)
        return tuple(
            item for part in (self._nodes(wanted), self._bases(wanted), self._members(wanted)) for item in part
        )

    def releases_missing(self, wanted: Wanted) -> bool:
        """Whether any expected release is not ready at its version: what probes wait for."""
        return not self.complete or any(True for c in wanted.expected.components for _ in self._release(c))

    def extras(self, wanted: Wanted) -> tuple[str, ...]:
        """Releases beside Flux that nobody asked for: reported, never counted."""
        names = set(wanted.expected.names)
        return tuple(
            sorted(s.name for s in self.of("HelmRelease") if s.namespace == FLUX_SYSTEM and s.name not in names)
        )

    def _bases(self, wanted: Wanted) -> Iterator[Missing]:
        for name in CONTROLLERS:
            verdict = self.verdict("Deployment", name)
            if not verdict.ready:
                yield Missing(f"Deployment/{FLUX_SYSTEM}/{name}", verdict)
        source = self.verdict("GitRepository", wanted.root)
        if not source.ready:
            yield Missing(f"GitRepository/{wanted.root}", source)

    def _kustomization(self, name: str, wanted: Wanted) -> Iterator[Missing]:
        verdict = self.verdict("Kustomization", name)
        found = self.get("Kustomization", name)
        if verdict.ready and found and found.revision != self.revision(wanted):
            verdict = Verdict("working", "OlderRevision", f"{found.revision} is applied", verdict.since)
        if not verdict.ready:
            yield Missing(f"Kustomization/{name}", verdict)

    def _members(self, wanted: Wanted) -> Iterator[Missing]:
        for component in wanted.expected.components:
            yield from self._release(component)
            yield from self._workloads(component)
            yield from self._kustomization(component.name, wanted)
        # Last: it waits for all others, so it is never what blocks.
        yield from self._kustomization(wanted.root, wanted)

    def _release(self, component: Component) -> Iterator[Missing]:
        verdict = self.verdict("HelmRelease", component.name)
        found = self.get("HelmRelease", component.name)
        if verdict.ready and found and not same_version(found.version, component.chart.version):
            said = f"{found.version or 'no version'} is installed, {component.chart.version} is wanted"
            verdict = Verdict("working", "OtherVersion", said, verdict.since)
        if not verdict.ready:
            yield Missing(f"HelmRelease/{component.name}", verdict)

    def _workloads(self, component: Component) -> Iterator[Missing]:
        for workload in component.workloads:
            if workload.kind in self._unserved:
                continue
            verdict = self.verdict(workload.kind, workload.name, component.namespace)
            if not verdict.ready:
                yield Missing(f"{workload.kind}/{component.namespace}/{workload.name}", verdict)

    def _nodes(self, wanted: Wanted) -> Iterator[Missing]:
        known = {seen.name: seen for seen in self.of("Node")}
        for name in dict.fromkeys((*wanted.nodes, *known)):
            seen = known.get(name)
            verdict = decide(seen) if seen else Verdict("pending", "NotJoined", "the node has not joined the cluster")
            if not verdict.ready:
                yield Missing(f"Node/{name}", verdict)
