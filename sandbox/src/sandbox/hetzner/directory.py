"""The cloud as its machines and its forwarder may look at it."""

from collections.abc import Mapping

from sandbox.hetzner.labels import Selector, Term
from sandbox.hetzner.machines import Machine
from sandbox.hetzner.resources.images import by_id
from sandbox.hetzner.state import Cloud, Project, Record


class CloudDirectory:
    """Looks machines, balancers and private addresses up; see `machines.Directory`."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def machine(self, server_id: int) -> Machine | None:
        """This server as it is now."""
        project = self._cloud.home.get(server_id)
        server = project.tables["servers"].get(server_id) if project else None
        return self._machine(project, server) if project and server else None

    def machines(self, project: str, labels: Mapping[str, str]) -> list[Machine]:
        """All servers of a project which carry these labels."""
        home = self._cloud.project(project)
        return [self._machine(home, server) for server in home.selected("servers", _selector(labels))]

    def address_behind(self, server_id: int, private_ip: str) -> str | None:
        """The loopback address behind a private address of one of this server's networks."""
        project = self._cloud.home.get(server_id)
        server = project.tables["servers"].get(server_id) if project else None
        if project is None or server is None:
            return None
        for net in server["private_net"]:
            if found := address_in(project, net["network"], private_ip):
                return found
        return None

    def load_balancer_address(self, project: str, labels: Mapping[str, str]) -> str | None:
        """The public (loopback) address of the first load balancer which carries these labels."""
        for balancer in self._cloud.project(project).selected("load_balancers", _selector(labels)):
            return str(balancer["public_net"]["ipv4"]["ip"])
        return None

    def _machine(self, project: Project, server: Record) -> Machine:
        server_type = self._cloud.catalogue.server_types[server["server_type"]]
        image = by_id(project, server["image"])
        return Machine(
            id=server["id"],
            name=server["name"],
            project=project.name,
            server_type=server_type["name"],
            architecture=server_type["architecture"],
            location=server["location"],
            image=(image or {}).get("name") or "",
            user_data=server["_user_data"],
            public_ipv4=server["_address"],
            private_ips=tuple(net["ip"] for net in server["private_net"]),
            labels=dict(server["labels"]),
        )


def address_in(project: Project, network_id: int, private_ip: str) -> str | None:
    """The loopback address of whoever holds a private address in a network."""
    network = project.tables["networks"].get(network_id)
    kind, record_id = (network or {"_used": {}})["_used"].get(private_ip, (None, 0))
    if kind == "servers":
        return str(project.tables["servers"][record_id]["_address"])
    if kind == "load_balancers":
        return str(project.tables["load_balancers"][record_id]["public_net"]["ipv4"]["ip"])
    return None


def _selector(labels: Mapping[str, str]) -> Selector:
    return Selector(tuple(Term(key, "in", frozenset({value})) for key, value in labels.items()))
