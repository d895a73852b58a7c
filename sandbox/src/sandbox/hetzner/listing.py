"""Lists: filtered by name, label selector and fields, sorted, cut into pages, with the meta object and Link header."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from sandbox.hetzner import labels
from sandbox.hetzner.calls import Answer, Call, Handler, Routes
from sandbox.hetzner.errors import ApiError, invalid
from sandbox.hetzner.state import SINGULAR, Record

PER_PAGE: Final = 25
MOST_PER_PAGE: Final = 50

Render = Callable[[Call, Record], Any]


def chosen(call: Call, kind: str) -> list[Record]:
    """The records of a kind that the name and label filters leave."""
    name, selector = call.query.get("name"), call.query.get("label_selector")
    if name is not None:
        found = call.project.find(kind, name)
        records = [found] if found is not None and found.get("name") == name else []
        return [r for r in records if not selector or labels.parse(selector).matches(r["labels"])]
    if selector:
        return call.project.selected(kind, labels.parse(selector))
    return list(call.project.tables[kind].values())


def matching(call: Call, records: Iterable[Record], *fields: str) -> list[Record]:
    """The records whose fields have one of the values that the query asks for."""
    kept = list(records)
    for field in fields:
        if wanted := set(call.query.getall(field, [])):
            kept = [record for record in kept if record.get(field) in wanted]
    return kept


def page(
    call: Call,
    name: str,
    records: Sequence[Record],
    render: Render,
    *,
    sorts: tuple[str, ...] = ("id", "name", "created"),
) -> Answer:
    """One page of a list."""
    ordered = _sorted(call, records, sorts)
    number = _positive(call, "page", 1)
    per_page = min(_positive(call, "per_page", PER_PAGE), MOST_PER_PAGE)
    last = max(1, -(-len(ordered) // per_page))
    previous = number - 1 if number > 1 else None
    following = number + 1 if number < last else None
    body = {
        name: [render(call, record) for record in ordered[(number - 1) * per_page : number * per_page]],
        "meta": {
            "pagination": {
                "page": number,
                "per_page": per_page,
                "previous_page": previous,
                "next_page": following,
                "last_page": last,
                "total_entries": len(ordered),
            }
        },
    }
    return Answer(200, body, (previous, following, last, per_page))


def named_routes(
    kind: str,
    render: Render,
    *,
    filters: tuple[str, ...] = (),
    update: Callable[[Call, Record], None] | None = None,
) -> Routes:
    """List, get and update, which are alike for every kind that has a name and labels."""
    single = SINGULAR[kind]

    def listed(call: Call) -> Answer:
        return page(call, kind, matching(call, chosen(call, kind), *filters), render)

    def got(call: Call) -> Answer:
        return Answer(200, {single: render(call, call.record(kind))})

    def updated(call: Call) -> Answer:
        record = call.record(kind)
        body = call.body()
        name, new_labels = body.maybe_text("name", longest=255), body.labels()
        if name is not None and not name.strip():
            body.problem("name", "must not be empty")
        body.check()
        if name is not None and name != record["name"]:
            call.project.ensure_free_name(kind, name, of=record["id"])
            call.project.rename(kind, record, name)
        if new_labels is not None:
            call.project.relabel(kind, record, new_labels)
        if update is not None:
            update(call, record)
        return got(call)

    return {
        ("GET", f"/{kind}"): listed,
        ("GET", f"/{kind}/{{id}}"): got,
        ("PUT", f"/{kind}/{{id}}"): updated,
    }


def protection_route(kind: str) -> Routes:
    """The change_protection action of a kind whose only protection is against deletion."""

    def change(call: Call) -> Answer:
        record = call.record(kind)
        body = call.body()
        wanted = body.flag("delete", default=record["protection"]["delete"])
        body.check()
        record["protection"] = {"delete": wanted}
        call.project.touch(kind, record)
        return call.acting("change_protection", (kind, record))

    return {("POST", f"/{kind}/{{id}}/actions/change_protection"): change}


def ensure_unprotected(record: Record, what: str = "delete") -> None:
    """Refuse what the record's protection forbids."""
    if record["protection"][what]:
        raise ApiError("protected", f"{what} protection is enabled")


def catalogue_routes(path: str, single: str, table: Callable[[Call], Sequence[Record]]) -> Routes:
    """List and get for what everybody sees alike."""

    def listed(call: Call) -> Answer:
        return page(call, path, matching(call, table(call), "name"), as_is, sorts=("id", "name"))

    def got(call: Call) -> Answer:
        for record in table(call):
            if record["id"] == call.ids[0]:
                return Answer(200, {single: record})
        raise ApiError("not_found", f"{single.replace('_', ' ')} with ID '{call.ids[0]}' not found")

    return {("GET", f"/{path}"): listed, ("GET", f"/{path}/{{id}}"): got}


def as_is(_call: Call, record: Record) -> Any:
    """A record that is shown as it stands."""
    return record


def _sorted(call: Call, records: Sequence[Record], allowed: tuple[str, ...]) -> Sequence[Record]:
    ordered = records
    for wish in reversed(call.query.getall("sort", [])):
        field, _, direction = wish.partition(":")
        if field not in allowed or direction not in {"", "asc", "desc"}:
            raise invalid("sort", f"'{wish}' is not supported")
        ordered = sorted(
            ordered, key=lambda record: (record[field] is None, record[field]), reverse=direction == "desc"
        )
    return ordered


def _positive(call: Call, field: str, default: int) -> int:
    text = call.query.get(field)
    if text is None:
        return default
    if not text.isdigit() or int(text) < 1:
        raise invalid(field, "must be a positive integer")
    return int(text)


__all__ = [
    "Handler",
    "as_is",
    "catalogue_routes",
    "chosen",
    "ensure_unprotected",
    "matching",
    "named_routes",
    "page",
    "protection_route",
]
