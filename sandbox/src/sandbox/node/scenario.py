"""How long the stages of a boot take, and which of them go wrong.

Faults are counted: each happens to one server and stage `times` times and is then over, so that a server which
replaces a failed one boots. A scenario is data; the control API sets it and tests read it like a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

STAGE_SECONDS: Final[Mapping[str, float]] = {
    "network": 0.1,
    "packages": 0.5,
    "k3s": 0.6,
    "api": 0.1,
    "storage-class": 0.1,
    "cni": 0.3,
    "flux": 0.3,
    "kit": 0.1,
    "hand-in": 0.1,
}
"""About two seconds, beside the three that the scripts of a first control plane take by themselves."""

FaultKind = Literal[
    "fails",  # the first program of the stage that is a stand-in fails with `lines`, and so does every later one of it
    "hangs",  # it never answers
    "dies",  # the server stops without a word; at hand-in: the kubeconfig is never sent
    "repeats",  # the stage runs a second time after the boot; at hand-in: the kubeconfig is sent twice
]


class BootFault(BaseModel):
    """One thing that goes wrong in the boot of one server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: str = Field(description="Name of the server; '*' for whichever comes first.")
    stage: str
    kind: FaultKind
    lines: tuple[str, ...] = Field(default=(), description="What a failing program prints.")
    times: int = Field(default=1, ge=1, description="In how many boots it happens.")


class BootScenario(BaseModel):
    """Times and faults of boots."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage_seconds: Mapping[str, float] = STAGE_SECONDS
    faults: tuple[BootFault, ...] = ()


class Troubles:
    """The faults that boots still have before them."""

    def __init__(self, scenario: BootScenario) -> None:
        self.scenario = scenario
        self._left = [[fault, fault.times] for fault in scenario.faults]

    def add(self, fault: BootFault) -> None:
        """One more."""
        self._left.append([fault, fault.times])

    def draw(self, server: str) -> tuple[BootFault, ...]:
        """What this boot of the server will meet; each is consumed once."""
        drawn = []
        for entry in self._left:
            fault, left = entry
            if isinstance(fault, BootFault) and isinstance(left, int) and left and fault.server in {server, "*"}:
                entry[1] = left - 1
                drawn.append(fault)
        return tuple(drawn)

    def seconds(self, stage: str) -> float:
        """How long the stage takes beyond the work of its script."""
        return self.scenario.stage_seconds.get(stage, 0.0)
