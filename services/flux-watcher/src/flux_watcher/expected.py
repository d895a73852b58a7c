"""What a Sovereign's cluster is expected to run: the components of the kit, in dependency order.

Read from the kit's own catalogue, so that "ready" is compared with a list that exists before the cluster does, and a
cycle or a missing member is an error before anything boots. Never "whatever is there": an empty cluster is not ready.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class BadKit(Exception):
    """The kit's catalogue cannot be an expected set; the message says why."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that a release runs."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Component:
    """One member of the expected set. Its release and its Kustomization carry its name."""

    name: str
    namespace: str
    version: str
    tier: str
    depends_on: tuple[str, ...] = ()
    workloads: tuple[Workload, ...] = ()


@dataclass(frozen=True)
class Expected:
    """The expected set of one Sovereign, dependencies first."""

    components: tuple[Component, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The releases, dependencies first."""
        return tuple(component.name for component in self.components)

    def component(self, name: str) -> Component | None:
        """The member of this name."""
        return next((component for component in self.components if component.name == name), None)


@dataclass(frozen=True)
class Kit:
    """The whole catalogue."""

    components: tuple[Component, ...]

    def expected(self, chosen: Iterable[str] = ()) -> Expected:
        """The mandatory components, the chosen ones, and whatever these need; dependencies first."""
        by_name = {component.name: component for component in self.components}
        wanted: set[str] = set()
        ahead = [c.name for c in self.components if c.tier == "mandatory"]
        ahead += [name if name in by_name else f"bp-{name}" for name in chosen]
        while ahead:
            name = ahead.pop()
            if name in wanted:
                continue
            if name not in by_name:
                raise BadKit(f"component {name!r} is not in the kit's catalogue")
            wanted.add(name)
            ahead.extend(by_name[name].depends_on)
        return Expected(tuple(component for component in self.components if component.name in wanted))


def load_kit(path: Path) -> Kit:
    """The catalogue in a file; BadKit says what is wrong with it."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadKit(f"the kit's catalogue cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise BadKit(f"the kit's catalogue {path.name} is no YAML: {error}") from None
    return kit_of(raw)


def kit_of(raw: Any) -> Kit:
    """The kit that a parsed catalogue describes, sorted by dependency."""
    rows = raw.get("components") if isinstance(raw, dict) else None
    if not isinstance(rows, list) or not rows:
        raise BadKit("the kit's catalogue lists no components")
    components = [_component(row) for row in rows]
    names = [component.name for component in components]
    if len(set(names)) != len(names):
        raise BadKit("a component stands twice in the kit's catalogue")
    return Kit(_sorted(components))


def _component(row: Any) -> Component:
    try:
        return Component(
            name=str(row["name"]),
            namespace=str(row["namespace"]),
            version=str(row["chart"]["version"]),
            tier=str(row.get("tier", "mandatory")),
            depends_on=tuple(str(name) for name in row.get("dependsOn") or ()),
            workloads=tuple(Workload(str(w["kind"]), str(w["name"])) for w in row.get("workloads") or ()),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise BadKit(f"a component of the kit's catalogue is incomplete: {error!r}") from None


def _sorted(components: Sequence[Component]) -> tuple[Component, ...]:
    """Dependencies first, else in the catalogue's order; BadKit names a cycle or a missing member."""
    left = {component.name: component for component in components}
    for component in components:
        for name in component.depends_on:
            if name not in left:
                raise BadKit(f"{component.name} depends on {name}, which is not in the kit's catalogue")
    ordered: list[Component] = []
    done: set[str] = set()
    while left:
        free = [component for component in left.values() if done.issuperset(component.depends_on)]
        if not free:
            raise BadKit(f"the kit's catalogue has a dependency cycle among {', '.join(left)}")
        ordered.append(free[0])
        done.add(free[0].name)
        del left[free[0].name]
    return tuple(ordered)


def same_version(installed: str, wanted: str) -> bool:
    """Whether an installed chart version is the wanted one: a leading v and build metadata do not count."""
    return bool(installed) and _plain(installed) == _plain(wanted)


def _plain(version: str) -> str:
    return version.strip().removeprefix("v").split("+", 1)[0]
