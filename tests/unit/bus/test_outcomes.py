"""How deliveries end, when the line halts, and what is masked: decisions without a broker."""

import json
import logging
from datetime import timedelta
from itertools import pairwise

import pytest

from bus import Conflict, LeaseBusy, LeaseLost, Refused, TryAgain
from bus.brake import Brake, BrakeEngaged
from bus.codec import Unreadable
from bus.delivery import _delay_s, judge
from bus.log import JsonFormatter
from bus.scan import masked, secret_in

TOKEN = "Canary" + "0A" * 29
SEED = "SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4"
KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIGaI\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("error", "attempt", "outcome"),
    [
        (TryAgain("later"), 500, "again"),
        (LeaseBusy("held"), 500, "again"),
        (Conflict("lost"), 500, "again"),
        (LeaseLost("gone"), 500, "again"),
        (Refused("never"), 1, "buried"),
        (Unreadable("no event"), 1, "buried"),
        (KeyError("bug"), 9, "error"),
        (KeyError("bug"), 10, "buried"),
    ],
)
def test_only_bugs_at_the_tenth_delivery_and_what_no_retry_helps_are_buried(
    error: Exception, attempt: int, outcome: str
) -> None:
    assert judge(error, attempt).outcome == outcome


def test_retries_wait_longer_each_time_up_to_a_bound_or_as_told() -> None:
    longest = [max(_delay_s(attempt, None) for _ in range(200)) for attempt in range(1, 12)]
    assert all(later > earlier for earlier, later in pairwise(longest[:7]))
    assert 120 < longest[-1] <= 144
    assert 8 <= _delay_s(7, timedelta(seconds=10)) <= 12


async def test_errors_on_different_messages_in_a_row_engage_the_brake_and_a_success_releases_the_row() -> None:
    clock = 100.0
    brake = Brake(errors=3, pause_s=30, now=lambda: clock)
    for _ in range(20):
        brake.failed("the same poison message")
    assert not brake.engaged
    brake.released()
    for message in "bc":
        brake.failed(message)
    assert not brake.engaged
    brake.failed("e")
    with pytest.raises(BrakeEngaged, match="3 messages in a row"):
        await brake.check()
    clock += 30
    assert not brake.engaged
    await brake.check()
    brake.failed("b")
    assert brake.engaged
    clock += 30
    brake.released()
    brake.failed("c")
    assert not brake.engaged


@pytest.mark.parametrize("secret", [TOKEN, SEED, KEY, "Bearer " + "a1B2" * 8], ids=["token", "seed", "key", "bearer"])
def test_what_seems_secret_is_masked_in_texts_and_in_whole_log_lines(secret: str) -> None:
    assert secret_in(secret.encode())
    assert secret not in masked(f"it said {secret} to us")
    record = logging.LogRecord("bus", logging.ERROR, "", 0, "failed", (), None)
    record.reason = f"refused {secret}"
    line = JsonFormatter("intake", "intake-1").format(record)
    assert secret not in line
    assert json.dumps(secret)[1:-1] not in line
    assert json.loads(line)["message"] == "failed"
