"""Firewalls: rules, and the servers they apply to, named one by one or by a label selector.

A server's list of firewalls is kept on the server, so that reading a server asks nobody; `settle` brings it up to date
when a firewall's targets or a server's labels change. Rules are stored and shown; nothing is filtered on loopback.
"""

import re
from ipaddress import ip_network
from typing import Final

from sandbox.hetzner import labels as labels_module
from sandbox.hetzner.actions import rendered
from sandbox.hetzner.body import Body
from sandbox.hetzner.calls import Answer, Call, Routes
from sandbox.hetzner.errors import ApiError
from sandbox.hetzner.listing import named_routes
from sandbox.hetzner.state import Project, Record, shown

_MOST_RULES: Final = 50
_PORT: Final = re.compile(r"(\d{1,5})(-(\d{1,5}))?")
_HIGHEST_PORT: Final = 65535
_WITH_PORT: Final = ("tcp", "udp")


def render(call: Call, record: Record) -> Record:
    """A firewall with the servers that its selectors mean at present."""
    targets = [_target_shown(call.project, target) for target in record["applied_to"]]
    return {**shown(record), "applied_to": targets}


def _target_shown(project: Project, target: Record) -> Record:
    if target["type"] == "server":
        return target
    selected = project.selected("servers", labels_module.parse(target["label_selector"]["selector"]))
    resources = [{"type": "server", "server": {"id": server["id"]}} for server in selected]
    return {**target, "applied_to_resources": resources}


def settle(project: Project, servers: list[Record]) -> None:
    """Bring the firewall lists of some servers up to date."""
    for server in servers:
        ids = [f["id"] for f in project.tables["firewalls"].values() if _applies(f, server)]
        if [f["id"] for f in server["public_net"]["firewalls"]] != ids:
            server["public_net"]["firewalls"] = [{"id": i, "status": "applied"} for i in ids]
            project.touch("servers", server)


def forget_server(project: Project, server: Record) -> None:
    """A server that goes is no longer anybody's target."""
    for entry in server["public_net"]["firewalls"]:
        firewall = project.tables["firewalls"].get(entry["id"])
        if firewall is not None:
            firewall["applied_to"] = [t for t in firewall["applied_to"] if t.get("server") != {"id": server["id"]}]
            project.touch("firewalls", firewall)


def apply_to_server(project: Project, firewall: Record, server: Record) -> None:
    """Apply a firewall to one server."""
    target = {"type": "server", "server": {"id": server["id"]}}
    if target not in firewall["applied_to"]:
        firewall["applied_to"].append(target)
        project.touch("firewalls", firewall)


def _applies(firewall: Record, server: Record) -> bool:
    for target in firewall["applied_to"]:
        if target["type"] == "server":
            if target["server"]["id"] == server["id"]:
                return True
        elif labels_module.parse(target["label_selector"]["selector"]).matches(server["labels"]):
            return True
    return False


def _rules(body: Body) -> list[Record]:
    parts = body.parts("rules")
    if len(parts) > _MOST_RULES:
        body.problem("rules", f"must not have more than {_MOST_RULES} entries")
    return [_rule(part) for part in parts]


def _rule(part: Body) -> Record:
    direction = part.text("direction", one_of=("in", "out"))
    protocol = part.text("protocol", one_of=("tcp", "udp", "icmp", "esp", "gre"))
    port = part.maybe_text("port")
    if protocol in _WITH_PORT and not _valid_port(port):
        part.problem("port", "must be a port or a range of ports")
    if protocol not in _WITH_PORT and port:
        part.problem("port", f"must not be set for {protocol}")
    rule: Record = {
        "description": part.maybe_text("description", longest=255),
        "direction": direction,
        "protocol": protocol,
        "port": port or None,
        "source_ips": _ranges(part, "source_ips"),
        "destination_ips": _ranges(part, "destination_ips"),
    }
    needed = "source_ips" if direction == "in" else "destination_ips"
    if not rule[needed]:
        part.problem(needed, "must have at least one entry")
    return rule


def _valid_port(port: str | None) -> bool:
    if port == "any":
        return True
    found = _PORT.fullmatch(port or "")
    if not found:
        return False
    first, last = int(found[1]), int(found[3] or found[1])
    return 1 <= first <= last <= _HIGHEST_PORT


def _ranges(part: Body, field: str) -> list[str]:
    found = part.texts(field)
    for text in found:
        try:
            ip_network(text)
        except ValueError:
            part.problem(field, f"'{text}' is not a valid range in CIDR notation")
    return found


