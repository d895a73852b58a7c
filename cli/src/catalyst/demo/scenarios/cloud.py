"""The scenarios of the cloud half: a full region, a used-up quota, throttling, an impatient operator, a lost state.

Each troubles its own cloud project and its own location only, so that they can be played side by side on one stack.
"""

from typing import Final

from bus import connect
from bus.sign import verify
from catalyst.demo.play import Play
from catalyst.demo.scenarios.scenario import Scenario, reached
from contracts.catalogue import APPROVE, CANCEL, KEYS, REPROVISION, RETRY, SSH, TOFU
from contracts.dns import DnsReserved
from contracts.event import Event, Fact
from contracts.identity import sovereign_id
from contracts.questions import Approve, Command, Nothing, Reprovision, Retry, Ssh
from contracts.request import SealedSecret
from contracts.sovereign import (
    SovereignCancelled,
    SovereignDecommissioned,
    SovereignFailed,
    SovereignHandedOver,
    SovereignReady,
)
from contracts.tofu import (
    TofuAdopted,
    TofuApplied,
    TofuDestroyed,
    TofuPlanned,
    TofuProgressed,
    TofuRelocated,
    TofuWaiting,
)

_LAPTOP: Final = "203.0.113.7/32"
_ONE: Final = {"control_plane_count": 1, "control_plane_type": "cpx32", "worker_count": 0}


async def _created(play: Play, sovereign: str, resource_type: str, *, after: int = 0) -> Event[Fact]:
    """Wait until a resource of this type is there."""
    while True:
        event = await play.until(sovereign, TofuProgressed, after=after)
        history = await play.history(sovereign)
        after = next(item.sequence for item in history.recorded if item.event.id == event.id)
        if event.data.state == "created" and event.data.resource_type == resource_type:
            return event


async def capacity(play: Play) -> None:
    """The chosen location takes no server: another one of the same network zone is taken, and says why."""
    full = [{"location": "hel1", "server_type": "*", "remaining": 0}]
    await play.control("PUT", "/capacity", full)
    topology = {"region": "hel1", **_ONE, "placement_fallback": "location"}
    sovereign = await play.request(play.name("capacity"), topology=topology)
    applied = await reached(play, sovereign, TofuApplied)
    await play.control("PUT", "/capacity", [full[0] | {"remaining": None}])
    relocated = (await play.history(sovereign)).data(TofuRelocated)
    play.check(relocated, f"another place was chosen: {relocated.reason if relocated else ''}")
    places = {node.location for node in applied.nodes}
    play.check(places and "hel1" not in places, f"the servers are in {', '.join(places)}")
    names = await play.inventory(sovereign)
    play.check(len(names) == len(set(names)), "nothing half-made stayed behind in the full location")


async def quota(play: Play) -> None:
    """The project's limit is reached in the middle: the run says whose move it is; a retry goes on from what exists."""
    await play.control("PUT", "/limits", {"project": play.project, "limits": {"servers": 1}})
    sovereign = await play.request(play.name("quota"))
    failed = await play.until(sovereign, SovereignFailed)
    trouble = failed.data.trouble
    play.check(
        trouble.code == "resource_limit_exceeded" and trouble.owner == "user", "the limit is the user's to raise"
    )
    play.tell(f"  next step: {trouble.next_step}")
    play.check(await play.inventory(sovereign), "what exists is kept")
    await play.control("PUT", "/limits", {"project": play.project, "limits": {"servers": 5}})
    sequence = (await play.history(sovereign)).upto
    await play.command(RETRY, Retry(sovereign=sovereign, reason="the limit was raised"))
    await reached(play, sovereign, TofuApplied, after=sequence)
    await play.made_once()


async def throttled(play: Play) -> None:
    """The project's calls are used up: the run lets go, says until when and why, and goes on by itself."""
    await play.control("PUT", "/rate", {"project": play.project, "remaining": 25, "per_second": 0.0})
    sovereign = await play.request(play.name("throttled"), topology={"region": "fsn1", **_ONE})
    event = await play.until(sovereign, TofuWaiting, SovereignFailed)
    waiting = event.data
    play.check(isinstance(waiting, TofuWaiting) and waiting.why == "throttled", "the run waits, holding nothing")
    play.check(waiting.until and waiting.detail, f"until {waiting.until:%H:%M:%S}: {waiting.detail}")
    await play.control("PUT", "/rate", {"project": play.project, "remaining": 3600, "per_second": 1.0})
    await reached(play, sovereign, TofuApplied)
    await play.made_once()


