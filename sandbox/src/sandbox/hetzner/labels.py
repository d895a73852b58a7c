"""Labels, and their selectors: `k=v`, `k==v`, `k!=v`, `k`, `!k`, `k in (a,b)`, `k notin (a,b)`; a comma means and."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from sandbox.hetzner.errors import invalid

Relation = Literal["in", "notin", "exists", "absent"]

_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_PREFIX: Final = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_SET: Final = re.compile(r"(?P<key>[^\s!=,()]+)\s+(?P<relation>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUAL: Final = re.compile(r"(?P<key>[^\s!=,()]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s!=,()]*)")
_PRESENT: Final = re.compile(r"(?P<absent>!)?\s*(?P<key>[^\s!=,()]+)")
_COMMA_OUTSIDE_SET: Final = re.compile(r",(?![^(]*\))")


@dataclass(frozen=True, slots=True)
class Term:
    """One condition of a selector."""

    key: str
    relation: Relation
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy the condition."""
        match self.relation:
            case "in":
                return labels.get(self.key) in self.values
            case "notin":
                return labels.get(self.key) not in self.values
            case "exists":
                return self.key in labels
            case "absent":
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class Selector:
    """All conditions must hold."""

    terms: tuple[Term, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels satisfy every condition."""
        return all(term.matches(labels) for term in self.terms)

    def exact(self) -> tuple[str, str] | None:
        """A key with the only value it may have: what an index can answer."""
        for term in self.terms:
            if term.relation == "in" and len(term.values) == 1:
                return term.key, next(iter(term.values))
        return None


@lru_cache(maxsize=4096)
def parse(text: str, field: str = "label_selector") -> Selector:
    """Read a selector; a malformed one is the caller's invalid input."""
    return Selector(tuple(_term(part.strip(), field) for part in _COMMA_OUTSIDE_SET.split(text)))


def _term(text: str, field: str) -> Term:
    if found := _SET.fullmatch(text):
        values = frozenset(value.strip() for value in found["values"].split(","))
        return Term(_key(found["key"], field), "in" if found["relation"] == "in" else "notin", values)
    if found := _EQUAL.fullmatch(text):
        relation: Relation = "notin" if found["operator"] == "!=" else "in"
        return Term(_key(found["key"], field), relation, frozenset({found["value"]}))
    if found := _PRESENT.fullmatch(text):
        return Term(_key(found["key"], field), "absent" if found["absent"] else "exists")
    raise invalid(field, "is not a valid label selector")


def _key(key: str, field: str) -> str:
    if problem := key_problem(key):
        raise invalid(field, problem)
    return key


def key_problem(key: str) -> str | None:
    """Why this is no label key, if it is none."""
    prefix, slash, name = key.rpartition("/")
    if slash and not _PREFIX.fullmatch(prefix):
        return f"label key '{key}' has an invalid prefix"
    if not _NAME.fullmatch(name):
        return f"label key '{key}' is invalid"
    return None


def problems(labels: Mapping[object, object]) -> list[str]:
    """Everything that is wrong with a set of labels given by a user."""
    found = []
    for key, value in labels.items():
        if not isinstance(key, str) or not isinstance(value, str):
            found.append("keys and values must be strings")
            continue
        if problem := key_problem(key):
            found.append(problem)
        elif key.startswith("hetzner.cloud/"):
            found.append(f"label key '{key}' uses the reserved prefix hetzner.cloud/")
        if value and not _NAME.fullmatch(value):
            found.append(f"label value '{value}' is invalid")
    return found
