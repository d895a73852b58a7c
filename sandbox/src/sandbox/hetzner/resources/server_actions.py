"""What can be done to a server that exists. An action holds the server: another is refused as `locked` meanwhile."""

from datetime import UTC, datetime
from typing import Final

from sandbox.hetzner.actions import Finish, rendered
from sandbox.hetzner.calls import Answer, Call, Handler, Routes
from sandbox.hetzner.errors import ApiError, invalid, not_found
from sandbox.hetzner.listing import ensure_unprotected
from sandbox.hetzner.resources import attachments, images, placement_groups, primary_ips
from sandbox.hetzner.resources.networks import give_back
from sandbox.hetzner.resources.servers import USER_DATA_LIMIT, order_type, password, take_capacity
from sandbox.hetzner.state import MachineOrder, Project, Record

_BACKUP_WINDOW: Final = "22-02"


def _power(command: str, finish: str, needed: str | None = None) -> Handler:
    def handle(call: Call) -> Answer:
        server = call.unlocked_server()
        if needed and server["status"] != needed:
            raise ApiError("unsupported_error", f"server must be {needed}")
        return call.acting(command, ("servers", server), finish=finish, locks=server)

    return handle


def _finish_restart(project: Project, action: Record) -> None:
    server = project.tables["servers"].get(action["resources"][0]["id"])
    if server is not None:
        project.cloud.outside.order(MachineOrder("off", server["id"]))
        project.cloud.outside.order(MachineOrder("on", server["id"]))
        server["status"] = "running"
        project.touch("servers", server)


def _attach_to_network(call: Call) -> Answer:
    server = call.unlocked_server()
    body = call.body()
    network_id = body.integer("network", least=1)
    body.check()
    network = call.project.tables["networks"].get(network_id)
    if network is None:
        raise not_found("network")
    entry = attachments.reserve(call, "servers", server, network, body)
    both = (("servers", server), ("networks", network))
    return call.acting("attach_to_network", *both, finish="attach_server", args={"entry": entry}, locks=server)


def _finish_attach(project: Project, action: Record) -> None:
    server = project.tables["servers"].get(action["resources"][0]["id"])
    if server is not None:
        attachments.attach(project, "servers", server, action["_args"]["entry"])


def _undo_attach(project: Project, action: Record) -> None:
    entry = action["_args"]["entry"]
    give_back(project, entry["network"], [entry["ip"], *entry["alias_ips"]])


def _detach_from_network(call: Call) -> Answer:
    server = call.unlocked_server()
    body = call.body()
    network_id = body.integer("network", least=1)
    body.check()
    if not any(net["network"] == network_id for net in server["private_net"]):
        raise not_found("network attachment")
    both = (("servers", server), ("networks", call.project.get("networks", network_id)))
    return call.acting("detach_from_network", *both, finish="detach_server", args={"network": network_id}, locks=server)


def _finish_detach(project: Project, action: Record) -> None:
    server = project.tables["servers"].get(action["resources"][0]["id"])
    if server is not None:
        attachments.detach(project, "servers", server, action["_args"]["network"])


def _change_alias_ips(call: Call) -> Answer:
    server = call.unlocked_server()
    body = call.body()
    network_id, aliases = body.integer("network", least=1), body.texts("alias_ips")
    body.check()
    entry = next((net for net in server["private_net"] if net["network"] == network_id), None)
    if entry is None:
        raise not_found("network attachment")
    network = call.project.get("networks", network_id)
    for alias in entry["alias_ips"]:
        network["_used"].pop(alias, None)
    for alias in aliases:
        if alias in network["_used"]:
            raise ApiError("ip_not_available", "IP is not available")
    network["_used"].update({alias: ["servers", server["id"]] for alias in aliases})
    entry["alias_ips"] = aliases
    call.project.touch("networks", network)
    call.project.touch("servers", server)
    return call.acting("change_alias_ips", ("servers", server), ("networks", network), locks=server)


