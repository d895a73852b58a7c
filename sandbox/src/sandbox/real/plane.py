"""The control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and KWOK in the place of kubelets.

Plain processes on loopback with files below one directory. Nothing listens elsewhere, nothing elects a leader, and
nothing is kept when the directory goes.
"""

from __future__ import annotations

import json
import secrets
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.cluster.tls import Authority
from sandbox.real.kube import Kube, kube, until_ready
from sandbox.real.process import Process
from sandbox.real.programs import Programs, quiet_environment

LOOPBACK: Final = "127.0.0.1"
STORAGE_CLASS: Final = "local-path"
ISSUER: Final = "https://kubernetes.default.svc"
_SERVICES: Final = "10.96.0.0/16"
_READY_WITHIN_S: Final = 60.0
_NODE_LEASE_S: Final = 40
"""As a kubelet's; without leases every node would be told dead after this time."""
_MANAGERS: Final = (
    "daemonset-controller",
    "deployment-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "persistentvolume-binder-controller",
    "persistentvolumeclaim-protection-controller",
    "replicaset-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
)


def free_port(address: str = LOOPBACK) -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


class ControlPlane:
    """One cluster's control plane; its processes by name."""

    def __init__(self, programs: Programs, directory: Path, *, address: str, port: int, names: list[str]) -> None:
        self.url = f"https://{address}:{port}"
        self.directory = directory
        self.authority = Authority.create("real cluster of the sandbox")
        self.kubeconfig = directory / "admin.kubeconfig"
        self.processes: dict[str, Process] = {}
        self._programs = programs
        self._address, self._port, self._names = address, port, names
        self._token = secrets.token_urlsafe(32)
        self._etcd_port = free_port()
        self._stack = AsyncExitStack()
        self._api: Kube | None = None

    @property
    def api(self) -> Kube:
        """Calls as the cluster's administrator."""
        if self._api is None:
            raise RuntimeError("the control plane is not started")
        return self._api

    async def start(self) -> None:
        """Bring it up; ready means that the API says so of itself."""
        self._lay_files()
        for process in self._make():
            self.processes[process.name] = process
        self.processes["etcd"].start()
        self.processes["kube-apiserver"].start()
        self._api = await self._stack.enter_async_context(kube(self.url, self._token, self.authority.pem))
        await self.ready()
        for name in ("kube-controller-manager", "kube-scheduler", "kwok"):
            self.processes[name].start()

    async def ready(self) -> None:
        """Wait until the API is ready."""
        try:
            await until_ready(self.api, "/readyz", _READY_WITHIN_S)
        except TimeoutError:
            words = self.processes["kube-apiserver"].last_words()
            raise TimeoutError(f"kube-apiserver is not ready after {_READY_WITHIN_S:g} s:\n{words}") from None

    async def stop(self) -> None:
        """End every process, etcd last."""
        for process in reversed(list(self.processes.values())):
            await process.stop()
        await self._stack.aclose()

    def _lay_files(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        names = [self._address, *self._names, LOOPBACK, "localhost", "kubernetes", "kubernetes.default.svc"]
        self.authority.server_context(self.directory / "api.pem", "kube-apiserver", names)
        self._file("ca.pem", self.authority.pem)
        self._file("tokens.csv", f'{self._token},admin,admin,"system:masters"\n')
        key = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PrivateFormat.TraditionalOpenSSL
        self._file(
            "service-accounts.pem",
            key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode(),
        )
        self._file("stages.yaml", self._programs.stages(STORAGE_CLASS))
        cluster = {"server": self.url, "certificate-authority": str(self.directory / "ca.pem")}
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "real",
            "clusters": [{"name": "real", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self._token}}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": "admin"}}],
        }
        self._file(self.kubeconfig.name, json.dumps(kubeconfig))

    def _file(self, name: str, content: str) -> None:
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(content)

    def process(self, name: str, *words: str | Path, **environment: str) -> Process:
        """A process of this cluster: its log and its files below the cluster's directory."""
        home = self.directory / name
        home.mkdir(exist_ok=True, mode=0o700)
        return Process(
            name,
            [self._programs.paths[name], *words],
            environment=quiet_environment(home, **environment),
            log=self.directory / f"{name}.log",
        )

    def _make(self) -> list[Process]:
        here, etcd = self.directory, f"http://{LOOPBACK}:{self._etcd_port}"
        peer = f"http://{LOOPBACK}:{free_port()}"
        kubeconfig = f"--kubeconfig={self.kubeconfig}"
        return [
            self.process(
                "etcd",
                f"--data-dir={here / 'etcd' / 'data'}",
                f"--listen-client-urls={etcd}",
                f"--advertise-client-urls={etcd}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync",
                "--auto-compaction-retention=1h",
                "--log-level=warn",
            ),
            self.process(
                "kube-apiserver",
                f"--etcd-servers={etcd}",
                f"--bind-address={self._address}",
                f"--advertise-address={self._address}",
                f"--secure-port={self._port}",
                "--endpoint-reconciler-type=none",
                "--authorization-mode=RBAC",
                "--anonymous-auth=false",
                f"--token-auth-file={here / 'tokens.csv'}",
                f"--client-ca-file={here / 'ca.pem'}",
                f"--tls-cert-file={here / 'api.pem'}",
                f"--tls-private-key-file={here / 'api.pem'}",
                f"--cert-dir={here / 'kube-apiserver'}",
                f"--service-account-issuer={ISSUER}",
                f"--service-account-key-file={here / 'service-accounts.pem'}",
                f"--service-account-signing-key-file={here / 'service-accounts.pem'}",
                f"--service-cluster-ip-range={_SERVICES}",
                "--profiling=false",
            ),
            self.process(
                "kube-controller-manager",
                kubeconfig,
                f"--bind-address={LOOPBACK}",
                f"--secure-port={free_port()}",
                "--leader-elect=false",
                "--authentication-skip-lookup=true",
                f"--cert-dir={here / 'kube-controller-manager'}",
                f"--flex-volume-plugin-dir={here / 'kube-controller-manager'}",
                f"--service-account-private-key-file={here / 'service-accounts.pem'}",
                f"--root-ca-file={here / 'ca.pem'}",
                f"--controllers={','.join(_MANAGERS)}",
                "--kube-api-qps=200",
                "--kube-api-burst=400",
            ),
            self.process(
                "kube-scheduler",
                kubeconfig,
                f"--bind-address={LOOPBACK}",
                f"--secure-port={free_port()}",
                "--leader-elect=false",
                "--authentication-skip-lookup=true",
                f"--cert-dir={here / 'kube-scheduler'}",
            ),
            self.process(
                "kwok",
                kubeconfig,
                f"--config={here / 'stages.yaml'}",
                "--manage-all-nodes=true",
                f"--node-lease-duration-seconds={_NODE_LEASE_S}",
                f"--node-ip={LOOPBACK}",
            ),
        ]
