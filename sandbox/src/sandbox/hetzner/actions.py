"""The life of an action: running, then success (after its effect has happened) or error.

What an action will do is data (`_finish`, a name in the table of finishes, and `_args`), so that a restarted sandbox
goes on where it was. An action that fails undoes what its request did in advance (a reserved address, a status).
A script (a fault) can stretch an action, let it fail, or never let it end.
"""

import time
from asyncio import TimerHandle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.hetzner.errors import ApiError
from sandbox.hetzner.state import SINGULAR, Cloud, Effect, Project, Record, now

Finish = Callable[[Project, Record], None]
Later = Callable[[float, Callable[[], None]], TimerHandle]


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """How the actions of one call go wrong."""

    duration_s: float | None = None
    never: bool = False
    error: tuple[str, str] | None = None


class Actions:
    """Begins actions and brings them to their end in time."""

    def __init__(
        self,
        cloud: Cloud,
        finishes: Mapping[str, Finish],
        undoes: Mapping[str, Finish],
        durations: dict[str, float],
        later: Later,
        observe: Callable[[Project, Record, list[Effect]], None],
    ) -> None:
        self._cloud = cloud
        self._finishes = finishes
        self._undoes = undoes
        self.durations = durations
        self._later = later
        self._observe = observe
        self._due: dict[int, TimerHandle] = {}
        self.script: Script | None = None

    def begin(
        self,
        project: Project,
        command: str,
        *resources: tuple[str, Record],
        finish: str | None = None,
        args: Record | None = None,
        locks: Record | None = None,
        behind: Record | None = None,
    ) -> Record:
        """Start an action on some resources; `behind` is the one that must end before it."""
        script = self.script or Script()
        duration = script.duration_s
        if duration is None:
            duration = self.durations.get(command, self.durations["default"])
        due = time.time() + duration
        if behind is not None:
            due = max(due, behind["_due"] + duration)
        action: Record = {
            "id": self._cloud.next_id(),
            "command": command,
            "status": "running",
            "progress": 0,
            "started": now(),
            "finished": None,
            "resources": [{"id": record["id"], "type": SINGULAR[kind]} for kind, record in resources],
            "error": None,
            "_begun": time.time(),
            "_due": due,
            "_finish": finish,
            "_args": args or {},
            "_locks": locks["id"] if locks else None,
            "_error": script.error,
            "_never": script.never,
        }
        if locks is not None:
            locks["locked"] = True
            locks["_locks"] = locks.get("_locks", 0) + 1
        project.restore("actions", action)
        project.touch("actions", action)
        self._schedule(project, action)
        return action

    def done(self, project: Project, command: str, *resources: tuple[str, Record]) -> Record:
        """An action whose effect has happened already; it still takes its time to say so."""
        return self.begin(project, command, *resources)

    def resume(self) -> None:
        """Schedule every action that was running when the sandbox stopped."""
        for project in self._cloud.projects.values():
            for action in project.tables["actions"].values():
                if action["status"] == "running":
                    self._schedule(project, action)

    def pause(self) -> None:
        """Leave what is under way to the next start."""
        for due in self._due.values():
            due.cancel()
        self._due.clear()

    def _schedule(self, project: Project, action: Record) -> None:
        if not action["_never"]:
            wait = max(0.0, action["_due"] - time.time())
            self._due[action["id"]] = self._later(wait, lambda: self._end(project, action))

    def _end(self, project: Project, action: Record) -> None:
        self._due.pop(action["id"], None)
        locked = project.tables["servers"].get(action["_locks"] or 0)
        try:
            if action["_error"]:
                code, message = action["_error"]
                raise ApiError(code, message)
            if action["_finish"]:
                self._finishes[action["_finish"]](project, action)
            action["status"] = "success"
        except ApiError as refusal:
            action["status"] = "error"
            action["error"] = {"code": refusal.code, "message": refusal.message}
            if action["_finish"] in self._undoes:
                self._undoes[action["_finish"]](project, action)
        action["progress"] = 100
        action["finished"] = now()
        if locked is not None and locked["id"] in project.tables["servers"]:
            locked["_locks"] -= 1
            locked["locked"] = locked["_locks"] > 0
            project.touch("servers", locked)
        project.touch("actions", action)
        self._observe(project, action, self._cloud.commit())


def rendered(action: Record) -> dict[str, Any]:
    """An action as the API shows it."""
    progress = action["progress"]
    if action["status"] == "running":
        whole = action["_due"] - action["_begun"]
        progress = min(99, int(100 * (time.time() - action["_begun"]) / whole)) if whole > 0 else 0
    return {
        "id": action["id"],
        "command": action["command"],
        "status": action["status"],
        "progress": progress,
        "started": action["started"],
        "finished": action["finished"],
        "resources": action["resources"],
        "error": action["error"],
    }
