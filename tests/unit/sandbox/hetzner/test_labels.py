"""The selector language, against a plain reading of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.hetzner.errors import ApiError
from sandbox.hetzner.labels import parse, problems

KEYS = st.sampled_from(["env", "role", "example.com/tier"])
VALUES = st.sampled_from(["", "a", "b", "c-1"])
LABELS = st.dictionaries(KEYS, VALUES)


@given(labels=LABELS, key=KEYS, value=VALUES)
def test_equality_presence_and_their_opposites_divide_all_labels(labels: dict[str, str], key: str, value: str) -> None:
    assert parse(f"{key}={value}").matches(labels) == (labels.get(key) == value)
    assert parse(f"{key}=={value}").matches(labels) == (labels.get(key) == value)
    assert parse(f"{key}!={value}").matches(labels) != parse(f"{key}={value}").matches(labels)
    assert parse(key).matches(labels) == (key in labels)
    assert parse(f"!{key}").matches(labels) != parse(key).matches(labels)


@given(labels=LABELS, key=KEYS, values=st.lists(st.sampled_from(["a", "b", "c-1"]), min_size=1))
def test_a_set_is_the_alternative_of_its_values(labels: dict[str, str], key: str, values: list[str]) -> None:
    listed = ", ".join(values)
    assert parse(f"{key} in ({listed})").matches(labels) == (labels.get(key) in values)
    assert parse(f"{key} notin ({listed})").matches(labels) == (labels.get(key) not in values)


@given(labels=LABELS)
def test_a_comma_means_that_both_must_hold(labels: dict[str, str]) -> None:
    both = parse("env in (a,b),role!=a").matches(labels)
    assert both == (parse("env in (a,b)").matches(labels) and parse("role!=a").matches(labels))


@pytest.mark.parametrize("text", ["", "a=b=c", "a in b", "-a=b", "a,,b", "a b", "Bad_Prefix/x=y"])
def test_what_is_no_selector_is_invalid_input(text: str) -> None:
    with pytest.raises(ApiError) as refusal:
        parse(text)
    assert refusal.value.code == "invalid_input"


@pytest.mark.parametrize(
    ("labels", "faulty"),
    [
        ({"a": "b", "example.com/a": "", "A.b_c-9": "x" * 63}, 0),
        ({"a": "x" * 64}, 1),
        ({"hetzner.cloud/a": "b"}, 1),
        ({"": "b", "-a": "b", "a": "-"}, 3),
        ({"a": 1}, 1),
    ],
)
def test_labels_follow_the_rules_of_keys_and_values(labels: dict[object, object], faulty: int) -> None:
    assert len(problems(labels)) == faulty
