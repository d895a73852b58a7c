import json
import sys

import pytest

from bench import _report as report
from bench._report import Better, Figure


def test_a_figure_is_the_median_of_its_runs_and_shows_their_spread() -> None:
    figure = Figure.of("fold", [3.0, 1.0, 2.0, 9.0, 2.5], unit="ms")
    assert (figure.value, figure.low, figure.high) == (2.5, 1.0, 9.0)


@pytest.mark.parametrize(
    ("value", "goal", "better", "holds"),
    [
        (1.0, 2.0, "lower", True),
        (2.0, 2.0, "lower", True),
        (2.1, 2.0, "lower", False),
        (0.8, 0.8, "higher", True),
        (0.79, 0.8, "higher", False),
        (99.0, None, "lower", True),
    ],
)
def test_a_goal_is_met_on_its_own_side(value: float, goal: float | None, better: Better, holds: bool) -> None:
    assert Figure(name="x", value=value, goal=goal, better=better).holds is holds


def test_the_table_shows_figure_goal_and_verdict() -> None:
    rows = [
        Figure(name="fold", value=1.234, unit="ms", goal=2.0),
        Figure(name="rate", value=12_345.6, unit="/s", goal=20_000, better="higher", note="uvloop"),
        Figure(name="beside", value=0.5),
    ]
    shown = report.table("bus", rows, {"cores": 2}).splitlines()
    assert shown[0] == "bus (cores 2)"
    assert shown[4].split() == ["fold", "1.23", "ms", "≤", "2.00", "ms", "holds"]
    assert shown[5].split() == ["rate", "12,346", "/s", "≥", "20,000", "/s", "SHORT", "uvloop"]
    assert shown[6].split() == ["beside", "0.500"]


@pytest.mark.parametrize(("value", "code"), [(1.0, 0), (3.0, 1)])
def test_a_benchmark_exits_with_1_when_a_goal_falls_short_and_speaks_json(
    value: float, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--json"])
    with pytest.raises(SystemExit) as ended:
        report.main("bus", lambda: [Figure(name="fold", value=value, goal=2.0)])
    assert ended.value.code == code
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert figures[0]["verdict"] == ("SHORT" if code else "holds")
