"""The module applied by the real OpenTofu and the real provider, to a simulated cloud whose servers really boot."""

import asyncio
import base64
import contextlib
import dataclasses
import ipaddress
import json
import os
import pathlib
import re
import ssl
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sandbox.cluster import Clusters, build_clusters
from sandbox.hetzner.api import BASE
from sandbox.hetzner.simulation import Options, Simulation
from sandbox.hetzner.tokens import NewToken
from sandbox.node import NodeSettings, SimulatedMachines, build_machines
from tests.integration.module.rendering import DEFAULTS, DEPLOY, module_copy, node_tokens

TOKEN = "t" * 64
FIRST = ("network", "packages", "k3s", "api", "storage-class", "cni", "flux", "kit", "hand-in")
ID = "demo_omani_works"


@dataclasses.dataclass
class Stage:
    """A simulated cloud, its servers and a node door."""

    url: str
    directory: pathlib.Path
    machines: SimulatedMachines
    clusters: Clusters
    reports: list[dict[str, Any]]
    kubeconfigs: list[tuple[str | None, str, str]]
    key: dict[str, str] = dataclasses.field(default_factory=dict)

    def make_key(self) -> pathlib.Path:
        """The operator's key: its public half goes into the request, the private one stays in this file."""
        private = Ed25519PrivateKey.generate()
        file = self.directory.parent / "sovereign_admin"
        file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        self.key = {"ssh_public_key": f"{public.decode()} sovereign-admin"}
        return file

    async def tofu(self, *arguments: str) -> tuple[int, str]:
        """Run OpenTofu in the copy of the module."""
        process = await asyncio.create_subprocess_exec(
            os.environ["CATALYST_TOFU"],
            *arguments,
            cwd=self.directory,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.directory),
                "TF_CLI_CONFIG_FILE": os.environ["CATALYST_TOFU_CLI_CONFIG"],
                "TF_DATA_DIR": str(self.directory / ".tofu"),
                "CHECKPOINT_DISABLE": "1",
                "HCLOUD_TOKEN": TOKEN,
                "HCLOUD_ENDPOINT": self.url + BASE,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(120):
            output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    def give(self, **changes: Any) -> None:
        """Write the variables."""
        variables = {**DEFAULTS, "node_door_url": self.url, "poll_interval": "50ms", **self.key, **changes}
        slug = variables["fqdn"].replace(".", "-")
        variables["node_tokens"] = node_tokens(slug, variables["control_plane_count"], variables["worker_count"])
        (self.directory / "given.auto.tfvars.json").write_text(json.dumps(variables))

    async def booted(self) -> None:
        """Wait until no server has anything more to do by itself."""
        async with asyncio.timeout(60):
            for server_id in list(self.machines.servers):
                await self.machines.settled(server_id)

    def stages_of(self, server: str) -> list[str]:
        """Stages that the server reported as done, in the order of its reports."""
        done = [each for each in self.reports if each["server"] == server and each["state"] == "done"]
        return [each["stage"] for each in done]


