"""The simulated helm-controller: releases through prerequisites, actions, remediation, retries and stalls.

The sequences of statuses are those that were seen on real controllers; what a release installs is `charts`'
business.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Final

from sandbox.cluster import charts
from sandbox.cluster.agenda import Sequence
from sandbox.cluster.conditions import Status, is_ready, is_stalled
from sandbox.cluster.model import REQUESTED_AT, RESET_AT, Model
from sandbox.cluster.objects import HELM_CHART, HELM_RELEASE, NAMESPACE, OCI_REPOSITORY, SECRET, Json, Key, Kind, key_of
from sandbox.cluster.release_history import UNLIMITED, Release, recorded, release_of, retries
from sandbox.cluster.workloads import Workloads

CONTROLLER: Final = "helm-controller"
FINALIZER: Final = "finalizers.fluxcd.io"
_INSTALL_S: Final = 0.7
_WAIT_S: Final = 8.0
_FAIL_S: Final = 0.6
_REMEDY_S: Final = 0.5
_PAST: Final = {"install": "Install", "upgrade": "Upgrade"}


class Releases:
    """Reconciles the HelmReleases of one cluster."""

    def __init__(self, model: Model, workloads: Workloads) -> None:
        self._model = model
        self._workloads = workloads

    def reconcile(self, kind: Kind, namespace: str, name: str) -> Sequence:
        """One reconciliation, to ready or stalled."""
        key = (namespace, name)
        yield from self._model.until((kind, key), lambda: self._model.running(CONTROLLER))
        item = self._model.store.get(HELM_RELEASE, *key)
        if item is None:
            return
        if item["metadata"].get("deletionTimestamp"):
            yield from self._uninstall(item)
            return
        if item["spec"].get("suspend"):
            return
        self._adorn(item)
        if self._stays_stalled(key):
            return
        self._write(key, self._status(key).reconciling("Fulfilling prerequisites"))
        yield 0.05
        yield from self._wait_for_dependencies(key)
        release = yield from self._wait_for_source(key)
        if action := self._next_action(self._now(key), release):
            yield from self._attempt_until_done(key, release, action)
        else:
            self._still_good(key)

    # -- prerequisites

    def _stays_stalled(self, key: Key) -> bool:
        """Whether the release has used up its retries and nothing asks for a new beginning."""
        item = self._now(key)
        status, annotations = item.get("status") or {}, item["metadata"].get("annotations") or {}
        if not is_stalled(item) or status.get("observedGeneration") != item["metadata"]["generation"]:
            return False
        reset = annotations.get(RESET_AT, "")
        if reset and reset == annotations.get(REQUESTED_AT) and reset != status.get("lastHandledResetAt"):
            fresh = self._status(key).drop("Stalled")
            for counter in ("failures", "installFailures", "upgradeFailures"):
                fresh.fields.pop(counter, None)
            fresh.fields["lastHandledResetAt"] = reset
            self._write(key, fresh)
            return False
        self._write(key, self._status(key))
        return True

    def _wait_for_dependencies(self, key: Key) -> Sequence:
        def unready() -> str:
            for wanted in self._now(key)["spec"].get("dependsOn") or ():
                where = (wanted.get("namespace", key[0]), wanted["name"])
                found = self._model.store.get(HELM_RELEASE, *where)
                if found is None:
                    missing = f'helmreleases.helm.toolkit.fluxcd.io "{where[1]}" not found'
                    return f"unable to get '{where[0]}/{where[1]}' dependency: {missing}"
                if not is_ready(found):
                    return f"dependency '{where[0]}/{where[1]}' is not ready"
            return ""

        while message := unready():
            self._write(key, self._status(key).mark("Ready", "False", "DependencyNotReady", message))
            yield from self._model.until((HELM_RELEASE, key), partial(_differs, unready, message))

    def _wait_for_source(self, key: Key) -> Generator[float, None, Release]:
        kind, where = self._ensure_source(self._now(key))

        def fetched() -> bool:
            return is_ready(self._model.store.get(kind, *where))

        if not fetched():
            cause = "latest generation of object has not been reconciled"
            message = f"{kind.kind} '{where[0]}/{where[1]}' is not ready: {cause}"
            self._write(key, self._status(key).mark("Ready", "False", "SourceNotReady", message))
            yield from self._model.until((HELM_RELEASE, key), fetched)
        component = self._model.kit.components.get(key[1])
        app_version = component.chart.app_version if component else ""
        return release_of(self._now(key), self._model.store.get(kind, *where), app_version)

    def _ensure_source(self, item: Json) -> tuple[Kind, Key]:
        """The source of the chart; for a repository, the HelmChart that helm-controller makes of it."""
        namespace = item["metadata"]["namespace"]
        if reference := item["spec"].get("chartRef"):
            kind = OCI_REPOSITORY if reference["kind"] == "OCIRepository" else HELM_CHART
            return kind, (reference.get("namespace", namespace), reference["name"])
        spec = item["spec"]["chart"]["spec"]
        where = (spec["sourceRef"].get("namespace", namespace), f"{namespace}-{item['metadata']['name']}")
        chart = {
            "metadata": {"name": where[1], "namespace": where[0]},
            "spec": {
                "chart": spec["chart"],
                "version": str(spec.get("version", "*")),
                "sourceRef": {"kind": spec["sourceRef"]["kind"], "name": spec["sourceRef"]["name"]},
                "interval": spec.get("interval", item["spec"]["interval"]),
                "reconcileStrategy": "ChartVersion",
            },
        }
        self._model.ensure(HELM_CHART, chart)
        status = self._status(key_of(item))
        status.fields["helmChart"] = f"{where[0]}/{where[1]}"
        self._write(key_of(item), status)
        return HELM_CHART, where

    # -- actions

    def _next_action(self, item: Json, release: Release) -> str:
        """Install, upgrade, or nothing when the cluster has what is wanted."""
        history = (item.get("status") or {}).get("history") or []
        if not history or history[0]["status"] == "uninstalled":
            stored = f"sh.helm.release.v1.{release.helm_name}.v1"
            known = self._model.store.get(SECRET, release.storage, stored) is not None
            return "upgrade" if known or self._has_objects(release) else "install"
        newest = history[0]
        if newest["status"] != "deployed":
            return "upgrade" if len(history) > 1 else "install"
        same = (newest["chartVersion"], newest["configDigest"]) == (release.version, release.digest)
        return "" if same else "upgrade"

    def _has_objects(self, release: Release) -> bool:
        """Whether cloud-init (or an earlier release of the name) left what this release would install."""
        for item in charts.rendered(self._model.kit, release.name, release.helm_name, release.namespace):
            kind = self._model.store.kind_named(item["apiVersion"], item["kind"])
            claim = item["kind"] == "PersistentVolumeClaim"
            if kind and not claim and self._model.store.get(kind, *key_of(item)) is not None:
                return True
        return False

    def _attempt_until_done(self, key: Key, release: Release, action: str) -> Sequence:
        while True:
            self._begin(key, release, action)
            if self._flux_dies(release):
                return
            cause = yield from self._act(key, release)
            if not cause:
                self._succeed(key, release, action)
                return
            chart = f"{release.chart}@{release.version}"
            message = f"Helm {action} failed for release {release.title} with chart {chart}: {cause}"
            if not self._fail(key, release, action, message):
                return
            yield _REMEDY_S
            if retries(self._now(key), action) == UNLIMITED:
                # Tried again in place: what the failed attempt left is upgraded.
                action = "upgrade"
            else:
                self._remediate(key, release, action)
                yield _REMEDY_S

    def _begin(self, key: Key, release: Release, action: str) -> None:
        item = self._now(key)
        timeout = item["spec"].get("timeout", "5m")
        status = self._status(key).progressing(f"Running '{action}' action with timeout of {timeout}")
        status.drop("Remediated", "Released").fields.update(
            lastAttemptedGeneration=item["metadata"]["generation"],
            lastAttemptedRevision=release.version,
            lastAttemptedReleaseAction=action,
            lastAttemptedConfigDigest=release.digest,
            storageNamespace=release.storage,
        )
        self._write(key, status)

    def _act(self, key: Key, release: Release) -> Generator[float, None, str]:
        """Install the objects and wait for them; gives the cause of failure, empty for none."""
        faults = self._model.faults
        if slow := faults.take("install-slow", release.name):
            yield slow.lasts_s
        if faults.take("install-fails", release.name):
            yield _FAIL_S
            return "simulated: the API server refused an object of the chart"
        yield _INSTALL_S
        if not self._has_namespace(key, release):
            return f'create: failed to create: namespaces "{release.namespace}" not found'
        charts.install(self._model, release.name, release.helm_name, release.namespace)
        yield 0.05
        waiting = (HELM_RELEASE, key)
        yield from self._model.until(waiting, lambda: not self._workloads.unavailable(release.name), within=_WAIT_S)
        missing = self._workloads.unavailable(release.name)
        return f"timeout waiting for: [{', '.join(missing)}]" if missing else ""

    def _has_namespace(self, key: Key, release: Release) -> bool:
        """Whether there is a namespace to install into; it is made when the release says so."""
        if self._model.store.get(NAMESPACE, "", release.namespace) is not None:
            return True
        if not (self._now(key)["spec"].get("install") or {}).get("createNamespace"):
            return False
        metadata = {"name": release.namespace, "labels": {"name": release.namespace}}
        self._model.store.create(NAMESPACE, {"metadata": metadata, "status": {"phase": "Active"}})
        return True

    def _succeed(self, key: Key, release: Release, action: str) -> None:
        history = self._status(key).fields.get("history") or []
        number = history[0]["version"] + 1 if history else 1
        chart = f"{release.chart}@{release.version}"
        message = f"Helm {action} succeeded for release {release.title}.v{number} with chart {chart}"
        reason = f"{_PAST[action]}Succeeded"
        status = self._status(key).settled()
        status.mark("Ready", "True", reason, message).mark("Released", "True", reason, message)
        status.fields["history"] = recorded(history, release, "deployed", action)
        for counter in ("failures", "installFailures", "upgradeFailures"):
            status.fields.pop(counter, None)
        self._write(key, status)
        self._tell(key, reason, message)

    def _fail(self, key: Key, release: Release, action: str, message: str) -> bool:
        """Record a failed attempt; false when there is no retry left and the release stalls."""
        item, status = self._now(key), self._status(key)
        reason = f"{_PAST[action]}Failed"
        fields = status.fields
        fields["failures"] = fields.get("failures", 0) + 1
        attempts = fields[f"{action}Failures"] = fields.get(f"{action}Failures", 0) + 1
        fields["history"] = recorded(fields.get("history") or [], release, "failed", action)
        status.mark("Released", "False", reason, message).mark("Ready", "False", reason, message)
        allowed = retries(item, action)
        again = allowed < 0 or attempts <= allowed
        if again:
            status.reconciling(message, "ProgressingWithRetry")
        else:
            status.settled().mark(
                "Stalled", "True", "RetriesExceeded", f"Failed to {action} after {attempts} attempt(s)"
            )
        self._write(key, status)
        self._tell(key, reason, message, warning=True)
        return again

    def _remediate(self, key: Key, release: Release, action: str) -> None:
        """Undo a failed attempt before the next one: uninstall, or roll back to what was deployed."""
        status = self._status(key)
        if action == "install":
            charts.remove(self._model, release.name, release.helm_name, release.namespace)
            reason = "UninstallSucceeded"
            message = f"Helm uninstall remediation for release {release.title} succeeded"
            status.fields["history"] = [
                {**entry, "status": "uninstalled"} for entry in status.fields.get("history") or []
            ]
        else:
            reason = "RollbackSucceeded"
            message = f"Helm rollback to previous release {release.title} succeeded"
        status.reconciling(message, "ProgressingWithRetry").mark("Remediated", "True", reason, message)
        self._write(key, status.mark("Ready", "False", reason, message))
        self._tell(key, reason, message)

    def _still_good(self, key: Key) -> None:
        """Nothing to do: what is wanted is deployed."""
        status = self._status(key).settled()
        newest = status.fields["history"][0]
        title = f"{newest['namespace']}/{newest['name']}.v{newest['version']}"
        action = newest.get("action", "install")
        chart = f"{newest['chartName']}@{newest['chartVersion']}"
        message = f"Helm {action} succeeded for release {title} with chart {chart}"
        self._write(key, status.mark("Ready", "True", f"{_PAST[action]}Succeeded", message))

    def degrade(self, key: Key) -> None:
        """A later upgrade fails: the release is no longer ready."""
        item = self._model.store.get(HELM_RELEASE, *key)
        history = ((item or {}).get("status") or {}).get("history")
        if item is None or not history:
            return
        title = f"{history[0]['namespace']}/{history[0]['name']}"
        message = f"Helm upgrade failed for release {title}: context deadline exceeded (simulated)"
        status = self._status(key).reconciling(message, "ProgressingWithRetry")
        status.mark("Released", "False", "UpgradeFailed", message).mark("Ready", "False", "UpgradeFailed", message)
        status.fields["failures"] = status.fields.get("failures", 0) + 1
        status.fields["upgradeFailures"] = status.fields.get("upgradeFailures", 0) + 1
        self._write(key, status)
        self._tell(key, "UpgradeFailed", message, warning=True)

    def restore(self, key: Key) -> None:
        """The upgrade is tried again and succeeds."""
        item = self._model.store.get(HELM_RELEASE, *key)
        if item is None or not (item.get("status") or {}).get("history"):
            return
        kind, where = self._ensure_source(item)
        component = self._model.kit.components.get(key[1])
        app_version = component.chart.app_version if component else ""
        self._succeed(key, release_of(item, self._model.store.get(kind, *where), app_version), "upgrade")

    def _flux_dies(self, release: Release) -> bool:
        """The runbook's incident: Helm rolls back bp-flux and thereby deletes Flux's own controllers."""
        if not self._model.faults.take("flux-removed", release.name):
            return False
        charts.remove(self._model, release.name, release.helm_name, release.namespace)
        return True

    def _uninstall(self, item: Json) -> Sequence:
        """The HelmRelease is being deleted: uninstall, then let it go."""
        yield 0.2
        key = key_of(item)
        history = (item.get("status") or {}).get("history") or []
        if history:
            charts.remove(self._model, key[1], history[0]["name"], history[0]["namespace"])
        self._tell(key, "UninstallSucceeded", f"Helm uninstall succeeded for release {key[1]}")
        present = self._model.store.get(HELM_RELEASE, *key)
        if present is not None:
            metadata = {**present["metadata"], "finalizers": []}
            self._model.store.replace(HELM_RELEASE, {**present, "metadata": metadata})

    # -- reading and writing

    def _adorn(self, item: Json) -> None:
        if FINALIZER not in (item["metadata"].get("finalizers") or ()):
            metadata = {**item["metadata"], "finalizers": [FINALIZER]}
            self._model.store.replace(HELM_RELEASE, {**item, "metadata": metadata})

    def _now(self, key: Key) -> Json:
        return self._model.store.require(HELM_RELEASE, *key)

    def _status(self, key: Key) -> Status:
        return Status(self._now(key))

    def _write(self, key: Key, status: Status) -> None:
        if handled := (self._now(key)["metadata"].get("annotations") or {}).get(REQUESTED_AT):
            status.fields["lastHandledReconcileAt"] = handled
        self._model.store.set_status(HELM_RELEASE, *key, status.build())

    def _tell(self, key: Key, reason: str, message: str, *, warning: bool = False) -> None:
        item = self._model.store.get(HELM_RELEASE, *key)
        if item is not None:
            self._model.event(item, reason, message, source=CONTROLLER, warning=warning)
        level = "error" if warning else "info"
        self._model.logs.write(CONTROLLER, message, level=level, controller="helmrelease", name=key[1])


def _differs(look: Callable[[], str], before: str) -> bool:
    return look() != before
