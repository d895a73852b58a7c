"""Images: everybody's system images, and the project's own snapshots and backups."""

from sandbox.hetzner.actions import Finish
from sandbox.hetzner.calls import Answer, Call, Routes
from sandbox.hetzner.catalogue import is_past
from sandbox.hetzner.errors import ApiError, invalid
from sandbox.hetzner.labels import parse
from sandbox.hetzner.listing import ensure_unprotected, matching, page, protection_route
from sandbox.hetzner.state import Project, Record, shown


def _shown(_call: Call, record: Record) -> Record:
    return shown(record)


def visible(call: Call) -> list[Record]:
    """Every image that the project can use."""
    return [*call.catalogue.images.values(), *call.project.tables["images"].values()]


def find(call: Call, reference: str, architecture: str) -> Record | None:
    """An image by id, or a system image by name."""
    if reference.isdigit() and (own := call.project.tables["images"].get(int(reference))):
        return own
    return call.catalogue.image(reference, architecture)


def by_id(project: Project, image_id: int | None) -> Record | None:
    """The image of a server, unless it is gone by now."""
    if image_id is None:
        return None
    return project.cloud.catalogue.images.get(image_id) or project.tables["images"].get(image_id)


def _listed(call: Call) -> Answer:
    records = matching(call, visible(call), "type", "status", "architecture", "name")
    if bound := set(call.query.getall("bound_to", [])):
        records = [record for record in records if str(record["bound_to"]) in bound]
    if call.query.get("include_deprecated") != "true":
        records = [r for r in records if r["deprecated"] is None or not is_past(r["deprecated"])]
    if selector := call.query.get("label_selector"):
        records = [record for record in records if parse(selector).matches(record["labels"])]
    return page(call, "images", records, _shown)


def _found(call: Call) -> Record:
    return call.catalogue.images.get(call.ids[0]) or call.project.get("images", call.ids[0])


def _got(call: Call) -> Answer:
    return Answer(200, {"image": shown(_found(call))})


def _updated(call: Call) -> Answer:
    image = call.record("images")
    body = call.body()
    description, labels = body.maybe_text("description"), body.labels()
    kind = body.maybe_text("type", one_of=("snapshot",))
    body.check()
    if description is not None:
        image["description"] = description
    if kind is not None:
        image.update(type=kind, bound_to=None)
    if labels is not None:
        call.project.relabel("images", image, labels)
    call.project.touch("images", image)
    return Answer(200, {"image": shown(image)})


def _deleted(call: Call) -> Answer:
    if call.ids[0] in call.catalogue.images:
        raise ApiError("forbidden", "system images cannot be deleted")
    image = call.record("images")
    ensure_unprotected(image)
    call.project.drop("images", image)
    return Answer(204)


def taken_of(call: Call, server: Record, kind: str, description: str, labels: dict[str, str]) -> Record:
    """A new image of a server; it becomes available with its action."""
    call.project.ensure_room("images")
    source = by_id(call.project, server["image"])
    if source is None:
        raise invalid("image", "the server has no image")
    return call.project.add(
        "images",
        {
            "name": None,
            "type": kind,
            "status": "creating",
            "description": description or f"{kind} of {server['name']}",
            "image_size": 1.2,
            "disk_size": server["primary_disk_size"],
            "created_from": {"id": server["id"], "name": server["name"]},
            "bound_to": server["id"] if kind == "backup" else None,
            "os_flavor": source["os_flavor"],
            "os_version": source["os_version"],
            "rapid_deploy": False,
            "protection": {"delete": False},
            "deprecated": None,
            "deleted": None,
            "labels": labels,
            "architecture": source["architecture"],
        },
    )


def _finish_image(project: Project, action: Record) -> None:
    image = project.tables["images"].get(action["_args"]["image"])
    if image is not None:
        image["status"] = "available"
        project.touch("images", image)


ROUTES: Routes = {
    **protection_route("images"),
    ("GET", "/images"): _listed,
    ("GET", "/images/{id}"): _got,
    ("PUT", "/images/{id}"): _updated,
    ("DELETE", "/images/{id}"): _deleted,
}
FINISHES: dict[str, Finish] = {"create_image": _finish_image}
