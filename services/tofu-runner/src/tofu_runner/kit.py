"""The kit that lies beside the module: which of its optional components a shape brings."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from contracts.kit import Kit, kit_of


def kit_beside(module: Path) -> Kit:
    """The catalogue of the installation's kit; BadKit when it is none."""
    return kit_of(yaml.safe_load((module.parent.parent / "kit" / "catalogue.yaml").read_text()))


def options_of(kit: Kit, chosen: Iterable[str]) -> list[str]:
    """Folders below the kit's ``options`` that the root Kustomization takes; BadKit for a name that the kit lacks."""
    return [component.folder for component in kit.selection(chosen) if component.tier != "mandatory"]