async def cancel(play: Play) -> None:
    """An impatient operator: cancelled in the middle, retried, cancelled by a decommission in the middle."""
    fqdn = play.name("cancel")
    topology = {"region": "fsn1", **_ONE}
    sovereign = await play.request(fqdn, topology=topology)
    await _created(play, sovereign, "hcloud_network")
    await play.command(CANCEL, Command(sovereign=sovereign, reason="not yet"))
    await play.until(sovereign, SovereignCancelled)
    kept = await play.inventory(sovereign)
    play.check("networks/cancel-omani-works-net" in kept, f"stopped in the middle; {len(kept)} resources are kept")
    sequence = (await play.history(sovereign)).upto
    await play.command(RETRY, Retry(sovereign=sovereign, reason="now"))
    await reached(play, sovereign, TofuApplied, after=sequence)
    # A server whose boot failed meanwhile, for want of what the cancel left out, is made anew: hence by names.
    names = await play.inventory(sovereign)
    play.check(
        set(kept) <= set(names) and len(names) == len(set(names)), f"the retry went on: {len(names)}, one of each"
    )
    await play.decommission(fqdn)
    await play.until(sovereign, SovereignDecommissioned)
    play.check(not await play.inventory(sovereign), "decommissioned while it was being installed: nothing is left")


async def _ssh(play: Play, fqdn: str, *, opened: bool) -> None:
    """Open or close SSH for one network, as the playbooks begin, and see it in the cloud's own rules."""
    sovereign, sequence = sovereign_id(fqdn), (await play.history(sovereign_id(fqdn))).upto
    secrets = tuple(SealedSecret.model_validate(row) for row in play.body(fqdn)["secrets"])
    await play.command(SSH, Ssh(sovereign=sovereign, cidr=_LAPTOP, open=opened, secrets=secrets))
    applied = await reached(play, sovereign, TofuApplied, after=sequence)
    history = await play.history(sovereign)
    gated = history.data(TofuWaiting, run=history.run)
    state = "opened" if opened else "closed"
    in_place = (applied.add, applied.change, applied.destroy) == (0, 1, 0) and gated is None
    play.check(in_place, f"SSH was {state} for {_LAPTOP} in place, and nobody was asked")
    rules = (await play.resources(sovereign, "firewalls"))[0]["rules"]
    listed = any(rule["port"] == "22" and _LAPTOP in rule["source_ips"] for rule in rules)
    play.check(listed == opened, f"the firewall's own rules {'have' if opened else 'no longer have'} it")
    await reached(play, sovereign, SovereignReady, after=sequence)


async def approve(play: Play) -> None:
    """A change that destroys a server waits for an approval of this very plan; nothing is touched before."""
    fqdn = play.name("approve")
    sovereign = await play.request(fqdn)
    await play.until(sovereign, SovereignHandedOver)
    before = await play.inventory(sovereign)
    await _ssh(play, fqdn, opened=True)
    await _ssh(play, fqdn, opened=False)
    play.check(await play.inventory(sovereign) == before, "and nothing else of the cloud was touched")
    sequence = (await play.history(sovereign)).upto
    await play.request(fqdn, topology={"region": "fsn1", **_ONE})
    await play.until(sovereign, TofuWaiting, after=sequence)
    history = await play.history(sovereign)
    planned = history.data(TofuPlanned, run=history.run)
    if planned is None:
        raise AssertionError("unreachable: a run that waits for an approval has said its plan")
    play.check(planned.needs_approval, f"the plan asks: {planned.reasons[0]}")
    play.check(await play.inventory(sovereign) == before, "and nothing is touched meanwhile")
    sequence = history.upto
    await play.command(APPROVE, Approve(sovereign=sovereign, plan_digest=planned.digest, reason="it is empty"))
    applied = await reached(play, sovereign, TofuApplied, after=sequence)
    play.check(applied.destroy and not applied.add, f"the approved plan was applied: {applied.destroy} destroyed")
    left = await play.inventory(sovereign)
    play.check("servers/approve-omani-works-w1" not in left, "the worker is gone, everything else stays")


