"""What a load balancer forwards (services) and to whom (targets); every change reaches the forwarder at once."""

from ipaddress import ip_address
from typing import Any, Final

from sandbox.hetzner import labels as labels_module
from sandbox.hetzner.body import Body
from sandbox.hetzner.calls import Answer, Call, Routes
from sandbox.hetzner.errors import ApiError, invalid, not_found
from sandbox.hetzner.state import Record

_HIGHEST_PORT: Final = 65535
_LISTEN_DEFAULT: Final = {"http": 80, "https": 443}
_DESTINATION_DEFAULT: Final = {"http": 80, "https": 80}
_PROTOCOLS: Final = ("tcp", "http", "https")
_HTTP_CHECK_STATUS: Final = ["2??", "3??"]


def new_service(call: Call, balancer: Record, body: Body) -> Record:
    """A service with every default filled in, if it fits this load balancer."""
    protocol = body.text("protocol", one_of=_PROTOCOLS)
    listen = body.maybe_integer("listen_port", least=1, most=_HIGHEST_PORT) or _LISTEN_DEFAULT.get(protocol)
    if listen is None:
        body.problem("listen_port", "Missing data for required field.")
    body.check()
    if any(service["listen_port"] == listen for service in balancer["services"]):
        raise ApiError("source_port_already_used", "source port is already in use")
    kind = call.catalogue.load_balancer_types[balancer["load_balancer_type"]]
    if len(balancer["services"]) >= kind["max_services"]:
        raise ApiError("resource_limit_exceeded", "service limit exceeded", {"limits": [{"name": "service_limit"}]})
    base: Record = {
        "protocol": protocol,
        "listen_port": listen,
        "destination_port": _DESTINATION_DEFAULT.get(protocol, listen),
        "proxyprotocol": False,
    }
    return _described(call, base, body, protocol)


def _described(call: Call, present: Record, body: Body, protocol: str) -> Record:
    """A service with what the body says on top of what it is."""
    destination = body.maybe_integer("destination_port", least=1, most=_HIGHEST_PORT)
    service: Record = {
        "protocol": protocol,
        "listen_port": present["listen_port"],
        "destination_port": destination or present["destination_port"],
        "proxyprotocol": body.flag("proxyprotocol", default=present["proxyprotocol"]),
    }
    service["health_check"] = _health_check(present, service, body)
    if protocol != "tcp":
        service["http"] = _http(call, present, body, protocol)
    elif body.has("http"):
        body.problem("http", "must not be set for tcp")
    body.check()
    return service


def _health_check(present: Record, service: Record, body: Body) -> Record:
    part, old = body.part("health_check"), present.get("health_check") or {}
    protocol = part.maybe_text("protocol", one_of=("tcp", "http")) or old.get("protocol")
    if protocol is None:
        protocol = "tcp" if service["protocol"] == "tcp" else "http"
    check: Record = {
        "protocol": protocol,
        "port": part.maybe_integer("port", least=1, most=_HIGHEST_PORT) or old.get("port", service["destination_port"]),
        "interval": part.maybe_integer("interval", least=3, most=60) or old.get("interval", 15),
        "timeout": part.maybe_integer("timeout", least=1, most=60) or old.get("timeout", 10),
        "retries": part.maybe_integer("retries", least=0, most=5),
    }
    if check["retries"] is None:
        check["retries"] = old.get("retries", 3)
    if protocol == "http":
        http, before = part.part("http"), old.get("http") or {}
        check["http"] = {
            "domain": http.maybe_text("domain") or before.get("domain", ""),
            "path": http.maybe_text("path") or before.get("path", "/"),
            "response": http.maybe_text("response") or before.get("response", ""),
            "status_codes": http.texts("status_codes") or before.get("status_codes", _HTTP_CHECK_STATUS),
            "tls": http.flag("tls", default=before.get("tls", False)),
        }
    return check


def _http(call: Call, present: Record, body: Body, protocol: str) -> Record:
    part, old = body.part("http"), present.get("http") or {}
    http: Record = {
        "cookie_name": part.maybe_text("cookie_name") or old.get("cookie_name", "HCLBSTICKY"),
        "cookie_lifetime": part.maybe_integer("cookie_lifetime", least=30, most=86400)
        or old.get("cookie_lifetime", 300),
        "timeout_idle": part.maybe_integer("timeout_idle", least=30, most=300) or old.get("timeout_idle", 60),
        "sticky_sessions": part.flag("sticky_sessions", default=old.get("sticky_sessions", False)),
        "certificates": part.ids("certificates") if part.has("certificates") else old.get("certificates", []),
        "redirect_http": part.flag("redirect_http", default=old.get("redirect_http", False)),
    }
    if protocol == "https" and not http["certificates"]:
        part.problem("certificates", "must have at least one entry")
    for certificate in http["certificates"]:
        if certificate not in call.project.tables["certificates"]:
            part.problem("certificates", f"certificate with ID '{certificate}' not found")
    return http


