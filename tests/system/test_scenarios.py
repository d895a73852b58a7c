"""The one line end to end, through real processes: what `make demo` shows is what is tested."""

import pytest

from catalyst.demo.scenarios import SCENARIOS
from tests.scenario import Played

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("harmless", [scenario.name for scenario in SCENARIOS.values() if not scenario.disturbs])
async def test_the_scenario_ends_as_it_promises(harmless: str, played: dict[str, Played]) -> None:
    found = played[harmless]
    if found.error is not None:
        raise AssertionError("\n".join(found.said[-20:])) from found.error
    assert any("✓" in line for line in found.said), found.said
