"""Nothing moves: which object is the first that blocks, and which row of the runbook says what to do.

The expected set is in dependency order, so the first member that is not ready is where to look; if that one waits for
its source, the source is. The code comes from what the cluster itself shows: claims without a class, images that
cannot be pulled, a challenge that the certificate authority refuses.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from contracts.errors import Trouble, trouble
from flux_watcher.decide import Verdict, decide
from flux_watcher.objects import FLUX_SYSTEM, Seen
from flux_watcher.state import CONTROLLERS, Missing, Picture, Wanted

PULL_REASONS: Final = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "RegistryUnavailable")
RATE_LIMITS: Final = ("ratelimited", "rate limit", "too many certificates", "too many failed")
EVIDENCE_LIMIT: Final = 12
_CONTROLLERS: Final = frozenset(f"Deployment/{FLUX_SYSTEM}/{name}" for name in CONTROLLERS)


@dataclass(frozen=True)
class Diagnosis:
    """What to tell: the trouble, the object that blocks, and what was seen."""

    trouble: Trouble
    blocking: str
    evidence: tuple[str, ...] = ()


def diagnose(picture: Picture, wanted: Wanted, *, bootstrapped: bool, appeared: bool) -> Diagnosis | None:
    """Why this cluster is not what is wanted; None when it is."""
    missing = picture.missing(wanted)
    if not missing:
        return None
    first = _first(picture, missing)
    code = _code(picture, wanted, first, bootstrapped=bootstrapped, appeared=appeared)
    evidence = tuple(_evidence(picture, missing, first))[:EVIDENCE_LIMIT]
    return Diagnosis(
        trouble(code, attempted="watch the kit become ready", on=first.what, message=_said(first.verdict)),
        first.what,
        evidence,
    )


def _said(verdict: Verdict) -> str:
    return ": ".join(part for part in (verdict.reason, verdict.message) if part)


def _first(picture: Picture, missing: tuple[Missing, ...]) -> Missing:
    """The first member that is not ready, or the source that it waits for."""
    first = missing[0]
    found = _object(picture, first.what)
    if found is None or found.kind not in {"HelmRelease", "Kustomization", "HelmChart"}:
        return first
    if first.verdict.reason in {"DependencyNotReady", "OlderRevision"}:
        return first
    for source in _sources(picture, found):
        verdict = decide(source)
        if not verdict.ready:
            return Missing(source.title, verdict)
    return first


def _object(picture: Picture, title: str) -> Seen | None:
    kind, _, name = title.partition("/")
    return picture.get(kind, name)


def _sources(picture: Picture, found: Seen) -> Iterator[Seen]:
    """What an object is fetched from, the farthest first."""
    chart = picture.get("HelmChart", f"{found.namespace}-{found.name}") if found.kind == "HelmRelease" else None
    for source in (_object(picture, chart.source) if chart else None, chart, _object(picture, found.source)):
        if source is not None:
            yield source


def waits_for(picture: Picture, seen: Seen, verdict: Verdict) -> str:
    """The object that a blocked one waits for; empty when it waits for none."""
    if verdict.state not in {"blocked", "pending"}:
        return ""
    for name in seen.depends_on:
        if not picture.verdict(seen.kind, name).ready:
            return f"{seen.kind}/{name}"
    for source in _sources(picture, seen):
        if not decide(source).ready:
            return source.title
    return seen.source if verdict.reason in {"SourceNotReady", "ArtifactFailed", "HelmChartNotReady"} else ""


def _code(picture: Picture, wanted: Wanted, first: Missing, *, bootstrapped: bool, appeared: bool) -> str:
    kind, _, name = first.what.partition("/")
    if kind == "Node":
        return "node-lost"
    if bootstrapped and any(picture.get("Deployment", name) is None for name in CONTROLLERS):
        return "flux-removed"
    if kind in {"GitRepository", "HelmRepository"}:
        return "source-unreachable"
    if kind in {"HelmChart", "OCIRepository"}:
        return "chart-missing" if _no_such_chart(first.verdict) else "source-unreachable"
    if not appeared or first.what in _CONTROLLERS:
        return "flux-not-reconciling"
    return code_of_component(picture, wanted, name) or "release-failed"


def _no_such_chart(verdict: Verdict) -> bool:
    text = verdict.message.lower()
    return verdict.reason == "InvalidChartReference" or "no chart" in text or "not found" in text


def code_of_component(picture: Picture, wanted: Wanted, name: str) -> str:
    """What the pods, claims and certificates behind a member say."""
    component = wanted.expected.component(name.rsplit("/", 1)[-1])
    if component is None:
        component = next((c for c in wanted.expected.components if name.startswith(f"{c.namespace}/")), None)
    if component is None:
        return ""
    if _pending_claims(picture, component.namespace) and not _default_class(picture):
        return "storageclass-missing"
    if any(pod.namespace == component.namespace and _cannot_pull(pod) for pod in picture.of("Pod")):
        return "image-pull-failed"
    if _challenges(picture):
        limited = any(word in c.detail.lower() for c in _challenges(picture) for word in RATE_LIMITS)
        return "certificate-rate-limited" if limited else "certificate-failed"
    return "cni-stuck" if component.name == "bp-cilium" else ""


def _cannot_pull(pod: Seen) -> bool:
    return any(reason in pod.detail for reason in PULL_REASONS)


def _pending_claims(picture: Picture, namespace: str = "") -> list[Seen]:
    return [c for c in picture.of("PersistentVolumeClaim") if c.phase == "Pending" and namespace in {"", c.namespace}]


def _default_class(picture: Picture) -> bool:
    return any(item.phase == "default" for item in picture.of("StorageClass"))


def _challenges(picture: Picture) -> list[Seen]:
    return [c for c in picture.of("Challenge") if c.phase in {"invalid", "errored", "expired"}]


def _evidence(picture: Picture, missing: tuple[Missing, ...], first: Missing) -> Iterator[str]:
    yield f"{first.what} is {first.verdict.state}: {_said(first.verdict)}"[:500]
    for claim in _pending_claims(picture):
        yield f"{claim.title} is Pending{'' if claim.source else ', without a storage class'}"
    if picture.synced("StorageClass") and not _default_class(picture):
        yield "no StorageClass is marked default"
    for pod in picture.of("Pod"):
        if _cannot_pull(pod):
            yield f"{pod.title} waits: {pod.detail}"
        elif any(c.reason == "Unschedulable" for c in pod.conditions):
            scheduled = pod.condition("PodScheduled")
            yield f"{pod.title} cannot be scheduled: {scheduled.message if scheduled else ''}"[:500]
    for challenge in _challenges(picture):
        yield f"challenge for {challenge.source} is {challenge.phase}: {challenge.detail}"[:500]
    waiting = [item.what for item in missing if item.what != first.what]
    if waiting:
        yield f"{len(waiting)} more are not ready: {', '.join(waiting[:6])}"
