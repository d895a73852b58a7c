"""Scenarios that leave others alone are played before the first of their tests, side by side."""

import pytest
import pytest_asyncio

from tests.scenario import Played, play_all


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def played(request: pytest.FixtureRequest) -> dict[str, Played]:
    """How those scenarios ended whose tests were chosen."""
    chosen = [item for item in request.session.items if isinstance(item, pytest.Function)]
    return await play_all(str(item.callspec.params["harmless"]) for item in chosen if "harmless" in item.fixturenames)
