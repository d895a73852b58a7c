"""What a topology costs by the pinned catalogue: net, per month, and for a number of hours.

The cloud bills by the hour and never more than the monthly price in a month. The account's own prices are asked of
tofu-runner, which can read them once there is a token.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from contracts.drafting import CostOf, CostReply
from contracts.request import Topology
from contracts.tofu import Cost

HOURS_PER_MONTH: Final = 730
FINE: Final = Decimal("0.0001")
_CENT: Final = Decimal("0.01")
_EUROPE: Final = "eu-central"


def money(amount: Decimal, step: Decimal = _CENT) -> str:
    """An amount as a decimal string."""
    return str(amount.quantize(step))


class PriceList:
    """The prices of the pinned catalogue, by network zone."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.as_of: str = data["as_of"]
        self.sample: bool = data["sample_prices"]
        self._currency: str = data["currency"]
        self._abroad = Decimal(data["factor_outside_europe"])
        self._address = Decimal(data["primary_ipv4_monthly"])
        self._balancer: str = data["load_balancer"]["name"]
        self._monthly = {row["name"]: Decimal(row["monthly"]) for row in data["server_types"]}
        self._monthly[self._balancer] = Decimal(data["load_balancer"]["monthly"])

    def monthly(self, name: str, zone: str) -> Decimal:
        """Net price of a month of this type in this network zone; KeyError for an unknown type."""
        price = self._monthly[name]
        return price if zone == _EUROPE else price * self._abroad

    def bill(self, question: CostOf, zone: str) -> CostReply:
        """Every line of a month, and the whole for the hours that were asked for."""
        lines = self._lines(question.topology, zone)
        month = sum((amount for _, amount in lines), Decimal(0))
        cost = Cost(
            monthly=money(month),
            currency=self._currency,
            lines=tuple((what, money(amount)) for what, amount in lines),
            sample_prices=self.sample,
        )
        total = ""
        if question.hours is not None:
            months, hours = divmod(question.hours, HOURS_PER_MONTH)
            total = money(months * month + month * hours / HOURS_PER_MONTH)
        hourly = money(month / HOURS_PER_MONTH, FINE)
        return CostReply(cost=cost, hourly=hourly, hours=question.hours, total=total, as_of=self.as_of)

    def _lines(self, topology: Topology, zone: str) -> list[tuple[str, Decimal]]:
        servers = topology.control_plane_count + topology.worker_count
        wanted = [
            (topology.control_plane_count, topology.control_plane_type, "control plane"),
            (topology.worker_count, topology.worker_type, "worker"),
            (1, self._balancer, "load balancer"),
        ]
        lines = [(f"{n} x {name} ({role})", n * self.monthly(name, zone)) for n, name, role in wanted if n]
        return [*lines, (f"{servers} x public IPv4", servers * self._address)]
