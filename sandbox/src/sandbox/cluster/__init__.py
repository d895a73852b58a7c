"""Light clusters: simulated Kubernetes APIs with a simulated Flux that installs the real kit's objects.

Everything that talks to them is real (kubernetes.aio over TLS, RBAC, watches); nothing runs behind their
objects.
"""

from sandbox.cluster.charts import flux_crds
from sandbox.cluster.light import ApplyRefused, LightCluster
from sandbox.cluster.registry import Clusters, build_clusters
from sandbox.cluster.scenario import SCENARIOS, Fault, Scenario

__all__ = [
    "SCENARIOS",
    "ApplyRefused",
    "Clusters",
    "Fault",
    "LightCluster",
    "Scenario",
    "build_clusters",
    "flux_crds",
]
