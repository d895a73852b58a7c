"""The Kubernetes API of one simulated cluster: paths, verbs and answers of the real protocol, over a Store.

Every request is authenticated, then authorised by the cluster's own RBAC, then answered; refusals are
Status objects. Lists come in consistent pages; watches live in `watching`.
"""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from sandbox.cluster import discovery, problems
from sandbox.cluster.access import Access, Caller
from sandbox.cluster.logs import Logs
from sandbox.cluster.objects import FLUX_KINDS, POD, Json, Kind, merge
from sandbox.cluster.problems import ApiProblem
from sandbox.cluster.selectors import selector
from sandbox.cluster.store import Store
from sandbox.cluster.watching import Watching

_OPEN_PAGES: Final = 32
_HEALTH: Final = frozenset({"readyz", "livez", "healthz"})
_MERGES: Final = frozenset({"application/merge-patch+json", "application/strategic-merge-patch+json"})


@dataclass(frozen=True, slots=True)
class Target:
    """What a path points at."""

    kind: Kind
    namespace: str
    name: str
    subresource: str


@dataclass(slots=True)
class Calls:
    """How often this API was asked, by verb; and the refusals that a fault still owes."""

    lists: int = 0
    watches: int = 0
    writes: int = 0
    refused: int = 0


class Api:
    """Answers the requests of one cluster's clients."""

    def __init__(self, store: Store, access: Access, logs: Logs, *, bookmark_s: float) -> None:
        self._store = store
        self._access = access
        self._logs = logs
        self._watching = Watching(store, bookmark_s)
        self._pages: OrderedDict[str, tuple[int, list[Json]]] = OrderedDict()
        self.calls = Calls()
        self.healthy = True

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            if not self.healthy:
                raise ApiProblem(503, "ServiceUnavailable", "the API server is not ready (simulated)")
            return await self._answer(request)
        except ApiProblem as problem:
            self.calls.refused += 1
            return _json(problem.status(), problem.code)

    def expire_pages(self) -> None:
        """Forget open pages: their `continue` tokens get 410."""
        self._pages.clear()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        caller = self._access.caller(request.headers.get("Authorization", ""))
        parts = [part for part in request.path.split("/") if part]
        if parts == ["version"]:
            return _json(discovery.VERSION)
        if len(parts) == 1 and parts[0] in _HEALTH:
            return web.Response(text="ok")
        target = self._target(parts)
        if target is None:
            if request.method != "GET":
                raise problems.method_not_allowed()
            return _json(discovery.describe(self._store, parts))
        if request.method == "GET":
            return await self._read(request, caller, target)
        self.calls.writes += 1
        if request.method == "PATCH" and target.name:
            return await self._patch(request, caller, target)
        if request.method == "DELETE" and target.name:
            return self._delete(caller, target)
        self._access.demand(caller, request.method.lower(), target.kind, target.namespace, target.name)
        raise problems.method_not_allowed()

    def _target(self, parts: list[str]) -> Target | None:
        """The resource that a path names; none for the paths of discovery."""
        match parts:
            case ["api", "v1" as version, *rest] if rest:
                group = ""
            case ["apis", group, version, *rest] if rest:
                pass
            case _:
                return None
        namespace = ""
        match rest:
            case ["namespaces", namespace, plural, *more]:
                rest = [plural, *more]
        kind = self._store.kinds.get((group, version, rest[0]))
        if kind is None or (namespace and not kind.namespaced):
            raise problems.no_such_path()
        return Target(kind, namespace, rest[1] if len(rest) > 1 else "", "/".join(rest[2:]))

    async def _read(self, request: web.BaseRequest, caller: Caller, at: Target) -> web.StreamResponse:
        query = request.query
        if not at.name:
            watch = query.get("watch", "") in {"true", "1"}
            self._access.demand(caller, "watch" if watch else "list", at.kind, at.namespace, "")
            if watch:
                self.calls.watches += 1
                return await self._watching.stream(request, at.kind, at.namespace)
            self.calls.lists += 1
            return _json(self._list(at, query))
        self._access.demand(caller, "get", at.kind, at.namespace, at.name, subresource=at.subresource)
        item = self._store.require(at.kind, at.namespace, at.name)
        if at.subresource == "log" and at.kind == POD:
            return await self._logs.answer(request, item)
        if at.subresource not in {"", "status"}:
            raise problems.no_such_path()
        return _json(item)

    def _list(self, at: Target, query: Mapping[str, str]) -> Json:
        if token := query.get("continue", ""):
            page = self._pages.pop(token, None)
            if page is None:
                raise problems.expired(
                    "The provided continue parameter is too old to display a consistent list result. You can start "
                    "a new list without the continue parameter."
                )
            version, items = page
        else:
            version = self._listed_version(query)
            matches = selector(query.get("labelSelector", ""), query.get("fieldSelector", ""))
            items = self._store.select(at.kind, at.namespace, matches)
        metadata: Json = {"resourceVersion": str(version)}
        limit = _number(query, "limit")
        if limit and len(items) > limit:
            token = secrets.token_urlsafe(12)
            self._pages[token] = (version, items[limit:])
            if len(self._pages) > _OPEN_PAGES:
                self._pages.popitem(last=False)
            metadata |= {"continue": token, "remainingItemCount": len(items) - limit}
            items = items[:limit]
        return {
            "kind": f"{at.kind.kind}List",
            "apiVersion": at.kind.api_version,
            "metadata": metadata,
            "items": items,
        }

    def _listed_version(self, query: Mapping[str, str]) -> int:
        wanted = _number(query, "resourceVersion")
        current = self._store.version
        if wanted > current:
            raise problems.version_too_large(wanted, current)
        if query.get("resourceVersionMatch") == "Exact" and wanted != current:
            raise problems.expired(f"The resourceVersion for the provided list is too old: {wanted}")
        return current

    async def _patch(self, request: web.BaseRequest, caller: Caller, at: Target) -> web.Response:
        self._access.demand(caller, "patch", at.kind, at.namespace, at.name, subresource=at.subresource)
        before = self._store.require(at.kind, at.namespace, at.name)
        if at.subresource:
            raise problems.no_such_path()
        if request.content_type not in _MERGES:
            raise ApiProblem(
                415, "UnsupportedMediaType", "the body of the request was in an unknown format; send a merge patch"
            )
        patch = _body(await request.read())
        wanted = (patch.get("metadata") or {}).get("resourceVersion")
        if wanted and wanted != before["metadata"]["resourceVersion"]:
            raise problems.conflict(at.kind, at.name)
        after = merge(before, patch)
        if at.kind in FLUX_KINDS:  # their status is a subresource
            after["status"] = before.get("status") or {}
        self._access.admit(at.kind, before, after)
        return _json(self._store.replace(at.kind, after))

    def _delete(self, caller: Caller, at: Target) -> web.Response:
        self._access.demand(caller, "delete", at.kind, at.namespace, at.name)
        gone = self._store.delete(at.kind, at.namespace, at.name)
        if at.kind.plural == "namespaces":
            return _json({**gone, "status": {"phase": "Terminating"}})
        details = {
            "name": at.name,
            "group": at.kind.group,
            "kind": at.kind.plural,
            "uid": gone["metadata"]["uid"],
        }
        return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})


def _json(body: Json, code: int = 200) -> web.Response:
    return web.Response(
        body=json.dumps(body, separators=(",", ":")).encode(), status=code, content_type="application/json"
    )


def _number(query: Mapping[str, str], name: str) -> int:
    value = query.get(name, "")
    if value and not value.isdecimal():
        raise problems.bad_request(f"{name}: Invalid value: {value!r}")
    return int(value or 0)


def _body(content: bytes) -> Json:
    try:
        body = json.loads(content)
    except ValueError:
        raise problems.bad_request("the body of the request is not JSON") from None
    if not isinstance(body, dict):
        raise problems.bad_request("the body of the request is not an object")
    return body
