"""Primary IPs: made on their own or with a server, assigned to servers that are off, gone with them if so wished."""

from typing import Final

from sandbox.hetzner.actions import rendered
from sandbox.hetzner.calls import Answer, Call, Routes
from sandbox.hetzner.errors import ApiError, invalid, not_found
from sandbox.hetzner.listing import ensure_unprotected, named_routes, protection_route
from sandbox.hetzner.state import Project, Record, shown

KINDS: Final = ("ipv4", "ipv6")


def render(call: Call, record: Record) -> Record:
    """A primary IP with its whole location; a free one is assigned to nothing (since 1 August 2026)."""
    return {
        **shown(record),
        "location": call.catalogue.location_named[record["location"]],
        "assignee_type": "server" if record["assignee_id"] else "unassigned",
    }


def new(
    project: Project, kind: str, location: str, *, name: str = "", labels: dict[str, str], auto_delete: bool
) -> Record:
    """A fresh address; one that comes with a server is named after its id."""
    project.ensure_room("primary_ips")
    cloud = project.cloud
    record_id = cloud.next_id()
    return project.add(
        "primary_ips",
        {
            "id": record_id,
            "name": name or f"primary_ip-{record_id}",
            "labels": labels,
            "blocked": False,
            "location": location,
            "ip": cloud.next_ipv4() if kind == "ipv4" else cloud.next_ipv6(),
            "dns_ptr": [],
            "protection": {"delete": False},
            "type": kind,
            "auto_delete": auto_delete,
            "assignee_id": None,
        },
    )


def put_on(project: Project, address: Record, server: Record) -> None:
    """Give a server this address."""
    address["assignee_id"] = server["id"]
    reverse = address["dns_ptr"][0]["dns_ptr"] if address["dns_ptr"] else ""
    server["public_net"][address["type"]] = {
        "id": address["id"],
        "ip": address["ip"],
        "blocked": False,
        "dns_ptr": reverse if address["type"] == "ipv4" else address["dns_ptr"],
    }
    if address["type"] == "ipv4":
        server["_address"] = address["ip"]
    project.touch("primary_ips", address)
    project.touch("servers", server)


def take_off(project: Project, address: Record) -> None:
    """Take an address from its server."""
    server = project.tables["servers"].get(address["assignee_id"] or 0)
    if server is not None:
        server["public_net"][address["type"]] = None
        project.touch("servers", server)
    address["assignee_id"] = None
    project.touch("primary_ips", address)


def leave_server(project: Project, server: Record) -> None:
    """The server goes: its addresses go with it or become free."""
    for kind in KINDS:
        shown_address = server["public_net"][kind]
        address = project.tables["primary_ips"].get(shown_address["id"]) if shown_address else None
        if address is None:
            continue
        take_off(project, address)
        if address["auto_delete"]:
            project.drop("primary_ips", address)


def _server_for(call: Call, server_id: int, kind: str) -> Record:
    server = call.project.tables["servers"].get(server_id)
    if server is None:
        raise not_found("server")
    if server["status"] != "off":
        raise ApiError("server_not_stopped", "server must be stopped")
    if server["public_net"][kind] is not None:
        raise ApiError(f"server_has_{kind}", f"server already has a primary {kind}")
    return server


def _created(call: Call) -> Answer:
    body = call.body()
    name, kind = body.text("name", longest=255), body.text("type", one_of=KINDS)
    labels, auto_delete = body.labels(), body.flag("auto_delete")
    assignee_type = body.maybe_text("assignee_type", one_of=("server", "unassigned"))
    server_id, place = body.maybe_integer("assignee_id"), body.reference("location")
    if body.has("datacenter"):
        body.problem("datacenter", "was removed, use location")
    location = call.catalogue.location(place) if place else None
    if place and location is None:
        body.problem("location", "location not found")
    if server_id and assignee_type != "server":
        body.problem("assignee_type", "must be server when assignee_id is set")
    if not place and not server_id:
        body.problem("location", "either location or assignee_id is required")
    body.check()
    server = _server_for(call, server_id, kind) if server_id else None
    if server is not None:
        location = call.catalogue.location_named[server["location"]]
    if location is None:
        raise invalid("location", "location not found")
    call.project.ensure_free_name("primary_ips", name)
    address = new(call.project, kind, location["name"], name=name, labels=labels or {}, auto_delete=auto_delete)
    begun: Record = {}
    if server is not None:
        put_on(call.project, address, server)
        resources = (("primary_ips", address), ("servers", server))
        begun["action"] = rendered(call.actions.done(call.project, "create_primary_ip", *resources))
    return Answer(201, {"primary_ip": render(call, address), **begun})


