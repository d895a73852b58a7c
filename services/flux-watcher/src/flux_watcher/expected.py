"""What a Sovereign's cluster is expected to run: the components of the kit, in dependency order.

Read from the kit's own catalogue, so that "ready" is compared with a list that exists before the cluster does, and a
cycle or a missing member is an error before anything boots. Never "whatever is there": an empty cluster is not ready.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from contracts.kit import BadKit, Component, Kit, kit_of


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


def expected_of(kit: Kit, chosen: Iterable[str] = ()) -> Expected:
    """What a Sovereign for which these were chosen is expected to run; BadKit for a name that the kit lacks."""
    return Expected(kit.selection(chosen))


def load_kit(path: Path) -> Kit:
    """The catalogue in a file; BadKit says what is wrong with it."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadKit(f"the kit's catalogue cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise BadKit(f"the kit's catalogue {path.name} is no YAML: {error}") from None
    return kit_of(raw)


def same_version(installed: str, wanted: str) -> bool:
    """Whether an installed chart version is the wanted one: a leading v and build metadata do not count."""
    return bool(installed) and _plain(installed) == _plain(wanted)


def _plain(version: str) -> str:
    return version.strip().removeprefix("v").split("+", 1)[0]