def new_target(call: Call, balancer: Record, body: Body) -> Record:
    """A target, if this load balancer can reach it."""
    target = _named_target(body)
    if any(_same(target, other) for other in balancer["targets"]):
        raise ApiError("target_already_defined", "target is already defined")
    kind = call.catalogue.load_balancer_types[balancer["load_balancer_type"]]
    if len(balancer["targets"]) >= kind["max_targets"]:
        raise ApiError("resource_limit_exceeded", "target limit exceeded", {"limits": [{"name": "target_limit"}]})
    if not body.flag("use_private_ip") and not balancer["public_net"]["enabled"]:
        raise ApiError("load_balancer_public_interface_disabled", "load balancer's public interface is disabled")
    if target["type"] == "ip":
        _ensure_own(call, target["ip"]["ip"])
        return target
    target["use_private_ip"] = private = body.flag("use_private_ip")
    body.check()
    if private and not balancer["private_net"]:
        raise ApiError("load_balancer_not_attached_to_network", "load balancer is not attached to a network")
    if target["type"] == "server":
        _ensure_reachable(call, balancer, target["server"]["id"], private=private)
    return target


def _named_target(body: Body) -> Record:
    kind = body.text("type", one_of=("server", "label_selector", "ip"))
    value: Any = None
    if kind == "server":
        value = {"id": body.part("server").integer("id", least=1)}
    elif kind == "label_selector":
        value = {"selector": body.part("label_selector").text("selector")}
    elif kind == "ip":
        value = {"ip": body.part("ip").text("ip")}
    body.check()
    if kind == "label_selector":
        labels_module.parse(value["selector"], "label_selector.selector")
    return {"type": kind, kind: value}


def _same(one: Record, other: Record) -> bool:
    return bool(one["type"] == other["type"] and one[one["type"]] == other[one["type"]])


def _ensure_reachable(call: Call, balancer: Record, server_id: int, *, private: bool) -> None:
    server = call.project.tables["servers"].get(server_id)
    if server is None:
        raise not_found("server")
    if not private and server["public_net"]["ipv4"] is None:
        raise ApiError("resolve_cloud_public_targets_error", "server has no public IPv4 address")
    networks = {net["network"] for net in balancer["private_net"]}
    if private and not networks & {net["network"] for net in server["private_net"]}:
        raise ApiError("resolve_cloud_private_targets_error", "server is not attached to the load balancer's network")


def _ensure_own(call: Call, text: str) -> None:
    try:
        address = ip_address(text)
    except ValueError:
        raise invalid("ip", "is not a valid IP address") from None
    servers = call.project.tables["servers"].values()
    public = {server["public_net"]["ipv4"]["ip"] for server in servers if server["public_net"]["ipv4"]}
    private = {net["ip"] for server in servers for net in server["private_net"]}
    if str(address) not in public | private:
        raise ApiError("ip_not_owned", "IP is not owned by the project")


def _add_service(call: Call) -> Answer:
    balancer = call.record("load_balancers")
    balancer["services"].append(new_service(call, balancer, call.body()))
    return _changed(call, "add_service", balancer)


def _update_service(call: Call) -> Answer:
    balancer = call.record("load_balancers")
    body = call.body()
    index = _service_index(balancer, body)
    present = balancer["services"][index]
    protocol = body.maybe_text("protocol", one_of=_PROTOCOLS) or present["protocol"]
    balancer["services"][index] = _described(call, present, body, protocol)
    return _changed(call, "update_service", balancer)


def _delete_service(call: Call) -> Answer:
    balancer = call.record("load_balancers")
    del balancer["services"][_service_index(balancer, call.body())]
    return _changed(call, "delete_service", balancer)


def _service_index(balancer: Record, body: Body) -> int:
    port = body.integer("listen_port", least=1, most=_HIGHEST_PORT)
    body.check()
    for index, service in enumerate(balancer["services"]):
        if service["listen_port"] == port:
            return index
    raise not_found("service")


def _add_target(call: Call) -> Answer:
    balancer = call.record("load_balancers")
    target = new_target(call, balancer, call.body())
    balancer["targets"].append(target)
    if target["type"] == "server":
        server = call.project.get("servers", target["server"]["id"])
        server["load_balancers"].append(balancer["id"])
        call.project.touch("servers", server)
    return _changed(call, "add_target", balancer)


def _remove_target(call: Call) -> Answer:
    balancer = call.record("load_balancers")
    target = _named_target(call.body())
    kept = [other for other in balancer["targets"] if not _same(target, other)]
    if len(kept) == len(balancer["targets"]):
        raise not_found("target")
    balancer["targets"] = kept
    server = call.project.tables["servers"].get(target["server"]["id"]) if target["type"] == "server" else None
    if server is not None:
        server["load_balancers"] = [i for i in server["load_balancers"] if i != balancer["id"]]
        call.project.touch("servers", server)
    return _changed(call, "remove_target", balancer)


def _changed(call: Call, command: str, balancer: Record) -> Answer:
    call.project.touch("load_balancers", balancer)
    call.cloud.outside.rebalance(balancer["id"])
    return call.acting(command, ("load_balancers", balancer))


def _on(name: str) -> tuple[str, str]:
    return "POST", f"/load_balancers/{{id}}/actions/{name}"


ROUTES: Routes = {
    _on("add_service"): _add_service,
    _on("update_service"): _update_service,
    _on("delete_service"): _delete_service,
    _on("add_target"): _add_target,
    _on("remove_target"): _remove_target,
}
