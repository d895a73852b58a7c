"""Attaching servers and load balancers to networks: both hold private addresses in the same way."""

from ipaddress import IPv4Network
from typing import Literal

from sandbox.hetzner.body import Body
from sandbox.hetzner.calls import Call
from sandbox.hetzner.errors import ApiError
from sandbox.hetzner.resources.networks import give_back, take_address
from sandbox.hetzner.state import SINGULAR, Project, Record

Holder = Literal["servers", "load_balancers"]


def reserve(call: Call, kind: Holder, holder: Record, network: Record, body: Body) -> Record:
    """Take addresses of a network for a holder; the attachment itself becomes visible when its action ends."""
    single = SINGULAR[kind]
    if any(net["network"] == network["id"] for net in holder["private_net"]):
        raise ApiError(f"{single}_already_attached", f"{single.replace('_', ' ')} is already attached to the network")
    whole = IPv4Network(network["ip_range"])
    others = (call.project.get("networks", net["network"])["ip_range"] for net in holder["private_net"])
    if any(whole.overlaps(IPv4Network(other)) for other in others):
        raise ApiError("networks_overlap", "network IP range overlaps with another of the server's networks")
    zone = call.catalogue.location_named[holder["location"]]["network_zone"]
    wish, ip_range = body.maybe_text("ip"), body.maybe_text("ip_range")
    aliases = body.texts("alias_ips")
    body.check()
    address = take_address(network, zone, kind, holder["id"], wish, ip_range)
    for alias in aliases:
        take_address(network, zone, kind, holder["id"], alias, None)
    call.project.touch("networks", network)
    entry: Record = {"network": network["id"], "ip": address}
    if kind == "servers":
        number = call.cloud.next_id()
        entry["alias_ips"] = aliases
        entry["mac_address"] = "86:00:" + ":".join(f"{number:08x}"[i : i + 2] for i in range(0, 8, 2))
    return entry


def reserve_all(call: Call, kind: Holder, holder: Record, networks: list[Record]) -> list[Record]:
    """Take an address of each network, or none at all."""
    try:
        return [reserve(call, kind, holder, network, Body({})) for network in networks]
    except ApiError:
        free_all(call.project, kind, holder)
        raise


def attach(project: Project, kind: Holder, holder: Record, entry: Record) -> None:
    """Make an attachment visible on both sides."""
    network = project.tables["networks"].get(entry["network"])
    if network is None:
        raise ApiError("not_found", "network not found")
    holder["private_net"].append(entry)
    network[kind].append(holder["id"])
    project.touch(kind, holder)
    project.touch("networks", network)


def detach(project: Project, kind: Holder, holder: Record, network_id: int) -> None:
    """Undo an attachment and free its addresses."""
    gone = [net for net in holder["private_net"] if net["network"] == network_id]
    holder["private_net"] = [net for net in holder["private_net"] if net["network"] != network_id]
    project.touch(kind, holder)
    for net in gone:
        give_back(project, network_id, [net["ip"], *net.get("alias_ips", ())])
    network = project.tables["networks"].get(network_id)
    if network is not None:
        network[kind] = [i for i in network[kind] if i != holder["id"]]


def free_all(project: Project, kind: Holder, holder: Record) -> None:
    """A holder that goes leaves every network, also those it was only about to join."""
    for network in project.tables["networks"].values():
        held = [ip for ip, owner in network["_used"].items() if owner == [kind, holder["id"]]]
        if held or holder["id"] in network[kind]:
            network[kind] = [i for i in network[kind] if i != holder["id"]]
            give_back(project, network["id"], held)
    holder["private_net"] = []
