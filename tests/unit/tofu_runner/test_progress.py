"""Progress: done never passes total, and each step is told once."""

from hypothesis import given
from hypothesis import strategies as st

from tofu_runner.lines import Hook
from tofu_runner.progress import Tally


def hook(moment: str, action: str = "create", address: str = "hcloud_server.a", cloud_id: str = "") -> Hook:
    return Hook(moment, address, "hcloud_server", action, 1.0, cloud_id)  # type: ignore[arg-type]  # spelled out by tests


def test_a_resource_goes_from_creating_to_created() -> None:
    tally = Tally(1, fencing_token=7)
    facts = [tally.fact(hook("start")), tally.fact(hook("progress")), tally.fact(hook("complete", cloud_id="42"))]
    assert [fact.state for fact in facts if fact] == ["creating", "working", "created"]
    last = facts[-1]
    assert last is not None
    assert (last.done, last.total, last.cloud_id, last.fencing_token) == (1, 1, "42", 7)


def test_a_failed_resource_counts_as_finished() -> None:
    fact = Tally(2, 1).fact(hook("errored"))
    assert fact is not None
    assert (fact.state, fact.done, fact.total) == ("failed", 1, 2)


def test_what_was_deleted_is_remembered_with_the_id_it_had() -> None:
    tally = Tally(1, 1)
    tally.fact(hook("start", "delete", cloud_id="9"))
    fact = tally.fact(hook("complete", "delete"))
    assert fact is not None
    assert (fact.state, fact.cloud_id) == ("deleted", "9")


def test_reading_is_no_progress() -> None:
    assert Tally(1, 1).fact(hook("complete", "read")) is None


moments = st.sampled_from(["start", "progress", "complete", "errored"])
actions = st.sampled_from(["create", "update", "delete", "read", "noop"])


@given(st.lists(st.tuples(moments, actions), max_size=60), st.integers(0, 40))
def test_done_only_grows_and_never_passes_total(steps: list[tuple[str, str]], total: int) -> None:
    tally, before = Tally(total, 1), 0
    for moment, action in steps:
        if (fact := tally.fact(hook(moment, action))) is not None:
            assert before <= fact.done <= fact.total
            before = fact.done
