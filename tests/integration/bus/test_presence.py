"""Presence on a real server: who is there, whose a Sovereign is, and what moves when a replica comes or goes."""

import asyncio

from bus.presence import TTL_S, owner_of
from tests.conftest import BusOf
from tests.integration.bus.hosting import until

KEYS = [f"s{number}_omani_works" for number in range(200)]


async def test_a_replica_that_leaves_is_gone_at_once_and_one_that_dies_when_its_key_ends(bus_of: BusOf) -> None:
    one, two = [(await bus_of("flux-watcher", replica=name)).presence for name in ("one", "two")]
    for replica in (one, two, one):
        await replica.announce()
    assert await one.replicas() == ["one", "two"]
    shares = {key: [await one.mine(key), await two.mine(key)] for key in KEYS[:20]}
    assert all(sum(share) == 1 for share in shares.values()), "each has exactly one owner"
    await two.leave()
    assert await one.replicas() == ["one"]

    async def nobody() -> bool:
        return await two.replicas() == []

    # The other says nothing more: its key ends by itself.
    await asyncio.wait_for(until(nobody), TTL_S * 5)


def test_a_replica_that_comes_or_goes_moves_only_its_own_share() -> None:
    before = {key: owner_of(key, ["one", "two", "three"]) for key in KEYS}
    after = {key: owner_of(key, ["one", "two"]) for key in KEYS}
    assert all(after[key] == owner for key, owner in before.items() if owner != "three")
    assert all(40 < sum(owner == name for owner in before.values()) < 95 for name in ("one", "two", "three"))
    assert owner_of(KEYS[0], []) is None
