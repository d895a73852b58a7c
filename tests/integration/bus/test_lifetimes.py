"""The table of lifetimes on a real bucket: what ends when, whose secrets stay, and that ended means unreadable."""

import contextlib
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from bus import Bus, Fired, seal
from contracts import About
from contracts.catalogue import SECRETS_EXPIRY
from contracts.errors import trouble
from contracts.secrets import SECRETS
from contracts.sovereign import SovereignDecommissioned, SovereignDecommissionRequested, SovereignFailed
from intake import milestones
from intake.reading import READERS
from tests.conftest import BusOf
from tests.deliver import history_of, said
from tests.unit.intake.test_life import REQUESTED
from tofu_runner.keep import CLOUD_TOKEN, NODE_SECRETS, STATE_KEY, ZONE_CREDENTIAL, Keep

SOVEREIGN, OTHER = "demo_omani_works", "other_omani_works"
FROM_OUTSIDE = {"cloud-token", "registrar-token"}
ALL = {row.name for row in SECRETS}
FAILED = SovereignFailed(cause=uuid4(), trouble=trouble("tofu-crashed", attempted="apply", on=SOVEREIGN))
GONE = SovereignDecommissioned(cause=uuid4())


def about(life: int, run: int) -> About:
    return About(sovereign=SOVEREIGN, owner="acme", life=life, run=run)


FIRST, SECOND = about(1, 1), about(2, 2)
ENDED = [said(REQUESTED, FIRST), said(SovereignDecommissionRequested(), FIRST), said(GONE, FIRST)]
SITUATIONS = {
    "the run failed and nobody tried again": ([said(REQUESTED, FIRST), said(FAILED, FIRST)], FROM_OUTSIDE),
    "another run is under way": ([said(REQUESTED, FIRST), said(FAILED, FIRST), said(REQUESTED, about(1, 2))], set()),
    "the run still goes on": ([said(REQUESTED, FIRST)], set()),
    "the life has ended": (ENDED, ALL),
    "the life is being taken down": ([said(REQUESTED, FIRST), said(SovereignDecommissionRequested(), FIRST)], set()),
    "another life of the name has begun": ([*ENDED, said(REQUESTED, SECOND)], ALL),
}


async def _readers(bus_of: BusOf) -> dict[str, Bus]:
    return {reader: await bus_of(reader) for reader in sorted({row.reader for row in SECRETS})}


async def _resting(readers: dict[str, Bus], sovereign: str, life: int) -> set[str]:
    """What its readers can still open."""
    names = set()
    for row in SECRETS:
        with contextlib.suppress(KeyError):
            await readers[row.reader].vault.open(sovereign, life, row.name)
            names.add(row.name)
    return names


async def _put(intake: Bus, sovereign: str, life: int) -> None:
    for row in SECRETS:
        key = intake.public_keys_of(row.reader)[0]
        secret = seal(b"canary", to=key, reader=row.reader, purpose=row.name, bound_to=sovereign)
        await intake.vault.put(sovereign, life, secret)


async def test_what_a_life_that_stopped_moving_leaves_behind_ends_by_the_table(bus_of: BusOf) -> None:
    intake, readers = await bus_of("intake"), await _readers(bus_of)
    fired = Fired(timer=SECRETS_EXPIRY.name, about=FIRST, due=datetime.now(UTC))
    expire = partial(milestones.secrets_expiry, vault=intake.vault)
    for situation, (events, ended) in SITUATIONS.items():
        for sovereign, life in ((SOVEREIGN, 1), (SOVEREIGN, 2), (OTHER, 1)):
            await _put(intake, sovereign, life)
        for _twice in range(2):
            assert list(await expire(fired, history_of(*events))) == []
        assert await _resting(readers, SOVEREIGN, 1) == ALL - ended, situation
        assert await _resting(readers, SOVEREIGN, 2) == await _resting(readers, OTHER, 1) == ALL


async def test_the_readers_end_their_own_at_the_hand_off_but_the_key_of_the_state(bus_of: BusOf) -> None:
    await _put(await bus_of("intake"), SOVEREIGN, 1)
    readers = await _readers(bus_of)
    runner = readers["tofu-runner"]
    await Keep(runner.vault, runner.account).forget(FIRST)
    kept = {row.name for row in SECRETS if row.reader != "tofu-runner"} | {"state-key"}
    assert await _resting(readers, SOVEREIGN, 1) == kept


def test_the_table_is_the_one_that_intake_and_the_edge_go_by() -> None:
    readers = {row.name: row.reader for row in SECRETS}
    assert dict(READERS) == {name: readers[name] for name in FROM_OUTSIDE}
    assert {row.name for row in SECRETS if row.ends_with_a_failed_run} == FROM_OUTSIDE
    assert {CLOUD_TOKEN, ZONE_CREDENTIAL, NODE_SECRETS, STATE_KEY} == {
        n for n, r in readers.items() if r == "tofu-runner"
    }
