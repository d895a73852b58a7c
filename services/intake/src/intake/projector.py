"""The read model: one row per Sovereign in bucket ``state``, rebuilt from the stream whenever it is lost.

Every replica follows the live feed and writes rows with their stream sequence; an older row never replaces a newer one,
so several writers do no harm.
"""

import asyncio
from collections.abc import AsyncIterable, Callable

from bus import Bucket, Conflict, Delivered, Journal, TryAgain
from contracts.errors import Trouble
from contracts.history import History
from contracts.identity import fqdn_of
from contracts.sovereign import SovereignDegraded, SovereignFailed, SovereignRequested
from contracts.summary import Summary, summary_key
from contracts.tofu import TofuPlanned, TofuWaiting
from contracts.view import State
from intake.certificates import Certificates
from intake.life import standing

POSITION = "projector.position"
_SETTLE_S = 0.2


def summary_of(history: History) -> Summary | None:
    """The row of a Sovereign; None when it never was requested."""
    asked = history.last(SovereignRequested)
    if asked is None:
        return None
    shape = asked.event.data.shape
    newest = max(history, key=lambda item: item.sequence)
    planned = history.data(TofuPlanned)
    return Summary(
        sovereign=history.sovereign,
        fqdn=fqdn_of(history.sovereign),
        owner=asked.event.owner,
        organisation=shape.organisation.name,
        life=history.life,
        run=history.run,
        state=_state(history),
        since=newest.event.time,
        region=shape.topology.region,
        control_planes=shape.topology.control_plane_count,
        workers=shape.topology.worker_count,
        trouble=_trouble(history),
        monthly_cost=planned.cost.monthly if planned and planned.cost else "",
        sequence=newest.sequence,
    )


def _state(history: History) -> State:
    stage = standing(history).stage
    if stage == "running":
        waiting = history.later(TofuWaiting, TofuPlanned, run=history.run)
        return "waiting" if waiting else ("provisioning" if len(list(history)) > 1 else "requested")
    return "requested" if stage == "none" else stage


def _trouble(history: History) -> Trouble | None:
    stage = standing(history).stage
    if stage == "failed":
        failed = history.data(SovereignFailed, run=history.run)
        return failed.trouble if failed else None
    if stage == "degraded":
        degraded = history.data(SovereignDegraded, run=history.run)
        return degraded.trouble if degraded else None
    return None


class Projector:
    """Keeps the rows."""

    def __init__(
        self,
        *,
        journal: Journal,
        state: Bucket,
        certificates: Certificates,
        feed_after: Callable[[int], AsyncIterable[Delivered]],
    ) -> None:
        self._journal = journal
        self._certificates = certificates
        self._state = state
        self._feed_after = feed_after

    async def run(self) -> None:
        """Follow the feed for ever, from where the last position says."""
        found = await self._state.get(POSITION)
        touched: dict[str, int] = {}
        wake = asyncio.Event()

        async def collect() -> None:
            async for item in self._feed_after(int(found.value) if found else 0):
                touched[item.subject.rsplit(".", 1)[1]] = item.sequence
                wake.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(collect())
            while True:
                await wake.wait()
                # What a burst touches is written once.
                await asyncio.sleep(_SETTLE_S)
                wake.clear()
                batch, newest = dict(touched), max(touched.values())
                touched.clear()
                for sovereign in batch:
                    await self._write(sovereign)
                await self._state.put(POSITION, str(newest).encode())

    async def _write(self, sovereign: str) -> None:
        for _ in range(5):
            try:
                history = await self._journal.fold(sovereign)
                await self._certificates.note(history)
                row = summary_of(history)
                if row is None:
                    return
                key = summary_key(sovereign)
                now = await self._state.get(key)
                if now is not None and Summary.model_validate_json(now.value).sequence >= row.sequence:
                    return
                await self._state.update(key, row.model_dump_json().encode(), now.revision if now else 0)
            except (Conflict, TryAgain):
                await asyncio.sleep(0.05)
            else:
                return
