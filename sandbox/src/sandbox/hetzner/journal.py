"""Persistence: every change is appended to a journal before it is answered; a start folds it into a snapshot.

A line is a list of changes `[project, kind, id, record or null]` that belong together; project "" holds what is the
whole cloud's (counters, token hashes, capacity). Appends reach the operating system, not the platter: a killed process
loses nothing, a killed machine may lose the last moments, which is enough for a stand-in.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

Change = tuple[str, str, int, dict[str, Any] | None]


class Journal:
    """Two files in a directory: `cloud.json` (snapshot) and `cloud.jsonl` (what happened since)."""

    def __init__(self, directory: Path) -> None:
        self._snapshot = directory / "cloud.json"
        self._log = directory / "cloud.jsonl"
        self._file: TextIO | None = None

    def load(self) -> list[Change]:
        """The last value of everything that was ever written; folds the log into the snapshot."""
        held: dict[tuple[str, str, int], dict[str, Any]] = {}
        for changes in self._stored():
            for project, kind, record_id, record in changes:
                key = (project, kind, record_id)
                if record is None:
                    held.pop(key, None)
                else:
                    held[key] = record
        present: list[Change] = [(*key, record) for key, record in held.items()]
        self._fold(present)
        return present

    def append(self, changes: list[Change]) -> None:
        """Write changes down; they are with the operating system when this returns."""
        if self._file is None:
            self._file = os.fdopen(os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a")
        self._file.write(json.dumps(changes, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        """End; the next start folds what is there."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _stored(self) -> Iterator[list[Change]]:
        if self._snapshot.exists():
            yield json.loads(self._snapshot.read_text())
        if self._log.exists():
            for line in self._log.read_text().splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    return  # a crash cut the last line short; it was never answered

    def _fold(self, present: list[Change]) -> None:
        self._snapshot.parent.mkdir(parents=True, exist_ok=True)
        part = self._snapshot.with_suffix(".part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(present, file, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._snapshot)
        self._log.unlink(missing_ok=True)
