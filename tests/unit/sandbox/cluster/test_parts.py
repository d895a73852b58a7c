"""Agenda, faults, access, conditions, kit: the parts of a light cluster without its sockets."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.cluster.access import Access
from sandbox.cluster.agenda import Agenda, Sequence
from sandbox.cluster.conditions import Status, condition, is_ready, is_stalled
from sandbox.cluster.kit import Kit, PathMissing
from sandbox.cluster.objects import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    HELM_RELEASE,
    NAMESPACE,
    NODE,
    SECRET,
    SERVICE_ACCOUNT,
)
from sandbox.cluster.problems import ApiProblem
from sandbox.cluster.release_history import Release, recorded, retries
from sandbox.cluster.scenario import Fault, Faults, Scenario
from sandbox.cluster.store import Store


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.agenda = Agenda(lambda: self.now, 0.5, lambda _due: None)

    def to(self, moment: float) -> None:
        self.now = moment
        self.agenda.run_due()


def counting(steps: list[str], name: str, waits: list[float]) -> Sequence:
    for wait in waits:
        steps.append(name)
        yield wait
    steps.append(f"{name} done")


def test_sequences_advance_with_the_clock_at_their_pace() -> None:
    clock, steps = Clock(), list[str]()
    clock.agenda.start("a", counting(steps, "a", [2.0]))
    clock.agenda.start("b", counting(steps, "b", [1.0]), after=1.0)
    clock.to(0.0)
    assert steps == ["a"]
    clock.to(0.5)
    assert steps == ["a", "b"]
    clock.to(1.0)
    assert steps == ["a", "b", "a done", "b done"]
    assert clock.agenda.next_due is None


def test_a_new_beginning_ends_the_old_sequence_and_hurrying_takes_its_next_step_now() -> None:
    clock, steps = Clock(), list[str]()
    clock.agenda.start("a", counting(steps, "old", [100.0]))
    clock.to(0.0)
    clock.agenda.start("a", counting(steps, "new", [100.0]))
    clock.to(0.0)
    assert clock.agenda.hurry("a")
    clock.to(0.0)
    assert steps == ["old", "new", "new done"]
    assert not clock.agenda.hurry("a")


@given(st.lists(st.integers(min_value=1, max_value=4), max_size=4), st.integers(min_value=0, max_value=20))
def test_a_fault_happens_exactly_as_often_as_it_says(times: list[int], asked: int) -> None:
    faults = Faults(
        Scenario(
            name="x",
            shows="-",
            faults=tuple(Fault(what="install-fails", component="bp-x", times=each) for each in times),
        )
    )
    taken = sum(faults.take("install-fails", "bp-x") is not None for _ in range(asked))
    assert taken == min(asked, sum(times)) == faults.happened["install-fails bp-x"]
    assert faults.take("install-fails", "bp-y") is None


def account(store: Store) -> Access:
    access = Access(store, "CA")
    store.create(NAMESPACE, {"metadata": {"name": "catalyst-zero"}})
    store.create(SERVICE_ACCOUNT, {"metadata": {"name": "watcher", "namespace": "catalyst-zero"}})
    return access


def test_an_account_may_do_what_its_bindings_say_and_nothing_else() -> None:
    store = Store()
    access = account(store)
    caller = access.caller(f"Bearer {access.token_for('catalyst-zero', 'watcher')}")
    rules = [
        {"apiGroups": ["helm.toolkit.fluxcd.io"], "resources": ["helmreleases"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["catalyst-zero"], "verbs": ["delete"]},
    ]
    store.create(CLUSTER_ROLE, {"metadata": {"name": "r"}, "rules": rules})
    with pytest.raises(ApiProblem, match="cannot list"):
        access.demand(caller, "list", HELM_RELEASE, "", "")
    subject = {"kind": "ServiceAccount", "name": "watcher", "namespace": "catalyst-zero"}
    role = {"kind": "ClusterRole", "name": "r"}
    store.create(CLUSTER_ROLE_BINDING, {"metadata": {"name": "b"}, "roleRef": role, "subjects": [subject]})
    access.demand(caller, "list", HELM_RELEASE, "", "")
    access.demand(caller, "delete", NAMESPACE, "", "catalyst-zero")
    for verb, kind, name in (("watch", HELM_RELEASE, ""), ("delete", NAMESPACE, "default"), ("list", NODE, "")):
        with pytest.raises(ApiProblem) as refused:
            access.demand(caller, verb, kind, "", name)
        assert refused.value.code == 403


def test_a_token_of_a_secret_ends_with_the_secret() -> None:
    store = Store()
    access = account(store)
    metadata = {
        "name": "watcher-token",
        "namespace": "catalyst-zero",
        "annotations": {"kubernetes.io/service-account.name": "watcher"},
    }
    store.create(SECRET, {"type": "kubernetes.io/service-account-token", "metadata": metadata})
    token = base64.b64decode(store.require(SECRET, "catalyst-zero", "watcher-token")["data"]["token"]).decode()
    assert access.caller(f"Bearer {token}").name == "watcher"
    store.delete(SECRET, "catalyst-zero", "watcher-token")
    with pytest.raises(ApiProblem) as refused:
        access.caller(f"Bearer {token}")
    assert refused.value.code == 401


@pytest.mark.parametrize("header", ["", "Bearer ", "Basic abc", "Bearer unknown"])
def test_no_good_token_is_401(header: str) -> None:
    with pytest.raises(ApiProblem) as refused:
        account(Store()).caller(header)
    assert refused.value.code == 401


def release_item(status: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"metadata": {"name": "a", "generation": 2}, "spec": {}, "status": status or {}}


def test_reconciling_and_stalled_exclude_each_other_and_ready_needs_the_present_generation() -> None:
    status = Status(release_item()).reconciling("working").mark("Ready", "Unknown", "Progressing", "working").build()
    assert condition({"status": status}, "Reconciling")
    done = Status(release_item(status)).settled().mark("Ready", "True", "InstallSucceeded", "ok").build()
    assert is_ready(release_item(done))
    assert condition({"status": done}, "Reconciling") is None
    assert not is_ready({**release_item(done), "metadata": {"name": "a", "generation": 3}})
    stalled = Status(release_item(status)).settled().mark("Stalled", "True", "RetriesExceeded", "no more").build()
    assert is_stalled(release_item(stalled))
    assert condition({"status": stalled}, "Reconciling") is None
    assert condition({"status": Status(release_item(stalled)).reconciling("again").build()}, "Stalled") is None


def test_a_transition_time_moves_only_when_the_status_does() -> None:
    first = Status(release_item()).mark("Ready", "True", "InstallSucceeded", "one").build()
    first["conditions"][0]["lastTransitionTime"] = "2020-01-01T00:00:00Z"
    same = Status(release_item(first)).mark("Ready", "True", "UpgradeSucceeded", "two").build()
    assert same["conditions"][0]["lastTransitionTime"] == "2020-01-01T00:00:00Z"
    other = Status(release_item(first)).mark("Ready", "False", "UpgradeFailed", "three").build()
    assert other["conditions"][0]["lastTransitionTime"] != "2020-01-01T00:00:00Z"


def test_history_supersedes_what_was_deployed_and_is_bounded() -> None:
    release = Release("bp-a", "a", "ns", "ns", "chart", "1.0.0", "", "sha256:0")
    history: list[dict[str, Any]] = []
    for _ in range(7):
        history = recorded(history, release, "deployed", "upgrade")
    assert [entry["status"] for entry in history] == ["deployed", *["superseded"] * 4]
    assert history[0]["version"] == 7


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, 0),
        ({"install": {"remediation": {"retries": 3}}}, 3),
        ({"install": {"strategy": {"name": "RetryOnFailure"}}}, -1),
    ],
)
def test_retries_are_what_the_release_says(spec: dict[str, Any], expected: int) -> None:
    assert retries({"spec": spec}, "install") == expected


def kit(root: Path) -> Kit:
    folder = root / "deploy" / "kit" / "components" / "a"
    folder.mkdir(parents=True)
    (root / "deploy" / "kit" / "kustomization.yaml").write_text("resources: [root.yaml]\n")
    (root / "deploy" / "kit" / "root.yaml").write_text("kind: Root\nmetadata: {name: root}\n")
    (folder / "kustomization.yaml").write_text("resources: [plain.yaml, own.yaml]\n")
    (folder / "plain.yaml").write_text("kind: Plain\nmetadata: {name: plain}\n")
    (folder / "own.yaml").write_text("kind: Own\nmetadata: {name: '${NAME}'}\ncount: ${COUNT:=3}\nempty: '${NOBODY}'\n")
    return Kit(root / "deploy" / "kit")


def test_a_kit_shares_plain_manifests_and_substitutes_in_the_text(tmp_path: Path) -> None:
    found = kit(tmp_path)
    first = found.manifests("./deploy/kit/components/a", {"NAME": "one"})
    second = found.manifests("./deploy/kit/components/a", {"NAME": "two", "COUNT": "5"})
    assert first[0] is second[0]
    assert first[1] == {"kind": "Own", "metadata": {"name": "one"}, "count": 3, "empty": ""}
    assert (second[1]["metadata"]["name"], second[1]["count"]) == ("two", 5)
    assert [each["kind"] for each in found.manifests("./deploy/kit", None)] == ["Root"]


@pytest.mark.parametrize("path", ["./deploy/kit/components/b", "../..", "/etc"])
def test_a_path_that_the_kit_does_not_have_is_said(tmp_path: Path, path: str) -> None:
    with pytest.raises(PathMissing, match="path not found"):
        kit(tmp_path).manifests(path, None)
