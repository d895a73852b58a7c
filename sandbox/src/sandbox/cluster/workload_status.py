"""Statuses and parts of workloads: pure functions of an object and a few counts."""

from __future__ import annotations

from typing import Final

from sandbox.cluster.conditions import condition
from sandbox.cluster.objects import Json, Key, timestamp

NODE_INFO: Final = {
    "architecture": "amd64",
    "bootID": "simulated",
    "containerRuntimeVersion": "none://simulated",
    "kernelVersion": "simulated",
    "kubeProxyVersion": "",
    "kubeletVersion": "v1.36.4+k3s1-simulated",
    "machineID": "simulated",
    "operatingSystem": "linux",
    "osImage": "simulated",
    "systemUUID": "simulated",
}


def is_available(item: Json | None) -> bool:
    """Whether a workload has all it wants."""
    if item is None or not item.get("status"):
        return False
    status = item["status"]
    if status.get("observedGeneration") != item["metadata"]["generation"]:
        return False
    if item["kind"] == "DaemonSet":
        return bool(status["numberReady"] >= status["desiredNumberScheduled"])
    return bool(status.get("readyReplicas", 0) >= item["spec"].get("replicas", 1))


def workload_status(item: Json, wanted: int, present: int, ready: int) -> Json:
    """The status of a workload with so many pods."""
    generation = item["metadata"]["generation"]
    if item["kind"] == "DaemonSet":
        return {
            "observedGeneration": generation,
            "desiredNumberScheduled": wanted,
            "currentNumberScheduled": present,
            "numberReady": ready,
            "numberAvailable": ready,
            "numberMisscheduled": 0,
            "updatedNumberScheduled": present,
            **({"numberUnavailable": wanted - ready} if ready < wanted else {}),
        }
    counts: Json = {"observedGeneration": generation, "replicas": present, "updatedReplicas": present}
    if ready:
        counts |= {"readyReplicas": ready, "availableReplicas": ready}
    if item["kind"] == "StatefulSet":
        return {**counts, "availableReplicas": ready, "currentReplicas": present}
    if ready < wanted:
        counts["unavailableReplicas"] = wanted - ready
    up = ready >= wanted
    before = condition(item, "Available")
    status = "True" if up else "False"
    since = before["lastTransitionTime"] if before and before["status"] == status else timestamp()
    available = {
        "type": "Available",
        "status": status,
        "reason": "MinimumReplicasAvailable" if up else "MinimumReplicasUnavailable",
        "message": f"Deployment {'has' if up else 'does not have'} minimum availability.",
        "lastTransitionTime": since,
        "lastUpdateTime": since,
    }
    return {**counts, "conditions": [available]}


def claims_of(item: Json) -> list[Json]:
    """The claims that a StatefulSet makes of its templates."""
    metadata = item["metadata"]
    return [
        {
            "metadata": {
                "name": f"{template['metadata']['name']}-{metadata['name']}-{number}",
                "namespace": metadata["namespace"],
                "labels": metadata.get("labels") or {},
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        for template in item["spec"].get("volumeClaimTemplates") or ()
        for number in range(int(item["spec"].get("replicas", 1)))
    ]


def claimed_by(item: Json) -> list[Key]:
    """The claims that a workload's pods refer to by name."""
    spec = item["spec"].get("template", {}).get("spec", {})
    return [
        (item["metadata"]["namespace"], volume["persistentVolumeClaim"]["claimName"])
        for volume in spec.get("volumes") or ()
        if "persistentVolumeClaim" in volume
    ]


def image_of(item: Json) -> str:
    """The image of a workload's first container."""
    containers = item["spec"].get("template", {}).get("spec", {}).get("containers") or [{}]
    return str(containers[0].get("image", "simulated"))


def node_ready(status: str, reason: str, message: str) -> Json:
    """A node's Ready condition."""
    now = timestamp()
    return {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }
