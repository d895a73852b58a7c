"""What goes wrong in a cluster, as data: a scenario is a list of faults, each counted, each with a component or none.

A fault is consumed `times` times and then over, so a retry can succeed; `after_s` and `lasts_s` are in
model seconds and follow the cluster's pace. The same fault set names what a demo shows and what a test
expects.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Trouble = Literal[
    "install-fails",  # helm install fails `times` times; remediation and retries as the HelmRelease says
    "install-slow",  # the install takes `lasts_s` longer
    "source-missing",  # the chart's source answers 404
    "source-unauthorized",  # the chart's source answers 401
    "image-pull",  # pods of the component cannot pull `times` times
    "release-degrades",  # after ready: an upgrade fails and the release is not ready for `lasts_s`
    "workload-degrades",  # after ready: its workloads crash for `lasts_s`; the release stays Ready
    "release-deleted",  # after ready: somebody deletes the HelmRelease
    "kit-source-missing",  # the kit's GitRepository cannot be cloned: not found
    "kit-source-unauthorized",  # the same: authentication required
    "no-storage-class",  # the cluster has no StorageClass; heals when one is applied
    "node-lost",  # a node stops reporting for `lasts_s`
    "flux-removed",  # Flux's controllers are deleted by a roll-back of bp-flux
    "api-down",  # the API answers 503 for `lasts_s`
]

FOREVER: Final = 10**9


class Fault(BaseModel):
    """One thing that goes wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: Trouble
    component: str = Field(default="", description="Name of the component (bp-...); empty where none is meant.")
    times: int = Field(default=1, ge=1, description="How often it happens before it is over.")
    after_s: float = Field(default=1.0, ge=0, description="Model seconds after its trigger (ready, or the start).")
    lasts_s: float = Field(default=5.0, ge=0, description="Model seconds until it is over.")


class Scenario(BaseModel):
    """A named set of faults for one cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    shows: str = Field(description="One sentence: what a viewer sees.")
    faults: tuple[Fault, ...] = ()


class Faults:
    """The faults that one cluster still has before it, and a count of those it had."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._left: list[tuple[Fault, int]] = [(fault, fault.times) for fault in scenario.faults]
        self.happened: Counter[str] = Counter()

    def add(self, fault: Fault) -> None:
        """One more."""
        self._left.append((fault, fault.times))

    def pending(self, what: Trouble, component: str = "") -> Fault | None:
        """The fault that is next of its sort, without consuming it."""
        for fault, left in self._left:
            if left and fault.what == what and fault.component == component:
                return fault
        return None

    def take(self, what: Trouble, component: str = "") -> Fault | None:
        """Consume one occurrence."""
        for index, (fault, left) in enumerate(self._left):
            if left and fault.what == what and fault.component == component:
                self._left[index] = (fault, left - 1)
                self.happened[f"{what} {component}".strip()] += 1
                return fault
        return None


HAPPY: Final = Scenario(name="happy", shows="Every component becomes ready in dependency order.")

SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        HAPPY,
        Scenario(
            name="retry",
            shows="The install of OpenBao fails twice, is tried again in place and succeeds.",
            faults=(Fault(what="install-fails", component="bp-openbao", times=2),),
        ),
        Scenario(
            name="stalled",
            shows="The install of Crossplane fails until its retries are exhausted; the platform waits for it.",
            faults=(Fault(what="install-fails", component="bp-crossplane", times=FOREVER),),
        ),
        Scenario(
            name="remediated",
            shows="The install of cert-manager fails twice, is uninstalled each time and then succeeds.",
            faults=(Fault(what="install-fails", component="bp-cert-manager", times=2),),
        ),
        Scenario(
            name="storageclass",
            shows="There is no StorageClass for a while: every component with a volume waits for its claims.",
            faults=(Fault(what="no-storage-class", lasts_s=30),),
        ),
        Scenario(
            name="degraded-after-ready",
            shows="NATS degrades after it was ready, and recovers.",
            faults=(Fault(what="release-degrades", component="bp-nats-jetstream", after_s=8, lasts_s=8),),
        ),
        Scenario(
            name="workload-degrades",
            shows="Gitea's pods crash while its release stays Ready, and recover.",
            faults=(Fault(what="workload-degrades", component="bp-gitea", after_s=8, lasts_s=8),),
        ),
        Scenario(
            name="source-404",
            shows="The kit's repository is not there for three attempts.",
            faults=(Fault(what="kit-source-missing", times=3),),
        ),
        Scenario(
            name="source-401",
            shows="The kit's repository refuses its credential for three attempts.",
            faults=(Fault(what="kit-source-unauthorized", times=3),),
        ),
        Scenario(
            name="chart-404",
            shows="The chart repository of Gitea is not there for three attempts.",
            faults=(Fault(what="source-missing", component="bp-gitea", times=3),),
        ),
        Scenario(
            name="image-pull",
            shows="An image of PowerDNS cannot be pulled for three attempts.",
            faults=(Fault(what="image-pull", component="bp-powerdns", times=3),),
        ),
        Scenario(
            name="release-deleted",
            shows="Somebody deletes the release of sealed-secrets after it was ready.",
            faults=(Fault(what="release-deleted", component="bp-sealed-secrets", after_s=6),),
        ),
        Scenario(
            name="node-lost",
            shows="A worker stops reporting; releases stay Ready while its pods are gone.",
            faults=(Fault(what="node-lost", after_s=20, lasts_s=15),),
        ),
        Scenario(
            name="flux-removed",
            shows="The roll-back of bp-flux deletes Flux's own controllers; nothing moves any more.",
            faults=(Fault(what="flux-removed", component="bp-flux"),),
        ),
    )
}
