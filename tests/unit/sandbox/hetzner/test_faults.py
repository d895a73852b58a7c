"""Counted sequences: which matching call gets which step."""

from hypothesis import given
from hypothesis import strategies as st

from sandbox.hetzner.faults import Faults, NewFault, Refusal, Step


def _step(name: str, times: int) -> Step:
    return Step(times=times, answer=Refusal(code=name))


@given(times=st.lists(st.integers(1, 4), min_size=1, max_size=4), nth=st.integers(1, 4))
def test_each_step_is_used_up_in_turn_from_the_nth_call_on_and_then_nothing_happens(times: list[int], nth: int) -> None:
    faults = Faults()
    steps = [_step(str(index), count) for index, count in enumerate(times)]
    faults.add(NewFault(method="POST", path="/servers", nth=nth, steps=steps))
    expected = [None] * (nth - 1) + [str(i) for i, count in enumerate(times) for _ in range(count)] + [None, None]
    met = []
    for _ in expected:
        assert faults.step_for("GET", "/servers", "p") is None
        found = faults.step_for("POST", "/servers", "p")
        met.append(found[1].answer.code if found and found[1].answer else None)
    assert met == expected
    assert faults.all()[0].spent


def test_two_faults_for_the_same_call_are_served_one_after_the_other() -> None:
    faults = Faults()
    for name in ("first", "second"):
        faults.add(NewFault(path="/servers", steps=[_step(name, 1)]))
    met = [faults.step_for("GET", "/servers", "p") for _ in range(3)]
    assert [found[1].answer.code if found and found[1].answer else None for found in met] == ["first", "second", None]
