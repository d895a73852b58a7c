"""Scripted faults: counted sequences, never a switch left on.

A fault names the calls it means (method, path template, perhaps a project), from which of them on (`nth`), and a list
of steps; each step is used up by `times` matching calls, one after the other. When all steps are used up the fault is
spent and the cloud behaves again: "refuse five times, then accept" is one step with `times: 5`.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sandbox.hetzner.actions import Script
from sandbox.hetzner.errors import STATUS


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Refusal(_Model):
    """An error answered instead of doing anything."""

    code: str
    message: str = "scripted by the sandbox"
    status: int | None = Field(default=None, ge=400, le=599)
    details: dict[str, Any] | None = None

    @property
    def http_status(self) -> int:
        """The given status, else the one that belongs to the code."""
        return self.status or STATUS.get(self.code, 422)


class ActionFault(_Model):
    """What becomes of the actions that the call begins."""

    duration_s: float | None = Field(default=None, ge=0, le=86_400)
    never: bool = False
    error_code: str | None = None
    error_message: str = "scripted by the sandbox"

    def script(self) -> Script:
        """The same for the life of actions."""
        error = (self.error_code, self.error_message) if self.error_code else None
        return Script(duration_s=self.duration_s, never=self.never, error=error)


class Step(_Model):
    """What happens to `times` matching calls."""

    times: int = Field(default=1, ge=1, le=100_000)
    answer: Refusal | None = None
    delay_s: float = Field(default=0.0, ge=0, le=3600)
    hang_s: float | None = Field(default=None, ge=0, le=3600)
    """Nothing is done and nothing answered for so long, then the connection ends."""
    drop_reply: bool = False
    """The call has its effect, but the connection ends before the answer."""
    action: ActionFault | None = None


class NewFault(_Model):
    """A fault as it is asked for."""

    method: str = "*"
    path: str = "*"
    """A path template below /v1, such as /servers or /servers/{id}/actions/poweron."""
    project: str | None = None
    nth: int = Field(default=1, ge=1)
    steps: list[Step] = Field(min_length=1)


class Fault:
    """A fault in force, with what of it is used up."""

    def __init__(self, fault_id: int, asked: NewFault) -> None:
        self.id = fault_id
        self.asked = asked
        self.seen = 0
        self.applied = 0
        self._total = sum(step.times for step in asked.steps)

    @property
    def spent(self) -> bool:
        """Whether every step is used up."""
        return self.applied >= self._total

    def meets(self, method: str, template: str, project: str) -> bool:
        """Whether it means this call."""
        asked = self.asked
        return asked.method in {"*", method} and asked.path in {"*", template} and asked.project in {None, project}

    def next_step(self) -> Step | None:
        """Count one matching call; the step that applies to it, if it is time already."""
        self.seen += 1
        if self.seen < self.asked.nth or self.spent:
            return None
        place, self.applied = self.applied, self.applied + 1
        for step in self.asked.steps:
            if place < step.times:
                return step
            place -= step.times
        return None

    def described(self) -> dict[str, Any]:
        """The fault as the control API shows it."""
        asked = self.asked.model_dump(mode="json", exclude_none=True)
        return {"id": self.id, "seen": self.seen, "applied": self.applied, "spent": self.spent, **asked}


class Faults:
    """All faults, in the order in which they were asked for; the first that applies takes the call."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._next_id = 1

    def add(self, asked: NewFault) -> Fault:
        """Put a fault in force."""
        fault = Fault(self._next_id, asked)
        self._next_id += 1
        self._faults.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        """Take one fault back, or all."""
        self._faults = [fault for fault in self._faults if fault_id not in {None, fault.id}]

    def all(self) -> list[Fault]:
        """Every fault, spent ones too."""
        return list(self._faults)

    def step_for(self, method: str, template: str, project: str) -> tuple[int, Step] | None:
        """What is scripted for this call."""
        for fault in self._faults:
            if not fault.spent and fault.meets(method, template, project) and (step := fault.next_step()):
                return fault.id, step
        return None
