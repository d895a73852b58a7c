"""A party fails just before or just after each call in turn, the message comes back: the end is always the same."""

from datetime import timedelta
from typing import Any

import pytest

from contracts import About
from contracts.flux import FluxReleased
from contracts.sovereign import SovereignDecommissionRequested, SovereignReady
from contracts.tofu import TofuDestroyed
from dns_pdm import handlers
from tests.unit.dns_pdm.said import applied, requested
from tests.unit.dns_pdm.scene import Failing, Scene

DEMO = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)
End = tuple[Any, ...]


async def a_whole_life(scene: Scene, until: str) -> End:
    """Play it; what is there in the end: zones, hashes, sealed keys, facts."""
    await scene.hear(handlers.reserve, scene.say(requested()))
    await scene.hear(handlers.publish, scene.say(applied()))
    await scene.hear(handlers.settle, scene.say(SovereignReady(urls=())))
    if until != "ready":
        scene.say(SovereignDecommissionRequested(reprovision=until == "kept for the next life"))
        await scene.hear(handlers.withdraw, scene.say(FluxReleased(verified=True)))
        scene.pass_time(timedelta(minutes=5))
        await scene.hear(handlers.release, scene.say(TofuDestroyed()))
    keys = [scene.tofu.open(secret, bound_to=DEMO.sovereign) for secret in scene.sealed.secrets.values()]
    hashes = sorted(value for value, _revision in scene.bucket.values.values())
    facts = [(event.type, event.run, event.data.model_dump(exclude={"serial"})) for event in scene.events]
    return (
        (scene.zones.holding(), scene.zones.updaters),
        keys,
        hashes,
        [fact for fact in facts if fact[0].startswith("dns.")],
    )


@pytest.mark.parametrize("until", ["ready", "released", "kept for the next life"])
@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
async def test_a_failure_at_any_call_changes_nothing_of_the_end(until: str, *, after: bool) -> None:
    undisturbed = Scene(DEMO)
    end = await a_whole_life(undisturbed, until)
    assert undisturbed.failing.calls > 30
    for at in range(1, undisturbed.failing.calls + 1):
        scene = Scene(DEMO, failing=Failing(at, after))
        assert await a_whole_life(scene, until) == end, f"call {at}"
