"""One run under one lease: bring the cloud to the requested shape. Safe to repeat at any point.

Take inventory and adopt what the state misses; init; plan; ask where the plan destroys; apply that very plan; tell
the outputs. A passing failure is tried again a few times, each time from the inventory; lack of capacity or of call
budget lets go of everything and sets a timer.
"""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from bus import Chain, Lease
from contracts.catalogue import CAPACITY_WAKE_UP, THROTTLE_WAKE_UP
from contracts.errors import Trouble, trouble
from contracts.event import About
from contracts.history import History
from contracts.kit import BadKit
from contracts.request import Shape
from contracts.sovereign import SovereignRequested
from contracts.tofu import (
    Cost,
    TofuAdopted,
    TofuFailed,
    TofuPlanned,
    TofuRelocated,
    TofuStarted,
    TofuWaiting,
)
from tofu_runner import adopt, classify, placement, standing
from tofu_runner.asking import of_project
from tofu_runner.bench import Bench, Failed, World, bench
from tofu_runner.cost import BALANCER_TYPE, cost_of, server_types
from tofu_runner.inventory import CloudRefused, Inventory
from tofu_runner.keep import SecretGone
from tofu_runner.kit import options_of
from tofu_runner.outputs import applied_of
from tofu_runner.plan import Plan, plan_of, reasons_to_ask
from tofu_runner.preflight import fingerprint
from tofu_runner.probe import try_token
from tofu_runner.progress import Tally
from tofu_runner.tokens import NodeSecrets, sha256
from tofu_runner.variables import deployment_of, servers_of, variables_file, variables_of

log = logging.getLogger(__name__)

ATTEMPTED_PLAN = "plan the cloud resources"
ATTEMPTED_APPLY = "apply the plan"


class Parked(Exception):
    """The run let go and waits for an approval, capacity or budget."""


async def apply_shape(world: World, about: About, history: History, chain: Chain, lease: Lease) -> None:
    """The whole of it, from a lease in hand; says every fact itself."""
    request = standing.request_of(history)
    if request is None:
        raise ValueError(f"{about.sovereign}: no request in life {about.life}")
    choices = placement.relocations(await world.bus.journal.history(about.sovereign))
    shape = _placed(request.shape, choices)
    servers = servers_of(about.sovereign, shape)
    secrets = await world.keep.node_secrets(about, servers, begins=not standing.enrolled(history))
    await chain.say(
        TofuStarted(
            action="apply",
            fencing_token=lease.token,
            node_tokens=secrets.hashes(servers),
            hand_in_sha256=sha256(secrets.hand_in),
            first_server=servers[0],
        )
    )
    try:
        await _with_secrets(world, request, shape, secrets, chain, lease)
    except SecretGone as gone:
        await chain.say(TofuFailed(trouble=_credential_required(gone)))
    except BadKit as lacks:
        why = trouble("kit-lacks-component", attempted=ATTEMPTED_PLAN, on="the kit", message=str(lacks))
        await chain.say(TofuFailed(trouble=why))
    except Parked:
        return


def _credential_required(gone: SecretGone) -> Trouble:
    return trouble("credential-required", attempted=ATTEMPTED_APPLY, on=gone.name, message=str(gone))


def _placed(shape: Shape, choices: Iterable[TofuRelocated]) -> Shape:
    return shape.model_copy(update={"topology": placement.placed(shape.topology, choices)})


async def _with_secrets(
    world: World, request: SovereignRequested, shape: Shape, secrets: NodeSecrets, chain: Chain, lease: Lease
) -> None:
    about = chain.about
    token = await world.keep.cloud_token(about)
    key = await world.keep.state_key(about)
    zone = await world.keep.zone_credential(about)
    email = await world.keep.admin_email(request.admin_ref)
    options = options_of(world.kit, shape.components)

    def variables(shape: Shape, ssh_key_id: int) -> bytes:
        return variables_file(
            variables_of(
                about.sovereign,
                shape,
                deployment_of(world.settings),
                node_tokens=secrets.nodes,
                hand_in_token=secrets.hand_in,
                k3s_token=secrets.k3s,
                zone_credential=zone,
                admin_email=email,
                ssh_key_id=ssh_key_id,
                options=options,
            )
        )

    hidden = secrets.values() | {zone["api_key"], zone["tsig_secret"], email}
    async with bench(world, chain, lease, cloud_token=token, state_key=key, hidden=hidden) as work:
        verdict = await try_token(world.session, world.settings.hcloud_endpoint, token)
        wrong = (verdict.trouble,) if verdict.trouble is not None else await _looked_ahead(work, shape)
        if wrong:
            await _fail(work, wrong)
            return
        await _until_settled(work, shape, variables)


