"""Load balancers and their place in networks. Their services and targets are in `load_balancer_parts`."""

from typing import Any

from sandbox.hetzner import labels as labels_module
from sandbox.hetzner.actions import Finish, rendered
from sandbox.hetzner.body import Body
from sandbox.hetzner.calls import Answer, Call, Handler, Routes
from sandbox.hetzner.errors import ApiError, invalid, not_found
from sandbox.hetzner.listing import ensure_unprotected, named_routes, protection_route
from sandbox.hetzner.resources import attachments
from sandbox.hetzner.resources.load_balancer_parts import new_service, new_target
from sandbox.hetzner.resources.networks import give_back
from sandbox.hetzner.resources.server_actions import no_metrics
from sandbox.hetzner.state import Project, Record, shown


def render(call: Call, record: Record) -> Record:
    """A load balancer with its whole location and type, and the health of each target."""
    return {
        **shown(record),
        "location": call.catalogue.location_named[record["location"]],
        "load_balancer_type": call.catalogue.load_balancer_types[record["load_balancer_type"]],
        "targets": [_target_shown(call.project, record, target) for target in record["targets"]],
    }


def _target_shown(project: Project, balancer: Record, target: Record) -> Record:
    if target["type"] != "label_selector":
        return {**target, "health_status": health(balancer, target_key(target))}
    selected = project.selected("servers", labels_module.parse(target["label_selector"]["selector"]))
    inner = [
        {"type": "server", "server": {"id": server["id"]}, "use_private_ip": target["use_private_ip"]}
        for server in selected
    ]
    return {**target, "targets": [{**t, "health_status": health(balancer, target_key(t))} for t in inner]}


def target_key(target: Record) -> str:
    """What a target's health is kept under."""
    return f"server:{target['server']['id']}" if target["type"] == "server" else f"ip:{target['ip']['ip']}"


def health(balancer: Record, key: str) -> list[Record]:
    """The health of a target per service, as last seen."""
    known: dict[str, str] = balancer["_health"]
    found = []
    for service in balancer["services"]:
        port = service["listen_port"]
        status = known.get(f"{key}:{port}", "unknown")
        entry = {"listen_port": port, "status": status}
        if status == "unhealthy":
            entry["detail"] = "layer4_no_connection"
        found.append(entry)
    return found


def _location(call: Call, body: Body) -> Record:
    place, zone = body.reference("location"), body.maybe_text("network_zone")
    if place and zone:
        raise invalid("location", "location and network_zone exclude each other")
    if place:
        location = call.catalogue.location(place)
        if location is None:
            raise invalid("location", f"location {place} not found")
        return location
    for location in call.catalogue.locations.values():
        if location["network_zone"] == zone:
            return location
    raise invalid("network_zone", "either location or a known network_zone is required")


def _created(call: Call) -> Answer:
    project, body = call.project, call.body()
    name, labels = body.text("name", longest=255), body.labels()
    reference = body.reference("load_balancer_type")
    if not reference:
        body.problem("load_balancer_type", "Missing data for required field.")
    algorithm = body.part("algorithm").maybe_text("type", one_of=("round_robin", "least_connections"))
    network_id, public = body.maybe_integer("network", least=1), body.flag("public_interface", default=True)
    addresses = body.part("public_net")
    families = {kind: addresses.maybe_text(kind) for kind in ("ipv4", "ipv6") if addresses.has(kind)}
    body.check()
    if families:
        raise ApiError("unsupported_error", "existing addresses for a load balancer are not simulated")
    kind = call.catalogue.load_balancer_type(reference or "")
    if kind is None:
        raise invalid("load_balancer_type", f"load balancer type {reference} not found")
    location = _location(call, body)
    network = project.tables["networks"].get(network_id or 0)
    if network_id and network is None:
        raise not_found("network")
    project.ensure_free_name("load_balancers", name)
    project.ensure_room("load_balancers")
    balancer = _new(call, name, kind, location, labels or {}, algorithm or "round_robin", public=public)
    entries = attachments.reserve_all(call, "load_balancers", balancer, [network] if network else [])
    draft = {**balancer, "private_net": entries}
    try:
        for part in body.parts("services"):
            draft["services"].append(new_service(call, draft, part))
        for part in body.parts("targets"):
            draft["targets"].append(new_target(call, draft, part))
    except ApiError:
        attachments.free_all(project, "load_balancers", balancer)
        raise
    balancer = project.add("load_balancers", {**draft, "private_net": []})
    for entry in entries:
        attachments.attach(project, "load_balancers", balancer, entry)
    _join_servers(project, balancer)
    call.cloud.outside.rebalance(balancer["id"])
    action = call.actions.begin(project, "create_load_balancer", ("load_balancers", balancer))
    return Answer(201, {"load_balancer": render(call, balancer), "action": rendered(action)})


