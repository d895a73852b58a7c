"""A Sovereign whose cluster is real: Flux's own controllers over a small kit from Git and charts on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import yaml

from bus.server import NatsServer
from contracts.event import Fact
from sandbox.real.flux import FluxControllers
from sandbox.real.kube import Json, Refused
from sandbox.real.origin import Origin, origin
from tests.conformance.conftest import Ground
from tests.conftest import BusOf
from tests.flux_sequences import FOLLOWED, PATIENT, Sequences
from tests.integration.flux_watcher.conftest import Told, eventually
from tests.integration.flux_watcher.names import NameServer
from tests.integration.sandbox_cluster.conftest import REPOSITORY
from tests.small_kit import Part, write_kit

HANDED = REPOSITORY / "tests" / "integration" / "sandbox_cluster" / "kit.yaml"
ADMISSION = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/refusing"
MERGE = "application/merge-patch+json"
REFUSING: tuple[Json, ...] = (
    {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "refusing"},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["apps"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["deployments"],
                    }
                ]
            },
            "validations": [{"expression": "!('refused' in object.metadata.?labels.orValue({}))"}],
        },
    },
    {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "refusing"},
        "spec": {"policyName": "refusing", "validationActions": ["Deny"]},
    },
)
"""The API server refuses a Deployment with the label ``refused``, for as long as the binding is there."""


class RealSovereign(Told):
    """One Sovereign on the bus, with a real cluster."""

    def __init__(self, ground: Ground, source: Origin, server: NatsServer, bus_of: BusOf, names: NameServer) -> None:
        root = ground.cluster.directory / "ca.pem"
        super().__init__(server, bus_of, ground.address, names, root)
        self.ground, self.origin = ground, source
        self.sequences = Sequences()
        self._flux: FluxControllers | None = None
        self._begun = 0

    @property
    def flux(self) -> FluxControllers:
        assert self._flux is not None
        return self._flux

    @property
    def api(self) -> Any:
        return self.ground.cluster.api

    async def begin(self) -> None:
        """What the other services say until the watch begins."""
        await self.request()
        await self.apply()
        await self.hand_in(self.ground.kubeconfig())

    async def install_flux(self) -> None:
        """As cloud-init: kinds and controllers, and what refuses some Deployments."""
        cluster = self.ground.cluster
        await cluster.serve_flux_kinds()
        await self.refuse()
        self._flux = FluxControllers(cluster.plane)
        await self.flux.start()

    async def refuse(self) -> None:
        """Refuse Deployments with the label ``refused`` from now on."""
        await self.ground.cluster.apply(REFUSING)
        item = {**PATIENT.installs(refused="yes")[0], "metadata": {"name": "tried", "labels": {"refused": "yes"}}}

        async def in_force() -> bool:
            try:
                await self.api.apply(item, dry_run=True)
            except Refused:
                return True
            return False

        await eventually(in_force, 60)

    async def hand_kit_over(self) -> None:
        """As cloud-init: the kit's source and its root Kustomization."""
        for item in yaml.safe_load_all(HANDED.read_text()):
            if item["kind"] == "GitRepository":
                item["spec"]["url"] = self.origin.git_url
            if item["kind"] in FOLLOWED:
                await self.ground.cluster.apply([item])

    async def push(self, folder: Path, *parts: Part) -> str:
        """Commit a kit of these parts."""
        write_kit(folder, parts, f"{self.origin.url}/charts")
        return await self.origin.commit(folder)

    async def kick(self, kind: str, name: str) -> None:
        """Have an object reconciled now."""
        annotations = {"reconcile.fluxcd.io/requestedAt": uuid4().hex}
        await self.change(kind, name, {"metadata": {"annotations": annotations}})

    async def change(self, kind: str, name: str, body: Json) -> None:
        """Merge into one of Flux's objects."""
        await self.api.call("PATCH", await self._path(kind, name), body, content_type=MERGE)

    async def _path(self, kind: str, name: str) -> str:
        metadata = {"name": name, "namespace": "flux-system"}
        path: str = await self.api.path_of({"apiVersion": _version(kind), "kind": kind, "metadata": metadata})
        return path

    async def close(self) -> None:
        """End the controllers, if there are any."""
        if self._flux:
            await self._flux.stop()

    # What is seen and said.

    async def scene(self, name: str) -> None:
        """What is heard and written down from now on belongs to this scene."""
        self.sequences.scene = name
        self._begun = len(await self.events())

    async def hears(self, fact: type[Fact], /, *, within: float = 120, **fields: Any) -> Any:
        """A fact of this scene of this kind with these fields."""

        async def said() -> Any:
            facts = [event.data for event in (await self.events())[self._begun :]]
            return next((each for each in facts if isinstance(each, fact) and _matches(each, fields)), None)

        try:
            return await eventually(said, within, every=0.25)
        except TimeoutError:
            pytest.fail(f"no {fact.fact} with {fields} within {within:g} s\n{await self._story()}")

    async def reaches(self, title: str, *words: str, within: float = 120) -> None:
        """Wait until an object's conditions say all of this."""

        async def there() -> bool:
            return all(word in self.sequences.last(title) for word in words)

        try:
            await eventually(there, within)
        except TimeoutError:
            pytest.fail(f"{title} is {self.sequences.last(title)}, not {words}\n{await self._story()}")

    async def _story(self) -> str:
        told = ("reason", "blocking", "missing")
        lines = [
            f"{e.data.fact} {e.data.key} {' '.join(str(getattr(e.data, name, '')) for name in told)}"
            for e in await self.events()
        ]
        lines += [
            f"{title}: {' -> '.join(states)}" for title, states in self.sequences.of(self.sequences.scene).items()
        ]
        words = self._flux.last_words() if self._flux else ""
        return "\n".join([f"scene {self.sequences.scene} from {self._begun}", *lines, words])

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Write down what Flux's objects go through, for as long as the block lasts."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._follow(kind)) for kind in FOLLOWED]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def _follow(self, kind: str) -> None:
        """One kind, from its beginning; from where it was when the API server comes back."""
        path = (await self._path(kind, "x")).removesuffix("/x")
        version = "0"
        while True:
            query = {"watch": "true", "resourceVersion": version}
            headers = {"Authorization": f"Bearer {self.api.token}"}
            timeout = aiohttp.ClientTimeout(total=None)
            try:
                async with self.api.session.get(
                    self.api.url + path, params=query, headers=headers, timeout=timeout
                ) as response:
                    async for line in response.content:
                        event = json.loads(line)
                        if event.get("type") in {"ADDED", "MODIFIED"}:
                            self.sequences.hear(event["object"])
                            version = event["object"]["metadata"]["resourceVersion"]
                        elif event.get("type") != "DELETED":
                            version = "0"
            except (aiohttp.ClientError, Refused, OSError):
                version = "0"
            await asyncio.sleep(0.1)


def _version(kind: str) -> str:
    group = {"Kustomization": "kustomize.toolkit.fluxcd.io/v1", "HelmRelease": "helm.toolkit.fluxcd.io/v2"}
    return group.get(kind, "source.toolkit.fluxcd.io/v1")


def _matches(fact: Fact, fields: dict[str, Any]) -> bool:
    found: dict[str, Any] = {name: getattr(fact, name, None) for name in fields}
    if "code" in fields:
        found["code"] = getattr(getattr(fact, "trouble", None), "code", None)
    return found == fields


@asynccontextmanager
async def real_sovereign(
    ground: Ground, directory: Path, server: NatsServer, bus_of: BusOf, names: Callable[[str], Any]
) -> AsyncIterator[RealSovereign]:
    """A Sovereign with API, nodes and the watcher's account; Flux is not there yet."""
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(origin(directory / "origin"))
        await ground.boot_bare()
        name_server = await stack.enter_async_context(names(ground.address))
        made = RealSovereign(ground, source, server, bus_of, name_server)
        try:
            yield made
        finally:
            await made.close()