def _change_protection(call: Call) -> Answer:
    server = call.record("servers")
    body = call.body()
    protection = {what: body.flag(what, default=server["protection"][what]) for what in ("delete", "rebuild")}
    body.check()
    if protection["delete"] != protection["rebuild"]:
        raise invalid("delete", "delete and rebuild protection must be equal")
    server["protection"] = protection
    call.project.touch("servers", server)
    return call.acting("change_protection", ("servers", server))


def _change_type(call: Call) -> Answer:
    server = call.unlocked_server()
    body = call.body()
    reference, bigger_disk = body.reference("server_type"), body.flag("upgrade_disk")
    if not reference:
        body.problem("server_type", "Missing data for required field.")
    body.check()
    wanted = order_type(call, reference or "", server["location"])
    present = call.catalogue.server_types[server["server_type"]]
    if server["status"] != "off":
        raise ApiError("server_not_stopped", "server must be stopped")
    if wanted["architecture"] != present["architecture"] or wanted["disk"] < server["primary_disk_size"]:
        raise ApiError("invalid_server_type", "server type does not fit this server")
    take_capacity(call, wanted, server["location"])
    args = {"server_type": wanted["id"], "disk": wanted["disk"] if bigger_disk else server["primary_disk_size"]}
    return call.acting("change_server_type", ("servers", server), finish="change_server_type", args=args, locks=server)


def _finish_change_type(project: Project, action: Record) -> None:
    server = project.tables["servers"].get(action["resources"][0]["id"])
    if server is not None:
        server["server_type"] = action["_args"]["server_type"]
        server["primary_disk_size"] = action["_args"]["disk"]
        project.touch("servers", server)


def _rebuild(call: Call) -> Answer:
    server = call.unlocked_server()
    ensure_unprotected(server, "rebuild")
    body = call.body()
    reference = body.reference("image")
    user_data = body.maybe_text("user_data", longest=USER_DATA_LIMIT)
    if not reference:
        body.problem("image", "Missing data for required field.")
    body.check()
    architecture = call.catalogue.server_types[server["server_type"]]["architecture"]
    image = images.find(call, reference or "", architecture)
    if image is None:
        raise invalid("image", f"image {reference} not found")
    server["image"] = image["id"]
    if user_data is not None:
        server["_user_data"] = user_data
    server["status"] = "rebuilding"
    call.cloud.outside.order(MachineOrder("remove", server["id"]))
    call.project.touch("servers", server)
    action = call.actions.begin(
        call.project, "rebuild_server", ("servers", server), finish="start_server", locks=server
    )
    return Answer(201, {"root_password": password(), "action": rendered(action)})


def _create_image(call: Call) -> Answer:
    server = call.record("servers")
    body = call.body()
    kind = body.maybe_text("type", one_of=("snapshot", "backup")) or "snapshot"
    description, labels = body.maybe_text("description"), body.labels()
    body.check()
    if kind == "backup" and server["backup_window"] is None:
        raise ApiError("backup_not_enabled", "backups are not enabled for this server")
    image = images.taken_of(call, server, kind, description or "", labels or {})
    action = call.actions.begin(
        call.project, "create_image", ("servers", server), finish="create_image", args={"image": image["id"]}
    )
    return Answer(201, {"image": image, "action": rendered(action)})


def _placed(call: Call) -> Answer:
    server = call.unlocked_server()
    body = call.body()
    group_id = body.integer("placement_group", least=1)
    body.check()
    if server["status"] != "off":
        raise ApiError("server_not_stopped", "server must be stopped")
    if server["placement_group"]:
        raise ApiError("already_in_placement_group", "server is already in a placement group")
    placement_groups.join(call.project, call.project.get("placement_groups", group_id), server)
    return call.acting("add_to_placement_group", ("servers", server), locks=server)


def _unplaced(call: Call) -> Answer:
    server = call.unlocked_server()
    if not server["placement_group"]:
        raise ApiError("not_in_placement_group", "server is in no placement group")
    placement_groups.leave(call.project, server)
    return call.acting("remove_from_placement_group", ("servers", server), locks=server)


def _setting(command: str, **values: object) -> Handler:
    def handle(call: Call) -> Answer:
        server = call.unlocked_server()
        server.update(values)
        call.project.touch("servers", server)
        return call.acting(command, ("servers", server))

    return handle


