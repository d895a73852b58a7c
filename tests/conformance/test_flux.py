"""The watcher before real controllers: install to converged with its troubles, a failed upgrade, a source that is gone.

One cluster for the whole story, since it is what takes time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bus.server import NatsServer
from contracts.flux import (
    FluxChanged,
    FluxConverged,
    FluxDiverged,
    FluxStalled,
    HrDegraded,
    HrFailed,
    HrInstalling,
    HrPending,
    HrReady,
)
from tests.conformance.conftest import Ground
from tests.conformance.sovereign import ADMISSION, RealSovereign, real_sovereign
from tests.conftest import BusOf
from tests.flux_sequences import ATTEMPTED, BASE, BROKEN, LOST, NEXT, PARTS, PATIENT, REFUSED, UNKNOWN
from tests.integration.flux_watcher.names import name_server

QUICK: dict[str, Any] = {"still_s": 8, "stable_s": 2, "diverged_s": 1, "unreachable_s": 1, "busy_s": 0.5, "calm_s": 1}


@pytest.fixture
async def sovereign(
    ground: Ground, tmp_path: Path, nats_server: NatsServer, bus_of: BusOf
) -> AsyncIterator[RealSovereign]:
    async with real_sovereign(ground, tmp_path, nats_server, bus_of, name_server) as made:
        yield made


@pytest.mark.timeout(900)
async def test_the_watcher_tells_what_real_controllers_do(sovereign: RealSovereign, tmp_path: Path) -> None:
    catalogue = tmp_path / "kit" / "deploy" / "kit" / "catalogue.yaml"
    for part in PARTS:
        if part is not LOST:
            labels = {"refused": "yes"} if part in (PATIENT, REFUSED) else {}
            sovereign.origin.publish(part.chart, part.chart, "1.0.0", part.installs(**labels))
    sovereign.origin.publish(BROKEN.chart, BROKEN.chart, BROKEN.version, BROKEN.installs(refused="yes"))
    await sovereign.push(tmp_path / "kit", *PARTS)
    await sovereign.begin()
    async with sovereign.watcher(kit_catalogue=catalogue, **QUICK):
        await sovereign.install_flux()
        async with sovereign.followed():
            await _install(sovereign)
            await _upgrade(sovereign, tmp_path)
            await _source_gone(sovereign)
    ids = [event.id for event in await sovereign.events()]
    assert len(ids) == len(set(ids))


async def _install(sovereign: RealSovereign) -> None:
    """Kinds that came after the watch began, one trouble after the other named by its row of the runbook, converged."""
    await sovereign.scene("install")
    await sovereign.hand_kit_over()
    for part in (BASE, NEXT):
        await sovereign.hears(HrReady, release=part.name, version=part.version)
    waiting = await sovereign.hears(FluxChanged, kind="Kustomization", name=NEXT.name, state="blocked")
    assert waiting.reason == "DependencyNotReady"
    failed = await sovereign.hears(HrFailed, release=REFUSED.name, reason="RetriesExceeded")
    assert failed.trouble.code == "release-failed"
    await sovereign.hears(FluxChanged, kind="HelmChart", name=f"flux-system-{UNKNOWN.name}", state="failed")
    stalled = await sovereign.hears(FluxStalled, code="storageclass-missing", blocking="HelmRelease/bp-volume")
    assert "no StorageClass is marked default" in stalled.evidence
    await sovereign.reaches("HelmRelease/bp-volume", *ATTEMPTED)
    await sovereign.ground.cluster.give_storage()
    await sovereign.hears(HrReady, release="bp-volume")
    await sovereign.hears(FluxStalled, code="release-failed", blocking=f"HelmRelease/{PATIENT.name}")
    await sovereign.hears(HrDegraded, release=PATIENT.name)
    await sovereign.reaches(f"HelmRelease/{PATIENT.name}", *ATTEMPTED)
    await sovereign.api.call("DELETE", ADMISSION)
    await sovereign.hears(HrReady, release=PATIENT.name)
    await sovereign.hears(FluxStalled, code="source-unreachable", blocking=f"HelmRepository/{LOST.name}")
    sovereign.origin.publish(LOST.chart, LOST.chart, LOST.version, LOST.installs())
    await sovereign.hears(HrReady, release=LOST.name)
    converged = await sovereign.hears(FluxConverged)
    assert set(converged.extras) == {REFUSED.name, UNKNOWN.name}
    assert {fact.release for fact in await sovereign.facts(HrPending)} >= {UNKNOWN.name}
    assert {fact.release for fact in await sovereign.facts(HrInstalling)} >= {BASE.name, PATIENT.name}


async def _upgrade(sovereign: RealSovereign, tmp_path: Path) -> None:
    """An upgrade fails until its retries are used up, and is rolled back; taking the change back heals it."""
    await sovereign.scene("upgrade")
    await sovereign.refuse()
    await sovereign.push(tmp_path / "kit", BROKEN, *PARTS[1:])
    await sovereign.kick("GitRepository", "catalyst-kit")
    await sovereign.hears(HrFailed, release=BASE.name, reason="RetriesExceeded")
    await sovereign.hears(FluxDiverged)
    await sovereign.reaches(f"HelmRelease/{BASE.name}", "Stalled=True RetriesExceeded", "Remediated=True")
    await sovereign.push(tmp_path / "kit", *PARTS)
    await sovereign.kick("GitRepository", "catalyst-kit")
    await sovereign.hears(HrReady, release=BASE.name, version=BASE.version)
    await sovereign.hears(FluxConverged)


async def _source_gone(sovereign: RealSovereign) -> None:
    """The kit's repository answers 404, then it is there again."""
    await sovereign.scene("source-gone")
    sovereign.origin.missing.add("git")
    await sovereign.kick("GitRepository", "catalyst-kit")
    gone = await sovereign.hears(FluxChanged, kind="GitRepository", name="catalyst-kit", state="retrying")
    assert gone.reason == "GitOperationFailed"
    await sovereign.hears(FluxDiverged, code="source-unreachable")
    sovereign.origin.missing.clear()
    await sovereign.hears(FluxChanged, kind="GitRepository", name="catalyst-kit", state="ready")
    await sovereign.hears(FluxConverged)
