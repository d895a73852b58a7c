"""The DNS server dies while a run needs it: nothing is lost, and the run ends ready once it is back."""

import pytest

from tests.scenario import play

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


async def test_powerdns_is_killed_between_reserve_and_publish_and_the_run_still_ends_ready() -> None:
    said = await play("dns-down")
    assert sum("kill -9 PowerDNS" in line for line in said) == 1
