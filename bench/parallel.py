"""Fifty runs with real OpenTofu on this machine: they all end, in how much memory, at which pace.

The runner admits as many OpenTofu processes as its memory allows (``tofu_runner.admission``); the others wait without
holding anything, as they do in production: their message comes again.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

if not __package__:  # run as a file: this folder's names would hide the packages of the same names
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench._report import Figure, main, tell
from bus import TryAgain
from bus.server import NatsServer, make_topology
from contracts.tofu import TofuApplied
from sandbox.hetzner.tokens import NewToken
from tests.integration.tofu_runner.stand import Stand, new_token, shape, stand
from tofu_runner.admission import memory_limit, places_for
from tofu_runner.bench import World

RUNS = 50
_LOOK_S = 0.5


def measure() -> Iterator[Figure]:
    """Fifty Sovereigns of one control plane each."""
    yield from asyncio.run(_measure())


async def _measure() -> list[Figure]:
    cores = os.cpu_count() or 1
    places = places_for(memory_limit(), cores)
    with tempfile.TemporaryDirectory(prefix="cz-") as folder:
        server = NatsServer(Path(folder) / "nats", Path(folder) / "keys")
        await server.start()
        await make_topology(server)
        try:
            async with stand(server, Path(folder), places=places) as here:
                world = here.world()
                begun = time.perf_counter()
                peak = await _all(here, world)
                minutes = (time.perf_counter() - begun) / 60
                ended = [await _applied(here, number) for number in range(RUNS)]
                alive = here.alive()["servers"]
        finally:
            await server.stop()
    return [
        Figure(name="runs that ended as they should", value=sum(ended), goal=RUNS, better="higher"),
        Figure(name="servers in the cloud", value=alive, goal=RUNS, note="neither more nor fewer"),
        Figure(name="OpenTofu at once", value=places, note="by memory and cores"),
        Figure(name="peak memory of one OpenTofu with its provider", value=peak / places / 2**20, unit="MiB", goal=400),
        Figure(name="peak memory of all", value=peak / 2**20, unit="MiB"),
        Figure(name="runs per minute and core", value=RUNS / minutes / cores, unit="/min"),
    ]


async def _all(here: Stand, world: World) -> int:
    """Every run to its end; the peak of the memory of all OpenTofu processes together, in bytes."""
    stands = [_of_its_own(here, number) for number in range(RUNS)]
    peak = 0
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(_patiently(one, world)) for one in stands]
        while not all(run.done() for run in runs):
            peak = max(peak, await asyncio.to_thread(_memory_of_tofu))
            await asyncio.sleep(_LOOK_S)
    return peak


def _of_its_own(here: Stand, number: int) -> Stand:
    """A Sovereign in a cloud project of its own, as customers have them."""
    token = new_token()
    project = NewToken.model_validate({"token": token, "project": f"customer-{number}"})
    here.cloud.simulation.tokens.add(project)
    return replace(here, sovereign=f"run{number}_omani_works", token=token)


async def _patiently(here: Stand, world: World) -> None:
    event = await here.request(shape(here.fqdn, worker_count=0))
    while True:
        try:
            await here.provision(event, world)
        except TryAgain:
            await asyncio.sleep(_LOOK_S)
        else:
            tell(f"{here.fqdn} is there")
            return


async def _applied(here: Stand, number: int) -> bool:
    return (await replace(here, sovereign=f"run{number}_omani_works").history()).data(TofuApplied) is not None


def _memory_of_tofu() -> int:
    """Proportional set size of every OpenTofu and provider process, in bytes."""
    total = 0
    for process in Path("/proc").iterdir():
        try:
            name = (process / "comm").read_text() if process.name.isdigit() else ""
            if name.startswith(("tofu", "terraform-provi")):
                rollup = (process / "smaps_rollup").read_text()
                total += sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
        except OSError:
            continue
    return total


if __name__ == "__main__":
    main("Runs side by side with real OpenTofu", measure)
