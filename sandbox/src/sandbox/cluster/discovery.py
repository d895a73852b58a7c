"""The API's own description: versions, groups and resources, as they are served at this moment."""

from __future__ import annotations

from typing import Final

from sandbox.cluster import problems
from sandbox.cluster.objects import NAMESPACE, POD, Json, Kind
from sandbox.cluster.store import Store

VERSION: Final[Json] = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.4+k3s1-simulated",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}
_VERBS: Final = ["delete", "get", "list", "patch", "watch"]


def describe(store: Store, parts: list[str]) -> Json:
    """The document at /api, /apis, /api/v1 or /apis/<group>[/<version>]."""
    match parts:
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["api", "v1"]:
            return _resources(store, "", "v1")
        case ["apis"]:
            groups = {kind.group for kind in store.kinds.values() if kind.group}
            return {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [_group(store, group) for group in sorted(groups)],
            }
        case ["apis", group]:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(store, group)}
        case ["apis", group, version]:
            return _resources(store, group, version)
        case _:
            raise problems.no_such_path()


def _group(store: Store, group: str) -> Json:
    served = sorted({kind.version for kind in store.kinds.values() if kind.group == group}, reverse=True)
    if not served or not group:
        raise problems.no_such_path()
    versions = [{"groupVersion": f"{group}/{version}", "version": version} for version in served]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _resources(store: Store, group: str, version: str) -> Json:
    kinds = [kind for kind in store.kinds.values() if (kind.group, kind.version) == (group, version)]
    if not kinds:
        raise problems.no_such_path()
    resources: list[Json] = []
    for kind in sorted(kinds, key=lambda each: each.plural):
        resources.append(_resource(kind))
        if kind == POD:
            resources.append({**_resource(kind), "name": "pods/log", "verbs": ["get"]})
        elif kind != NAMESPACE and group.endswith(".fluxcd.io"):
            resources.append({**_resource(kind), "name": f"{kind.plural}/status", "verbs": ["get"]})
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": resources,
    }


def _resource(kind: Kind) -> Json:
    return {
        "name": kind.plural,
        "singularName": kind.kind.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": _VERBS,
    }
