"""What runs on the simulated servers: boots that follow their user data, and light clusters; with its control routes.

Routes under `/_sandbox/`: `PUT boots` (times and faults of boots from now on), `POST boots/faults`,
`GET servers/{id}/console`, `PUT clusters/{sovereign}/scenario` (a name or a whole scenario), `POST` and
`GET clusters/{sovereign}/faults`, `GET root-ca`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web

from sandbox.cluster import SCENARIOS, Clusters, Scenario, build_clusters
from sandbox.cluster import Fault as ClusterFault
from sandbox.hetzner.control import PREFIX, checked, json_answer
from sandbox.hetzner.machines import Directory, Machines, NoMachines
from sandbox.node import BootFault, BootScenario, NodeSettings, SimulatedMachines, build_machines
from sandbox.settings import Settings


@dataclass(frozen=True)
class World:
    """Machines for the cloud to switch, and routes to play with them."""

    machines: Machines
    routes: list[web.RouteDef] = field(default_factory=list)


@contextlib.asynccontextmanager
async def world(settings: Settings, directory: Directory) -> AsyncIterator[World]:
    """The machines' half, for as long as the block lasts; without a kit nothing runs on servers."""
    if settings.kit_dir is None:
        yield World(NoMachines())
        return
    clusters = await asyncio.to_thread(build_clusters, settings.dir, settings.kit_dir, settings.cluster_pace)
    node = NodeSettings(
        directory=settings.dir / "machines",
        parallel_boots=settings.parallel_boots,
        clock_factor=settings.boot_clock_factor,
        calls_from_own_address=settings.calls_from_own_address,
        age=settings.age,
    )
    try:
        async with build_machines(node, clusters, directory) as machines:
            yield World(machines, _Routes(machines, clusters).all())
    finally:
        await clusters.stop()


class _Routes:
    """Control over boots and clusters."""

    def __init__(self, machines: SimulatedMachines, clusters: Clusters) -> None:
        self._machines = machines
        self._clusters = clusters

    def all(self) -> list[web.RouteDef]:
        of_cluster = f"{PREFIX}/clusters/{{sovereign}}"
        return [
            web.put(f"{PREFIX}/boots", checked(self._play)),
            web.post(f"{PREFIX}/boots/faults", checked(self._boot_fault)),
            web.get(f"{PREFIX}/servers/{{id:\\d+}}/console", checked(self._console)),
            web.put(f"{of_cluster}/scenario", checked(self._scenario)),
            web.post(f"{of_cluster}/faults", checked(self._cluster_fault)),
            web.get(f"{of_cluster}/faults", checked(self._happened)),
            web.get(f"{PREFIX}/root-ca", checked(self._root_ca)),
        ]

    async def _play(self, request: web.Request) -> web.StreamResponse:
        self._machines.play(BootScenario.model_validate(await request.json()))
        return web.Response(status=204)

    async def _boot_fault(self, request: web.Request) -> web.StreamResponse:
        self._machines.add_fault(BootFault.model_validate(await request.json()))
        return web.Response(status=204)

    async def _console(self, request: web.Request) -> web.StreamResponse:
        server = self._machines.servers.get(int(request.match_info["id"]))
        if server is None:
            return json_answer({"error": "no such server was ever on"}, 404)
        text = await asyncio.to_thread(server.console.read_text) if server.console.exists() else ""
        return web.Response(text=text)

    async def _scenario(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        if isinstance(asked, str):
            if asked not in SCENARIOS:
                return json_answer({"error": f"no such scenario; there are {', '.join(sorted(SCENARIOS))}"}, 422)
            scenario = SCENARIOS[asked]
        else:
            scenario = Scenario.model_validate(asked)
        self._clusters.set_scenario(request.match_info["sovereign"], scenario)
        return web.Response(status=204)

    async def _cluster_fault(self, request: web.Request) -> web.StreamResponse:
        fault = ClusterFault.model_validate(await request.json())
        began = self._clusters.play(request.match_info["sovereign"], fault)
        return web.Response(status=204) if began else json_answer({"error": "this Sovereign has no cluster"}, 404)

    async def _happened(self, request: web.Request) -> web.StreamResponse:
        return json_answer({"happened": self._clusters.happened(request.match_info["sovereign"])})

    async def _root_ca(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text=self._clusters.root_ca, content_type="application/x-pem-file")
