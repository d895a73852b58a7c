"""Every metric of the bus, by name (Prometheus)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """One process's metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        reg = self.registry
        by = ["consumer"]
        self.deliveries = Counter(
            "catalyst_deliveries", "Messages handed to a handler.", [*by, "outcome"], registry=reg
        )
        self.redeliveries = Counter("catalyst_redeliveries", "Messages that came again.", by, registry=reg)
        self.handler_seconds = Histogram("catalyst_handler_seconds", "Seconds in a handler.", by, registry=reg)
        self.pending = Gauge("catalyst_pending", "Messages waiting in the stream for a consumer.", by, registry=reg)
        self.in_hand = Gauge("catalyst_in_hand", "Messages in a handler now.", by, registry=reg)
        self.buried = Counter("catalyst_buried", "Messages put into the DLQ.", by, registry=reg)
        self.lease_lost = Gauge("catalyst_leases_lost", "Leases lost since the start.", registry=reg)
        self.lag_s = Gauge("catalyst_loop_lag_seconds", "How late the event loop runs its own clock.", registry=reg)
