"""Every metric of the bus, by name (Prometheus)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """One process's metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        reg = self.registry
        by = ["consumer"]
        self.deliveries = Counter(
            "catalyst_deliveries", "Deliveries that ended, by how they ended.", [*by, "outcome"], registry=reg
        )
        self.redeliveries = Counter("catalyst_redeliveries", "Deliveries of what had come before.", by, registry=reg)
        self.handler_seconds = Histogram("catalyst_handler_seconds", "Seconds in a handler.", by, registry=reg)
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
        self._ended: dict[tuple[str, str], Counter] = {}
        self._handled: dict[str, Histogram] = {}

    def ended(self, consumer: str, outcome: str) -> None:
        """A delivery ended. Series are looked up once: the look-up by labels costs more than the count."""
        series = self._ended.get((consumer, outcome))
        if series is None:
            series = self._ended[consumer, outcome] = self.deliveries.labels(consumer, outcome)
        series.inc()

    def handled(self, consumer: str, seconds: float) -> None:
        """A handler returned."""
        series = self._handled.get(consumer)
        if series is None:
            series = self._handled[consumer] = self.handler_seconds.labels(consumer)
        series.observe(seconds)
