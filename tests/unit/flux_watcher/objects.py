"""Objects as a cluster's API gives them."""

from typing import Any

from flux_watcher.objects import HELM_RELEASE, Kind, Seen, seen

T0 = "2026-11-23T10:00:00Z"


def cond(kind: str, status: str, reason: str, message: str = "", *, at: str = T0, generation: int | None = 1) -> Any:
    found = {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": at}
    return found if generation is None else found | {"observedGeneration": generation}


def raw(
    name: str = "bp-gitea",
    *conditions: Any,
    generation: int = 1,
    observed: int | None = 1,
    namespace: str = "flux-system",
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    uid: str = "",
    **metadata: Any,
) -> dict[str, Any]:
    """One object; ``observed=None`` leaves observedGeneration out."""
    found = {"conditions": list(conditions)} | (status or {})
    if observed is not None:
        found["observedGeneration"] = observed
    named = {"name": name, "namespace": namespace, "uid": uid or f"uid-{name}", "generation": generation}
    return {"metadata": named | metadata, "spec": spec or {}, "status": found}


def record(item: dict[str, Any], kind: Kind = HELM_RELEASE) -> Seen:
    found = seen(kind, item)
    assert found is not None
    return found
