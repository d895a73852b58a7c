"""The scenarios of the one line: a single Sovereign, a highly available one, a bad token, crashes, and the way back."""

import asyncio
from collections import Counter
from typing import Any, Final

from catalyst.demo.play import Play
from catalyst.demo.scenarios.scenario import ENDS, Scenario, ready
from contracts.sovereign import SovereignDecommissioned, SovereignFailed, SovereignHandedOver, SovereignReady
from contracts.tofu import TofuApplied, TofuStarted


async def single(play: Play) -> None:
    """Request to ready, then the same request again, which changes nothing."""
    fqdn = play.name("demo")
    sovereign = await play.request(fqdn, show=True)
    await ready(play, sovereign)
    await play.until(sovereign, SovereignHandedOver)
    sequence = (await play.history(sovereign)).upto
    play.tell("\nThe same request again:")
    await play.request(fqdn)
    again = await play.until(sovereign, *ENDS, after=sequence)
    play.check(isinstance(again.data, SovereignReady), "the second run ended ready")
    applied = (await play.history(sovereign)).data(TofuApplied, run=2)
    play.check(applied and (applied.add, applied.change, applied.destroy) == (0, 0, 0), "it changed nothing: 0, 0, 0")


async def ha(play: Play) -> None:
    """Three control planes and two workers, and three components beside the mandatory ones."""
    topology = {"region": "fsn1", "control_plane_count": 3, "worker_count": 2}
    chosen = ["bp-alloy", "bp-cnpg"]
    sovereign = await play.request(play.name("ha"), show=True, topology=topology, components=chosen)
    history = await ready(play, sovereign)
    applied = history.data(TofuApplied)
    roles = Counter(node.role for node in applied.nodes) if applied else Counter[Any]()
    play.check(roles == {"control-plane": 3, "worker": 2}, "the cloud holds 3 control planes and 2 workers")
    reported = {item.event.data.server for item in history if item.event.data.fact == "node.reported"}
    play.check(len(reported) == 5, "each of the 5 servers reported its boot")  # noqa: PLR2004 - 3 + 2
    enrolled = [item for item in history.recorded if item.event.data.fact == "node.enrolled"]
    play.check(len(enrolled) == 1, "one kubeconfig was handed in")


async def read_only_token(play: Play) -> None:
    """A token without write scope: the run fails, the cloud is untouched, the name stays the owner's."""
    sovereign = await play.request(play.name("readonly"), token=await play.new_token("read"))
    end = await play.until(sovereign, *ENDS)
    play.check(isinstance(end.data, SovereignFailed), "the run failed")
    trouble = end.data.trouble
    play.check(trouble.code == "token_readonly" and trouble.owner == "user", "token_readonly, and the user can mend it")
    play.tell(f"  next step: {trouble.next_step}")
    effects = [line for line in await play.ledger() if line["effects"]]
    play.check(not effects and not await play.inventory(sovereign), "nothing was created in the cloud")
    play.check(not end.data.cloud_touched, "the empty life will be given up by itself")


async def crash(play: Play) -> None:
    """Every service is killed while it works, and started again; the run still ends ready, with one of each."""
    sovereign = await play.request(play.name("crash"))
    victims = {
        "sovereign.requested": "dns-pdm",
        "tofu.planned": "tofu-runner",
        "node.enrolled": "gateway",
        "flux.bootstrapped": "flux-watcher",
        "hr.ready": "intake",
    }
    async with asyncio.TaskGroup() as group:
        killing = group.create_task(_kill_on(play, sovereign, victims))
        history = await ready(play, sovereign, seconds=240)
        killing.cancel()
    play.check(not victims, "every service was killed once while it worked")
    started = [item for item in history.recorded if isinstance(item.event.data, TofuStarted)]
    play.check(len(started) > 1, f"the runner's work was taken over ({len(started)} acquisitions of the lease)")
    names = await play.inventory(sovereign)
    play.check(len(names) == len(set(names)), f"the cloud holds one of each: {len(names)} resources, no duplicate")


async def _kill_on(play: Play, sovereign: str, victims: dict[str, str]) -> None:
    """Kill a service when a fact is said that means it is at work, or is about to be."""
    async for item in play.operator.feed(after=0):
        fact, _, about = item.subject.rpartition(".")
        if about == sovereign and fact in victims:
            victim = victims.pop(fact)
            play.tell(f"  ✕ {fact}: kill -9 {victim}")
            play.stack.supervisor.kill(victim)


async def decommission(play: Play) -> None:
    """From ready back to nothing: DNS first, then the cloud, then the name."""
    fqdn = play.name("gone")
    sovereign = await play.request(fqdn)
    await ready(play, sovereign)
    await play.until(sovereign, SovereignHandedOver)
    play.check(await play.inventory(sovereign), "the cloud holds its resources")
    await play.decommission(fqdn)
    await play.until(sovereign, SovereignDecommissioned, seconds=120)
    play.check(not await play.inventory(sovereign), "the cloud holds nothing of it any more")
    history = await play.history(sovereign)
    order = [f for f in (i.event.data.fact for i in history.recorded) if f in _WAY_BACK]
    play.check(order == list(_WAY_BACK), "in order: " + ", ".join(order))


_WAY_BACK: Final = (
    "sovereign.decommission-requested",
    "dns.withdrawn",
    "tofu.destroyed",
    "dns.released",
    "sovereign.decommissioned",
)

LINE: Final = (
    Scenario("single", "one control plane and one worker, from request to ready; then the same again", single, "demo"),
    Scenario("ha", "three control planes and two workers", ha, "ha"),
    Scenario(
        "read-only-token",
        "a token without write scope is refused before anything is created",
        read_only_token,
        "readonly",
    ),
    Scenario(
        "crash", "every service is killed while it works; the run still ends ready", crash, "crash", disturbs=True
    ),
    Scenario("decommission", "from ready back to nothing, in order, with the proof", decommission, "gone"),
)
