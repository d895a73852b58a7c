"""Networks with subnets and routes, and who holds which private address (`_used`: address to kind and id).

While an action changes a network's shape, another one on its shape is a `conflict`, as the official document says;
attaching servers is no such change. A subnet that still has attached resources cannot be deleted.
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, collapse_addresses, ip_address, ip_network
from typing import Final

from sandbox.hetzner.actions import Finish, rendered
from sandbox.hetzner.body import Body
from sandbox.hetzner.calls import Answer, Call, Handler, Routes
from sandbox.hetzner.errors import ApiError, invalid
from sandbox.hetzner.listing import ensure_unprotected, matching, named_routes, page, protection_route
from sandbox.hetzner.state import Project, Record, first_ipv4, shown

Prepare = Callable[[Call, Record], Record]

_PRIVATE: Final = tuple(IPv4Network(r) for r in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_LONGEST_PREFIX: Final = 30
_DEFAULT_SUBNET_PREFIX: Final = 24
_MOST_SUBNETS: Final = 50
_MOST_ROUTES: Final = 100


def _shown(_call: Call, record: Record) -> Record:
    return shown(record)


def cidr(body: Body, field: str) -> IPv4Network | None:
    """An IPv4 range, if given and valid."""
    text = body.maybe_text(field)
    if text is None:
        return None
    try:
        return IPv4Network(text)
    except ValueError:
        body.problem(field, "is not a valid IPv4 range in CIDR notation")
        return None


def take_address(network: Record, zone: str, kind: str, record_id: int, wish: str | None, ip_range: str | None) -> str:
    """Hand out a private address: the one wished for, or the first free one of a subnet in this zone."""
    used: dict[str, list[object]] = network["_used"]
    subnets = [IPv4Network(s["ip_range"]) for s in network["subnets"] if s["network_zone"] == zone]
    if ip_range is not None:
        subnets = [subnet for subnet in subnets if str(subnet) == ip_range]
    gateway = first_ipv4(IPv4Network(network["ip_range"]))
    if wish is not None:
        address = ip_address(wish)
        inside = [s for s in subnets if address in s]
        if not inside or wish == gateway or wish in used or address in _ends(inside[0]):
            raise ApiError("ip_not_available", "IP is not available")
        used[wish] = [kind, record_id]
        return wish
    for subnet in subnets:
        for number in range(int(subnet.network_address) + 1, int(subnet.broadcast_address)):
            text = str(IPv4Address(number))
            if text != gateway and text not in used:
                used[text] = [kind, record_id]
                return text
    raise ApiError("no_subnet_available", "no subnet or IP available")


def give_back(project: Project, network_id: int, addresses: list[str]) -> None:
    """Private addresses are free again; the network may be gone already."""
    network = project.tables["networks"].get(network_id)
    if network is None:
        return
    for address in addresses:
        network["_used"].pop(address, None)
    project.touch("networks", network)


def _ends(subnet: IPv4Network) -> tuple[IPv4Address, IPv4Address]:
    return subnet.network_address, subnet.broadcast_address


def _new_subnet(network: Record, body: Body, zones: frozenset[str]) -> Record:
    kind = body.text("type", one_of=("cloud", "server", "vswitch"))
    zone = body.text("network_zone", one_of=tuple(sorted(zones)))
    wanted = cidr(body, "ip_range")
    vswitch = body.maybe_integer("vswitch_id", least=1)
    if kind == "vswitch" and vswitch is None:
        body.problem("vswitch_id", "Missing data for required field.")
    body.check()
    whole = IPv4Network(network["ip_range"])
    taken = [IPv4Network(s["ip_range"]) for s in network["subnets"]]
    if len(taken) >= _MOST_SUBNETS:
        raise ApiError("resource_limit_exceeded", "subnet limit exceeded", {"limits": [{"name": "subnet_limit"}]})
    if wanted is None:
        prefix = max(_DEFAULT_SUBNET_PREFIX, whole.prefixlen)
        free = (s for s in whole.subnets(new_prefix=prefix) if not any(s.overlaps(t) for t in taken))
        wanted = next(free, None)
        if wanted is None:
            raise invalid("ip_range", "no free range is left in the network")
    if not wanted.subnet_of(whole):
        raise invalid("ip_range", "must be within the network's ip_range")
    if wanted.prefixlen > _LONGEST_PREFIX:
        raise invalid("ip_range", f"must not be smaller than a /{_LONGEST_PREFIX}")
    if any(wanted.overlaps(t) for t in taken):
        raise invalid("ip_range", "overlaps with another subnet of the network")
    subnet = {"type": kind, "ip_range": str(wanted), "network_zone": zone, "gateway": first_ipv4(whole)}
    return {**subnet, "vswitch_id": vswitch}


def _new_route(network: Record, body: Body) -> Record:
    destination, gateway = cidr(body, "destination"), body.text("gateway")
    if destination is None and body.maybe_text("destination") is None:
        body.problem("destination", "Missing data for required field.")
    body.check()
    try:
        inside = IPv4Address(gateway) in IPv4Network(network["ip_range"])
    except ValueError:
        inside = False
    if not inside:
        raise invalid("gateway", "must be an address of the network")
    if len(network["routes"]) >= _MOST_ROUTES:
        raise ApiError("resource_limit_exceeded", "route limit exceeded", {"limits": [{"name": "route_limit"}]})
    route = {"destination": str(destination), "gateway": gateway}
    if any(r["destination"] == route["destination"] for r in network["routes"]):
        raise invalid("destination", "a route to this destination exists already")
    return route


def _created(call: Call) -> Answer:
    body = call.body()
    name, whole, labels = body.text("name", longest=255), cidr(body, "ip_range"), body.labels()
    exposed = body.flag("expose_routes_to_vswitch")
    if whole is None and body.maybe_text("ip_range") is None:
        body.problem("ip_range", "Missing data for required field.")
    if whole is not None and not any(whole.subnet_of(private) for private in _PRIVATE):
        body.problem("ip_range", "must be a private range (RFC 1918)")
    body.check()
    network: Record = {
        "name": name,
        "ip_range": str(whole),
        "subnets": [],
        "routes": [],
        "servers": [],
        "load_balancers": [],
        "protection": {"delete": False},
        "labels": labels or {},
        "expose_routes_to_vswitch": exposed,
        "_used": {},
        "_changing": 0,
    }
    for part in body.parts("subnets"):
        network["subnets"].append(_new_subnet(network, part, call.catalogue.zones))
    for part in body.parts("routes"):
        network["routes"].append(_new_route(network, part))
    call.project.ensure_free_name("networks", name)
    call.project.ensure_room("networks")
    return Answer(201, {"network": shown(call.project.add("networks", network))})


def _deleted(call: Call) -> Answer:
    network = call.record("networks")
    ensure_unprotected(network)
    _ensure_still(call.project, network)
    for kind, ids in (("servers", network["servers"]), ("load_balancers", network["load_balancers"])):
        for record_id in ids:
            holder = call.project.get(kind, record_id)
            holder["private_net"] = [net for net in holder["private_net"] if net["network"] != network["id"]]
            call.project.touch(kind, holder)
    call.project.drop("networks", network)
    return Answer(204)


def _expose(call: Call, network: Record) -> None:
    body = call.body()
    network["expose_routes_to_vswitch"] = body.flag(
        "expose_routes_to_vswitch", default=network["expose_routes_to_vswitch"]
    )
    body.check()
    call.project.touch("networks", network)


def _ensure_still(project: Project, network: Record) -> None:
    action = project.tables["actions"].get(network["_changing"])
    if action is not None and action["status"] == "running":
        raise ApiError("conflict", "network is being changed")


def _reshaping(command: str, prepare: Prepare) -> Handler:
    def handle(call: Call) -> Answer:
        network = call.record("networks")
        _ensure_still(call.project, network)
        args = prepare(call, network)
        action = call.actions.begin(call.project, command, ("networks", network), finish="reshape_network", args=args)
        network["_changing"] = action["id"]
        call.project.touch("networks", network)
        return Answer(201, {"action": rendered(action)})

    return handle


def _add_subnet(call: Call, network: Record) -> Record:
    return {"subnets": [*network["subnets"], _new_subnet(network, call.body(), call.catalogue.zones)]}


def _delete_subnet(call: Call, network: Record) -> Record:
    body = call.body()
    wanted = body.text("ip_range")
    body.check()
    kept = [s for s in network["subnets"] if s["ip_range"] != wanted]
    if len(kept) == len(network["subnets"]):
        raise ApiError("not_found", "subnet not found")
    if any(ip_address(used) in ip_network(wanted) for used in network["_used"]):
        raise ApiError("service_error", "cannot remove subnet because servers are attached to it")
    return {"subnets": kept}


def _add_route(call: Call, network: Record) -> Record:
    return {"routes": [*network["routes"], _new_route(network, call.body())]}


def _delete_route(call: Call, network: Record) -> Record:
    body = call.body()
    wanted = {"destination": body.text("destination"), "gateway": body.text("gateway")}
    body.check()
    if wanted not in network["routes"]:
        raise ApiError("not_found", "route not found")
    return {"routes": [r for r in network["routes"] if r != wanted]}


def _change_ip_range(call: Call, network: Record) -> Record:
    body = call.body()
    wanted = cidr(body, "ip_range")
    if wanted is None and body.maybe_text("ip_range") is None:
        body.problem("ip_range", "Missing data for required field.")
    body.check()
    both = collapse_addresses([IPv4Network(str(wanted)), IPv4Network(network["ip_range"])])
    if list(both) != [wanted]:
        raise invalid("ip_range", "can only be extended")
    return {"ip_range": str(wanted)}


def _finish_reshape(project: Project, action: Record) -> None:
    network = project.tables["networks"].get(action["resources"][0]["id"])
    if network is None:
        return
    network.update(action["_args"])
    project.touch("networks", network)


def _members(call: Call) -> Answer:
    """Who is attached, with which addresses (since 15 September 2026)."""
    network = call.record("networks")
    members = []
    for kind, single in (("servers", "server"), ("load_balancers", "load_balancer")):
        for record_id in network[kind]:
            holder = call.project.get(kind, record_id)
            net = next(n for n in holder["private_net"] if n["network"] == network["id"])
            subnet = next(s for s in network["subnets"] if ip_address(net["ip"]) in ip_network(s["ip_range"]))
            members.append(
                {
                    "id": record_id,
                    "type": single,
                    "ip": net["ip"],
                    "alias_ips": net.get("alias_ips", []),
                    "subnet": subnet["ip_range"],
                    "status": "ok",
                }
            )
    return page(
        call,
        "members",
        matching(call, members, "type", "status", "subnet"),
        _shown,
        sorts=("id", "type", "status", "ip"),
    )


ROUTES: Routes = {
    **named_routes("networks", _shown, update=_expose),
    **protection_route("networks"),
    ("POST", "/networks"): _created,
    ("DELETE", "/networks/{id}"): _deleted,
    ("GET", "/networks/{id}/members"): _members,
    ("POST", "/networks/{id}/actions/add_subnet"): _reshaping("add_subnet", _add_subnet),
    ("POST", "/networks/{id}/actions/delete_subnet"): _reshaping("delete_subnet", _delete_subnet),
    ("POST", "/networks/{id}/actions/add_route"): _reshaping("add_route", _add_route),
    ("POST", "/networks/{id}/actions/delete_route"): _reshaping("delete_route", _delete_route),
    ("POST", "/networks/{id}/actions/change_ip_range"): _reshaping("change_ip_range", _change_ip_range),
}
FINISHES: dict[str, Finish] = {"reshape_network": _finish_reshape}
