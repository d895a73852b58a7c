"""What a Sovereign can be made of: the kit's catalogue, read once and typed, and what follows from it.

``deploy/kit/catalogue.yaml`` is the one list. Whoever offers components, renders the chosen ones, waits for them or
weighs them against servers reads it through here, so that nobody has a dependency, a tier or a size of his own. A
component that a mandatory one needs is mandatory, whatever its row says.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints, ValidationError, model_validator

from contracts.event import Model

Tier = Literal["mandatory", "recommended", "optional"]
ComponentName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}$")]

_MILLI: Final = re.compile(r"^(?P<count>\d+)(?P<milli>m?)$")
_BINARY: Final = re.compile(r"^(?P<count>\d+)(?P<unit>Mi|Gi)$")
_MIB_PER_GIB: Final = 1024


class BadKit(Exception):
    """The catalogue is none, or something that it does not hold was asked of it; the message says what is wrong."""


def _millicores(value: object) -> object:
    found = _MILLI.match(value) if isinstance(value, str) else None
    return int(found["count"]) * (1 if found["milli"] else 1000) if found else value


def _mib(value: object) -> object:
    found = _BINARY.match(value) if isinstance(value, str) else None
    return int(found["count"]) * (1 if found["unit"] == "Mi" else _MIB_PER_GIB) if found else value


Millicores = Annotated[int, BeforeValidator(_millicores)]
Mebibytes = Annotated[int, BeforeValidator(_mib)]


class Need(Model):
    """What pods ask of servers. In the catalogue as Kubernetes writes it: 250m, 512Mi, 10Gi."""

    cpu: Millicores = Field(default=0, ge=0, description="Thousandths of a core.")
    memory: Mebibytes = Field(default=0, ge=0, description="MiB.")
    disk: Mebibytes = Field(default=0, ge=0, description="MiB of volumes.")

    def __add__(self, other: "Need") -> "Need":
        return Need(cpu=self.cpu + other.cpu, memory=self.memory + other.memory, disk=self.disk + other.disk)

    def times(self, count: int) -> "Need":
        """As much on each of so many servers."""
        return Need(cpu=self.cpu * count, memory=self.memory * count, disk=self.disk * count)


class Workload(Model):
    """Something that a release runs."""

    kind: str
    name: str
    replicas: int = 1
    volume: str = ""


class Chart(Model):
    """Where a component comes from."""

    kind: Literal["HelmRepository", "OCIRepository"] = "HelmRepository"
    url: str = ""
    name: str = ""
    version: str = Field(min_length=1)
    app_version: str = Field(default="", alias="appVersion")


class Component(Model):
    """One member of the kit. Its release and its Kustomization carry its name."""

    name: ComponentName
    namespace: str
    chart: Chart
    tier: Tier = "mandatory"
    family: str = ""
    depends_on: tuple[ComponentName, ...] = Field(default=(), alias="dependsOn")
    description: str = ""
    homepage: str = ""
    licence: str = ""
    asks: Need = Need()
    per_node: Need = Field(default=Need(), alias="perNode", description="As much again on each server.")
    storage_class: bool = Field(default=False, alias="storageClass", description="It claims volumes.")
    verified: bool = Field(default=False, description="Its chart was rendered with our values and checked.")
    after_hand_off: str = Field(
        default="", alias="afterHandOff", description="Why it cannot be chosen in a request, only added later."
    )
    workloads: tuple[Workload, ...] = ()

    @property
    def folder(self) -> str:
        """Of its manifests, below the kit's ``components``; an optional one has the same below ``options``."""
        return self.name.removeprefix("bp-")


class LeftOut(Model):
    """A component of the reference that this kit does not have, and why."""

    name: str
    family: str
    because: str


class Substitutions(Model):
    """The values of one Sovereign that its manifests are written with: name to what it is."""

    config_map: Mapping[str, str] = Field(default={}, alias="configMap")
    secret: Mapping[str, str] = {}


class Kit(Model):
    """The whole catalogue, dependencies first."""

    version: str = ""
    substitutions: Substitutions = Substitutions()
    components: tuple[Component, ...] = Field(min_length=1)
    left_out: tuple[LeftOut, ...] = Field(default=(), alias="leftOut")

    @model_validator(mode="after")
    def _holds_together(self) -> "Kit":
        names = [component.name for component in self.components]
        if len(set(names)) != len(names):
            raise ValueError("a component stands twice in the kit's catalogue")
        for component in self.components:
            for name in component.depends_on:
                if name not in names:
                    raise ValueError(f"{component.name} depends on {name}, which is not in the kit's catalogue")
        return self

    @property
    def by_name(self) -> dict[str, Component]:
        """The components by name."""
        return {component.name: component for component in self.components}

    @property
    def mandatory(self) -> tuple[Component, ...]:
        """What every Sovereign has."""
        return tuple(component for component in self.components if component.tier == "mandatory")

    def named(self, name: str) -> Component | None:
        """The component of this name, with or without its ``bp-``."""
        known = self.by_name
        return known.get(name) or known.get(f"bp-{name}")

    def needs(self, name: str) -> frozenset[str]:
        """Everything that a component stands on, however deep."""
        known, found, ahead = self.by_name, set[str](), [name]
        while ahead:
            for needed in known[ahead.pop()].depends_on:
                if needed not in found:
                    found.add(needed)
                    ahead.append(needed)
        return frozenset(found)

    def selection(self, chosen: Iterable[str] = ()) -> tuple[Component, ...]:
        """What a Sovereign gets: the mandatory ones, the chosen ones and whatever these need, dependencies first.

        Raises BadKit for a name that the catalogue does not hold.
        """
        wanted = {component.name for component in self.mandatory}
        for name in chosen:
            component = self.named(name)
            if component is None:
                raise BadKit(f"component {name!r} is not in the kit's catalogue")
            wanted |= {component.name, *self.needs(component.name)}
        return tuple(component for component in self.components if component.name in wanted)

    def need(self, chosen: Iterable[str], servers: int) -> Need:
        """What a selection asks of so many servers together."""
        total = Need()
        for component in self.selection(chosen):
            total = total + component.asks + component.per_node.times(servers)
        return total


def kit_of(raw: Any) -> Kit:
    """The kit in a parsed catalogue, dependencies first, with tiers as they follow; BadKit says what is wrong."""
    if not isinstance(raw, dict) or not raw.get("components"):
        raise BadKit("the kit's catalogue lists no components")
    try:
        read = Kit.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "as a whole"
        raise BadKit(f"the kit's catalogue is wrong at {where}: {first['msg']}") from None
    ordered = read.model_copy(update={"components": _ordered(read.components)})
    held = {needed for component in ordered.mandatory for needed in ordered.needs(component.name)}
    promoted = tuple(
        component.model_copy(update={"tier": "mandatory"}) if component.name in held else component
        for component in ordered.components
    )
    return ordered.model_copy(update={"components": promoted})


def _ordered(components: Sequence[Component]) -> tuple[Component, ...]:
    """Dependencies first, else in the catalogue's order; BadKit names the members of a cycle."""
    left = {component.name: component for component in components}
    ordered: list[Component] = []
    done: set[str] = set()
    while left:
        free = next((component for component in left.values() if done.issuperset(component.depends_on)), None)
        if free is None:
            raise BadKit(f"the kit's catalogue has a dependency cycle among {', '.join(left)}")
        ordered.append(free)
        done.add(free.name)
        del left[free.name]
    return tuple(ordered)
