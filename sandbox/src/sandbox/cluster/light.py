"""A light cluster: a simulated Kubernetes API over TLS with Flux at work in it, hundreds to a process."""

from __future__ import annotations

import asyncio
import base64
import ssl
from pathlib import Path
from typing import Final

from aiohttp import web

from sandbox.cluster import charts
from sandbox.cluster.access import Access
from sandbox.cluster.agenda import Agenda, Sequence
from sandbox.cluster.api import Api, Calls
from sandbox.cluster.flux import Flux
from sandbox.cluster.front_kinds import FrontKinds
from sandbox.cluster.ingress import Ingress
from sandbox.cluster.kit import Kit
from sandbox.cluster.model import Model
from sandbox.cluster.objects import (
    CRD,
    KUSTOMIZATION,
    NAMESPACE,
    SECRET,
    STORAGE_CLASS,
    Json,
    Kind,
    merge,
)
from sandbox.cluster.problems import ApiProblem
from sandbox.cluster.scenario import Fault, Faults, Scenario
from sandbox.cluster.store import Change, Store
from sandbox.cluster.tls import Authority
from sandbox.cluster.workloads import Workloads

API_PORT: Final = 6443
_NAMESPACES: Final = ("default", "kube-system", "kube-public", "kube-node-lease")
_COMPACTED_AFTER_S: Final = 300.0
_KEPT_WHEN_SETTLED: Final = 8


class ApplyRefused(Exception):
    """A document that the cluster does not take, as kubectl says it."""


