"""The decision function: every reason that the controllers' sources and real controllers gave, one row each."""
# ruff: noqa: E501 - a table reads better unwrapped

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_watcher.decide import decide, occurrence
from flux_watcher.objects import (
    DAEMON_SET,
    DEPLOYMENT,
    GIT_REPOSITORY,
    HELM_CHART,
    HELM_RELEASE,
    HELM_REPOSITORY,
    KINDS,
    KUSTOMIZATION,
    NODE,
    STATEFUL_SET,
    Kind,
    seen,
)
from tests.unit.flux_watcher.objects import cond, raw, record

RECONCILING = cond("Reconciling", "True", "Progressing")
RETRYING = cond("Reconciling", "True", "ProgressingWithRetry")


def ready(status: str, reason: str, message: str = "", generation: int | None = 1) -> Any:
    return cond("Ready", status, reason, message, generation=generation)


def checked(ended: str, attempted: str = "main@sha1:a") -> dict[str, Any]:
    """How the last check of a Kustomization ended, and which revision it is at now."""
    newest = {"lastReconciledStatus": ended, "metadata": {"revision": "main@sha1:a"}}
    return {"history": [newest], "lastAttemptedRevision": attempted}


HELM_RELEASE_ROWS: list[tuple[str, dict[str, Any], str]] = [
    ("no status at all", raw(observed=None), "pending"),
    ("reconciling only", raw("r", RECONCILING, observed=-1), "working"),
    ("Ready Unknown", raw("r", RECONCILING, ready("Unknown", "Progressing"), observed=-1), "working"),
    *(
        (f"ready by {reason}", raw("r", ready("True", reason)), "ready")
        for reason in ("InstallSucceeded", "UpgradeSucceeded", "TestSucceeded", "ReconciliationSucceeded")
    ),
    ("ready while it is checked again", raw("r", RECONCILING, ready("True", "InstallSucceeded")), "ready"),
    ("tests failed and are ignored", raw("r", ready("True", "InstallSucceeded"), cond("TestSuccess", "False", "TestFailed")), "ready"),
    *(
        (f"waits by {reason}", raw("r", RECONCILING, ready("False", reason), observed=-1), "blocked")
        for reason in ("DependencyNotReady", "SourceNotReady", "HelmChartNotReady", "ArtifactFailed")
    ),
    *(
        (f"tries again after {reason}", raw("r", RETRYING, ready("False", reason), observed=-1), "retrying")
        for reason in (
            "InstallFailed", "UpgradeFailed", "TestFailed", "RollbackSucceeded", "RollbackFailed", "UninstallSucceeded",
            "UninstallFailed", "ValuesError", "ChartMutateError", "RESTClientError", "ResourceManagerError",
            "FactoryError", "StateError", "ReconcileError", "InitFailed", "GetLastReleaseFailed", "DiffFailed",
        )
    ),
    ("install failed, no Stalled yet", raw("r", RECONCILING, ready("False", "InstallFailed"), observed=-1), "retrying"),
    ("remediated", raw("r", RETRYING, ready("False", "UninstallSucceeded"), cond("Remediated", "True", "UninstallSucceeded"), observed=-1), "retrying"),
    ("waits for its tests", raw("r", RECONCILING, ready("Unknown", "AwaitingTests"), observed=-1), "working"),
    ("health check cancelled", raw("r", RECONCILING, ready("False", "HealthCheckCanceled"), observed=-1), "working"),
    *(
        (f"stalled by {reason}", raw("r", ready("False", "InstallFailed"), cond("Stalled", "True", reason)), "failed")
        for reason in ("RetriesExceeded", "MissingRollbackTarget", "AccessDenied", "InvalidCELExpression")
    ),
    ("stalled at an older generation", raw("r", ready("False", "InstallFailed"), cond("Stalled", "True", "RetriesExceeded"), generation=2), "working"),
    ("stalled, generation not told", raw("r", ready("False", "X"), cond("Stalled", "True", "RetriesExceeded", generation=None)), "failed"),
    ("needs a person without Stalled", raw("r", ready("False", "AccessDenied")), "failed"),
    ("v2beta1 gave up", raw("r", ready("False", "InstallFailed", "install retries exhausted")), "failed"),
    ("the spec changed since", raw("r", ready("True", "InstallSucceeded"), generation=2), "working"),
    ("old condition without generation", raw("r", ready("True", "InstallSucceeded", generation=None), generation=2, observed=1), "working"),
    ("suspended and ready", raw("r", ready("True", "InstallSucceeded"), spec={"suspend": True}), "suspended"),
    ("suspended and stalled", raw("r", cond("Stalled", "True", "RetriesExceeded"), spec={"suspend": True}), "suspended"),
    ("being deleted", raw("r", ready("True", "InstallSucceeded"), deletionTimestamp="2026-11-23T10:00:00Z"), "gone"),
]  # fmt: skip

