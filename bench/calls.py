"""How many calls of the cloud's API one Sovereign takes: created, run again unchanged, destroyed.

Real OpenTofu, provider and SDK against the simulated cloud, whose actions last about as long as real ones, with the
runner's own production pace: each look at a running action is a call. Counted in the cloud's ledger, not in ours.
"""

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

if not __package__:  # run as a file: this folder's names would hide the packages of the same names
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench._report import Figure, main, tell
from bus.server import NatsServer, make_topology
from contracts.tofu import TofuApplied, TofuDestroyed
from tests.integration.tofu_runner.stand import Stand, stand
from tofu_runner.settings import Settings

DURATIONS = {
    "default": 1.5,
    "create_server": 12.0,
    "start_server": 3.0,
    "create_load_balancer": 6.0,
    "attach_to_network": 3.0,
    "delete_server": 5.0,
}
"""Seconds per action, in the order of what users of the real cloud report; the figures grow slowly with them."""
_DONE = range(200, 300)


def measure() -> Iterator[Figure]:
    """One Sovereign of one control plane and one worker."""
    yield from asyncio.run(_measure())


async def _measure() -> list[Figure]:
    pace = Settings.model_fields["poll_s"].default
    with tempfile.TemporaryDirectory(prefix="cz-") as folder:
        server = NatsServer(Path(folder) / "nats", Path(folder) / "keys")
        await server.start()
        await make_topology(server)
        try:
            async with stand(server, Path(folder), durations=DURATIONS, poll_s=pace) as here:
                return await _through_a_life(here)
        finally:
            await server.stop()


async def _through_a_life(here: Stand) -> list[Figure]:
    ledger = here.cloud.simulation.ledger
    tell("creating (about half a minute of waiting for the simulated cloud)")
    await here.provision(await here.request())
    assert (await here.history()).data(TofuApplied) is not None
    created = here.calls()
    tell("running it again, unchanged")
    read = len(ledger.lines())
    await here.provision(await here.request(run=2))
    again = here.calls() - created
    done = [line for line in ledger.lines()[read:] if "call" in line and line["status"] in _DONE]
    changes = [line for line in done if not line["call"].startswith("GET")]
    tell("destroying")
    await here.decommission(run=2)
    assert (await here.history()).data(TofuDestroyed) is not None
    destroyed = here.calls() - created - again
    return [
        Figure(name="calls per create (1 + 1 servers)", value=created.total(), goal=100),
        *_by_resource("  create", created),
        Figure(name="calls per destroy", value=destroyed.total(), goal=60),
        *_by_resource("  destroy", destroyed),
        Figure(name="changes by an unchanged re-run", value=len(changes), goal=0),
        Figure(name="calls of an unchanged re-run", value=again.total(), note="the refresh and its looks"),
    ]


def _by_resource(prefix: str, calls: Counter[str]) -> list[Figure]:
    kinds = Counter[str]()
    for operation, count in calls.items():
        kinds[operation.split("/")[1]] += count
    return [Figure(name=f"{prefix}: {kind}", value=count) for kind, count in kinds.most_common()]


if __name__ == "__main__":
    main("Cloud calls per Sovereign", measure)
