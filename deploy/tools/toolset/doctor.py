"""`doctor`: a table of what is wanted, what is found, from where, and how to get the rest."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from .documents import held
from .manifest import Manifest, Tool, numbers
from .places import Cache
from .sources import locate

HEAD: Final = ("tool", "for", "wanted", "found", "from", "how to get it")


def examine(
    manifest: Manifest, cache: Cache, environment: Mapping[str, str], *, set_up: bool, call: str
) -> tuple[list[tuple[str, ...]], list[str]]:
    """Look at everything; give the table and the names of what the demo misses."""
    version = ".".join(map(str, sys.version_info[:3]))
    enough = numbers(version) >= (3, 11)
    rows: list[tuple[str, ...]] = [
        ("python3", "demo", "3.11+", version, "PATH", "" if enough else "apt-get install python3.11"),
        (".venv", "demo", "", "yes" if set_up else "-", "checkout", "" if set_up else f"{call} setup"),
    ]
    missing = [] if set_up else [".venv"]
    for tool in manifest.tools.values():
        found = locate(tool, cache, environment)
        version = found.version if found else "-"
        source = found.source if found else "-"
        rows.append((tool.name, tool.sets[0], tool.wanted, version, source, "" if found else _advice(tool, call)))
        if not found and "demo" in tool.sets:
            missing.append(tool.name)
    for document in manifest.documents.values():
        path = held(document, cache)
        row = (document.name, "test", document.version, document.version if path else "-")
        rows.append((*row, "cache (npm)" if path else "-", "" if path else f"{call} documents"))
    return rows, missing


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out in columns below their head."""
    lines = [HEAD, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    ruled = [tuple("-" * width for width in widths)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [HEAD, *ruled, *rows]
    )


def _advice(tool: Tool, call: str) -> str:
    if tool.sets == ["builder"]:
        return f"fetched when needed, or {call} ensure {tool.name}"
    return f"{call} ensure {tool.name}"


def called(entry: Path) -> str:
    """How a person starts the tool box from where they stand."""
    try:
        return f"python3 {entry.relative_to(Path.cwd())}"
    except ValueError:
        return f"python3 {entry}"
