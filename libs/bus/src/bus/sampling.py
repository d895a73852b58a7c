"""What a service measures of its consumers and of the audit trail, every 15 s: for /metrics, and to be ready or not."""

import asyncio
import logging
from collections.abc import Sequence

from bus.connection import Connection
from bus.metrics import Metrics
from bus.outcome import TryAgain
from contracts.topology import PROV, Consumer

log = logging.getLogger(__name__)

EVERY_S = 15.0
ALARM_SHARE = 0.7
"""From here on the audit trail is reported as filling up."""
NOT_FOUND = 404


class Room:
    """How full the audit trail is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def used_share(self) -> float:
        """Bytes of ``PROV`` over its limit, 0 without one. TryAgain when the server does not say."""
        info = await self._connection.api(f"$JS.API.STREAM.INFO.{PROV}")
        if "error" in info:
            raise TryAgain(f"no word on the size of {PROV}: {info['error'].get('description')}")
        limit = int(info["config"]["max_bytes"])
        return int(info["state"]["bytes"]) / limit if limit > 0 else 0.0


class Sampler:
    """Measures for ever; run ``run`` as a background task."""

    def __init__(self, connection: Connection, metrics: Metrics, room: Room, consumers: Sequence[Consumer]) -> None:
        self._connection = connection
        self._metrics = metrics
        self._room = room
        self._consumers = consumers
        self._missing: list[str] = []
        self._alarmed = False

    async def run(self) -> None:
        """Measure, wait, measure again."""
        while True:
            try:
                await self.sample()
            except TryAgain as error:
                log.warning("not measured", extra={"action": "unmeasured", "why": str(error)})
            await asyncio.sleep(EVERY_S)

    async def sample(self) -> None:
        """Measure once."""
        missing = []
        for consumer in self._consumers:
            info = await self._connection.api(f"$JS.API.CONSUMER.INFO.{consumer.stream}.{consumer.name}")
            if info.get("error", {}).get("code") == NOT_FOUND:
                missing.append(f"{consumer.name} on {consumer.stream}")
            elif "error" not in info:
                self._metrics.pending.labels(consumer.name).set(info["num_pending"])
                self._metrics.ack_pending.labels(consumer.name).set(info["num_ack_pending"])
                self._metrics.redelivered.labels(consumer.name).set(info["num_redelivered"])
        self._missing = missing
        share = await self._room.used_share()
        self._metrics.trail_share.set(share)
        if share >= ALARM_SHARE and not self._alarmed:
            log.error(
                "the audit trail is filling up: give it room (catalyst topology) before it is full",
                extra={"action": "stream-filling", "stream": PROV, "percent": round(share * 100, 1)},
            )
        self._alarmed = share >= ALARM_SHARE

    async def check(self) -> None:
        """For /readyz: every consumer of this service exists, as of the last measurement."""
        if self._missing:
            raise TryAgain(f"missing: {', '.join(self._missing)}; run catalyst topology")
