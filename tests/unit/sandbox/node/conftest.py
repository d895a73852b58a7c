import pathlib
from collections.abc import AsyncIterator

import pytest

from sandbox.node import BootScenario, NodeSettings, SimulatedMachines, build_machines
from tests.unit.sandbox.node.fakes import Door, FakeClusters, node_door


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with node_door() as opened:
        yield opened


@pytest.fixture
def clusters() -> FakeClusters:
    return FakeClusters()


@pytest.fixture
async def machines(tmp_path: pathlib.Path, clusters: FakeClusters) -> AsyncIterator[SimulatedMachines]:
    """Machines whose clock runs two hundred times faster and whose stages take no time of their own."""
    settings = NodeSettings(directory=tmp_path, clock_factor=200, shortest_timeout_s=1.0, parallel_boots=2)
    async with build_machines(settings, clusters) as built:
        built.play(BootScenario(stage_seconds={}))
        yield built
