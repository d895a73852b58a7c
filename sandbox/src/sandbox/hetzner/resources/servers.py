"""Servers: ordering one is the longest check of all, deleting one frees everything it held.

The public IPv4 is a loopback address of its own; a server without a public interface has one too, hidden in `_address`,
because its machine must bind somewhere.
"""

import base64
import re
import secrets
from typing import Final

from sandbox.hetzner.actions import Finish, rendered
from sandbox.hetzner.body import Body
from sandbox.hetzner.calls import Answer, Call, Routes
from sandbox.hetzner.catalogue import is_past
from sandbox.hetzner.errors import ApiError, invalid, not_found
from sandbox.hetzner.listing import ensure_unprotected, named_routes
from sandbox.hetzner.resources import attachments, firewalls, images, placement_groups, primary_ips, volumes
from sandbox.hetzner.state import MachineOrder, Project, Record, shown

USER_DATA_LIMIT: Final = 32 * 1024
_HOSTNAME: Final = re.compile(
    r"(?=.{1,253}$)[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)


def render(call: Call, record: Record) -> Record:
    """A server with everything it refers to."""
    project, catalogue = call.project, call.catalogue
    group = project.tables["placement_groups"].get(record["placement_group"] or 0)
    image = images.by_id(project, record["image"])
    return {
        **shown(record),
        "server_type": catalogue.server_types[record["server_type"]],
        "location": catalogue.location_named[record["location"]],
        "image": shown(image) if image else None,
        "iso": catalogue.isos.get(record["iso"] or 0),
        "placement_group": shown(group) if group else None,
    }


def order_type(call: Call, reference: str, location: str) -> Record:
    """The server type, if it can still be ordered there."""
    found = call.catalogue.server_type(reference)
    if found is None:
        raise invalid("server_type", f"server type {reference} not found")
    offer = call.catalogue.offer(found, location)
    if found["deprecation"] and is_past(found["deprecation"]["unavailable_after"]):
        raise ApiError("invalid_input", f"server type {found['id']} is deprecated")
    if offer is None:
        raise ApiError("invalid_input", "unsupported location for server type")
    if offer["deprecation"] and is_past(offer["deprecation"]["unavailable_after"]):
        raise ApiError("invalid_input", f"server type {found['id']} is deprecated")
    return found


def take_capacity(call: Call, server_type: Record, location: str) -> None:
    """Use one place up, where places are counted; refuse when none is left."""
    keys = ((location, server_type["name"]), (location, "*"), ("*", server_type["name"]))
    counted = [call.cloud.capacity[key] for key in keys if key in call.cloud.capacity]
    for capacity in counted:
        if capacity.remaining <= 0:
            raise ApiError(capacity.code, capacity.message)
    for capacity in counted:
        capacity.remaining -= 1


def _place(call: Call, body: Body) -> Record:
    if body.has("datacenter"):
        raise invalid("datacenter", "was removed, use location")
    reference = body.reference("location") or "fsn1"
    location = call.catalogue.location(reference)
    if location is None:
        raise invalid("location", f"location {reference} not found")
    return location


def _image(call: Call, reference: str, server_type: Record) -> Record:
    image = images.find(call, reference, server_type["architecture"])
    if image is None:
        raise invalid("image", f"image {reference} not found")
    if image["architecture"] != server_type["architecture"]:
        raise invalid("image", "image architecture does not match the server type's")
    if image["deprecated"] and is_past(image["deprecated"]):
        raise ApiError("unavailable", "image is deprecated")
    if image["disk_size"] > server_type["disk"]:
        raise invalid("image", "image does not fit on the server type's disk")
    return image


def _records(call: Call, kind: str, references: list[str]) -> list[Record]:
    found = []
    for reference in references:
        record = call.project.find(kind, reference)
        if record is None:
            raise not_found(f"{kind[:-1].replace('_', ' ')} '{reference}'")
        found.append(record)
    return found


def _user_data(body: Body) -> str:
    text = body.maybe_text("user_data", longest=USER_DATA_LIMIT)
    return text or ""


def _wanted_addresses(call: Call, body: Body, location: str) -> list[tuple[str, Record | None]]:
    """Which public addresses the server gets: a kind, and the primary IP if one is named."""
    part = body.part("public_net")
    wanted: list[tuple[str, Record | None]] = []
    for kind in primary_ips.KINDS:
        enabled, address_id = part.flag(f"enable_{kind}", default=True), part.maybe_integer(kind, least=1)
        body.check()
        if not enabled:
            continue
        if address_id is None:
            wanted.append((kind, None))
            continue
        address = call.project.tables["primary_ips"].get(address_id)
        if address is None:
            raise not_found("primary IP")
        if address["type"] != kind:
            raise ApiError("primary_ip_version_mismatch", "primary IP has the wrong version")
        if address["assignee_id"]:
            raise ApiError("primary_ip_assigned", "primary IP is already assigned to a server")
        if address["location"] != location:
            raise ApiError("primary_ip_datacenter_mismatch", "primary IP is in another location")
        wanted.append((kind, address))
    return wanted


def _created(call: Call) -> Answer:
    project, body = call.project, call.body()
    name, labels, user_data = body.text("name"), body.labels(), _user_data(body)
    if name and not _HOSTNAME.fullmatch(name):
        body.problem("name", "must be a valid hostname (RFC 1123)")
    type_reference, image_reference = body.reference("server_type"), body.reference("image")
    for field, value in (("server_type", type_reference), ("image", image_reference)):
        if not value:
            body.problem(field, "Missing data for required field.")
    key_references, network_ids = body.references("ssh_keys"), body.ids("networks")
    volume_ids, group_id = body.ids("volumes"), body.maybe_integer("placement_group", least=1)
    firewall_ids = [part.integer("firewall", least=1) for part in body.parts("firewalls")]
    starts = body.flag("start_after_create", default=True)
    body.flag("automount")
    body.check()

    location = _place(call, body)
    server_type = order_type(call, type_reference or "", location["name"])
    image = _image(call, image_reference or "", server_type)
    keys = _records(call, "ssh_keys", key_references)
    networks = _records(call, "networks", [str(i) for i in network_ids])
    chosen_firewalls = _records(call, "firewalls", [str(i) for i in firewall_ids])
    chosen_volumes = _records(call, "volumes", [str(i) for i in volume_ids])
    groups = _records(call, "placement_groups", [str(group_id)] if group_id else [])
    addresses = _wanted_addresses(call, body, location["name"])
    project.ensure_free_name("servers", name)
    project.ensure_room("servers")
    project.ensure_room("primary_ips", sum(1 for _, address in addresses if address is None))
    for group in groups:
        placement_groups.ensure_room(group)
    draft = _new(call, name, server_type, location, image, labels or {}, user_data)
    for volume in chosen_volumes:
        volumes.ensure_attachable(volume, draft)
    take_capacity(call, server_type, location["name"])
    entries = attachments.reserve_all(call, "servers", draft, networks)

    server = project.add("servers", draft)
    for entry in entries:
        attachments.attach(project, "servers", server, entry)
    _equip(call, server, addresses, chosen_firewalls, groups, chosen_volumes)
    first = call.actions.begin(project, "create_server", ("servers", server), finish="create_server", locks=server)
    following = []
    if starts:
        following = [_starting(call, server, first)]
    return Answer(
        201,
        {
            "server": render(call, server),
            "action": rendered(first),
            "next_actions": [rendered(action) for action in following],
            "root_password": None if keys else password(),
        },
    )


def _starting(call: Call, server: Record, first: Record) -> Record:
    return call.actions.begin(
        call.project, "start_server", ("servers", server), finish="start_server", locks=server, behind=first
    )


def _new(
    call: Call, name: str, server_type: Record, location: Record, image: Record, labels: dict[str, str], user_data: str
) -> Record:
    return {
        "id": call.cloud.next_id(),
        "name": name,
        "status": "initializing",
        "public_net": {"ipv4": None, "ipv6": None, "floating_ips": [], "firewalls": []},
        "private_net": [],
        "server_type": server_type["id"],
        "location": location["name"],
        "image": image["id"],
        "iso": None,
        "rescue_enabled": False,
        "locked": False,
        "backup_window": None,
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": server_type["prices"][0]["included_traffic"],
        "protection": {"delete": False, "rebuild": False},
        "labels": labels,
        "volumes": [],
        "load_balancers": [],
        "primary_disk_size": server_type["disk"],
        "placement_group": None,
        "_user_data": user_data,
        "_address": None,
    }


def _equip(
    call: Call,
    server: Record,
    addresses: list[tuple[str, Record | None]],
    chosen_firewalls: list[Record],
    groups: list[Record],
    chosen_volumes: list[Record],
) -> None:
    project = call.project
    for kind, address in addresses:
        given = address or primary_ips.new(project, kind, server["location"], labels={}, auto_delete=True)
        primary_ips.put_on(project, given, server)
    if server["_address"] is None:
        server["_address"] = call.cloud.next_ipv4()
    for firewall in chosen_firewalls:
        firewalls.apply_to_server(project, firewall, server)
    firewalls.settle(project, [server])
    for group in groups:
        placement_groups.join(project, group, server)
    for volume in chosen_volumes:
        volumes.attach(project, volume, server)


def password() -> str:
    """A root password of the usual form."""
    return base64.b32encode(secrets.token_bytes(12)).decode().lower().rstrip("=")


def _finish_create(project: Project, action: Record) -> None:
    server = _server_of(project, action)
    if server is not None and server["status"] == "initializing":
        server["status"] = "off"


def _finish_start(project: Project, action: Record) -> None:
    server = _server_of(project, action)
    if server is not None:
        server["status"] = "running"
        project.cloud.outside.order(MachineOrder("on", server["id"]))


def _finish_stop(project: Project, action: Record) -> None:
    server = _server_of(project, action)
    if server is not None:
        server["status"] = "off"
        project.cloud.outside.order(MachineOrder("off", server["id"]))


def _finish_delete(project: Project, action: Record) -> None:
    server = _server_of(project, action)
    if server is None:
        return
    attachments.free_all(project, "servers", server)
    firewalls.forget_server(project, server)
    placement_groups.leave(project, server)
    primary_ips.leave_server(project, server)
    for volume_id in list(server["volumes"]):
        volumes.detach(project, project.get("volumes", volume_id))
    for balancer_id in list(server["load_balancers"]):
        balancer = project.tables["load_balancers"].get(balancer_id)
        if balancer is not None:
            balancer["targets"] = [t for t in balancer["targets"] if t.get("server") != {"id": server["id"]}]
            project.touch("load_balancers", balancer)
    for image in [i for i in project.tables["images"].values() if i["bound_to"] == server["id"]]:
        project.drop("images", image)
    project.drop("servers", server)
    project.cloud.outside.order(MachineOrder("remove", server["id"]))


def _undo_delete(project: Project, action: Record) -> None:
    server = _server_of(project, action)
    if server is not None:
        server["status"] = action["_args"]["status"]


def _server_of(project: Project, action: Record) -> Record | None:
    server: Record | None = project.tables["servers"].get(action["resources"][0]["id"])
    if server is not None:
        project.touch("servers", server)
    return server


def _deleted(call: Call) -> Answer:
    server = call.unlocked_server()
    ensure_unprotected(server)
    before, server["status"] = server["status"], "deleting"
    action = call.actions.begin(
        call.project,
        "delete_server",
        ("servers", server),
        finish="delete_server",
        args={"status": before},
        locks=server,
    )
    return Answer(200, {"action": rendered(action)})


def _relabelled(call: Call, server: Record) -> None:
    if call.body().has("labels"):
        firewalls.settle(call.project, [server])


ROUTES: Routes = {
    **named_routes("servers", render, filters=("status",), update=_relabelled),
    ("POST", "/servers"): _created,
    ("DELETE", "/servers/{id}"): _deleted,
}
FINISHES: dict[str, Finish] = {
    "create_server": _finish_create,
    "start_server": _finish_start,
    "stop_server": _finish_stop,
    "delete_server": _finish_delete,
}
UNDOES: dict[str, Finish] = {"delete_server": _undo_delete}
