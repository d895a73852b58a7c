"""The ledger: one line for every call and for every action's end, and what was created and deleted by it.

Lines are kept as JSON text (small, and ready to be written and served); what may be counted is counted on the way, so
that the totals outlive the lines when the ledger is cut.
"""

import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sandbox.hetzner.state import Effect

KEPT_LINES: Final = 500_000


class Ledger:
    """Remembers calls; never a token, only its short hash."""

    def __init__(self, path: Path) -> None:
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._number = 0
        self.calls: Counter[tuple[str, str, str, int]] = Counter()
        self.created: Counter[tuple[str, str]] = Counter()
        self.deleted: Counter[tuple[str, str]] = Counter()
        if path.exists():
            self._restore(path.read_text().splitlines())
        self._file = path.open("a", buffering=1 << 16)

    def call(
        self,
        *,
        project: str,
        mark: str,
        method: str,
        path: str,
        ids: list[int],
        status: int,
        code: str | None,
        fault: int | None,
        reply: str,
        effects: Iterable[Effect],
    ) -> None:
        """Note one call."""
        self._note(
            {
                "call": f"{method} {path}",
                "project": project,
                "token": mark,
                "ids": ids,
                "status": status,
                "code": code,
                "fault": fault,
                "reply": reply,
            },
            effects,
        )

    def action(self, *, project: str, action: dict[str, Any], effects: Iterable[Effect]) -> None:
        """Note the end of an action."""
        self._note(
            {
                "action": action["command"],
                "project": project,
                "ids": [resource["id"] for resource in action["resources"]],
                "status": action["status"],
            },
            effects,
        )

    def lines(self, *, after: int = 0, project: str | None = None, limit: int = 10_000) -> list[dict[str, Any]]:
        """The lines after a number, oldest first."""
        found: list[dict[str, Any]] = []
        for line in self._later(after):
            entry = json.loads(line)
            if project in {None, entry["project"]}:
                found.append(entry)
                if len(found) >= limit:
                    break
        return found

    def totals(self, project: str | None = None) -> dict[str, Any]:
        """Calls per operation and status, and created, deleted and living resources per kind."""
        calls: dict[str, dict[str, int]] = {}
        for (owner, method, path, status), count in self.calls.items():
            if project in {None, owner}:
                by_status = calls.setdefault(f"{method} {path}", {})
                by_status[str(status)] = by_status.get(str(status), 0) + count
        kinds: dict[str, dict[str, int]] = {}
        for counter, what in ((self.created, "created"), (self.deleted, "deleted")):
            for (owner, kind), count in counter.items():
                if project in {None, owner}:
                    entry = kinds.setdefault(kind, {"created": 0, "deleted": 0, "alive": 0})
                    entry[what] += count
                    entry["alive"] += count if what == "created" else -count
        return {"calls": calls, "resources": kinds}

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Flush and end."""
        self._file.close()

    def _later(self, after: int) -> Iterator[str]:
        skip = max(0, after - (self._number - len(self._lines)))
        return (line for index, line in enumerate(self._lines) if index >= skip)

    def _note(self, entry: dict[str, Any], effects: Iterable[Effect]) -> None:
        self._number += 1
        entry["n"] = self._number
        entry["at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry["effects"] = [[e.what, e.kind, e.id, e.name] for e in effects]
        self._count(entry)
        line = json.dumps(entry, separators=(",", ":"))
        self._lines.append(line)
        self._file.write(line + "\n")

    def _count(self, entry: dict[str, Any]) -> None:
        if "call" in entry:
            method, _, path = entry["call"].partition(" ")
            self.calls[entry["project"], method, path, entry["status"]] += 1
        for what, kind, _, _ in entry["effects"]:
            counter = self.created if what == "created" else self.deleted
            counter[entry["project"], kind] += 1

    def _restore(self, lines: Iterable[str]) -> None:
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the line that a crash cut short
            self._number = entry["n"]
            self._count(entry)
            self._lines.append(line)
