"""Reading actions: by a list of ids (how the provider polls), one by one (how the SDK polls), and per resource."""

from sandbox.hetzner.actions import rendered
from sandbox.hetzner.calls import Answer, Call, Handler, Routes
from sandbox.hetzner.errors import ApiError, invalid, not_found
from sandbox.hetzner.listing import matching, page
from sandbox.hetzner.state import SINGULAR, Record

_SORTS = ("id", "command", "status", "started", "finished")
_WITH_ACTIONS = (
    "certificates",
    "firewalls",
    "images",
    "load_balancers",
    "networks",
    "primary_ips",
    "servers",
    "volumes",
)


def _shown(_call: Call, action: Record) -> Record:
    return rendered(action)


def _wanted(call: Call) -> list[Record]:
    table = call.project.tables["actions"]
    wanted = call.query.getall("id", [])
    if not all(text.isdigit() for text in wanted):
        raise invalid("id", "must be an integer")
    return [table[int(text)] for text in wanted if int(text) in table]


def _listed(call: Call) -> Answer:
    if not call.query.getall("id", []):
        raise ApiError("deprecated_api_endpoint", "listing all actions was removed, filter by id")
    return page(call, "actions", matching(call, _wanted(call), "status"), _shown, sorts=_SORTS)


def _got(call: Call) -> Answer:
    return Answer(200, {"action": rendered(call.project.get("actions", call.ids[-1]))})


def _is_of(action: Record, kind: str, record_id: int | None = None) -> bool:
    single = SINGULAR[kind]
    return any(r["type"] == single and record_id in {None, r["id"]} for r in action["resources"])


def _listed_of(kind: str) -> Handler:
    def listed(call: Call) -> Answer:
        if call.query.getall("id", []):
            records = _wanted(call)
        else:
            records = [a for a in call.project.tables["actions"].values() if _is_of(a, kind)]
        return page(call, "actions", matching(call, records, "status"), _shown, sorts=_SORTS)

    return listed


def _listed_of_one(kind: str) -> Handler:
    def listed(call: Call) -> Answer:
        record = call.record(kind)
        records = [a for a in call.project.tables["actions"].values() if _is_of(a, kind, record["id"])]
        return page(call, "actions", matching(call, records, "status"), _shown, sorts=_SORTS)

    return listed


def _got_of_one(kind: str) -> Handler:
    def got(call: Call) -> Answer:
        action = call.project.get("actions", call.ids[1])
        if not _is_of(action, kind, call.ids[0]):
            raise not_found("action")
        return Answer(200, {"action": rendered(action)})

    return got


ROUTES: Routes = {("GET", "/actions"): _listed, ("GET", "/actions/{id}"): _got}
for _kind in _WITH_ACTIONS:
    ROUTES["GET", f"/{_kind}/actions"] = _listed_of(_kind)
    ROUTES["GET", f"/{_kind}/actions/{{id}}"] = _got
    ROUTES["GET", f"/{_kind}/{{id}}/actions"] = _listed_of_one(_kind)
    ROUTES["GET", f"/{_kind}/{{id}}/actions/{{id}}"] = _got_of_one(_kind)
