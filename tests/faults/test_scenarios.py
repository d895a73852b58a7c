"""Scenarios that kill or overload something, each on a stack of its own."""

import pytest

from catalyst.demo.scenarios import SCENARIOS
from tests.scenario import play

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS.values() if scenario.disturbs])
async def test_a_scenario_that_disturbs_ends_as_it_promises(name: str) -> None:
    said = await play(name)
    assert any("✓" in line for line in said), said
