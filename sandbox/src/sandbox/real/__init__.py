"""Real clusters: etcd, the Kubernetes control plane and Flux's own controllers, as plain processes on loopback.

What stays simulated is the kubelets: KWOK says that nodes and pods are well.
"""

from sandbox.real.cluster import RealCluster
from sandbox.real.programs import Programs, ProgramsMissing

__all__ = ["Programs", "ProgramsMissing", "RealCluster"]
