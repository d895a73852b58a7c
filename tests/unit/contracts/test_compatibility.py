"""The guard itself: each kind of change that breaks a reader is planted and named, harmless ones pass."""

import copy
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, StringConstraints, create_model

from contracts.__main__ import present, released
from contracts.compatibility import PRESENT, RELEASED, breaks

ROOT = Path(__file__).resolve().parents[3]


class Inner(BaseModel):
    size: int
    note: str = ""


class InnerLess(BaseModel):
    size: int


class InnerMore(BaseModel):
    size: int
    note: str = ""
    colour: str


FIELDS: dict[str, Any] = {
    "name": (str, ...),
    "count": (int, Field(ge=0, le=10)),
    "kind": (Literal["new", "change"], ...),
    "tag": (Annotated[str, StringConstraints(pattern="^[a-z]+$", max_length=8)], ...),
    "inner": (Inner, ...),
    "rows": (tuple[Inner, ...], ()),
    "maybe": (str | None, None),
    "version": (Literal["1.0"], "1.0"),
    "pair": (tuple[str, str], ("", "")),
}


def schema_of(fields: dict[str, Any]) -> dict[str, Any]:
    model: type[BaseModel] = create_model("Fact", **fields)
    return model.model_json_schema()


def compared(**changes: Any) -> list[tuple[str, str]]:
    """(path, what) of every break when these fields are changed; None takes one away."""
    fields = {name: kind for name, kind in (FIELDS | changes).items() if kind is not None}
    old, new = schema_of(FIELDS), schema_of(fields)
    return [(item.path, item.what) for item in breaks({"some.thing.v1": old}, {"some.thing.v1": new})]


@pytest.mark.parametrize(
    ("changes", "path", "who"),
    [
        ({"name": None}, "name", RELEASED),
        ({"maybe": None}, "maybe", "read no more"),
        ({"fresh": (str, ...)}, "fresh", PRESENT),
        ({"maybe": (str | None, ...)}, "maybe", PRESENT),
        ({"name": (str, "")}, "name", RELEASED),
        ({"name": (int, ...)}, "name", PRESENT),
        ({"maybe": (str, "")}, "maybe", PRESENT),
        ({"name": (str | None, ...)}, "name", RELEASED),
        ({"count": (float, Field(ge=0, le=10))}, "count", RELEASED),
        ({"count": (int, Field(ge=0, le=9))}, "count", PRESENT),
        ({"count": (int, Field(ge=1, le=10))}, "count", PRESENT),
        ({"count": (int, Field(ge=0, le=11))}, "count", RELEASED),
        ({"count": (int, Field(le=10))}, "count", RELEASED),
        ({"count": (int, Field(ge=0, le=10, lt=10))}, "count", PRESENT),
        ({"kind": (Literal["new"], ...)}, "kind", PRESENT),
        ({"kind": (Literal["new", "change", "retry"], ...)}, "kind", RELEASED),
        ({"kind": (str, ...)}, "kind", RELEASED),
        ({"name": (Literal["a"], ...)}, "name", PRESENT),
        ({"version": (Literal["2.0"], "2.0")}, "version", PRESENT),
        ({"tag": (Annotated[str, StringConstraints(pattern="^[a-f]+$", max_length=8)], ...)}, "tag", PRESENT),
        ({"tag": (Annotated[str, StringConstraints(pattern="^[a-z]+$", max_length=4)], ...)}, "tag", PRESENT),
        ({"tag": (Annotated[str, StringConstraints(max_length=8)], ...)}, "tag", RELEASED),
        ({"name": (Annotated[str, StringConstraints(pattern="^x")], ...)}, "name", PRESENT),
        ({"inner": (InnerLess, ...)}, "inner.note", "read no more"),
        ({"rows": (tuple[InnerMore, ...], ())}, "rows[].colour", PRESENT),
        ({"rows": (Inner, ...)}, "rows", PRESENT),
        ({"pair": (tuple[str, str, str], ("", "", ""))}, "pair", PRESENT),
    ],
)
def test_a_planted_break_is_named_with_its_path_and_its_victim(changes: dict[str, Any], path: str, who: str) -> None:
    found = compared(**changes)
    assert any(where == path and who in what for where, what in found), found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fresh": (str, "")},
        {"fresh": (tuple[Inner, ...], ())},
        {"name": (str, Field(description="Said in other words.", title="Name"))},
        {"rows": (list[Inner], [])},
    ],
    ids=["nothing", "optional field", "optional rows", "words", "another container"],
)
def test_what_no_reader_notices_passes(changes: dict[str, Any]) -> None:
    assert compared(**changes) == []


def test_the_name_of_a_model_is_nothing_that_a_reader_sees() -> None:
    renamed = create_model("Renamed", __base__=Inner)
    assert compared(inner=(renamed, ...), rows=(tuple[renamed, ...], ())) == []


def test_a_break_names_the_event_and_its_readers() -> None:
    before = present()
    after = copy.deepcopy(before)
    applied = after["tofu.applied.v1"]["$defs"]["TofuApplied"]
    del applied["properties"]["network_id"]
    applied["required"].remove("network_id")
    (found,) = breaks(before, after)
    assert str(found).startswith("tofu.applied.v1: data.network_id is gone")
    assert {"dns-pdm-work", "flux-watcher-work", "intake-work"} <= set(found.readers)


def test_an_event_that_is_said_no_more_is_a_break_for_whoever_reads_the_audit_trail() -> None:
    before = present()
    after = {name: body for name, body in before.items() if name != "hr.ready.v1"}
    (found,) = breaks(before, after)
    assert (found.event, found.readers) == ("hr.ready.v1", ("whoever reads the audit trail",))


def test_the_events_of_this_checkout_break_no_released_reader() -> None:
    assert released(ROOT)
    assert [str(item) for item in breaks(released(ROOT), present())] == []
