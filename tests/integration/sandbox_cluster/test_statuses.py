"""Every status that the light cluster ever writes obeys the CRDs and the rules of Flux's conditions."""

from __future__ import annotations

import pytest

from sandbox.cluster import Fault, Scenario
from sandbox.cluster.objects import FLUX_KINDS
from sandbox.cluster.scenario import FOREVER
from sandbox.cluster.store import Change
from tests.integration.sandbox_cluster.conftest import Bench, conditions, eventually
from tests.unit.kit.manifests import wrong


def broken_rules(change: Change) -> list[str]:
    """Which rule of kstatus-compatible conditions an object breaks."""
    item = change.item
    found = conditions(item)
    observed = (item.get("status") or {}).get("observedGeneration", -1)
    present = observed == item["metadata"]["generation"]
    rules = {
        "Reconciling and Stalled together": "Reconciling" in found and "Stalled" in found,
        "Reconciling that is not True": found.get("Reconciling", ("True", ""))[0] != "True",
        "Stalled that is not True": found.get("Stalled", ("True", ""))[0] != "True",
        "Stalled while Ready": "Stalled" in found and found["Ready"][0] != "False",
        "settled in a generation that was not observed": "Stalled" in found and not present,
        "Ready is True, nothing is under way, and the generation was not observed": (
            found.get("Ready", ("", ""))[0] == "True" and "Reconciling" not in found and not present
        ),
        "a generation from the future": any(
            each["observedGeneration"] > item["metadata"]["generation"]
            for each in (item.get("status") or {}).get("conditions", ())
        ),
    }
    return [rule for rule, broken in rules.items() if broken]


@pytest.mark.parametrize(
    "faults",
    [
        (),
        (Fault(what="install-fails", component="bp-crossplane", times=FOREVER),),
        (
            Fault(what="install-fails", component="bp-cert-manager", times=2),
            Fault(what="source-missing", component="bp-gitea", times=2),
            Fault(what="source-unauthorized", component="bp-powerdns", times=2),
            Fault(what="kit-source-missing", times=1),
            Fault(what="release-degrades", component="bp-spire", after_s=1, lasts_s=2),
        ),
    ],
    ids=["normal", "stalled", "troubled"],
)
async def test_no_status_ever_breaks_a_schema_or_a_rule(bench: Bench, faults: tuple[Fault, ...]) -> None:
    cluster = await bench.boot(scenario=Scenario(name="test", shows="-", faults=faults))
    await bench.install_flux(cluster)
    changes: list[Change] = []
    cluster.store.listen(lambda change: changes.append(change) if change.kind in FLUX_KINDS else None)
    await bench.hand_kit_to_flux(cluster)

    def over() -> bool:
        name = "bp-crossplane" if faults and faults[0].times == FOREVER else "bp-catalyst-platform"
        found = conditions(next(iter(cluster.get("HelmRelease", "flux-system", name)), {"metadata": {}}))
        return "Stalled" in found or found.get("Ready", ("", ""))[0] == "True"

    await eventually(over)
    assert len(changes) > 100
    for change in changes:
        where = f"{change.kind.kind} {change.item['metadata']['name']}"
        assert broken_rules(change) == [], where
        if "status" in change.item:
            assert not wrong(change.item), where
