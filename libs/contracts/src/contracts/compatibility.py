"""What a change of an event would break, found by comparing its schema with the released one.

An event is read for ever: the stream keeps what was said, and during an upgrade old and new replicas read each other.
So a present reader has to read what the released schema allows, and a released reader what the present one allows.
Within a version that leaves one kind of change: fields that need not be there. Titles, descriptions and defaults are
no part of it. Anything else is a new version of the event beside the old one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts.catalogue import ENTRIES

Schema = Mapping[str, Any]
_UPPER: Final = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
_LOWER: Final = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")
_FORMS: Final = ("pattern", "format", "multipleOf", "contentEncoding")
PRESENT: Final = "present readers refuse what was said before"
RELEASED: Final = "released readers refuse what is said now"


@dataclass(frozen=True)
class Break:
    """One change, and who cannot read any more."""

    event: str
    path: str
    what: str

    @property
    def readers(self) -> tuple[str, ...]:
        """Who hears the event."""
        entry = ENTRIES.get(self.event.rsplit(".v", 1)[0])
        heard = tuple(heard.consumer for heard in entry.heard_by) if entry else ()
        return (*heard, "whoever reads the audit trail")

    def __str__(self) -> str:
        """For the person whose change it is."""
        return f"{self.event}: {self.path or 'the event'} {self.what}; read by {', '.join(self.readers)}"


def breaks(released: Mapping[str, Schema], present: Mapping[str, Schema]) -> list[Break]:
    """Every break of every released event, by event type."""
    found = []
    for event, schema in sorted(released.items()):
        if event not in present:
            found.append(Break(event, "", "is said no more, but the stream holds it"))
            continue
        comparison = _Comparison(schema, present[event])
        found += [Break(event, path, what) for path, what in comparison.differences()]
    return found


class _Comparison:
    """Two schemas with their own definitions."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._seen: set[tuple[str, str]] = set()

    def differences(self) -> Iterator[tuple[str, str]]:
        yield from self._compare(self._old, self._new, "")

    def _compare(self, old: Schema, new: Schema, path: str) -> Iterator[tuple[str, str]]:
        pair = (str(old.get("$ref")), str(new.get("$ref")))
        if "$ref" in old and "$ref" in new:
            if pair in self._seen and pair[0] == pair[1]:
                return
            self._seen.add(pair)
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        yield from _values(old, new, path)
        yield from _limits(old, new, path)
        yield from self._variants(old, new, path)
        yield from self._members(old, new, path)
        yield from self._items(old, new, path)

    def _variants(self, old: Schema, new: Schema, path: str) -> Iterator[tuple[str, str]]:
        before, after = _types(old, self._old), _types(new, self._new)
        if gone := sorted(before.keys() - after.keys()):
            yield path, f"may no longer be {' or '.join(gone)}: {PRESENT}"
        if fresh := sorted(after.keys() - before.keys()):
            yield path, f"may now be {' or '.join(fresh)}: {RELEASED}"
        for kind in sorted(before.keys() & after.keys()):
            if before[kind] is not old or after[kind] is not new:
                yield from self._compare(before[kind], after[kind], path)

    def _members(self, old: Schema, new: Schema, path: str) -> Iterator[tuple[str, str]]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed_before, needed_after = set(old.get("required", ())), set(new.get("required", ()))
        for name, schema in before.items():
            where = f"{path}.{name}" if path else name
            if name not in after:
                yield where, f"is gone: {RELEASED if name in needed_before else 'what was said in it is read no more'}"
                continue
            if name in needed_before - needed_after:
                yield where, f"need not be there any more: {RELEASED}"
            yield from self._compare(schema, after[name], where)
        for name in sorted(needed_after - needed_before):
            yield f"{path}.{name}" if path else name, f"has to be there now: {PRESENT}"
        extra = (old.get("additionalProperties"), new.get("additionalProperties"))
        if isinstance(extra[0], Mapping) and isinstance(extra[1], Mapping):
            yield from self._compare(extra[0], extra[1], f"{path}.*")

    def _items(self, old: Schema, new: Schema, path: str) -> Iterator[tuple[str, str]]:
        before, after = old.get("prefixItems", ()), new.get("prefixItems", ())
        if len(before) != len(after):
            yield path, f"has {len(after)} parts in place of {len(before)}: {PRESENT}"
        for index, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from self._compare(one, other, f"{path}.{index}")
        if isinstance(old.get("items"), Mapping) and isinstance(new.get("items"), Mapping):
            yield from self._compare(old["items"], new["items"], f"{path}[]")


def _resolved(schema: Schema, root: Schema) -> Schema:
    """What a reference stands for, with what stands beside it."""
    while "$ref" in schema:
        target = root["$defs"][str(schema["$ref"]).rsplit("/", 1)[1]]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _types(schema: Schema, root: Schema) -> dict[str, Schema]:
    """The kinds of value that a schema allows: JSON types, or models by their titles."""
    if "anyOf" in schema or "oneOf" in schema:
        found: dict[str, Schema] = {}
        for variant in schema.get("anyOf", schema.get("oneOf", ())):
            found |= _types(_resolved(variant, root), root)
        return found
    kind = schema.get("type")
    if kind == "object":
        # Models are told apart by what they are, not by their classes' names, which nobody reads.
        return {"an object": schema}
    return {str(kind): schema} if kind else {}


def _values(old: Schema, new: Schema, path: str) -> Iterator[tuple[str, str]]:
    """Constants and enumerations."""
    before, after = _listed(old), _listed(new)
    if before is None or after is None:
        if before != after:
            yield path, f"may be anything now: {RELEASED}" if after is None else f"is one of few now: {PRESENT}"
        return
    if gone := sorted(before - after):
        yield path, f"may no longer be {', '.join(gone)}: {PRESENT}"
    if fresh := sorted(after - before):
        yield path, f"may now be {', '.join(fresh)}: {RELEASED}"


def _listed(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {repr(schema["const"])}
    return {repr(value) for value in schema["enum"]} if "enum" in schema else None


def _limits(old: Schema, new: Schema, path: str) -> Iterator[tuple[str, str]]:
    for key in (*_UPPER, *_LOWER, *_FORMS):
        before, after = old.get(key), new.get(key)
        if before != after:
            who = PRESENT if _tighter(key, before, after) else RELEASED
            yield path, f"has {key} {after} in place of {before}: {who}"


def _tighter(key: str, before: Any, after: Any) -> bool:
    """Whether the limit refuses what it took before; a changed pattern is taken to."""
    if before is None or after is None or key in _FORMS:
        return after is not None
    return bool(after < before if key in _UPPER else after > before)