def _join_servers(project: Project, balancer: Record) -> None:
    for target in balancer["targets"]:
        if target["type"] == "server":
            server = project.get("servers", target["server"]["id"])
            server["load_balancers"].append(balancer["id"])
            project.touch("servers", server)


def _new(
    call: Call, name: str, kind: Record, location: Record, labels: dict[str, str], algorithm: str, *, public: bool
) -> Record:
    return {
        "id": call.cloud.next_id(),
        "name": name,
        "public_net": {
            "enabled": public,
            "ipv4": {"ip": call.cloud.next_ipv4(), "dns_ptr": None},
            "ipv6": {"ip": call.cloud.next_ipv6().replace("/64", "1"), "dns_ptr": None},
        },
        "private_net": [],
        "location": location["name"],
        "load_balancer_type": kind["id"],
        "protection": {"delete": False},
        "labels": labels,
        "services": [],
        "targets": [],
        "algorithm": {"type": algorithm},
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": kind["prices"][0]["included_traffic"],
        "_health": {},
    }


def _deleted(call: Call) -> Answer:
    """Answers 201 with an action (since 5 October 2026)."""
    balancer = call.record("load_balancers")
    ensure_unprotected(balancer)
    return call.acting("delete_load_balancer", ("load_balancers", balancer), finish="delete_load_balancer")


def _finish_delete(project: Project, action: Record) -> None:
    balancer = project.tables["load_balancers"].get(action["resources"][0]["id"])
    if balancer is None:
        return
    for target in balancer["targets"]:
        server = project.tables["servers"].get(target["server"]["id"]) if target["type"] == "server" else None
        if server is not None:
            server["load_balancers"] = [i for i in server["load_balancers"] if i != balancer["id"]]
            project.touch("servers", server)
    attachments.free_all(project, "load_balancers", balancer)
    project.drop("load_balancers", balancer)
    project.cloud.outside.rebalance(balancer["id"])


def _attach_to_network(call: Call) -> Answer:
    balancer = call.record("load_balancers")
    body = call.body()
    network_id = body.integer("network", least=1)
    body.check()
    network = call.project.tables["networks"].get(network_id)
    if network is None:
        raise not_found("network")
    if balancer["private_net"]:
        raise ApiError("load_balancer_already_attached", "load balancer is already attached to a network")
    entry = attachments.reserve(call, "load_balancers", balancer, network, body)
    both = (("load_balancers", balancer), ("networks", network))
    return call.acting("attach_to_network", *both, finish="attach_load_balancer", args={"entry": entry})


def _finish_attach(project: Project, action: Record) -> None:
    balancer = project.tables["load_balancers"].get(action["resources"][0]["id"])
    if balancer is not None:
        attachments.attach(project, "load_balancers", balancer, action["_args"]["entry"])
        project.cloud.outside.rebalance(balancer["id"])


def _undo_attach(project: Project, action: Record) -> None:
    entry = action["_args"]["entry"]
    give_back(project, entry["network"], [entry["ip"]])


def _detach_from_network(call: Call) -> Answer:
    balancer = call.record("load_balancers")
    body = call.body()
    network_id = body.integer("network", least=1)
    body.check()
    if not any(net["network"] == network_id for net in balancer["private_net"]):
        raise not_found("network attachment")
    both = (("load_balancers", balancer), ("networks", call.project.get("networks", network_id)))
    return call.acting("detach_from_network", *both, finish="detach_load_balancer", args={"network": network_id})


