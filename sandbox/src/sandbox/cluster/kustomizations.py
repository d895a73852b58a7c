"""The simulated kustomize-controller: dependencies, build, apply, prune and health checks of Kustomizations."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Final

import yaml

from sandbox.cluster import charts
from sandbox.cluster.agenda import Sequence
from sandbox.cluster.conditions import Status, is_ready, is_stalled
from sandbox.cluster.kit import PathMissing
from sandbox.cluster.model import REQUESTED_AT, Model
from sandbox.cluster.objects import CONFIG_MAP, CRD, KUSTOMIZATION, NAMESPACE, SECRET, Json, Key, Kind, key_of
from sandbox.cluster.problems import ApiProblem
from sandbox.cluster.sources import artifact_revision
from sandbox.cluster.workload_status import is_available

CONTROLLER: Final = "kustomize-controller"
FINALIZER: Final = "finalizers.fluxcd.io"
_BUILD_S: Final = 0.1
_AGAIN_S: Final = 3.0
_NAME_LABEL: Final = "kustomize.toolkit.fluxcd.io/name"
_NAMESPACE_LABEL: Final = "kustomize.toolkit.fluxcd.io/namespace"
_FIRST: Final = ("CustomResourceDefinition", "Namespace")


class _Failed(Exception):
    """A step that did not succeed, as the Ready condition says it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Kustomizations:
    """Reconciles the Kustomizations of one cluster."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def reconcile(self, kind: Kind, namespace: str, name: str) -> Sequence:
        """One reconciliation, retried until it is applied and healthy."""
        key = (kind, (namespace, name))
        yield from self._model.until(key, lambda: self._model.running(CONTROLLER))
        while True:
            item = self._model.store.get(kind, namespace, name)
            if item is None:
                return
            if item["metadata"].get("deletionTimestamp"):
                self._finish(item)
                return
            if item["spec"].get("suspend"):
                return
            self._adorn(item)
            try:
                yield from self._once((namespace, name))
            except _Failed as failed:
                self._fail((namespace, name), failed)
                yield _AGAIN_S
            else:
                return

    def _once(self, key: Key) -> Sequence:
        item = self._now(key)
        self._write(item, Status(item).reconciling("Fulfilling prerequisites"))
        yield from self._wait_for_dependencies(key)
        revision = yield from self._wait_for_artifact(key)
        status = Status(self._now(key)).progressing(
            f"building manifests for revision {revision} with a timeout of {_timeout(self._now(key))}"
        )
        status.fields["lastAttemptedRevision"] = revision
        self._write(self._now(key), status)
        yield _BUILD_S
        item = self._now(key)
        documents = self._build(item)
        inventory = self._apply(item, documents)
        status = Status(self._now(key))
        status.fields["inventory"] = {"entries": [{"id": entry, "v": version} for entry, version in inventory]}
        self._write(self._now(key), status)
        began = time.monotonic()
        yield from self._check_health(key, revision, documents, began)
        self._succeed(key, revision)

    def _wait_for_dependencies(self, key: Key) -> Sequence:
        def unready() -> str:
            for wanted in self._now(key)["spec"].get("dependsOn") or ():
                where = (wanted.get("namespace", key[0]), wanted["name"])
                found = self._model.store.get(KUSTOMIZATION, *where)
                if found is None:
                    return (
                        f"unable to get '{where[0]}/{where[1]}' dependency: "
                        f'kustomizations.kustomize.toolkit.fluxcd.io "{where[1]}" not found'
                    )
                if not is_ready(found):
                    return f"dependency '{where[0]}/{where[1]}' is not ready"
            return ""

        while message := unready():
            item = self._now(key)
            status = Status(item).reconciling(message, "ProgressingWithRetry")
            self._write(item, status.mark("Ready", "False", "DependencyNotReady", message))
            yield from self._model.until((KUSTOMIZATION, key), partial(_differs, unready, message))

    def _wait_for_artifact(self, key: Key) -> Generator[float, None, str]:
        """The revision to build; while there is none, the source is waited for, not polled."""
        if not self._revision(self._now(key)):
            missing = _Failed("ArtifactFailed", "Source artifact not found, retrying in 30s")
            self._fail(key, missing)
            yield from self._model.until((KUSTOMIZATION, key), lambda: bool(self._revision(self._now(key))))
        return self._revision(self._now(key))

    def _revision(self, item: Json) -> str:
        reference = item["spec"]["sourceRef"]
        kind = self._model.store.kind_named("source.toolkit.fluxcd.io/v1", reference["kind"])
        namespace = reference.get("namespace", item["metadata"]["namespace"])
        source = self._model.store.get(kind, namespace, reference["name"]) if kind else None
        return artifact_revision(source)

    def _build(self, item: Json) -> list[Json]:
        post_build = item["spec"].get("postBuild")
        values = None if post_build is None else self._substitutions(item, post_build)
        path = item["spec"].get("path", "./")
        try:
            documents = self._model.kit.manifests(path, values)
        except PathMissing as missing:
            raise _Failed("ArtifactFailed", str(missing)) from None
        except yaml.YAMLError as wrong:
            raise _Failed("BuildFailed", f"post build failed for '{item['metadata']['name']}': {wrong}") from None
        for name in item["spec"].get("components") or ():
            try:
                documents += self._model.kit.manifests(f"{path}/{name}", values)
            except PathMissing:
                message = f"kustomize build failed: component path '{name}' does not exist in source"
                raise _Failed("BuildFailed", message) from None
        return documents

    def _substitutions(self, item: Json, post_build: Json) -> dict[str, str]:
        values: dict[str, str] = {}
        namespace = item["metadata"]["namespace"]
        for reference in post_build.get("substituteFrom") or ():
            kind = SECRET if reference["kind"] == "Secret" else CONFIG_MAP
            found = self._model.store.get(kind, namespace, reference["name"])
            if found is None:
                if reference.get("optional"):
                    continue
                raise _Failed(
                    "BuildFailed",
                    f"post build failed for '{item['metadata']['name']}': substitute from "
                    f"'{reference['kind']}/{reference['name']}' error: {kind.plural} \"{reference['name']}\" not found",
                )
            values |= _values(kind, found)
        return {**values, **(post_build.get("substitute") or {})}

    def _apply(self, item: Json, documents: list[Json]) -> list[tuple[str, str]]:
        metadata = item["metadata"]
        labels = {_NAME_LABEL: metadata["name"], _NAMESPACE_LABEL: metadata["namespace"]}
        inventory: list[tuple[str, str]] = []
        for document in sorted(documents, key=lambda each: each["kind"] not in _FIRST):
            if document["kind"] == CRD.kind:
                charts.serve_crd(self._model, document)
            kind = self._model.store.kind_named(document["apiVersion"], document["kind"])
            if kind is None:
                raise _Failed("ReconciliationFailed", _dry_run(document, "no matches for kind"))
            found = document["metadata"]
            namespace = found.get("namespace") or item["spec"].get("targetNamespace", "")
            placed = {**found, "labels": {**(found.get("labels") or {}), **labels}}
            if kind.namespaced:
                placed["namespace"] = namespace or "default"
            try:
                self._model.ensure(kind, {**document, "metadata": placed})
            except ApiProblem as problem:
                raise _Failed("ReconciliationFailed", _dry_run(document, problem.message)) from None
            place = placed.get("namespace", "")
            inventory.append((f"{place}_{found['name']}_{kind.group}_{kind.kind}", kind.version))
        if item["spec"].get("prune"):
            self._prune(item, {entry for entry, _ in inventory})
        return inventory

    def _prune(self, item: Json, kept: set[str]) -> None:
        before = (((item.get("status") or {}).get("inventory")) or {}).get("entries") or ()
        for entry in before:
            if entry["id"] in kept:
                continue
            namespace, name, group, kind_name = entry["id"].split("_", 3)
            api_version = f"{group}/{entry['v']}" if group else entry["v"]
            kind = self._model.store.kind_named(api_version, kind_name)
            if kind and kind not in (NAMESPACE, CRD) and self._model.store.get(kind, namespace, name):
                self._model.store.delete(kind, namespace, name)

    def _check_health(self, key: Key, revision: str, documents: list[Json], began: float) -> Sequence:
        checked = self._checked(self._now(key), documents)
        if not checked:
            return

        def healthy() -> bool:
            return all(_is_healthy(self._model.store.get(*where)) for where in checked)

        def stuck() -> list[tuple[Kind, str, str]]:
            return [where for where in checked if is_stalled(self._model.store.get(*where))]

        if not healthy():
            item = self._now(key)
            message = f"Running health checks for revision {revision} with a timeout of {_timeout(item)}"
            status = Status(item).progressing(message).mark("Healthy", "Unknown", "Progressing", message)
            self._write(item, status)
            yield from self._model.until((KUSTOMIZATION, key), lambda: healthy() or bool(stuck()))
        if broken := stuck():
            listed = ", ".join(f"{kind.kind}/{namespace}/{name} status: 'Failed'" for kind, namespace, name in broken)
            took = f"{time.monotonic() - began:.3f}s"
            raise _Failed(
                "HealthCheckFailed",
                f"health check failed after {took}: failed early due to stalled resources: [{listed}]",
            )

    def _checked(self, item: Json, documents: list[Json]) -> list[tuple[Kind, str, str]]:
        wanted: list[tuple[str, str, str, str]] = []
        if item["spec"].get("wait"):
            wanted = [(each["apiVersion"], each["kind"], *key_of(each)) for each in documents]
        else:
            wanted = [
                (each["apiVersion"], each["kind"], each.get("namespace", ""), each["name"])
                for each in item["spec"].get("healthChecks") or ()
            ]
        named = [(self._model.store.kind_named(version, kind), space, name) for version, kind, space, name in wanted]
        return [(kind, space, name) for kind, space, name in named if kind is not None]

    def _succeed(self, key: Key, revision: str) -> None:
        item = self._now(key)
        message = f"Applied revision: {revision}"
        status = Status(item).settled().mark("Ready", "True", "ReconciliationSucceeded", message)
        if item["spec"].get("wait") or item["spec"].get("healthChecks"):
            status.mark("Healthy", "True", "Succeeded", "Health check passed")
        status.fields["lastAppliedRevision"] = revision
        status.fields["lastAttemptedRevision"] = revision
        self._write(item, status)
        self._model.event(item, "ReconciliationSucceeded", message, source=CONTROLLER)
        self._model.logs.write(CONTROLLER, message, controller="kustomization", name=key[1])

    def _fail(self, key: Key, failed: _Failed) -> None:
        item = self._model.store.get(KUSTOMIZATION, *key)
        if item is None:
            return
        status = Status(item).reconciling(failed.message, "ProgressingWithRetry")
        status.mark("Ready", "False", failed.reason, failed.message)
        if failed.reason == "HealthCheckFailed":
            status.mark("Healthy", "False", failed.reason, failed.message)
        self._write(item, status)
        self._model.event(item, failed.reason, failed.message, source=CONTROLLER, warning=True)
        self._model.logs.write(CONTROLLER, failed.message, level="error", controller="kustomization", name=key[1])

    def _adorn(self, item: Json) -> None:
        if FINALIZER not in (item["metadata"].get("finalizers") or ()):
            metadata = {**item["metadata"], "finalizers": [FINALIZER]}
            self._model.store.replace(KUSTOMIZATION, {**item, "metadata": metadata})

    def _finish(self, item: Json) -> None:
        """The Kustomization is being deleted: prune what it applied, then let it go."""
        if item["spec"].get("prune") and not item["spec"].get("suspend"):
            self._prune(item, set())
        present = self._model.store.get(KUSTOMIZATION, *key_of(item))
        if present is not None:
            metadata = {**present["metadata"], "finalizers": []}
            self._model.store.replace(KUSTOMIZATION, {**present, "metadata": metadata})

    def _now(self, key: Key) -> Json:
        return self._model.store.require(KUSTOMIZATION, *key)

    def _write(self, item: Json, status: Status) -> None:
        metadata = item["metadata"]
        if handled := (metadata.get("annotations") or {}).get(REQUESTED_AT):
            status.fields["lastHandledReconcileAt"] = handled
        self._model.store.set_status(KUSTOMIZATION, metadata["namespace"], metadata["name"], status.build())


def _differs(look: Callable[[], str], before: str) -> bool:
    return look() != before


def _is_healthy(item: Json | None) -> bool:
    if item is None:
        return False
    if item["kind"] in {"Deployment", "StatefulSet", "DaemonSet"}:
        return is_available(item)
    if "conditions" in (item.get("status") or {}):
        return is_ready(item)
    return "spec" not in item or item["kind"] in {"Service", "ConfigMap"}


def _values(kind: Kind, item: Json) -> dict[str, str]:
    data: dict[str, str] = dict(item.get("data") or {})
    if kind == SECRET:
        try:
            data = {name: base64.b64decode(value).decode() for name, value in data.items()}
        except (binascii.Error, UnicodeDecodeError) as error:
            raise _Failed("BuildFailed", f"Secret/{item['metadata']['name']} holds no text: {error}") from None
        data |= item.get("stringData") or {}
    return data


def _timeout(item: Json) -> str:
    return str(item["spec"].get("timeout", item["spec"].get("interval", "5m")))


def _dry_run(document: Json, cause: str) -> str:
    metadata = document["metadata"]
    place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{document['kind']}/{place}{metadata['name']} dry-run failed: {cause}"
