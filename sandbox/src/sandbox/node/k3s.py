"""k3s of simulated servers: one light cluster per Sovereign, begun and joined as k3s's own configuration files say.

The files are the ones that the boot wrote, so what k3s would refuse is refused here: another token, an address behind
which no API with the cluster's certificate answers, a second `cluster-init`. A unit that was started keeps trying, as
systemd restarts it: each look at it is a try.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import ssl
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from sandbox.hetzner.machines import Directory
from sandbox.node.ports import Cluster, Clusters, Document
from sandbox.node.relay import Relay
from sandbox.node.server import Server

logger = logging.getLogger(__name__)

SERVER_UNIT: Final = "k3s"
AGENT_UNIT: Final = "k3s-agent"
_API_PORT: Final = 6443
_HANDSHAKE_S: Final = 5.0
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONFIG: Final = "/etc/rancher/k3s/config.yaml"


@dataclass(slots=True)
class Sovereign:
    """The cluster of one Sovereign."""

    cluster: Cluster
    address: str
    """Where the API really listens: the server that began the cluster."""

    token: str
    options: dict[str, Any]
    """Of the server that began it."""

    nodes: dict[int, str] = field(default_factory=dict)
    """Server id to node name."""

    control_planes: set[int] = field(default_factory=set)
    relays: dict[int, Relay] = field(default_factory=dict)


class Refusal(Exception):
    """Why k3s does not run yet."""


class K3s:
    """The clusters of all Sovereigns."""

    def __init__(self, clusters: Clusters) -> None:
        self.directory: Directory | None = None
        self._clusters = clusters
        self._sovereigns: dict[tuple[str, str], Sovereign] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    def of(self, server: Server) -> Sovereign | None:
        """The cluster that the server is a node of."""
        found = self._sovereigns.get(server.sovereign)
        return found if found and server.machine.id in found.nodes else None

    async def try_to_run(self, server: Server, unit: str) -> bool:
        """Whether the unit runs; when it does not, one more try, and the reason in the journal."""
        if unit in server.active:
            return True
        try:
            async with self._locks[server.sovereign]:
                await self._run(server, unit)
        except Refusal as refusal:
            server.say(f"level=fatal msg={str(refusal)!r}")
            return False
        server.say(f'level=info msg="{unit} is up and running"')
        server.active.add(unit)
        return True

    def power_off(self, server: Server) -> None:
        """Its API server is silent."""
        if (sovereign := self._sovereigns.get(server.sovereign)) and (
            relay := sovereign.relays.pop(server.machine.id, None)
        ):
            relay.close()

    async def leave(self, server: Server) -> None:
        """The server is gone; the cluster goes with its last server."""
        sovereign = self._sovereigns.get(server.sovereign)
        if sovereign is None:
            return
        sovereign.nodes.pop(server.machine.id, None)
        sovereign.control_planes.discard(server.machine.id)
        if not sovereign.control_planes:
            del self._sovereigns[server.sovereign]
            await self._clusters.remove(server.sovereign[1])

    async def stop(self) -> None:
        """Stop every cluster."""
        while self._sovereigns:
            (_, name), sovereign = self._sovereigns.popitem()
            for relay in sovereign.relays.values():
                relay.close()
            await self._clusters.remove(name)

    async def _run(self, server: Server, unit: str) -> None:
        config = await asyncio.to_thread(read_config, server)
        token, name = str(config.get("token", "")), str(config.get("node-name", server.machine.name))
        if not token:
            raise Refusal("--token is required")
        sovereign = self._sovereigns.get(server.sovereign)
        if unit == SERVER_UNIT and config.get("cluster-init"):
            if sovereign and server.machine.id not in sovereign.nodes:
                raise Refusal("cluster-init: this Sovereign already has a cluster, a second one must not begin")
            if sovereign is None:
                sovereign = await self._begin(server, config, token)
        else:
            await self._demand_cluster(server, sovereign, str(config.get("server", "")))
        if sovereign is None or not hmac.compare_digest(sovereign.token.encode(), token.encode()):
            raise Refusal("failed to validate token: token CA hash or credentials do not match the cluster")
        role = "control-plane" if unit == SERVER_UNIT else "worker"
        sovereign.cluster.join(name, str(config.get("node-ip", server.machine.public_ipv4)), role)
        sovereign.nodes[server.machine.id] = name
        await sovereign.cluster.listen(server.machine.public_ipv4)
        if unit == SERVER_UNIT:
            sovereign.control_planes.add(server.machine.id)
            await _serve_api(sovereign, server)
            await asyncio.to_thread(_write_server_files, server, sovereign.cluster.kubeconfig_ca())

    async def _begin(self, server: Server, config: dict[str, Any], token: str) -> Sovereign:
        cluster = self._clusters.create(server.sovereign[1])
        address, san = server.machine.public_ipv4, [str(each) for each in config.get("tls-san", ())]
        try:
            await cluster.start(address=address, san=san)
        except OSError as error:
            await self._clusters.remove(server.sovereign[1])
            raise Refusal(f"failed to listen on {address}: {error}") from error
        sovereign = Sovereign(cluster, address, token, config)
        self._sovereigns[server.sovereign] = sovereign
        await cluster.apply(_what_k3s_brings(config))
        return sovereign

    async def _demand_cluster(self, server: Server, sovereign: Sovereign | None, url: str) -> None:
        """Refuse when no API of this cluster answers at the address to join at."""
        host = urlsplit(url).hostname or ""
        if sovereign is None or not sovereign.cluster.api_healthy:
            raise Refusal(f"failed to get CA certs: Get {url}/cacerts: connection refused")
        if self.directory is None:
            return
        address = self.directory.address_behind(server.machine.id, host)
        if address is None:
            raise Refusal(f"failed to get CA certs: Get {url}/cacerts: no route to host")
        await _demand_answer(address, host, sovereign.cluster.kubeconfig_ca())


async def _serve_api(sovereign: Sovereign, server: Server) -> None:
    """The API answers at this control plane too."""
    address = server.machine.public_ipv4
    if address == sovereign.address or server.machine.id in sovereign.relays:
        return
    relay = Relay(sovereign.address, _API_PORT)
    try:
        await relay.open(address)
    except OSError as error:
        raise Refusal(f"failed to listen on {address}: {error}") from error
    sovereign.relays[server.machine.id] = relay


async def _demand_answer(address: str, name: str, ca: str) -> None:
    """A TLS handshake with whatever is behind the address: it must show a certificate of the cluster for this name."""
    context = ssl.create_default_context(cadata=ca)
    try:
        async with asyncio.timeout(_HANDSHAKE_S):
            _, writer = await asyncio.open_connection(address, _API_PORT, ssl=context, server_hostname=name)
    except (OSError, TimeoutError) as error:  # ssl.SSLError among them
        raise Refusal(f"failed to get CA certs from https://{name}:{_API_PORT}: {error}") from error
    writer.close()


def read_config(server: Server) -> dict[str, Any]:
    """k3s's configuration: the file, then its drop-ins in order; `name+` adds to a list."""
    main = server.path(_CONFIG)
    config: dict[str, Any] = {}
    drop_ins = sorted(main.with_name("config.yaml.d").glob("*.yaml"))
    for path in (main, *drop_ins):
        if not path.exists():
            continue
        document = yaml.load(path.read_text(), Loader=_LOADER) or {}  # noqa: S506 - a safe loader
        for name, value in document.items():
            if name.endswith("+"):
                key = name[:-1]
                config[key] = [*config.get(key, ()), *(value or ())]
            else:
                config[name] = value
    return config


def _write_server_files(server: Server, ca: str) -> None:
    """What k3s leaves on the disk of a control plane."""
    authority = server.path("/var/lib/rancher/k3s/server/tls/server-ca.crt")
    authority.parent.mkdir(parents=True, exist_ok=True)
    authority.write_text(ca)
    server.path("/var/lib/rancher/k3s/server/db").mkdir(parents=True, exist_ok=True)
    kubeconfig = server.path("/etc/rancher/k3s/k3s.yaml")
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text("# The simulated kubectl needs no credential.\n")


def _what_k3s_brings(config: dict[str, Any]) -> list[Document]:
    """Objects that a new k3s cluster has by itself."""
    disabled = config.get("disable") or ()
    documents: list[Document] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        for name in ("default", "kube-system", "kube-public", "kube-node-lease")
    ]
    if "local-storage" not in disabled:
        documents.append(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": "local-path"},
                "provisioner": "rancher.io/local-path",
                "reclaimPolicy": "Delete",
                "volumeBindingMode": "WaitForFirstConsumer",
            }
        )
    return documents
