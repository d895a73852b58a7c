"""Placement groups of the only type there is, `spread`: at most ten servers, each on its own host."""

from typing import Final

from sandbox.hetzner.calls import Answer, Call, Routes
from sandbox.hetzner.errors import ApiError
from sandbox.hetzner.listing import named_routes
from sandbox.hetzner.state import Project, Record, shown

MOST_SERVERS: Final = 10


def _shown(_call: Call, record: Record) -> Record:
    return shown(record)


def join(project: Project, group: Record, server: Record) -> None:
    """Put a server into a group."""
    ensure_room(group)
    group["servers"].append(server["id"])
    server["placement_group"] = group["id"]
    project.touch("placement_groups", group)
    project.touch("servers", server)


def leave(project: Project, server: Record) -> None:
    """Take a server out of its group, if it is in one."""
    group = project.tables["placement_groups"].get(server["placement_group"] or 0)
    server["placement_group"] = None
    project.touch("servers", server)
    if group is not None:
        group["servers"] = [i for i in group["servers"] if i != server["id"]]
        project.touch("placement_groups", group)


def ensure_room(group: Record) -> None:
    """Refuse the eleventh server."""
    if len(group["servers"]) >= MOST_SERVERS:
        raise ApiError("placement_error", "placement group is full")


def _created(call: Call) -> Answer:
    body = call.body()
    name, kind, labels = body.text("name", longest=255), body.text("type", one_of=("spread",)), body.labels()
    body.check()
    call.project.ensure_free_name("placement_groups", name)
    call.project.ensure_room("placement_groups")
    record = call.project.add("placement_groups", {"name": name, "type": kind, "labels": labels or {}, "servers": []})
    return Answer(201, {"placement_group": shown(record), "action": None})


def _deleted(call: Call) -> Answer:
    group = call.record("placement_groups")
    for server_id in list(group["servers"]):
        leave(call.project, call.project.get("servers", server_id))
    call.project.drop("placement_groups", group)
    return Answer(204)


ROUTES: Routes = {
    **named_routes("placement_groups", _shown, filters=("type",)),
    ("POST", "/placement_groups"): _created,
    ("DELETE", "/placement_groups/{id}"): _deleted,
}
