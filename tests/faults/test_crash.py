"""Whatever kills processes: the run goes on where it was."""

import pytest

from tests.scenario import play

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


async def test_every_service_is_killed_while_it_works_and_the_run_still_ends_ready() -> None:
    said = await play("crash")
    assert sum("kill -9" in line for line in said) == 5
