"""How many calls of the cloud's API the simulated one answers on one core: a thousand runs must not measure it.

Calls as OpenTofu and the SDK make them, one after another on each of many connections: most look, some change. What is
divided is the processor time of the simulator's own process, so that the callers beside it do not count.
"""

import asyncio
import json
import os
import secrets
import string
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: this folder's names would hide the packages of the same names
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench._report import Figure, main, tell

GOAL = 1500
PROJECTS = 25
CONNECTIONS = 50
ROUNDS = 15
REPEATS = 3
_START_S = 60.0


def measure() -> Iterator[Figure]:
    """The rate, and what one call of each kind costs."""
    yield from asyncio.run(_measure())


@dataclass
class Simulator:
    """The simulator as a process of its own."""

    pid: int
    host: str
    port: int
    control: str

    def cpu_s(self) -> float:
        """Processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Caller:
    """One connection of one project's token."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    token: str

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """One call; its decoded answer."""
        payload = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
        )
        self.writer.write(head.encode() + payload)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        status = int(answer.split(b" ", 2)[1])
        marks = [line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        raw = await self.reader.readexactly(int(marks[0].split(b":")[1])) if marks else b""
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status} {raw[:300]!r}")
        return json.loads(raw) if raw else None


@dataclass(frozen=True)
class Project:
    """What a Sovereign has in it."""

    token: str
    server: int
    network: int
    balancer: int
    actions: tuple[int, ...]


async def _measure() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="cz-") as folder:
        async with _simulator(Path(folder)) as simulator:
            projects = [await _project(simulator, number) for number in range(PROJECTS)]
            await _round(simulator, projects, 5)
            rates, wall = [], []
            for _ in range(REPEATS):
                begun, used = time.perf_counter(), simulator.cpu_s()
                calls = await _round(simulator, projects, ROUNDS)
                rates.append(calls / (simulator.cpu_s() - used))
                wall.append(calls / (time.perf_counter() - begun))
                tell(f"{calls} calls, {rates[-1]:.0f} per second of processor time")
            kinds = [await _kind(simulator, projects[0], name, one) for name, one in _KINDS.items()]
    return [
        Figure.of("calls answered per second of one core", rates, unit="/s", goal=GOAL, better="higher"),
        Figure.of("calls answered per second here, callers beside it", wall, unit="/s"),
        *kinds,
    ]


@asynccontextmanager
async def _simulator(folder: Path) -> AsyncIterator[Simulator]:
    settings = {"SANDBOX_DIR": str(folder), "SANDBOX_RATE_LIMIT": "1000000000", "SANDBOX_ACTION_S": "0.05"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox", env={**os.environ, **settings}, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        ready = folder / "ready.json"
        async with asyncio.timeout(_START_S):
            while not ready.exists():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)
        said = json.loads(ready.read_text())
        host, _, port = said["url"].removeprefix("http://").partition(":")
        yield Simulator(process.pid, host, int(port), said["control"].removeprefix(said["url"]))
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def _caller(simulator: Simulator, token: str) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection(simulator.host, simulator.port, limit=2**22)
    try:
        yield Caller(reader, writer, token)
    finally:
        writer.close()


async def _project(simulator: Simulator, number: int) -> Project:
    """One Sovereign of one server, as the module makes it."""
    token = "".join(secrets.choice(string.ascii_letters) for _ in range(64))
    async with _caller(simulator, token) as caller:
        known = {"token": token, "project": f"customer-{number}", "access": "read_write"}
        await caller.call("POST", f"{simulator.control}/tokens", known)
        labels = {"catalyst-zero/sovereign": f"run{number}_omani_works"}
        network = await caller.call(
            "POST", "/v1/networks", {"name": "net", "ip_range": "10.0.0.0/16", "labels": labels}
        )
        made = network["network"]["id"]
        subnet = {"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}
        first = await caller.call("POST", f"/v1/networks/{made}/actions/add_subnet", subnet)
        await _ended(caller, first["action"]["id"])
        wanted = {"name": "cp1", "server_type": "cpx22", "image": "ubuntu-24.04", "location": "fsn1", "labels": labels}
        server = await caller.call("POST", "/v1/servers", wanted | {"networks": [made], "user_data": "x" * 20_000})
        balancer = await caller.call(
            "POST", "/v1/load_balancers", {"name": "lb", "load_balancer_type": "lb11", "location": "fsn1"}
        )
        actions = (first["action"]["id"], server["action"]["id"], balancer["action"]["id"])
        for action in actions:
            await _ended(caller, action)
    return Project(token, server["server"]["id"], made, balancer["load_balancer"]["id"], actions)


async def _ended(caller: Caller, action: int) -> None:
    async with asyncio.timeout(_START_S):
        while (await caller.call("GET", f"/v1/actions/{action}"))["action"]["status"] == "running":  # noqa: ASYNC110 - asked of another process
            await asyncio.sleep(0.02)


_Calls = Callable[[Project], list[tuple[str, str]]]
_KINDS: dict[str, _Calls] = {
    "a server": lambda p: [("GET", f"/v1/servers/{p.server}")],
    "actions under way": lambda p: [("GET", f"/v1/actions?{'&'.join(f'id={i}' for i in p.actions)}&sort=status")],
    "a network": lambda p: [("GET", f"/v1/networks/{p.network}")],
    "a load balancer": lambda p: [("GET", f"/v1/load_balancers/{p.balancer}")],
    "servers by label": lambda _: [("GET", "/v1/servers?label_selector=catalyst-zero%2Fsovereign&per_page=50")],
    "a server type by name": lambda _: [("GET", "/v1/server_types?name=cpx22")],
}
_SHARES = {"a server": 4, "actions under way": 3}
"""How often in a round; once what is not named."""


async def _round(simulator: Simulator, projects: list[Project], rounds: int) -> int:
    """Every connection makes its calls so many times; how many calls it were."""

    async def one(number: int) -> int:
        project, calls = projects[number % len(projects)], 0
        looks = [call for name, of in _KINDS.items() for call in of(project) * _SHARES.get(name, 1)]
        async with _caller(simulator, project.token) as caller:
            for turn in range(rounds):
                for method, path in looks:
                    await caller.call(method, path)
                name = f"group-{number}-{turn}"
                made = await caller.call("POST", "/v1/placement_groups", {"name": name, "type": "spread"})
                await caller.call("DELETE", f"/v1/placement_groups/{made['placement_group']['id']}")
                calls += len(looks) + 2
        return calls

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(number)) for number in range(CONNECTIONS)]
    return sum(task.result() for task in tasks)


async def _kind(simulator: Simulator, project: Project, name: str, of: _Calls, times: int = 1000) -> Figure:
    """Processor time of one call of a kind."""
    async with _caller(simulator, project.token) as caller:
        used = simulator.cpu_s()
        for _ in range(times):
            for method, path in of(project):
                await caller.call(method, path)
        return Figure(name=f"a look at {name}", value=(simulator.cpu_s() - used) / times * 1000, unit="ms")


if __name__ == "__main__":
    main("The simulated cloud's rate", measure)
