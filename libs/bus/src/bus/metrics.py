"""Every metric of the bus, by name (Prometheus)."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

_BOUNDS: Final = Histogram.DEFAULT_BUCKETS[:-1]
"""Seconds; the last of the library's is infinity."""


class Metrics:
    """One process's metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        reg = self.registry
        by = ["consumer"]
        self.deliveries = _Deliveries()
        reg.register(self.deliveries)
        self.redeliveries = Counter("catalyst_redeliveries", "Deliveries of what had come before.", by, registry=reg)
        self.in_hand = Gauge("catalyst_in_hand", "Messages in a handler now.", by, registry=reg)
        self.buried = Counter("catalyst_buried", "Messages put into the dead letter queue.", by, registry=reg)
        self.pending = Gauge("catalyst_pending", "Messages not yet delivered to a consumer.", by, registry=reg)
        self.ack_pending = Gauge("catalyst_ack_pending", "Messages delivered, not settled yet.", by, registry=reg)
        self.redelivered = Gauge(
            "catalyst_redelivered", "Unsettled messages that were delivered more than once.", by, registry=reg
        )
        self.leases_lost = Counter("catalyst_leases_lost", "Leases that could not be kept.", registry=reg)
        self.brake_engaged = Gauge(
            "catalyst_brake_engaged", "1 while nothing is pulled (handler errors).", registry=reg
        )
        self.trail_share = Gauge(
            "catalyst_audit_trail_used_ratio", "Bytes of stream PROV over its limit.", registry=reg
        )
        self.lag_s = Gauge("catalyst_loop_lag_seconds", "How late the event loop runs its own clock.", registry=reg)


class _Deliveries(Collector):
    """What is counted for every message: plain numbers, made into series when somebody scrapes.

    The library's own counters take a lock for each number, four of them for a delivery: a tenth of its time.
    """

    def __init__(self) -> None:
        self._ended: dict[tuple[str, str], int] = {}
        self._handlers: dict[str, _Seconds] = {}

    def ended(self, consumer: str, outcome: str) -> None:
        """A delivery ended."""
        key = (consumer, outcome)
        self._ended[key] = self._ended.get(key, 0) + 1

    def handled(self, consumer: str, seconds: float) -> None:
        """A handler returned."""
        if (found := self._handlers.get(consumer)) is None:
            found = self._handlers[consumer] = _Seconds()
        found.total += seconds
        found.counts[bisect_left(_BOUNDS, seconds)] += 1

    def collect(self) -> Iterable[Metric]:
        """The series (``prometheus_client``'s protocol of custom collectors)."""
        ended = CounterMetricFamily(
            "catalyst_deliveries", "Deliveries that ended, by how they ended.", labels=["consumer", "outcome"]
        )
        for (consumer, outcome), count in list(self._ended.items()):
            ended.add_metric([consumer, outcome], count)
        yield ended
        handlers = HistogramMetricFamily("catalyst_handler_seconds", "Seconds in a handler.", labels=["consumer"])
        for consumer, seconds in list(self._handlers.items()):
            handlers.add_metric([consumer], seconds.buckets(), seconds.total)
        yield handlers


class _Seconds:
    """A histogram of one consumer."""

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS) + 1)
        self.total = 0.0

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bounds and how many are below, as the exposition format wants them."""
        return list(zip((*map(floatToGoString, _BOUNDS), "+Inf"), accumulate(self.counts), strict=True))