async def _looked_ahead(work: Bench, shape: Shape) -> tuple[Trouble, ...]:
    """Everything that is known to end the run, before the first call that costs money."""
    if work.versions.resources or work.mutations.any:
        return ()
    try:
        findings = await of_project(work.world, work.about.sovereign, shape, work.cloud)
    except CloudRefused as refused:
        attempted = "look at project and catalogue"
        return (classify.trouble_of(refused.code, refused.message, attempted=attempted, on="the cloud"),)
    return tuple(finding.trouble for finding in findings if finding.verdict == "failed" and finding.trouble)


async def _until_settled(work: Bench, shape: Shape, variables: Callable[[Shape, int], bytes]) -> None:
    """Try, place anew where there is no capacity, and try again what passes; the last failure is told."""
    settings = work.world.settings
    tries = 0
    while True:
        try:
            await _once(work, shape, variables)
        except Failed as failed:
            chosen = await _place_anew(work, shape, failed.troubles)
            if chosen is not None:
                await work.say(chosen)
                shape = _placed(shape, [chosen])
                continue
            tries += 1
            if tries >= settings.transient_tries or not all(t.code in classify.TRANSIENT for t in failed.troubles):
                await _fail(work, failed.troubles)
                return
            log.warning("trying again", extra={"action": "transient", "why": str(failed), "attempt": tries})
            await work.pause(settings.transient_pause_s * 2 ** (tries - 1))
        else:
            return


async def _place_anew(work: Bench, shape: Shape, troubles: Sequence[Trouble]) -> TofuRelocated | None:
    """Another type or location for the role that found no capacity, where the request allows one and one is left."""
    full = [t for t in troubles if t.code in classify.WAITS_FOR_CAPACITY and t.on.startswith("hcloud_server.")]
    if not full or len(full) != len(troubles) or shape.topology.placement_fallback == "none":
        return None
    role: placement.Role = "worker" if full[0].on.startswith("hcloud_server.worker") else "control_plane"
    there = [resource.address for resource in work.versions.resources if resource.resource_type == "hcloud_server"]
    if any(address.startswith(f"hcloud_server.{role}") for address in there):
        return None
    history = await work.world.bus.journal.history(work.about.sovereign)
    tried = {(c.from_type, c.from_location) for c in placement.relocations(history) if c.address == role}
    try:
        offers = await work.cloud.offers()
    except CloudRefused:
        return None
    return placement.next_choice(shape.topology, role, offers, tried, may_move=not there)


async def _once(work: Bench, shape: Shape, variables: Callable[[Shape, int], bytes]) -> None:
    await work.step("initialise OpenTofu", work.workspace.init)
    inventory = await _inventory(work)
    adopted = await _adopt(work, shape, inventory)
    broken = await _broken(work)
    given = variables(shape, inventory.other_keys.get(fingerprint(shape.ssh_public_key), 0))
    await work.step(
        ATTEMPTED_PLAN,
        lambda on_line: work.workspace.plan(given, on_line, replace=broken, parallelism=work.parallelism),
    )
    plan = plan_of(await work.workspace.show_plan())
    if not plan.can_join and (made := plan.servers_made()):
        raise Failed(trouble("join-token-lost", attempted=ATTEMPTED_PLAN, on=", ".join(made)))
    cost = await _cost(work, shape)
    await _gate(work, shape, plan, cost, broken)
    work.versions.removable = plan.removals
    work.tally = Tally(_total(plan), work.lease.token)
    await work.step(
        ATTEMPTED_APPLY,
        lambda on_line: work.workspace.apply_plan(on_line, parallelism=work.parallelism),
    )
    for adoption in adopted:
        await work.say(TofuAdopted(address=adoption.address, cloud_id=adoption.import_id))
    await work.say(applied_of(work, shape, plan, cost))


def _total(plan: Plan) -> int:
    return plan.count("create", "update", "delete") + 2 * plan.count("replace")


async def _inventory(work: Bench) -> Inventory:
    """What exists, once nothing of an earlier worker can happen any more."""
    await work.look_out_for_the_lost()
    try:
        return await work.cloud.inventory(work.about.sovereign)
    except CloudRefused as refused:
        raise Failed(
            classify.trouble_of(
                refused.code,
                refused.message,
                attempted="take inventory of the cloud",
                on=work.about.sovereign,
                secrets=work.hidden,
            )
        ) from None


