"""Versions, history and selection: what watches of a light cluster rest on."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.cluster.objects import CONFIG_MAP, DEPLOYMENT, NAMESPACE, SERVICE_ACCOUNT, key_of, merge
from sandbox.cluster.problems import ApiProblem
from sandbox.cluster.selectors import selector
from sandbox.cluster.store import HISTORY, Change, Store


def filled() -> Store:
    store = Store()
    store.create(NAMESPACE, {"metadata": {"name": "default"}})
    return store


def config(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


def test_every_write_takes_the_next_version_and_leaves_one_change() -> None:
    store = filled()
    heard: list[Change] = []
    store.listen(heard.append)
    made = store.create(CONFIG_MAP, config("a", x="1"))
    store.replace(CONFIG_MAP, {**made, "data": {"x": "2"}})
    store.delete(CONFIG_MAP, "default", "a")
    assert [change.type for change in heard] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [change.version for change in heard]
    assert versions == list(range(versions[0], versions[0] + 3))
    assert [change.version for change in store.changes_after(CONFIG_MAP, versions[0])] == versions[1:]


def test_writing_the_same_again_is_no_write() -> None:
    store = filled()
    made = store.create(CONFIG_MAP, config("a", x="1"))
    version = store.version
    assert store.replace(CONFIG_MAP, dict(made)) is made
    assert store.version == version


def test_generation_counts_changes_of_the_spec_only() -> None:
    store = filled()
    made = store.create(DEPLOYMENT, {"metadata": {"name": "a", "namespace": "default"}, "spec": {"replicas": 1}})
    store.set_status(DEPLOYMENT, "default", "a", {"replicas": 1})
    assert store.require(DEPLOYMENT, "default", "a")["metadata"]["generation"] == 1
    store.replace(DEPLOYMENT, {**made, "spec": {"replicas": 2}})
    assert store.require(DEPLOYMENT, "default", "a")["metadata"]["generation"] == 2


def test_history_is_bounded_and_what_is_gone_is_410() -> None:
    store = filled()
    first = store.create(CONFIG_MAP, config("a"))
    for number in range(HISTORY + 5):
        store.replace(CONFIG_MAP, {**first, "data": {"n": str(number)}})
    with pytest.raises(ApiProblem) as gone:
        store.changes_after(CONFIG_MAP, int(first["metadata"]["resourceVersion"]))
    assert gone.value.code == 410
    assert store.changes_after(CONFIG_MAP, store.version) == []


def test_a_finalizer_holds_an_object_until_it_is_taken_off() -> None:
    store = filled()
    held = config("a")
    held["metadata"]["finalizers"] = ["someone"]
    store.create(CONFIG_MAP, held)
    store.delete(CONFIG_MAP, "default", "a")
    marked = store.require(CONFIG_MAP, "default", "a")
    assert marked["metadata"]["deletionTimestamp"]
    store.replace(CONFIG_MAP, {**marked, "metadata": {**marked["metadata"], "finalizers": []}})
    assert store.get(CONFIG_MAP, "default", "a") is None


def test_a_namespace_takes_its_objects_and_what_it_owns_elsewhere() -> None:
    store = filled()
    mine = store.create(NAMESPACE, {"metadata": {"name": "mine"}})
    store.create(SERVICE_ACCOUNT, {"metadata": {"name": "a", "namespace": "mine"}})
    owned = config("owned")
    owned["metadata"]["ownerReferences"] = [{"uid": mine["metadata"]["uid"]}]
    store.create(CONFIG_MAP, owned)
    store.delete(NAMESPACE, "", "mine")
    assert store.get(SERVICE_ACCOUNT, "mine", "a") is None
    assert store.get(CONFIG_MAP, "default", "owned") is None


def test_a_merge_shares_what_it_does_not_touch() -> None:
    before = {"spec": {"values": {"a": 1}, "suspend": True}, "metadata": {"labels": {"x": "y"}}}
    after = merge(before, {"spec": {"suspend": None}})
    assert after == {"spec": {"values": {"a": 1}}, "metadata": {"labels": {"x": "y"}}}
    assert after["metadata"] is before["metadata"]
    assert before["spec"] == {"values": {"a": 1}, "suspend": True}


@pytest.mark.parametrize(
    ("labels", "fields", "found"),
    [
        ("app=a", "", ["a"]),
        ("app!=a", "", ["b", "c"]),
        ("app in (a, b),tier", "", ["b"]),
        ("app notin (a)", "", ["b", "c"]),
        ("!app", "", ["c"]),
        ("", "metadata.name=b", ["b"]),
        ("", "metadata.name!=b,metadata.namespace=default", ["a", "c"]),
    ],
)
def test_selectors_select(labels: str, fields: str, found: list[str]) -> None:
    items: list[dict[str, Any]] = [
        {"metadata": {"name": "a", "namespace": "default", "labels": {"app": "a"}}},
        {"metadata": {"name": "b", "namespace": "default", "labels": {"app": "b", "tier": "x"}}},
        {"metadata": {"name": "c", "namespace": "default"}},
    ]
    matches = selector(labels, fields)
    assert matches is not None
    assert [key_of(item)[1] for item in items if matches(item)] == found


def test_a_field_that_is_not_understood_is_refused() -> None:
    with pytest.raises(ApiProblem) as refused:
        selector("", "spec.unknown=1")
    assert refused.value.code == 400
