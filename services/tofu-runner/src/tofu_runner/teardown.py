"""Decommission: take everything of a Sovereign away, from every state, and prove that nothing is left.

First what the cluster made itself (load balancers in our network, volumes at our servers), then OpenTofu's destroy
of what the state knows, then whatever still carries our label: what a lost state does not know any more is found
that way. What is protected against deletion, and what hangs on ours without being ours or the cluster's, is named and
left. The proof is an inventory taken afterwards, with the event that saw each resource gone (``proving``).
"""

import logging

from bus import Chain, Lease
from contracts.errors import Trouble, trouble
from contracts.event import About
from contracts.history import History
from contracts.request import Shape
from contracts.tofu import TofuFailed, TofuStarted
from tofu_runner import classify, proving, standing
from tofu_runner.bench import Bench, Failed, World, bench
from tofu_runner.inventory import REMOVAL_ORDER, CloudRefused, Found, Inventory
from tofu_runner.keep import SecretGone
from tofu_runner.plan import plan_of
from tofu_runner.progress import Tally
from tofu_runner.tokens import NodeSecrets
from tofu_runner.variables import deployment_of, servers_of, variables_file, variables_of

log = logging.getLogger(__name__)

ATTEMPTED = "destroy the cloud resources"


async def destroy_all(world: World, about: About, history: History, chain: Chain, lease: Lease) -> None:
    """The whole of it, from a lease in hand; says every fact itself."""
    request = standing.request_of(history)
    if request is None or not await _anything_asked(world, about):
        await chain.say(proving.nothing_was_there(world.bus.vault, about, history))
        await world.keep.forget(about)
        return
    await chain.say(TofuStarted(action="destroy", fencing_token=lease.token))
    try:
        token = await world.keep.cloud_token(about)
    except SecretGone as gone:
        await chain.say(TofuFailed(trouble=_token_gone(gone)))
        return
    key = await world.keep.state_key(about)
    async with bench(world, chain, lease, cloud_token=token, state_key=key, hidden=frozenset()) as work:
        work.listens = False
        try:
            await _until_empty(work, request.shape)
        except Failed as failed:
            await work.say(
                TofuFailed(
                    trouble=failed.troubles[0],
                    others=failed.troubles[1:20],
                    resources=len(work.versions.resources),
                    cloud_calls=work.passing.account.calls,
                )
            )
            return
    await world.keep.forget(about)


async def _anything_asked(world: World, about: About) -> bool:
    """Whether this life ever had a state, or ever asked a change of the cloud."""
    bucket = world.bus.kv("tofu")
    return any([await bucket.get(f"{about.sovereign}.{about.life}.{name}") for name in ("head", "mutations")])


def _token_gone(gone: SecretGone) -> Trouble:
    return trouble("credential-required", attempted=ATTEMPTED, on=gone.name, message=str(gone))


async def _until_empty(work: Bench, shape: Shape) -> None:
    tries = work.world.settings.transient_tries
    kept: dict[int, Found] = {}
    for attempt in range(1, tries + 1):
        try:
            await _once(work, shape, kept)
        except Failed as failed:
            if attempt == tries or not all(t.code in classify.TRANSIENT for t in failed.troubles):
                raise
            await work.pause(work.world.settings.transient_pause_s * 2 ** (attempt - 1))
            continue
        left = tuple(f"{found.kind} {found.name} ({found.cloud_id})" for found in kept.values())
        await work.say(await proving.destroyed(work, left))
        return


async def _once(work: Bench, shape: Shape, kept: dict[int, Found]) -> None:
    """One pass; adds what is protected or foreign, and was left, to ``kept``."""
    await work.look_out_for_the_lost()
    before = await _inventory(work)
    # A foreign volume is no longer known as attached once its server is gone: it is remembered from here.
    kept |= {found.cloud_id: found for found in before.kept}
    known = [*work.versions.resources]
    await _remove(work, [found for found in before.attached if found.cloud_id not in kept])
    try:
        await _destroy_what_the_state_knows(work, shape)
    except Failed as failed:
        if not all(t.code == "protected" for t in failed.troubles):
            raise
        log.warning("protected resources are left", extra={"action": "protected", "why": str(failed)})
    rest = await _inventory(work)
    if any(found.cloud_id not in kept for found in rest.everything):
        held = _held_by_protection(rest)
        await _remove(work, [found for found in rest.ours if found not in held])
        rest = await _inventory(work)
    kept |= {found.cloud_id: found for found in (*rest.kept, *_held_by_protection(rest))}
    left = [found for found in rest.everything if found.cloud_id not in kept]
    if left:
        names = ", ".join(f"{found.kind} {found.name}" for found in left[:10])
        raise Failed(trouble("resource_in_use", attempted=ATTEMPTED, on=names, message="still there after the destroy"))
    await proving.tell_the_silent(work, known, kept)
    if work.mutations.unanswered:
        await work.mutations.settle()


def _held_by_protection(rest: Inventory) -> tuple[Found, ...]:
    """What is protected, and what cannot go while that is there."""
    protected = [found for found in rest.everything if found.protected]
    if not protected:
        return ()
    holders = {"hcloud_network", "hcloud_firewall", "hcloud_placement_group"}
    servers_or_balancers = any(found.kind in {"hcloud_server", "hcloud_load_balancer"} for found in protected)
    held = [found for found in rest.ours if servers_or_balancers and found.kind in holders]
    return tuple(dict.fromkeys((*protected, *held)))


async def _inventory(work: Bench) -> Inventory:
    try:
        return await work.cloud.inventory(work.about.sovereign)
    except CloudRefused as refused:
        raise _failed(work, refused, "take inventory of the cloud") from None


async def _remove(work: Bench, found: list[Found]) -> None:
    for resource in sorted(found, key=lambda item: REMOVAL_ORDER.index(item.kind)):
        work.check()
        try:
            await work.cloud.remove(resource)
        except CloudRefused as refused:
            raise _failed(work, refused, ATTEMPTED) from None
        address = f"{resource.kind} {resource.name}"
        await work.say(work.tally.seen_gone(address, resource.kind, str(resource.cloud_id)))


def _failed(work: Bench, refused: CloudRefused, attempted: str) -> Failed:
    return Failed(
        classify.trouble_of(refused.code, refused.message, attempted=attempted, on=refused.what, secrets=work.hidden)
    )


async def _destroy_what_the_state_knows(work: Bench, shape: Shape) -> None:
    if not work.versions.resources:
        return
    variables = _placeholders(work.about, work.world, shape)
    await work.step("initialise OpenTofu", work.workspace.init)
    await work.step(
        "plan the destroy",
        lambda on_line: work.workspace.plan(variables, on_line, destroy=True, parallelism=work.parallelism),
    )
    plan = plan_of(await work.workspace.show_plan())
    work.versions.removable = plan.removals
    work.tally = Tally(plan.destroy, work.lease.token)
    await work.step(
        ATTEMPTED,
        lambda on_line: work.workspace.apply_plan(on_line, parallelism=work.parallelism),
    )


def _placeholders(about: About, world: World, shape: Shape) -> bytes:
    """The module's variables for a destroy: it reads no secret, so none is given, and none need exist any more."""
    servers = servers_of(about.sovereign, shape)
    empty = NodeSecrets.minted().covering(servers)
    return variables_file(
        variables_of(
            about.sovereign,
            shape,
            deployment_of(world.settings),
            node_tokens=empty.nodes,
            hand_in_token=empty.hand_in,
            k3s_token=empty.k3s,
            zone_credential={"url": "", "api_key": ""},
            admin_email="nobody@example.org",
            options=(),
        )
    )
