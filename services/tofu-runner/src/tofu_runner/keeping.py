"""The state for its operator: which versions are kept, what one holds, and one brought back."""

import json
import logging

from bus import Answer, Effects, Refused
from contracts.errors import trouble
from contracts.event import About, Event
from contracts.history import History
from contracts.questions import Asker, OfSovereign, OfState, StateReply, StateVersion, StateVersionsReply
from contracts.sovereign import SovereignRestoreRequested
from contracts.tofu import TofuStateRestored
from tofu_runner.bench import World
from tofu_runner.leasing import leased
from tofu_runner.stateversions import (
    Held,
    StateRefused,
    StateUnreadable,
    StateVersions,
    opened,
    resources_of,
    without_secrets,
)

log = logging.getLogger(__name__)


class NoLease:
    """For who only reads."""

    token = 0
    sure = False


async def versions_of(world: World, about: About, lease: Held) -> tuple[StateVersions, bytes]:
    """The versions of one life, and their key."""
    key = await world.keep.state_key(about)
    return StateVersions(world.bus.kv("tofu"), about.sovereign, about.life, key=key, lease=lease), key


async def tell_versions(request: OfSovereign, asker: Asker | None, *, world: World) -> StateVersionsReply:
    """Every version that is kept, newest first."""
    versions, key = await versions_of(world, await _known(request, asker, world), NoLease())
    rows: list[StateVersion] = []
    for serial, token in await versions.kept():
        body = await versions.read(serial)
        try:
            resources = len(resources_of(opened(body, key)))
        except StateUnreadable:
            continue
        rows.append(
            StateVersion(
                serial=serial, written_under=token, stored_bytes=len(body), resources=resources, newest=not rows
            )
        )
    return StateVersionsReply(versions=tuple(rows))


async def tell_state(request: OfState, asker: Asker | None, *, world: World) -> StateReply:
    """One version, decrypted."""
    versions, key = await versions_of(world, await _known(request, asker, world), NoLease())
    try:
        kept = await versions.kept()
        serial = request.serial or (kept[0][0] if kept else 0)
        return StateReply(serial=serial, document=json.dumps(without_secrets(opened(await versions.read(serial), key))))
    except StateUnreadable as error:
        raise Answer(
            trouble("state-unknown", attempted="read the state", on=request.sovereign, message=str(error))
        ) from None


async def _known(request: OfSovereign, asker: Asker | None, world: World) -> About:
    """The life that is asked about, for its owner only."""
    history = await world.bus.journal.fold(request.sovereign)
    if asker is None or not history.life or (history.owner != asker.owner and "admin" not in asker.roles):
        raise Answer(trouble("unknown-sovereign", attempted="look at the state", on=request.sovereign))
    return About(sovereign=request.sovereign, owner=asker.owner, life=history.life, run=history.run)


async def restore(event: Event[SovereignRestoreRequested], history: History, *, world: World) -> Effects:
    """Bring a version back under the lease; Refused, for the dead letters, when it is not kept or does not follow."""
    about, wanted = event.about, event.data
    async with leased(world.bus, about.sovereign) as lease:
        history = await world.bus.journal.fold(about.sovereign, reaching=history.upto)
        said = history.last(TofuStateRestored)
        if said is not None and said.event.causationid == event.id:
            return ()
        versions, _ = await versions_of(world, about, lease)
        try:
            await versions.load()
        except StateUnreadable as error:
            log.warning("restoring over what cannot be read", extra={"action": "state-unreadable", "why": str(error)})
        try:
            await versions.restore(wanted.serial)
        except (StateUnreadable, StateRefused) as error:
            raise Refused(f"version {wanted.serial} cannot be restored: {error}") from None
        chain = world.bus.journal.chain(about, history, cause=event.id)
        await chain.say(TofuStateRestored(serial=wanted.serial, reason=wanted.reason))
    return ()