def _auto_delete(call: Call, address: Record) -> None:
    body = call.body()
    address["auto_delete"] = body.flag("auto_delete", default=address["auto_delete"])
    body.check()
    call.project.touch("primary_ips", address)


def _deleted(call: Call) -> Answer:
    address = call.record("primary_ips")
    ensure_unprotected(address)
    if address["assignee_id"]:
        raise ApiError("must_be_unassigned", "primary IP must be unassigned before it can be deleted")
    call.project.drop("primary_ips", address)
    return Answer(204)


def _assign(call: Call) -> Answer:
    address = call.record("primary_ips")
    body = call.body()
    server_id = body.integer("assignee_id", least=1)
    body.text("assignee_type", one_of=("server",))
    body.check()
    if address["assignee_id"]:
        raise ApiError("primary_ip_already_assigned", "primary IP is already assigned")
    server = _server_for(call, server_id, address["type"])
    if server["location"] != address["location"]:
        raise ApiError("primary_ip_datacenter_mismatch", "primary IP is in another location than the server")
    put_on(call.project, address, server)
    return call.acting("assign_primary_ip", ("primary_ips", address), ("servers", server))


def _unassign(call: Call) -> Answer:
    address = call.record("primary_ips")
    server = call.project.tables["servers"].get(address["assignee_id"] or 0)
    if server is None:
        raise ApiError("primary_ip_not_assigned", "primary IP is not assigned")
    if server["status"] != "off":
        raise ApiError("server_not_stopped", "server must be stopped")
    if address["type"] == "ipv4" and _is_public_target(call.project, server):
        raise ApiError("server_is_load_balancer_target", "server's IPv4 is a load balancer target")
    take_off(call.project, address)
    return call.acting("unassign_primary_ip", ("primary_ips", address), ("servers", server))


def _is_public_target(project: Project, server: Record) -> bool:
    targets = (
        target
        for balancer_id in server["load_balancers"]
        for target in project.get("load_balancers", balancer_id)["targets"]
    )
    return any(t.get("server") == {"id": server["id"]} and not t["use_private_ip"] for t in targets)


def set_reverse(entries: list[Record], ip: str, name: str | None) -> list[Record]:
    """The reverse names with the one for this address set, or reset when the name is null."""
    kept = [entry for entry in entries if entry["ip"] != ip]
    return [*kept, {"ip": ip, "dns_ptr": name}] if name else kept


def _change_dns_ptr(call: Call) -> Answer:
    address = call.record("primary_ips")
    body = call.body()
    ip, name = body.text("ip"), body.maybe_text("dns_ptr")
    body.check()
    address["dns_ptr"] = set_reverse(address["dns_ptr"], ip, name)
    server = call.project.tables["servers"].get(address["assignee_id"] or 0)
    if server is not None:
        put_on(call.project, address, server)
    call.project.touch("primary_ips", address)
    return call.acting("change_dns_ptr", ("primary_ips", address))


ROUTES: Routes = {
    **named_routes("primary_ips", render, filters=("ip", "type"), update=_auto_delete),
    **protection_route("primary_ips"),
    ("POST", "/primary_ips"): _created,
    ("DELETE", "/primary_ips/{id}"): _deleted,
    ("POST", "/primary_ips/{id}/actions/assign"): _assign,
    ("POST", "/primary_ips/{id}/actions/unassign"): _unassign,
    ("POST", "/primary_ips/{id}/actions/change_dns_ptr"): _change_dns_ptr,
}
