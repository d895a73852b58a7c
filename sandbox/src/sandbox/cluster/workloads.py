"""The simulated kubelets and workload controllers: pods, claims, and the statuses of what owns pods.

Nothing runs. A workload gets its pods, each pod its node, its claims and its image, and becomes ready after
a moment, unless a fault, a missing StorageClass or a lost node says otherwise.
"""

from __future__ import annotations

import itertools
import uuid
from typing import Final

from sandbox.cluster.agenda import Sequence
from sandbox.cluster.conditions import condition
from sandbox.cluster.model import COMPONENT_LABEL, Model
from sandbox.cluster.objects import (
    DAEMON_SET,
    DEPLOYMENT,
    NODE,
    POD,
    PVC,
    STATEFUL_SET,
    STORAGE_CLASS,
    Json,
    Key,
    Kind,
    key_of,
    timestamp,
)
from sandbox.cluster.store import Change
from sandbox.cluster.workload_status import (
    NODE_INFO,
    claimed_by,
    claims_of,
    image_of,
    is_available,
    node_ready,
    workload_status,
)

WORKLOADS: Final = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)
DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
_START_S: Final = 0.8
_PULL_AGAIN_S: Final = 1.5
Owner = tuple[Kind, Key]


class Workloads:
    """The workloads of one cluster."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._pods: dict[Owner, list[Key]] = {}
        self._turn = itertools.count()
        model.store.listen(self._hear)

    def _hear(self, change: Change) -> None:
        if change.kind in WORKLOADS:
            owner = (change.kind, key_of(change.item))
            if change.type == "DELETED":
                self._model.agenda.stop(owner)
                self._remove_pods(owner)
            elif change.before is None or change.before.get("spec") != change.item.get("spec"):
                self._model.agenda.start(owner, self._roll_out(owner))
        elif change.kind == PVC and change.type == "ADDED":
            key = (PVC, key_of(change.item))
            self._model.agenda.start(key, self._bind(*key))
        elif change.kind == STORAGE_CLASS and change.type != "DELETED":
            self._model.stir()

    # -- nodes

    def join(self, name: str, address: str, role: str) -> None:
        """A server joins as a node; it is ready a moment later."""
        labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "node.kubernetes.io/instance-type": "k3s",
        }
        if role == "control-plane":
            labels["node-role.kubernetes.io/control-plane"] = "true"
        node: Json = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels},
            "spec": {"providerID": f"simulated://{name}"},
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": address},
                    {"type": "Hostname", "address": name},
                ],
                "nodeInfo": dict(NODE_INFO),
                "conditions": [node_ready("False", "KubeletNotReady", "container runtime network not ready")],
            },
        }
        self._model.ensure(NODE, node)
        self._model.agenda.start((NODE, name), self._node_comes(name))

    def _node_comes(self, name: str) -> Sequence:
        yield _START_S
        self.node_state(name, "True", "KubeletReady", "kubelet is posting ready status (simulated)")
        for kind in WORKLOADS:
            for item in self._model.store.select(kind):
                owner = (kind, key_of(item))
                if kind == DAEMON_SET:
                    self._model.agenda.start(owner, self._roll_out(owner))
        self._model.stir()

    def node_state(self, name: str, ready: str, reason: str, message: str) -> None:
        """Set a node's Ready condition and let its pods follow."""
        node = self._model.store.get(NODE, "", name)
        if node is None:
            return
        status = {**node["status"], "conditions": [node_ready(ready, reason, message)]}
        self._model.store.set_status(NODE, "", name, status)
        if ready == "False":
            return
        for owner, keys in list(self._pods.items()):
            for key in keys:
                pod = self._model.store.get(POD, *key)
                if pod is not None and pod["spec"].get("nodeName") == name:
                    self._pod_ready(pod, ready="True" if ready == "True" else "False", reason="")
            self._report(owner)

    def _ready_nodes(self) -> list[str]:
        return [
            node["metadata"]["name"]
            for node in self._model.store.select(NODE)
            if (condition(node, "Ready") or {}).get("status") == "True"
        ]

    # -- claims

    def _bind(self, kind: Kind, key: Key) -> Sequence:
        said = False
        while True:
            claim = self._model.store.get(PVC, *key)
            if claim is None:
                return
            wanted = claim["spec"].get("storageClassName") or self._default_class()
            if wanted:
                break
            if not said:
                said = True
                self._model.event(
                    claim,
                    "FailedBinding",
                    "no persistent volumes available for this claim and no storage class is set",
                    source="persistentvolume-controller",
                )
            self._model.blocked.add((kind, key))
            yield 5.0
            self._model.blocked.discard((kind, key))
        yield 0.1
        claim = self._model.store.get(PVC, *key)
        if claim is None:
            return
        spec = {**claim["spec"], "storageClassName": wanted, "volumeName": f"pvc-{claim['metadata']['uid']}"}
        status = {
            "phase": "Bound",
            "accessModes": ["ReadWriteOnce"],
            "capacity": claim["spec"].get("resources", {}).get("requests", {}),
        }
        self._model.store.replace(PVC, {**claim, "spec": spec, "status": status})
        self._model.stir()

    def _default_class(self) -> str:
        for item in self._model.store.select(STORAGE_CLASS):
            if (item["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true":
                name: str = item["metadata"]["name"]
                return name
        return ""

    # -- workloads

    def _roll_out(self, owner: Owner) -> Sequence:
        model = self._model
        item = model.store.get(owner[0], *owner[1])
        if item is None:
            return
        self._report(owner)
        yield 0.05
        for claim in claims_of(item):
            if model.store.get(PVC, *key_of(claim)) is None:
                model.store.create(PVC, claim)
        self._ensure_pods(owner, item)
        yield from self._wait_for_claims(owner, item)
        yield from self._wait_for_node(owner)
        yield from self._pull(owner, item)
        yield _START_S
        for pod in self._pods_of(owner):
            self._pod_ready(pod, ready="True", reason="")
        self._report(owner)
        model.stir()

    def _wait_for_claims(self, owner: Owner, item: Json) -> Sequence:
        names = [key_of(claim) for claim in claims_of(item)] + claimed_by(item)

        def bound() -> bool:
            claims = [self._model.store.get(PVC, *name) for name in names]
            return all(claim and (claim.get("status") or {}).get("phase") == "Bound" for claim in claims)

        if not bound():
            for pod in self._pods_of(owner):
                self._unschedulable(pod, "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims")
            yield from self._model.until(owner, bound)

    def _wait_for_node(self, owner: Owner) -> Sequence:
        yield from self._model.until(owner, lambda: bool(self._ready_nodes()))
        item = self._model.store.get(owner[0], *owner[1])
        if item is not None:
            self._ensure_pods(owner, item)
        nodes = self._ready_nodes()
        for pod in self._pods_of(owner):
            if not pod["spec"].get("nodeName"):
                spec = {**pod["spec"], "nodeName": nodes[next(self._turn) % len(nodes)]}
                self._model.store.replace(POD, {**pod, "spec": spec})

    def _pull(self, owner: Owner, item: Json) -> Sequence:
        component = (item["metadata"].get("labels") or {}).get(COMPONENT_LABEL, "")
        tries = 0
        while component and self._model.faults.take("image-pull", component):
            reason = "ErrImagePull" if tries == 0 else "ImagePullBackOff"
            message = f'failed to pull image "{image_of(item)}": not found (simulated)'
            for pod in self._pods_of(owner):
                self._pod_waiting(pod, reason, message)
                self._model.event(pod, "Failed", f"Error: {reason}", source="kubelet", warning=True)
            self._report(owner)
            tries += 1
            yield _PULL_AGAIN_S

    def crash(self, component: str) -> None:
        """The pods of a component crash and stay down."""
        for owner in self._owners(component):
            for pod in self._pods_of(owner):
                self._pod_waiting(pod, "CrashLoopBackOff", "back-off restarting failed container (simulated)")
            self._report(owner)
        self._model.stir()

    def recover(self, component: str) -> None:
        """The pods of a component come back."""
        for owner in self._owners(component):
            for pod in self._pods_of(owner):
                self._pod_ready(pod, ready="True", reason="")
            self._report(owner)
        self._model.stir()

    def unavailable(self, component: str) -> list[str]:
        """What of a component is not up, in the words of a wait that timed out."""
        claims = [
            f"PersistentVolumeClaim/{'/'.join(key_of(claim))} status: 'InProgress'"
            for claim in self._model.store.select(PVC)
            if (claim["metadata"].get("labels") or {}).get(COMPONENT_LABEL) == component
            and claim["status"]["phase"] != "Bound"
        ]
        return claims + [
            f"{owner[0].kind}/{owner[1][0]}/{owner[1][1]} status: 'InProgress'"
            for owner in self._owners(component)
            if not is_available(self._model.store.get(owner[0], *owner[1]))
        ]

    def _owners(self, component: str) -> list[Owner]:
        return [
            (kind, key_of(item))
            for kind in WORKLOADS
            for item in self._model.store.select(kind)
            if (item["metadata"].get("labels") or {}).get(COMPONENT_LABEL) == component
        ]

    def _wanted(self, item: Json) -> int:
        if item["kind"] == "DaemonSet":
            return len(self._model.store.select(NODE))
        return int(item["spec"].get("replicas", 1))

    # -- pods

    def _pods_of(self, owner: Owner) -> list[Json]:
        found = (self._model.store.get(POD, *key) for key in self._pods.get(owner, ()))
        return [pod for pod in found if pod is not None]

    def _ensure_pods(self, owner: Owner, item: Json) -> None:
        keys = self._pods.setdefault(owner, [])
        keys[:] = [key for key in keys if self._model.store.get(POD, *key)]
        kind, (namespace, name) = owner
        for number in range(len(keys), self._wanted(item)):
            suffix = str(number) if kind == STATEFUL_SET else uuid.uuid4().hex[:5]
            middle = f"-{item['metadata']['uid'][:8]}" if kind == DEPLOYMENT else ""
            labels = {**(item["metadata"].get("labels") or {}), "app": name}
            pod: Json = {
                "metadata": {
                    "name": f"{name}{middle}-{suffix}",
                    "namespace": namespace,
                    "labels": labels,
                    "ownerReferences": [
                        {
                            "apiVersion": kind.api_version,
                            "kind": kind.kind,
                            "name": name,
                            "uid": item["metadata"]["uid"],
                            "controller": True,
                        }
                    ],
                },
                "spec": {"containers": [{"name": name, "image": image_of(item)}]},
                "status": {"phase": "Pending", "conditions": []},
            }
            self._model.store.create(POD, pod)
            keys.append(key_of(pod))

    def _remove_pods(self, owner: Owner) -> None:
        for key in self._pods.pop(owner, ()):
            if self._model.store.get(POD, *key) is not None:
                self._model.store.delete(POD, *key)

    def _unschedulable(self, pod: Json, message: str) -> None:
        scheduled = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": timestamp(),
        }
        self._model.store.set_status(POD, *key_of(pod), {"phase": "Pending", "conditions": [scheduled]})
        self._model.event(pod, "FailedScheduling", message, source="default-scheduler", warning=True)

    def _pod_waiting(self, pod: Json, reason: str, message: str) -> None:
        self._pod_ready(pod, ready="False", reason="ContainersNotReady", waiting=(reason, message))

    def _pod_ready(self, pod: Json, *, ready: str, reason: str, waiting: tuple[str, str] | None = None) -> None:
        present = self._model.store.get(POD, *key_of(pod))
        if present is None:
            return
        container = present["spec"]["containers"][0]
        now = timestamp()
        state: Json = {"running": {"startedAt": now}}
        if waiting:
            state = {"waiting": {"reason": waiting[0], "message": waiting[1]}}
        conditions: list[Json] = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": now}]
        conditions += [
            {
                "type": kind,
                "status": ready,
                "lastTransitionTime": now,
                **({"reason": reason} if reason else {}),
            }
            for kind in ("Initialized", "ContainersReady", "Ready")
        ]
        status: Json = {
            "phase": "Pending" if waiting and waiting[0] != "CrashLoopBackOff" else "Running",
            "conditions": conditions,
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "",
                    "ready": ready == "True",
                    "restartCount": 0,
                    "state": state,
                }
            ],
        }
        self._model.store.set_status(POD, *key_of(pod), status)

    def _report(self, owner: Owner) -> None:
        """Count the ready pods into the workload's status."""
        item = self._model.store.get(owner[0], *owner[1])
        if item is None:
            return
        pods = self._pods_of(owner)
        ready = sum((condition(pod, "Ready") or {}).get("status") == "True" for pod in pods)
        status = workload_status(item, self._wanted(item), len(pods), ready)
        self._model.store.set_status(owner[0], *owner[1], status)