OTHER_ROWS: list[tuple[str, Kind, dict[str, Any], str]] = [
    ("kustomization ready", KUSTOMIZATION, raw("k", ready("True", "ReconciliationSucceeded")), "ready"),
    *(
        (f"kustomization {reason}", KUSTOMIZATION, raw("k", RETRYING, ready("False", reason), observed=-1), "retrying")
        for reason in ("BuildFailed", "ReconciliationFailed", "HealthCheckFailed", "PruneFailed")
    ),
    ("kustomization without artifact", KUSTOMIZATION, raw("k", ready("False", "ArtifactFailed"), observed=-1), "blocked"),
    ("kustomization checked again", KUSTOMIZATION, raw("k", RECONCILING, ready("Unknown", "Progressing"), status=checked("ReconciliationSucceeded")), "ready"),
    ("kustomization checked again after a failure", KUSTOMIZATION, raw("k", RECONCILING, ready("Unknown", "Progressing"), observed=-1, status=checked("HealthCheckFailed")), "retrying"),
    ("kustomization at another revision", KUSTOMIZATION, raw("k", RECONCILING, ready("Unknown", "Progressing"), status=checked("ReconciliationSucceeded", attempted="main@sha1:b")), "working"),
    ("kustomization with another spec", KUSTOMIZATION, raw("k", RECONCILING, ready("Unknown", "Progressing", generation=2), generation=2, status=checked("ReconciliationSucceeded")), "working"),
    ("kustomization waits", KUSTOMIZATION, raw("k", ready("False", "DependencyNotReady"), observed=-1), "blocked"),
    ("kustomization feature gate", KUSTOMIZATION, raw("k", ready("False", "FeatureGateDisabled"), observed=-1), "failed"),
    ("source ready", GIT_REPOSITORY, raw("s", ready("True", "Succeeded")), "ready"),
    ("source cannot be fetched", GIT_REPOSITORY, raw("s", RETRYING, ready("False", "GitOperationFailed"), cond("FetchFailed", "True", "GitOperationFailed"), observed=-1), "retrying"),
    ("chart does not exist", HELM_CHART, raw("c", ready("False", "InvalidChartReference"), cond("Stalled", "True", "InvalidChartReference")), "failed"),
    ("chart waits for its repository", HELM_CHART, raw("c", RECONCILING, ready("False", "SourceNotReady"), observed=-1), "blocked"),
    ("OCI repository is an address only", HELM_REPOSITORY, raw("h", observed=None, spec={"type": "oci"}), "ready"),
    ("repository without status", HELM_REPOSITORY, raw("h", observed=None), "pending"),
    ("deployment available", DEPLOYMENT, raw("d", spec={"replicas": 2}, status={"availableReplicas": 2, "updatedReplicas": 2}), "ready"),
    ("deployment with old pods", DEPLOYMENT, raw("d", spec={"replicas": 2}, status={"availableReplicas": 2, "updatedReplicas": 1}), "working"),
    ("deployment gave up", DEPLOYMENT, raw("d", cond("Progressing", "False", "ProgressDeadlineExceeded"), spec={"replicas": 1}), "retrying"),
    ("deployment scaled to nothing", DEPLOYMENT, raw("d", spec={"replicas": 0}), "ready"),
    ("deployment not observed", DEPLOYMENT, raw("d", spec={"replicas": 1}, generation=2, status={"availableReplicas": 1, "updatedReplicas": 1}), "working"),
    ("set available", STATEFUL_SET, raw("t", spec={"replicas": 1}, status={"readyReplicas": 1}), "ready"),
    ("set not available", STATEFUL_SET, raw("t", spec={"replicas": 3}, status={"availableReplicas": 2}), "working"),
    ("daemons on every node", DAEMON_SET, raw("a", status={"desiredNumberScheduled": 2, "numberReady": 2}), "ready"),
    ("daemons missing", DAEMON_SET, raw("a", status={"desiredNumberScheduled": 2, "numberAvailable": 1}), "working"),
    ("node ready", NODE, raw("n", ready("True", "KubeletReady", generation=None), observed=None), "ready"),
    ("node silent", NODE, raw("n", ready("Unknown", "NodeStatusUnknown", generation=None), observed=None), "failed"),
    ("node not ready", NODE, raw("n", ready("False", "KubeletNotReady", generation=None), observed=None), "retrying"),
    ("node without conditions", NODE, raw("n", observed=None), "pending"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("item", "state"), [row[1:] for row in HELM_RELEASE_ROWS], ids=[r[0] for r in HELM_RELEASE_ROWS]
)
def test_a_release_is_in_the_state_that_its_conditions_mean(item: dict[str, Any], state: str) -> None:
    assert decide(record(item, HELM_RELEASE)).state == state


@pytest.mark.parametrize(("kind", "item", "state"), [row[1:] for row in OTHER_ROWS], ids=[r[0] for r in OTHER_ROWS])
def test_any_other_object_is_in_the_state_that_it_shows(kind: Kind, item: dict[str, Any], state: str) -> None:
    assert decide(record(item, kind)).state == state


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@given(kind=st.sampled_from(sorted(KINDS)), status=JSON, spec=JSON, conditions=st.lists(JSON, max_size=3))
def test_whatever_a_status_holds_the_decision_is_total(kind: str, status: Any, spec: Any, conditions: Any) -> None:
    for given_status in (status, {"conditions": conditions}):
        item = {"metadata": {"name": "x", "uid": "u"}, "status": given_status, "spec": spec}
        found = seen(KINDS[kind], item)
        assert found is not None
        assert occurrence(found, decide(found)).startswith("u/")


def test_one_that_gives_up_is_one_change_although_its_generation_is_observed_a_moment_later() -> None:
    stalled = (ready("False", "InstallFailed"), cond("Stalled", "True", "RetriesExceeded"))
    before, after = (record(raw("r", *stalled, observed=observed)) for observed in (-1, 1))
    assert occurrence(before, decide(before)) == occurrence(after, decide(after))


def test_a_message_of_100_kib_is_cut_and_a_nameless_object_is_passed_over() -> None:
    found = record(raw("r", ready("False", "InstallFailed", "x" * 100_000)))
    assert len(decide(found).message) <= 1000
    assert seen(HELM_RELEASE, {"metadata": {"name": "x"}}) is None
    assert seen(HELM_RELEASE, "text") is None
