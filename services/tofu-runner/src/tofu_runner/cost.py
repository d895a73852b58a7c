"""What a shape costs per month, by the account's own prices."""

from collections import Counter
from decimal import Decimal

from contracts.request import Shape
from contracts.tofu import Cost
from tofu_runner.inventory import Prices

BALANCER_TYPE = "lb11"
ADDRESS = "ipv4"
"""Every server has a public address of its own, which the cloud bills apart."""
_WORDS = {ADDRESS: "public IPv4"}
_CENT = Decimal("0.01")


def server_types(shape: Shape) -> Counter[str]:
    """How many servers of which type."""
    wanted = Counter({shape.topology.control_plane_type: shape.topology.control_plane_count})
    wanted.update({shape.topology.worker_type: shape.topology.worker_count})
    return +wanted


def cost_of(shape: Shape, prices: Prices, *, sample: bool) -> Cost | None:
    """The bill of a month; None when a price is unknown, for half a bill misleads."""
    wanted = [("server", name, number) for name, number in sorted(server_types(shape).items())]
    wanted.append(("load_balancer", BALANCER_TYPE, 1))
    wanted.append(("primary_ip", ADDRESS, shape.topology.control_plane_count + shape.topology.worker_count))
    total, lines = Decimal(0), []
    for kind, name, number in wanted:
        price = prices.monthly.get((kind, name))
        if price is None:
            return None
        amount = Decimal(price) * number
        total += amount
        lines.append((f"{number} x {_WORDS.get(name, name)}", str(amount.quantize(_CENT))))
    return Cost(monthly=str(total.quantize(_CENT)), currency=prices.currency, lines=tuple(lines), sample_prices=sample)
