"""Label and field selectors, as far as clients of a cluster use them; others are refused, never ignored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from sandbox.cluster import problems
from sandbox.cluster.objects import Json, Matches

FIELDS: Final = frozenset(
    {
        "metadata.name",
        "metadata.namespace",
        "status.phase",
        "spec.nodeName",
        "type",
        "reason",
        "involvedObject.kind",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.uid",
    }
)
_SET = re.compile(r"^\s*(?P<label>\S+)\s+(?P<how>in|notin)\s*\((?P<values>[^)]*)\)\s*$")
_COMMA = re.compile(r",(?![^(]*\))")


def selector(labels: str, fields: str) -> Matches | None:
    """The test that an object must pass; none when nothing is asked."""
    tests = [_label(part) for part in _COMMA.split(labels) if part.strip()]
    tests += [_field(part) for part in fields.split(",") if part.strip()]
    if not tests:
        return None
    return lambda item: all(test(item) for test in tests)


def _labels(item: Json) -> Mapping[str, str]:
    found: Mapping[str, str] = item["metadata"].get("labels") or {}
    return found


def _label(term: str) -> Matches:
    if match := _SET.match(term):
        label, wanted = match["label"], {value.strip() for value in match["values"].split(",")}
        if match["how"] == "in":
            return lambda item: _labels(item).get(label) in wanted
        return lambda item: _labels(item).get(label) not in wanted
    name, equal, value = _split(term)
    if equal is None:
        bare = name.removeprefix("!").strip()
        if name.startswith("!"):
            return lambda item: bare not in _labels(item)
        return lambda item: bare in _labels(item)
    return lambda item: (_labels(item).get(name) == value) is equal


def _field(term: str) -> Matches:
    name, equal, value = _split(term)
    if equal is None or name not in FIELDS:
        raise problems.bad_request(f'field label not supported: "{name}"')
    return lambda item: (_value(item, name) == value) is equal


def _split(term: str) -> tuple[str, bool | None, str]:
    for sign, equal in (("!=", False), ("==", True), ("=", True)):
        name, found, value = term.partition(sign)
        if found:
            return name.strip(), equal, value.strip()
    return term.strip(), None, ""


def _value(item: Json, path: str) -> str:
    found: Any = item
    for part in path.split("."):
        found = found.get(part, "") if isinstance(found, dict) else ""
    return str(found)
