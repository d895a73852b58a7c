"""The seam between the cloud's half of a server and the machine that runs on it.

The cloud decides that a server exists, is powered on, off or gone; whoever implements `Machines` makes that true.
The cloud calls it in order per server and never waits for it inside an API call. In the other direction the machine's
half looks around through `Directory`: private addresses and load balancers come into being after the first boot.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A server as its own machine sees it."""

    id: int
    name: str
    project: str
    server_type: str
    architecture: str
    location: str
    image: str
    user_data: str
    public_ipv4: str
    """The loopback address that this server's sockets bind to; it has one even without a public interface."""
    private_ips: tuple[str, ...]
    labels: Mapping[str, str]


class Machines(Protocol):
    """What the cloud asks of the half that runs machines. Each call may come again and must then change nothing."""

    async def power_on(self, machine: Machine) -> None:
        """Boot this machine, or boot it again after a power off or a restart of the sandbox."""

    async def power_off(self, server_id: int) -> None:
        """Stop whatever runs on this machine and keep its disk."""

    async def remove(self, server_id: int) -> None:
        """Stop this machine and forget its disk."""


class Directory(Protocol):
    """What a machine may look up about its surroundings."""

    def machine(self, server_id: int) -> Machine | None:
        """This server as it is now, with the private addresses it has by now; None when it is gone."""

    def machines(self, project: str, labels: Mapping[str, str]) -> list[Machine]:
        """All servers of a project which carry these labels."""

    def address_behind(self, server_id: int, private_ip: str) -> str | None:
        """The loopback address behind a private address, as seen from this server: another server's or a balancer's."""

    def load_balancer_address(self, project: str, labels: Mapping[str, str]) -> str | None:
        """The public (loopback) address of the first load balancer which carries these labels."""


class NoMachines:
    """Servers without anything running on them."""

    async def power_on(self, machine: Machine) -> None:
        """Nothing boots."""

    async def power_off(self, server_id: int) -> None:
        """Nothing stops."""

    async def remove(self, server_id: int) -> None:
        """Nothing is removed."""