async def reprovision(play: Play) -> None:
    """A cluster that cannot be mended: taken away and built anew, under the same name and with the same zone."""
    fqdn = play.name("anew")
    sovereign = await play.request(fqdn, topology={"region": "fsn1", **_ONE})
    before = await reached(play, sovereign, TofuApplied)
    first = await play.history(sovereign)
    secrets = tuple(SealedSecret.model_validate(row) for row in play.body(fqdn)["secrets"])
    command = Reprovision(sovereign=sovereign, confirm=fqdn, secrets=secrets, reason="Flux was rolled back")
    await play.command(REPROVISION, command)
    await play.until(sovereign, SovereignDecommissioned, after=first.upto)
    ended = await play.history(sovereign)
    destroyed = next((i.event.data for i in reversed(ended.recorded) if isinstance(i.event.data, TofuDestroyed)), None)
    play.check(
        destroyed and destroyed.gone and not destroyed.left, "the former cluster is gone, proved by an inventory"
    )
    await reached(play, sovereign, SovereignReady, after=ended.upto)
    second = await play.history(sovereign)
    applied = second.data(TofuApplied)
    play.check(second.life == first.life + 1 and applied, "the next life followed by itself, and is ready")
    anew = {node.cloud_id for node in applied.nodes} if applied else set()
    servers = {node.cloud_id for node in before.nodes} & anew
    play.check(not servers, "no server of the former cluster is among its servers")
    zones = [history.data(DnsReserved) for history in (first, second)]
    play.check(zones[0] and zones[1] and zones[0].ds == zones[1].ds, "its zone is the same, with the same keys")


async def state_lost(play: Play) -> None:
    """Somebody deletes the state: a re-run adopts everything; lost again, a decommission still finds everything."""
    fqdn = play.name("lost")
    topology = {"region": "fsn1", **_ONE}
    sovereign = await play.request(fqdn, topology=topology)
    await play.until(sovereign, SovereignHandedOver)
    sequence = (await play.history(sovereign)).upto
    await _lose_state(play, sovereign)
    await play.request(fqdn, topology=topology)
    applied = await reached(play, sovereign, TofuApplied, after=sequence)
    adopted = [item for item in await play.history(sovereign) if isinstance(item.event.data, TofuAdopted)]
    play.check(adopted and not applied.add, f"{len(adopted)} resources were adopted, none was made anew")
    await play.made_once()
    await _lose_state(play, sovereign)
    await play.decommission(fqdn)
    await play.until(sovereign, SovereignDecommissioned)
    play.check(not await play.inventory(sovereign), "with the state lost again, the cloud holds nothing any more")
    destroyed = (await play.history(sovereign)).data(TofuDestroyed)
    proof = destroyed.proof if destroyed else None
    play.check(proof, "there is a signed proof")
    if proof is not None:
        keys = await play.operator.ask(KEYS[TOFU], Nothing())
        verify(proof, keys.signing)
        play.check(proof.proof().gone, f"it verifies, and names {len(proof.proof().gone)} resources")


async def _lose_state(play: Play, sovereign: str) -> None:
    """Delete it where it rests, as tofu-runner itself could: nobody else may."""
    async with connect(play.stack.nats.settings("tofu-runner"), "tofu-runner") as runner:
        bucket = runner.kv("tofu")
        keys = [key for key in await bucket.keys(f"{sovereign}.>") if not key.endswith((".mutations", ".waits"))]
        for key in keys:
            await bucket.delete(key)
    play.tell(f"  ✕ {len(keys)} values of the state deleted")


CLOUD: Final = (
    Scenario("capacity", "a full location: another one of the zone is taken, and says why", capacity, "capacity"),
    Scenario("quota", "the project's limit is reached in the middle; raised, a retry goes on", quota, "quota"),
    Scenario(
        "throttled", "the project's calls are used up: the run waits and goes on by itself", throttled, "throttled"
    ),
    Scenario("cancel", "cancelled in the middle, retried, then taken away in the middle", cancel, "cancel"),
    Scenario("approve", "SSH is opened in place; what destroys a server waits for an approval", approve, "approve"),
    Scenario("reprovision", "taken away and built anew, under the same name and with its zone", reprovision, "anew"),
    Scenario(
        "state-lost", "the state is deleted: a re-run adopts, a decommission finds everything", state_lost, "lost"
    ),
)