async def _adopt(work: Bench, shape: Shape, inventory: Inventory) -> tuple[adopt.Adoption, ...]:
    """Have the plan import what exists and the state misses."""
    sovereign = work.about.sovereign
    known = {resource.address: resource for resource in work.versions.resources}
    servers = servers_of(sovereign, shape)
    there = tuple(adopt.expected(sovereign, inventory, servers))
    missing = adopt.missing(there, known)
    work.workspace.adopt(adopt.import_blocks(missing))
    for adoption in there:
        resource = known.get(adoption.address)
        if resource is not None and resource.tainted and resource.cloud_id == adoption.import_id:
            # Interrupted while it was made, but it exists: finish it in place instead of making another one.
            await work.step(
                "take up a half-made resource again",
                lambda on_line, address=adoption.address: work.workspace.untaint(address, on_line),  # type: ignore[misc]
            )
    if work.mutations.unanswered:
        await work.mutations.settle()
    return missing


async def _cost(work: Bench, shape: Shape) -> Cost | None:
    types = frozenset(server_types(shape))
    try:
        prices = await work.cloud.prices(shape.topology.region, types, BALANCER_TYPE)
    except CloudRefused as refused:
        log.warning("no prices", extra={"action": "no-prices", "why": str(refused)})
        return None
    return cost_of(shape, prices, sample=work.world.settings.sample_prices)


async def _gate(work: Bench, shape: Shape, plan: Plan, cost: Cost | None, broken: Sequence[str]) -> None:
    """Tell the plan; Parked when somebody has to approve it first."""
    reasons = reasons_to_ask(
        plan, always=shape.approve_plans == "always", replaceable=(*broken, *_worthless(work, plan))
    )
    history = work.chain.history
    approved = standing.approved_digest(history, work.about.run)
    ask = bool(reasons) and approved != plan.digest
    await work.say(
        TofuPlanned(
            add=plan.add,
            change=plan.count("update"),
            destroy=plan.destroy,
            changes=plan.told(),
            digest=plan.digest,
            needs_approval=ask,
            reasons=reasons,
            cost=cost,
            call_budget=plan.call_budget(),
        )
    )
    if not ask:
        return
    stale = f"the plan that was approved is another one ({approved[:12]}); " if approved else ""
    await work.say(TofuWaiting(why="approval", detail=f"{stale}{reasons[0]}"))
    raise Parked


async def _broken(work: Bench) -> tuple[str, ...]:
    """Addresses of the nodes that this retry makes anew, as far as the state has them."""
    whole = await work.world.bus.journal.history(work.about.sovereign)
    servers = standing.broken_nodes(whole)
    known = [resource for resource in work.versions.resources if resource.resource_type == "hcloud_server"]
    return tuple(resource.address for resource in known if resource.name in servers)


def _worthless(work: Bench, plan: Plan) -> tuple[str, ...]:
    """What may be made anew unasked: nodes while none ever enrolled, everything while no run came to its end."""
    history = work.chain.history
    if standing.enrolled(history):
        return ()
    everything = standing.never_applied(history)
    return tuple(c.address for c in plan.changes if everything or c.resource_type == "hcloud_server")


async def _fail(work: Bench, troubles: tuple[Trouble, ...]) -> None:
    """Tell the failure, or let go and wait where waiting helps."""
    first = troubles[0]
    codes = {t.code for t in troubles}
    if codes <= classify.WAITS_FOR_CAPACITY and await _waits(work, "capacity"):
        await _park(work, "capacity", work.world.settings.capacity_wait_s, first)
        return
    if codes & classify.WAITS_FOR_BUDGET and await _waits(work, "throttled"):
        await _park(work, "throttled", _until_budget(work), first)
        return
    await work.say(
        TofuFailed(
            trouble=first,
            others=troubles[1:20],
            resources=len(work.versions.resources),
            cloud_calls=work.passing.account.calls,
        )
    )


def _until_budget(work: Bench) -> float:
    return max(5.0, work.passing.budget.seconds_until(work.world.settings.throttle_calls))


async def _waits(work: Bench, why: Literal["capacity", "throttled"]) -> bool:
    """Count one more wait of this run; False when it has waited often enough."""
    settings = work.world.settings
    limit = settings.capacity_waits if why == "capacity" else settings.throttle_waits
    bucket = work.world.bus.kv("tofu")
    key = f"{work.about.sovereign}.{work.about.life}.waits"
    found = await bucket.get(key)
    counts: dict[str, int] = json.loads(found.value) if found else {}
    if counts.get("run") != work.about.run:
        counts = {"run": work.about.run}
    counts[why] = counts.get(why, 0) + 1
    await bucket.put(key, json.dumps(counts).encode())
    return counts[why] <= limit


async def _park(work: Bench, why: Literal["capacity", "throttled"], seconds: float, first: Trouble) -> None:
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    timer = CAPACITY_WAKE_UP if why == "capacity" else THROTTLE_WAKE_UP
    # The timer first: a fact that says until when, without one, would wait for ever.
    await work.world.bus.timers.set(timer, work.about, until, key=str(work.lease.token))
    await work.say(TofuWaiting(why=why, until=until, detail=f"{first.code} on {first.on}: {first.message}"[:500]))
