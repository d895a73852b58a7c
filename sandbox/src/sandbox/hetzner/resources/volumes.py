"""Volumes: attached to at most one server of the same location; they only grow, and one in use cannot be deleted."""

from typing import Final

from sandbox.hetzner.actions import Finish, rendered
from sandbox.hetzner.calls import Answer, Call, Routes
from sandbox.hetzner.errors import ApiError, invalid, not_found
from sandbox.hetzner.listing import ensure_unprotected, named_routes, protection_route
from sandbox.hetzner.state import Project, Record, shown

SMALLEST_GB: Final = 10
LARGEST_GB: Final = 10240
_MOST_PER_SERVER: Final = 16


def render(call: Call, record: Record) -> Record:
    """A volume with its whole location."""
    return {**shown(record), "location": call.catalogue.location_named[record["location"]]}


def attach(project: Project, volume: Record, server: Record) -> None:
    """Put a volume on a server."""
    volume["server"] = server["id"]
    server["volumes"].append(volume["id"])
    project.touch("volumes", volume)
    project.touch("servers", server)


def detach(project: Project, volume: Record) -> None:
    """Take a volume from its server, if it is on one."""
    server = project.tables["servers"].get(volume["server"] or 0)
    if server is not None:
        server["volumes"] = [i for i in server["volumes"] if i != volume["id"]]
        project.touch("servers", server)
    volume["server"] = None
    project.touch("volumes", volume)


def ensure_attachable(volume: Record, server: Record) -> None:
    """Refuse what cannot go together."""
    if volume["server"]:
        raise ApiError("volume_already_attached", "volume is already attached")
    if volume["location"] != server["location"]:
        raise invalid("server", "volume and server must be in the same location")
    if len(server["volumes"]) >= _MOST_PER_SERVER:
        raise ApiError("resource_limit_exceeded", "volume limit exceeded", {"limits": [{"name": "volume_limit"}]})


def _server(call: Call, server_id: int) -> Record:
    server = call.project.tables["servers"].get(server_id)
    if server is None:
        raise not_found("server")
    if server["locked"]:
        raise ApiError("locked", "server is locked")
    return server


def _created(call: Call) -> Answer:
    body = call.body()
    name, size = body.text("name", longest=64), body.integer("size", least=SMALLEST_GB, most=LARGEST_GB)
    labels, form = body.labels(), body.maybe_text("format", one_of=("ext4", "xfs"))
    place, server_id = body.reference("location"), body.maybe_integer("server", least=1)
    body.flag("automount")
    location = call.catalogue.location(place) if place else None
    if place and location is None:
        body.problem("location", "location not found")
    if not place and not server_id:
        body.problem("location", "either location or server is required")
    body.check()
    server = _server(call, server_id) if server_id else None
    if server is not None:
        location = call.catalogue.location_named[server["location"]]
    if location is None:
        raise invalid("location", "location not found")
    call.project.ensure_free_name("volumes", name)
    call.project.ensure_room("volumes")
    record_id = call.cloud.next_id()
    volume = call.project.add(
        "volumes",
        {
            "id": record_id,
            "name": name,
            "server": None,
            "location": location["name"],
            "size": size,
            "linux_device": f"/dev/disk/by-id/scsi-0HC_Volume_{record_id}",
            "protection": {"delete": False},
            "labels": labels or {},
            "status": "creating",
            "format": form,
        },
    )
    first = call.actions.begin(call.project, "create_volume", ("volumes", volume), finish="create_volume")
    following = []
    if server is not None:
        ensure_attachable(volume, server)
        attach(call.project, volume, server)
        both = (("volumes", volume), ("servers", server))
        following = [rendered(call.actions.begin(call.project, "attach_volume", *both, locks=server, behind=first))]
    return Answer(201, {"volume": render(call, volume), "action": rendered(first), "next_actions": following})


def _finish_create(project: Project, action: Record) -> None:
    volume = project.tables["volumes"].get(action["resources"][0]["id"])
    if volume is not None:
        volume["status"] = "available"
        project.touch("volumes", volume)


def _deleted(call: Call) -> Answer:
    volume = call.record("volumes")
    ensure_unprotected(volume)
    if volume["server"]:
        raise ApiError("resource_in_use", "volume is still attached to a server")
    call.project.drop("volumes", volume)
    return Answer(204)


def _attach(call: Call) -> Answer:
    volume = call.record("volumes")
    body = call.body()
    server_id = body.integer("server", least=1)
    body.flag("automount")
    body.check()
    server = _server(call, server_id)
    ensure_attachable(volume, server)
    attach(call.project, volume, server)
    return call.acting("attach_volume", ("volumes", volume), ("servers", server), locks=server)


def _detach(call: Call) -> Answer:
    volume = call.record("volumes")
    if not volume["server"]:
        raise ApiError("volume_not_attached", "volume is not attached")
    server = _server(call, volume["server"])
    detach(call.project, volume)
    return call.acting("detach_volume", ("volumes", volume), ("servers", server), locks=server)


def _resize(call: Call) -> Answer:
    volume = call.record("volumes")
    body = call.body()
    size = body.integer("size", least=SMALLEST_GB, most=LARGEST_GB)
    if size <= volume["size"]:
        body.problem("size", "must be larger than the current size")
    body.check()
    volume["size"] = size
    call.project.touch("volumes", volume)
    return call.acting("resize_volume", ("volumes", volume))


ROUTES: Routes = {
    **named_routes("volumes", render, filters=("status",)),
    **protection_route("volumes"),
    ("POST", "/volumes"): _created,
    ("DELETE", "/volumes/{id}"): _deleted,
    ("POST", "/volumes/{id}/actions/attach"): _attach,
    ("POST", "/volumes/{id}/actions/detach"): _detach,
    ("POST", "/volumes/{id}/actions/resize"): _resize,
}
FINISHES: dict[str, Finish] = {"create_volume": _finish_create}
