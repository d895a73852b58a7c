import pytest

from flux_watcher.masking import masked
from flux_watcher.tail import LOST, PER_LOOK, Tail


def test_a_line_is_passed_on_once_however_often_it_is_read() -> None:
    tail = Tail("helm-controller")
    assert tail.newer(["a", "b"]) == ["a", "b"]
    assert tail.newer(["b", "c"]) == ["c"]
    assert tail.newer(["b", "c"]) == []


def test_what_was_missed_between_two_looks_is_told() -> None:
    tail = Tail("helm-controller")
    tail.newer(["first"])
    found = tail.newer([f"line {number}" for number in range(PER_LOOK)])
    assert found[0] == LOST
    assert len(found) == PER_LOOK + 1


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer hunter2hunter2",
        '{"password": "hunter2hunter2"}',
        "clone https://user:hunter2hunter2@git.example/x failed",
        "token=hunter2hunter2 refused",
        "api_key: hunter2hunter2",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.hunter2hunter2",
    ],
)
def test_a_secret_in_a_line_is_masked_and_the_rest_is_kept(line: str) -> None:
    assert "hunter2" not in masked(f"before {line} after")
    assert masked(f"before {line} after").startswith("before ")


def test_a_line_of_a_megabyte_is_cut() -> None:
    assert len(masked("x" * 1_000_000)) <= 1000