class LightCluster:
    """One simulated cluster: its API, its nodes and its front door."""

    def __init__(
        self,
        sovereign: str,
        *,
        directory: Path,
        kit: Kit,
        root: Authority,
        pace: float,
        scenario: Scenario,
        bookmark_s: float = 60.0,
    ) -> None:
        self.sovereign = sovereign
        self.fqdn = sovereign.replace("_", ".")
        self.faults = Faults(scenario)
        self._directory = directory
        self._root = root
        self._authority = Authority.create(f"{self.fqdn} cluster (simulated)")
        self._timer: asyncio.TimerHandle | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._listener: asyncio.Server | None = None
        self._web: web.Server | None = None
        self._ingress: Ingress | None = None
        self._address = ""

        self.store = Store()
        agenda = Agenda(self._time, pace, self._wake)
        self.model = Model(self.store, agenda, kit, self.faults)
        self._access = Access(self.store, self._authority.pem)
        self._workloads = Workloads(self.model)
        FrontKinds(self.model)
        self._flux = Flux(self.model, self._workloads)
        self._api = Api(self.store, self._access, self.model.logs, bookmark_s=bookmark_s)
        self.store.listen(self._hear)
        for name in _NAMESPACES:
            self.store.create(NAMESPACE, {"metadata": {"name": name}, "status": {"phase": "Active"}})

    # -- what a node does

    async def start(self, *, address: str, san: list[str]) -> None:
        """Serve the API at the address, with a certificate for it and the names."""
        names = [address, *san, "127.0.0.1", "localhost", "kubernetes", "kubernetes.default.svc"]
        context = self._authority.server_context(self._directory / "api.pem", "kube-apiserver (simulated)", names)
        self._web = web.Server(self._api.handle, handler_cancellation=True, access_log=None)
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._web, address, API_PORT, ssl=context)
        self._address = address
        self._wake(loop.time())
        await self._open(address)

    async def stop(self) -> None:
        """Serve nothing any more; what was simulated ends."""
        for timer in (self._timer, self._settling):
            if timer:
                timer.cancel()
        self.model.agenda.clear()
        if self._ingress:
            await self._ingress.stop()
        if self._listener:
            self._listener.close()
        if self._web:
            await self._web.shutdown(1.0)

    def join(self, node_name: str, address: str, role: str) -> None:
        """A server joins; its address is what the Node shows."""
        self._workloads.join(node_name, address, role)

    async def listen(self, address: str) -> None:
        """Open the front door at one more node's address."""
        await self._open(address)

    async def _open(self, address: str) -> None:
        if self._ingress is None:
            self._ingress = Ingress(self.model, self.fqdn, self._front_certificate())
        await self._ingress.listen(address)

    def _front_certificate(self) -> ssl.SSLContext:
        names = [self.fqdn, f"*.{self.fqdn}"]
        return self._root.server_context(self._directory / "front.pem", self.fqdn, names)

    @property
    def api_healthy(self) -> bool:
        """Whether the API serves and answers."""
        return self._listener is not None and self._listener.is_serving() and self._api.healthy

    @property
    def calls(self) -> Calls:
        """How often the API was asked."""
        return self._api.calls

    def kubeconfig_ca(self) -> str:
        """The CA that signed the API's certificate, as PEM."""
        return self._authority.pem

    def token_for(self, namespace: str, service_account: str) -> str:
        """A bearer token of a ServiceAccount."""
        return self._access.token_for(namespace, service_account)

    async def apply(self, documents: list[Json]) -> list[str]:
        """Apply documents as kubectl does; says of each what became of it."""
        lines: list[str] = []
        for document in documents:
            try:
                kind, outcome = self._apply(document)
            except ApiProblem as problem:
                raise ApplyRefused(problem.message) from problem
            lines.append(f"{kind.resource}/{document['metadata']['name']} {outcome}")
        return lines

    async def install_release(self, release: str, namespace: str) -> None:
        """What `helm install` of a catalogue component's chart leaves, before Flux is there to do it."""
        if self.store.get(NAMESPACE, "", namespace) is None:
            self.store.create(NAMESPACE, {"metadata": {"name": namespace}, "status": {"phase": "Active"}})
        charts.install(self.model, release, release, namespace)

    def _apply(self, document: Json) -> tuple[Kind, str]:
        if document["kind"] == CRD.kind:
            return CRD, charts.serve_crd(self.model, document)
        kind = self.store.kind_named(document["apiVersion"], document["kind"])
        metadata = document["metadata"]
        if kind is None:
            raise ApplyRefused(
                f'resource mapping not found for name: "{metadata["name"]}" namespace: '
                f'"{metadata.get("namespace", "")}": no matches for kind "{document["kind"]}" in version '
                f'"{document["apiVersion"]}": ensure CRDs are installed first'
            )
        placed = dict(metadata)
        if kind.namespaced:
            placed.setdefault("namespace", "default")
        else:
            placed.pop("namespace", None)
        item = _encoded({**document, "metadata": placed}) if kind == SECRET else {**document, "metadata": placed}
        before = self.store.get(kind, placed.get("namespace", ""), placed["name"])
        if before is None:
            self.store.create(kind, item)
            return kind, "created"
        merged = merge(before, {name: value for name, value in item.items() if name != "status"})
        return kind, "unchanged" if self.store.replace(kind, merged) is before else "configured"

    def get(self, kind: str, namespace: str | None, name: str | None) -> list[Json]:
        """Objects by kind (or its plural, with or without its group), namespace and name."""
        wanted = kind.lower()
        for known in self.store.kinds.values():
            if wanted in {known.kind.lower(), known.plural, known.resource}:
                found = self.store.select(known, (namespace or "") if known.namespaced else "")
                return [item for item in found if not name or item["metadata"]["name"] == name]
        return []

    # -- what a scenario does

    def play(self, fault: Fault) -> None:
        """Begin a fault now; one that waits for its moment is kept for it."""
        if fault.what == "api-down":
            self._api.healthy = False
            self.model.agenda.start(("fault", fault), self._revive(fault))
        elif fault.what == "no-storage-class":
            self._lose_storage(fault)
        elif fault.what in {"node-lost", "release-deleted", "release-degrades", "workload-degrades"}:
            self.faults.happened[f"{fault.what} {fault.component}".strip()] += 1
            self._flux.play(fault)
        else:
            self.faults.add(fault)

    def compact(self, keep: int = 0) -> None:
        """Forget the history: watches that come back with an old version get 410."""
        self.store.compact(keep)
        self._api.expire_pages()

    def _revive(self, fault: Fault) -> Sequence:
        yield fault.lasts_s
        self._api.healthy = True

    def _lose_storage(self, fault: Fault) -> None:
        lost = self.store.select(STORAGE_CLASS)
        for item in lost:
            self.store.delete(STORAGE_CLASS, "", item["metadata"]["name"])
        self.model.agenda.start(("fault", fault), self._restore_storage(fault, lost))

    def _restore_storage(self, fault: Fault, lost: list[Json]) -> Sequence:
        yield fault.lasts_s
        for item in lost:
            self.model.ensure(STORAGE_CLASS, item)

    def _hear(self, change: Change) -> None:
        """The kit arrives: begin the faults of the scenario that count from here."""
        if change.kind == KUSTOMIZATION and change.type == "ADDED" and not change.item["spec"].get("dependsOn"):
            for what in ("no-storage-class", "node-lost", "api-down"):
                if fault := self.faults.take(what):
                    self.play(fault)

    # -- the clock

    def _time(self) -> float:
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return 0.0

    def _wake(self, due: float) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._timer and self._due <= due:
            return
        if self._timer:
            self._timer.cancel()
        # Kept here: uvloop hands out a plain handle, which knows no time, for what is due at once.
        self._due = due
        self._timer = loop.call_at(due, self._run)

    def _run(self) -> None:
        self._timer = None
        try:
            self.model.agenda.run_due()
        finally:  # a sequence that fails is the loop's to report; the others go on
            if (due := self.model.agenda.next_due) is not None:
                self._wake(due)
            elif self._settling is None:
                loop = asyncio.get_running_loop()
                self._settling = loop.call_later(_COMPACTED_AFTER_S, self._settle)

    def _settle(self) -> None:
        """Nothing has been under way for a while: the history goes, as etcd's does every five minutes."""
        self._settling = None
        if self.model.agenda.next_due is None:
            self.store.compact(_KEPT_WHEN_SETTLED)


def _encoded(item: Json) -> Json:
    """A Secret as the API keeps it: `stringData` becomes base64 in `data`."""
    plain = item.get("stringData") or {}
    data = {name: base64.b64encode(str(value).encode()).decode() for name, value in plain.items()}
    rest = {name: value for name, value in item.items() if name != "stringData"}
    return {**rest, "data": {**(item.get("data") or {}), **data}} if data else rest