def _finish_detach(project: Project, action: Record) -> None:
    balancer = project.tables["load_balancers"].get(action["resources"][0]["id"])
    if balancer is not None:
        attachments.detach(project, "load_balancers", balancer, action["_args"]["network"])
        project.cloud.outside.rebalance(balancer["id"])


def _public_interface(command: str, *, enabled: bool) -> Handler:
    def handle(call: Call) -> Answer:
        balancer = call.record("load_balancers")
        if not enabled:
            _ensure_private_suffices(balancer)
        balancer["public_net"]["enabled"] = enabled
        return _changed(call, command, balancer)

    return handle


def _ensure_private_suffices(balancer: Record) -> None:
    if not balancer["private_net"]:
        raise ApiError("load_balancer_not_attached_to_network", "load balancer is not attached to a network")
    if not all(target.get("use_private_ip") for target in balancer["targets"]):
        raise ApiError("targets_without_use_private_ip", "targets use the public IP instead of the private one")


def _change_algorithm(call: Call) -> Answer:
    balancer = call.record("load_balancers")
    body = call.body()
    kind = body.text("type", one_of=("round_robin", "least_connections"))
    body.check()
    balancer["algorithm"] = {"type": kind}
    return _changed(call, "change_algorithm", balancer)


def _change_type(call: Call) -> Answer:
    balancer = call.record("load_balancers")
    body = call.body()
    reference = body.reference("load_balancer_type")
    body.check()
    kind: Any = call.catalogue.load_balancer_type(reference or "")
    if kind is None:
        raise invalid("load_balancer_type", f"load balancer type {reference} not found")
    if len(balancer["services"]) > kind["max_services"] or len(balancer["targets"]) > kind["max_targets"]:
        raise ApiError("invalid_load_balancer_type", "load balancer does not fit in this type")
    balancer["load_balancer_type"] = kind["id"]
    return _changed(call, "change_load_balancer_type", balancer)


def _change_dns_ptr(call: Call) -> Answer:
    balancer = call.record("load_balancers")
    body = call.body()
    ip, name = body.text("ip"), body.maybe_text("dns_ptr")
    body.check()
    for family in ("ipv4", "ipv6"):
        if balancer["public_net"][family]["ip"] == ip:
            balancer["public_net"][family]["dns_ptr"] = name
            return _changed(call, "change_dns_ptr", balancer)
    raise not_found("IP")


def _changed(call: Call, command: str, balancer: Record) -> Answer:
    call.project.touch("load_balancers", balancer)
    call.cloud.outside.rebalance(balancer["id"])
    return call.acting(command, ("load_balancers", balancer))


def _metrics(call: Call) -> Answer:
    call.record("load_balancers")
    return no_metrics(call)


def _on(name: str) -> tuple[str, str]:
    return "POST", f"/load_balancers/{{id}}/actions/{name}"


ROUTES: Routes = {
    **named_routes("load_balancers", render),
    **protection_route("load_balancers"),
    ("POST", "/load_balancers"): _created,
    ("DELETE", "/load_balancers/{id}"): _deleted,
    ("GET", "/load_balancers/{id}/metrics"): _metrics,
    _on("attach_to_network"): _attach_to_network,
    _on("detach_from_network"): _detach_from_network,
    _on("enable_public_interface"): _public_interface("enable_public_interface", enabled=True),
    _on("disable_public_interface"): _public_interface("disable_public_interface", enabled=False),
    _on("change_algorithm"): _change_algorithm,
    _on("change_type"): _change_type,
    _on("change_dns_ptr"): _change_dns_ptr,
}
FINISHES: dict[str, Finish] = {
    "delete_load_balancer": _finish_delete,
    "attach_load_balancer": _finish_attach,
    "detach_load_balancer": _finish_detach,
}
UNDOES: dict[str, Finish] = {"attach_load_balancer": _undo_attach}