@pytest.fixture
async def stage(tmp_path: pathlib.Path) -> AsyncIterator[Stage]:
    reports: list[dict[str, Any]] = []
    kubeconfigs: list[tuple[str | None, str, str]] = []

    async def take_report(request: web.Request) -> web.Response:
        reports.append(await request.json())
        return web.Response(status=202)

    async def take_kubeconfig(request: web.Request) -> web.Response:
        kubeconfigs.append((request.remote, request.headers["Authorization"], await request.text()))
        return web.Response(status=204)

    (tmp_path / "cloud").mkdir()
    simulation = Simulation(
        Options(
            directory=tmp_path / "cloud",
            ipv4_range=ipaddress.IPv4Network("127.64.0.0/10"),
            rate_limit=3600,
            rate_per_second=1.0,
            durations={"default": 0.1},
        )
    )
    simulation.tokens.add(NewToken(token=TOKEN, project="project"))  # type: ignore[arg-type]
    simulation.cloud.commit()
    application = web.Application()
    application.router.add_post("/node/v1/sovereigns/{id}/stages", take_report)
    application.router.add_put("/node/v1/sovereigns/{id}/kubeconfig", take_kubeconfig)
    application.router.add_route("*", BASE + "/{rest:.*}", simulation.api.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    copy = module_copy(tmp_path / "module")
    (copy / "local_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    clusters = build_clusters(tmp_path / "clusters", DEPLOY / "kit", pace=0.2)
    settings = NodeSettings(directory=tmp_path / "machines", age=pathlib.Path(os.environ["CATALYST_AGE"]))
    try:
        async with build_machines(settings, clusters, simulation.directory) as machines, asyncio.TaskGroup() as group:
            life = group.create_task(simulation.run(machines))
            yield Stage(url, copy, machines, clusters, reports, kubeconfigs)
            life.cancel()
    finally:
        await runner.cleanup()
        simulation.close()


def ready(item: dict[str, Any]) -> bool:
    conditions = (item.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def unsealed(sealed: str, private_key: pathlib.Path) -> bytes:
    """What age makes of it with this key, by the line that the success page shows."""
    return subprocess.run(
        [os.environ["CATALYST_AGE"], "--decrypt", "--identity", str(private_key)],
        input=sealed.encode(),
        capture_output=True,
        timeout=20,
        check=True,
    ).stdout


@contextlib.asynccontextmanager
async def watcher(kubeconfig: str) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A client with what was handed in, and nothing else."""
    document = yaml.safe_load(kubeconfig)
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=ca))
    headers = {"Authorization": f"Bearer {user['token']}"}
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
        yield session, cluster["server"]


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_five_servers_become_one_cluster_which_a_second_run_leaves_alone(stage: Stage) -> None:
    private_key = await asyncio.to_thread(stage.make_key)
    stage.give(control_plane_count=3, worker_count=2, worker_type="cpx32")
    code, said = await stage.tofu("init", "-input=false", "-no-color")
    assert code == 0, said
    code, said = await stage.tofu("apply", "-auto-approve", "-input=false", "-no-color")
    assert code == 0, said
    await stage.booted()

    # Every server did its stages; three control planes and two workers are one cluster.
    failed = [each for each in stage.reports if each["state"] == "failed"]
    assert failed == []
    assert stage.stages_of("demo-omani-works-cp1") == list(FIRST)
    assert stage.stages_of("demo-omani-works-cp3") == list(FIRST[:4])
    assert stage.stages_of("demo-omani-works-w2") == list(FIRST[:3])
    cluster = stage.clusters.get(ID)
    assert cluster is not None
    nodes = {each["metadata"]["name"] for each in cluster.get("Node", None, None)}
    assert nodes == {f"demo-omani-works-{name}" for name in ("cp1", "cp2", "cp3", "w1", "w2")}

    # The kubeconfig came once, from the first control plane's own address, and is the watcher's.
    _, output = await stage.tofu("output", "-json")
    outputs = {name: each["value"] for name, each in json.loads(output).items()}
    ((caller, authorization, kubeconfig),) = stage.kubeconfigs
    assert caller == outputs["control_plane_ips"]["demo-omani-works-cp1"]["public"]
    assert authorization == f"Bearer {DEFAULTS['hand_in_token']}"
    async with watcher(kubeconfig) as (session, server):
        assert server == f"https://{outputs['load_balancer_ipv4']}:6443"
        async with session.get(f"{server}/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations") as answer:
            listed = await answer.json()
            assert "catalyst-kit" in {each["metadata"]["name"] for each in listed["items"]}
        async with session.get(f"{server}/api/v1/namespaces/flux-system/secrets") as answer:
            assert answer.status == 403

    # Whoever holds the private half of the request's key reads what Keycloak will ask for, and nobody else.
    (namespace,) = cluster.get("Namespace", None, "catalyst-zero")
    (secret,) = cluster.get("Secret", "flux-system", "catalyst-sovereign")
    sealed = namespace["metadata"]["annotations"]["catalyst.openova.io/first-login"]
    opened = await asyncio.to_thread(unsealed, sealed, private_key)
    assert opened == base64.b64decode(secret["data"]["KEYCLOAK_FIRST_PASSWORD"])
    assert re.fullmatch(rb"[A-Za-z0-9]{32}", opened), (
        "anything else would mean something in the YAML that it is put into"
    )

    # With the values that this boot made, Flux can build every component.
    async with asyncio.timeout(60):
        while not all(ready(each) for each in cluster.get("Kustomization", None, None)):
            await asyncio.sleep(0.05)

    # Other tokens mean other user data, which is no reason to touch a running server.
    stage.give(control_plane_count=3, worker_count=2, worker_type="cpx32", hand_in_token="canary-another-0123456789")
    code, said = await stage.tofu("plan", "-detailed-exitcode", "-input=false", "-no-color")
    assert code == 0, said

    # Nor is a new k3s: it comes by the kit's plans.
    pins = stage.directory.parents[1] / "pins.yaml"
    pinned = pins.read_text()
    version = yaml.safe_load(pinned)["k3s"]["version"]
    pins.write_text(pinned.replace(version, "v1.99.0+k3s1"))
    code, said = await stage.tofu("plan", "-detailed-exitcode", "-input=false", "-no-color")
    assert code == 0, said
    stage.give(control_plane_count=3, worker_count=3, worker_type="cpx32")
    _, said = await stage.tofu("plan", "-input=false", "-no-color")
    assert "Plan: 1 to add, 0 to change, 0 to destroy" in said
    pins.write_text(pinned)
    stage.give(control_plane_count=3, worker_count=2, worker_type="cpx32")

    # A lost first control plane is replaced by one that joins: its own user data alone would begin a second cluster.
    first = 'hcloud_server.control_plane["demo-omani-works-cp1"]'
    code, said = await stage.tofu("apply", f"-replace={first}", "-auto-approve", "-input=false", "-no-color")
    assert code == 0, said
    await stage.booted()
    assert [each for each in stage.reports if each["state"] == "failed"] == []
    assert stage.stages_of("demo-omani-works-cp1") == [*FIRST, *FIRST]
    assert stage.clusters.get(ID) is cluster

    code, said = await stage.tofu("destroy", "-auto-approve", "-input=false", "-no-color")
    assert code == 0, said
    assert "20 destroyed" in said
