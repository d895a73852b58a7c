"""Real clusters: etcd and the Kubernetes control plane as plain processes on loopback, with the kinds of Flux.

What stays simulated is the kubelets: KWOK says that nodes and pods are well.
"""

from sandbox.real.cluster import RealCluster
from sandbox.real.programs import Programs, ProgramsMissing

__all__ = ["Programs", "ProgramsMissing", "RealCluster"]