def _with_password(command: str, **values: object) -> Handler:
    def handle(call: Call) -> Answer:
        server = call.unlocked_server()
        server.update(values)
        call.project.touch("servers", server)
        action = call.actions.begin(call.project, command, ("servers", server), locks=server)
        return Answer(201, {"root_password": password(), "action": rendered(action)})

    return handle


def _attach_iso(call: Call) -> Answer:
    server = call.unlocked_server()
    body = call.body()
    reference = body.reference("iso")
    body.check()
    iso = next((i for i in call.catalogue.isos.values() if reference in {str(i["id"]), i["name"]}), None)
    if iso is None:
        raise invalid("iso", "iso not found")
    server["iso"] = iso["id"]
    call.project.touch("servers", server)
    return call.acting("attach_iso", ("servers", server))


def _change_dns_ptr(call: Call) -> Answer:
    server = call.record("servers")
    body = call.body()
    ip, name = body.text("ip"), body.maybe_text("dns_ptr")
    body.check()
    for kind in primary_ips.KINDS:
        public = server["public_net"][kind]
        address = call.project.tables["primary_ips"].get(public["id"]) if public else None
        if address is not None and (address["ip"] == ip or (kind == "ipv6" and ":" in ip)):
            address["dns_ptr"] = primary_ips.set_reverse(address["dns_ptr"], ip, name)
            primary_ips.put_on(call.project, address, server)
            return call.acting("change_dns_ptr", ("servers", server))
    raise not_found("IP")


def _request_console(call: Call) -> Answer:
    server = call.record("servers")
    action = call.actions.begin(call.project, "request_console", ("servers", server))
    url = f"wss://console.invalid/?server_id={server['id']}&simulated=true"
    return Answer(201, {"wss_url": url, "password": password(), "action": rendered(action)})


def _metrics(call: Call) -> Answer:
    call.record("servers")
    return no_metrics(call)


def no_metrics(call: Call) -> Answer:
    """Metrics of something that has none: an empty set of series over the asked period."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    start, end = call.query.get("start") or moment, call.query.get("end") or moment
    return Answer(200, {"metrics": {"start": start, "end": end, "step": 60, "time_series": {}}})


def _on(name: str) -> tuple[str, str]:
    return "POST", f"/servers/{{id}}/actions/{name}"


ROUTES: Routes = {
    _on("poweron"): _power("start_server", "start_server"),
    _on("poweroff"): _power("stop_server", "stop_server"),
    _on("shutdown"): _power("shutdown_server", "stop_server"),
    _on("reboot"): _power("reboot_server", "restart_server", "running"),
    _on("reset"): _power("reset_server", "restart_server"),
    _on("attach_to_network"): _attach_to_network,
    _on("detach_from_network"): _detach_from_network,
    _on("change_alias_ips"): _change_alias_ips,
    _on("change_protection"): _change_protection,
    _on("change_type"): _change_type,
    _on("rebuild"): _rebuild,
    _on("create_image"): _create_image,
    _on("add_to_placement_group"): _placed,
    _on("remove_from_placement_group"): _unplaced,
    _on("enable_backup"): _setting("enable_backup", backup_window=_BACKUP_WINDOW),
    _on("disable_backup"): _setting("disable_backup", backup_window=None),
    _on("enable_rescue"): _with_password("enable_rescue", rescue_enabled=True),
    _on("disable_rescue"): _setting("disable_rescue", rescue_enabled=False),
    _on("reset_password"): _with_password("reset_password"),
    _on("attach_iso"): _attach_iso,
    _on("detach_iso"): _setting("detach_iso", iso=None),
    _on("change_dns_ptr"): _change_dns_ptr,
    _on("request_console"): _request_console,
    ("GET", "/servers/{id}/metrics"): _metrics,
}
FINISHES: dict[str, Finish] = {
    "restart_server": _finish_restart,
    "attach_server": _finish_attach,
    "detach_server": _finish_detach,
    "change_server_type": _finish_change_type,
}
UNDOES: dict[str, Finish] = {"attach_server": _undo_attach}
