"""``python -m contracts [generate|compatible|release]``, run in a checkout.

``generate`` writes the documents that derive from the catalogue; ``compatible`` says which change of an event would
break a reader and exits 1; ``release`` records the present schemas as released.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contracts.catalogue import EVENTS
from contracts.compatibility import breaks
from contracts.documents import documents, schema

RELEASED = Path("libs/contracts/released")
"""One file per event version, as it was at the last release."""


def present() -> dict[str, Any]:
    """The schema of each event, by its type name."""
    return {entry.fact.type_name(): schema(entry) for entry in EVENTS}


def released(root: Path) -> dict[str, Any]:
    """The released schema of each event that was released."""
    return {file.stem: json.loads(file.read_text()) for file in (root / RELEASED).glob("*.json")}


def generate(root: Path) -> int:
    """Write every generated file."""
    for name, content in documents().items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return 0


def compatible(root: Path) -> int:
    """Name each change that breaks a reader."""
    found = breaks(released(root), present())
    for item in found:
        sys.stderr.write(f"{item}\n")
    if found:
        sys.stderr.write(
            "An event is read for ever: add fields that need not be there, or say a new version beside this one. "
            "At a release that no installation precedes: make release-schemas.\n"
        )
    return 1 if found else 0


def release(root: Path) -> int:
    """Record the present schemas; the diff of that folder is what a reviewer of a release reads."""
    folder = root / RELEASED
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in present().items():
        (folder / f"{name}.json").write_text(json.dumps(body, indent=1, sort_keys=True) + "\n")
    return 0


COMMANDS: dict[str, Callable[[Path], int]] = {"generate": generate, "compatible": compatible, "release": release}


def main() -> None:
    """Run one of the commands; ``generate`` when none is named."""
    name = sys.argv[1] if len(sys.argv) > 1 else "generate"
    if name not in COMMANDS:
        sys.exit(f"python -m contracts [{'|'.join(COMMANDS)}]")
    sys.exit(COMMANDS[name](Path()))


if __name__ == "__main__":
    main()