def _targets(project: Project, body: Body, field: str, *, missing: int = 404) -> list[Record]:
    targets: list[Record] = []
    for part in body.parts(field):
        kind = part.text("type", one_of=("server", "label_selector"))
        if kind == "server":
            server_id = part.part("server").integer("id", least=1)
            targets.append({"type": kind, "server": {"id": server_id}})
        elif kind == "label_selector":
            selector = part.part("label_selector").text("selector")
            if selector:
                labels_module.parse(selector, f"{field}.label_selector")
            targets.append({"type": kind, "label_selector": {"selector": selector}})
    body.check()
    named = [target["server"]["id"] for target in targets if target["type"] == "server"]
    if len(named) > len(set(named)):
        raise ApiError("server_already_added", "server was named more than once")
    for server_id in named:
        if server_id not in project.tables["servers"]:
            raise ApiError("firewall_resource_not_found", "server not found", status=missing)
    return targets


def _ensure_public(project: Project, target: Record) -> None:
    if target["type"] != "server":
        return
    public = project.get("servers", target["server"]["id"])["public_net"]
    if public["ipv4"] is None and public["ipv6"] is None:
        raise ApiError("private_net_only_server", "server has no public interface")


def _meant(project: Project, targets: list[Record]) -> list[Record]:
    servers: dict[int, Record] = {}
    for target in targets:
        if target["type"] == "server":
            found = [project.get("servers", target["server"]["id"])]
        else:
            found = project.selected("servers", labels_module.parse(target["label_selector"]["selector"]))
        servers.update({server["id"]: server for server in found})
    return list(servers.values())


def _begun(call: Call, command: str, firewall: Record, servers: list[Record]) -> list[Record]:
    groups = [[("firewalls", firewall), ("servers", server)] for server in servers] or [[("firewalls", firewall)]]
    return [rendered(call.actions.done(call.project, command, *group)) for group in groups]


def _created(call: Call) -> Answer:
    body = call.body()
    name, labels, rules = body.text("name", longest=255), body.labels(), _rules(body)
    targets = _targets(call.project, body, "apply_to", missing=422)
    call.project.ensure_free_name("firewalls", name)
    call.project.ensure_room("firewalls")
    firewall = call.project.add(
        "firewalls", {"name": name, "labels": labels or {}, "rules": rules, "applied_to": targets}
    )
    actions = (
        [rendered(call.actions.done(call.project, "set_firewall_rules", ("firewalls", firewall)))] if rules else []
    )
    if targets:
        servers = _meant(call.project, targets)
        settle(call.project, servers)
        actions += _begun(call, "apply_firewall", firewall, servers)
    return Answer(201, {"firewall": render(call, firewall), "actions": actions})


def _deleted(call: Call) -> Answer:
    firewall = call.record("firewalls")
    if firewall["applied_to"]:
        raise ApiError("resource_in_use", f"firewall with ID '{firewall['id']}' is still in use")
    call.project.drop("firewalls", firewall)
    return Answer(204)


def _set_rules(call: Call) -> Answer:
    firewall = call.record("firewalls")
    body = call.body()
    rules = _rules(body)
    if "rules" not in body.raw:
        body.problem("rules", "Missing data for required field.")
    body.check()
    firewall["rules"] = rules
    call.project.touch("firewalls", firewall)
    return Answer(201, {"actions": _begun(call, "set_firewall_rules", firewall, [])})


def _apply(call: Call) -> Answer:
    firewall = call.record("firewalls")
    targets = _targets(call.project, call.body(), "apply_to")
    for target in targets:
        _ensure_public(call.project, target)
        if target in firewall["applied_to"]:
            raise ApiError("firewall_already_applied", "firewall is already applied to the resource")
    firewall["applied_to"].extend(targets)
    call.project.touch("firewalls", firewall)
    servers = _meant(call.project, targets)
    settle(call.project, servers)
    return Answer(201, {"actions": _begun(call, "apply_firewall", firewall, servers)})


def _remove(call: Call) -> Answer:
    firewall = call.record("firewalls")
    targets = _targets(call.project, call.body(), "remove_from")
    for target in targets:
        if target not in firewall["applied_to"]:
            if target["type"] == "server" and _applies(firewall, call.project.get("servers", target["server"]["id"])):
                raise ApiError("firewall_managed_by_label_selector", "firewall is applied by a label selector")
            raise ApiError("firewall_already_removed", "firewall is not applied to the resource")
    firewall["applied_to"] = [target for target in firewall["applied_to"] if target not in targets]
    call.project.touch("firewalls", firewall)
    servers = _meant(call.project, targets)
    settle(call.project, servers)
    return Answer(201, {"actions": _begun(call, "remove_firewall", firewall, servers)})


ROUTES: Routes = {
    **named_routes("firewalls", render),
    ("POST", "/firewalls"): _created,
    ("DELETE", "/firewalls/{id}"): _deleted,
    ("POST", "/firewalls/{id}/actions/set_rules"): _set_rules,
    ("POST", "/firewalls/{id}/actions/apply_to_resources"): _apply,
    ("POST", "/firewalls/{id}/actions/remove_from_resources"): _remove,
}
