"""A node door that can be absent, clusters that remember, and real boot scripts with stages of a test's own."""

import asyncio
import base64
import contextlib
import dataclasses
import gzip
import pathlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import yaml
from aiohttp import web

from sandbox.hetzner.machines import Machine
from sandbox.node.ports import Document

SCRIPTS = pathlib.Path(__file__).parents[4] / "deploy" / "tofu" / "hetzner" / "scripts"
NODE_TOKEN = "canary-node-token-0123456789"
HAND_IN_TOKEN = "canary-hand-in-token-0123456789"


class FakeCluster:
    """Keeps what is applied to it."""

    def __init__(self) -> None:
        self.api_healthy = False
        self.address = ""
        self.san: list[str] = []
        self.nodes: dict[str, tuple[str, str]] = {}
        self.front_doors: list[str] = []
        self.items: dict[tuple[str, str, str], Document] = {}

    async def start(self, *, address: str, san: list[str]) -> None:
        self.address, self.san, self.api_healthy = address, san, True

    async def stop(self) -> None:
        self.api_healthy = False

    async def listen(self, address: str) -> None:
        self.front_doors.append(address)

    def join(self, node_name: str, address: str, role: str) -> None:
        self.nodes[node_name] = (address, role)
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        self.items["Node", "", node_name] = {"kind": "Node", "metadata": {"name": node_name}, "status": ready}

    def kubeconfig_ca(self) -> str:
        return "-----BEGIN CERTIFICATE-----\n"

    async def apply(self, documents: list[Document]) -> list[str]:
        for document in documents:
            metadata = document["metadata"]
            self.items[document["kind"], metadata.get("namespace", ""), metadata["name"]] = document
        return [f"{each['kind'].lower()}/{each['metadata']['name']} created" for each in documents]

    def get(self, kind: str, namespace: str | None, name: str | None) -> list[Document]:
        return [
            item
            for (a_kind, a_namespace, a_name), item in self.items.items()
            if a_kind == kind and namespace in {None, a_namespace} and name in {None, a_name}
        ]

    def token_for(self, namespace: str, service_account: str) -> str:
        return f"token-of-{namespace}-{service_account}"


class FakeClusters:
    """One cluster per Sovereign."""

    def __init__(self) -> None:
        self.clusters: dict[str, FakeCluster] = {}
        self.removed: list[str] = []

    def create(self, sovereign: str) -> FakeCluster:
        self.clusters[sovereign] = FakeCluster()
        return self.clusters[sovereign]

    async def remove(self, sovereign: str) -> None:
        if cluster := self.clusters.pop(sovereign, None):
            await cluster.stop()
            self.removed.append(sovereign)


@dataclasses.dataclass
class Door:
    """The node door's half that nodes see."""

    url: str = ""
    reports: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    callers: set[str | None] = dataclasses.field(default_factory=set)
    tokens: set[str] = dataclasses.field(default_factory=set)
    absent: int = 0
    """How many more reports meet a door that is out of order."""
    answer: int = 202
    changed: asyncio.Condition = dataclasses.field(default_factory=asyncio.Condition)

    @property
    def said(self) -> list[str]:
        return [f"{each['stage']} {each['state']}" for each in self.reports]

    async def until(self, holds: Callable[["Door"], bool], within: float = 20.0) -> None:
        async with asyncio.timeout(within), self.changed:
            await self.changed.wait_for(lambda: holds(self))

    async def take(self, request: web.Request) -> web.Response:
        async with self.changed:
            self.changed.notify_all()
            if self.absent:
                self.absent -= 1
                return web.Response(status=503)
            self.reports.append(await request.json())
            self.callers.add(request.remote)
            self.tokens.add(request.headers["Authorization"])
            return web.Response(status=self.answer)


@contextlib.asynccontextmanager
async def node_door() -> AsyncIterator[Door]:
    """A door on a free port."""
    door = Door()
    application = web.Application()
    application.router.add_post("/node/v1/sovereigns/{id}/stages", door.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        door.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield door
    finally:
        await runner.cleanup()


def user_data(door_url: str, stages: dict[str, str], bound_s: int = 3000, files: dict[str, str] | None = None) -> str:
    """The real boot script and library, with these stages (name to bash) instead of ours."""
    settings = {
        "SOVEREIGN_ID": "demo_omani_works",
        "NODE_NAME": "demo-omani-works-cp1",
        "NODE_DOOR_URL": door_url,
        "STAGES": " ".join(f"{name}:{bound_s}" for name in stages),
    }
    content = {
        "/opt/catalyst/boot": (SCRIPTS / "boot").read_text(),
        "/opt/catalyst/lib.sh": (SCRIPTS / "lib.sh").read_text(),
        "/etc/catalyst/node.env": "".join(f"{name}='{value}'\n" for name, value in settings.items()),
        "/etc/catalyst/secrets": f"node-token {NODE_TOKEN}\nhand-in-token {HAND_IN_TOKEN}\n",
        **{f"/opt/catalyst/stages/{name}": f"set -eu\n{text}\n" for name, text in stages.items()},
        **(files or {}),
    }
    document = {
        "write_files": [
            {
                "path": path,
                "permissions": "0600",
                "encoding": "gz+b64",
                "content": base64.b64encode(gzip.compress(text.encode())).decode(),
            }
            for path, text in content.items()
        ],
        "runcmd": [["/bin/bash", "/opt/catalyst/boot"]],
    }
    return "#cloud-config\n" + yaml.safe_dump(document)


def machine(text: str, number: int = 1, name: str = "demo-omani-works-cp1", private_ip: str = "10.0.1.11") -> Machine:
    """A server of the Sovereign demo.omani.works."""
    return Machine(
        id=number,
        name=name,
        project="project",
        server_type="cpx32",
        architecture="x86",
        location="fsn1",
        image="ubuntu-24.04",
        user_data=text,
        public_ipv4=f"127.64.77.{number}",
        private_ips=(private_ip,),
        labels={"catalyst-zero/sovereign": "demo_omani_works"},
    )
