"""What every benchmark shares: figures with goals, a table for people, JSON for machines, an exit code for judges.

A figure is the median of its repeats; the spread is the lowest and the highest. A ratio is measured side by side in one
run, so that the machine's mood falls on both halves. A figure without a goal stands beside the others for comparison.
"""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value. ``better`` says on which side of ``goal`` it has to be; without a goal nothing is judged."""

    name: str
    value: float
    unit: str = ""
    goal: float | None = None
    better: Better = "lower"
    low: float | None = None
    high: float | None = None
    note: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        runs: Sequence[float],
        *,
        unit: str = "",
        goal: float | None = None,
        better: Better = "lower",
        note: str = "",
    ) -> "Figure":
        """The median of repeated runs, with their spread."""
        value, low, high = statistics.median(runs), min(runs), max(runs)
        return cls(name=name, value=value, unit=unit, goal=goal, better=better, low=low, high=high, note=note)

    @property
    def holds(self) -> bool:
        """Whether the goal is met; true when there is none."""
        if self.goal is None:
            return True
        return self.value >= self.goal if self.better == "higher" else self.value <= self.goal

    @property
    def verdict(self) -> str:
        """The word in the table."""
        return "" if self.goal is None else "holds" if self.holds else "SHORT"

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "low": self.low,
            "high": self.high,
            "goal": self.goal,
            "better": self.better,
            "verdict": self.verdict or "beside",
            "note": self.note,
        }


def machine() -> dict[str, Any]:
    """Where it was measured: a figure means nothing without it."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "load_1min": round(os.getloadavg()[0], 2),
    }


def tell(text: str) -> None:
    """Progress for a person who waits; never part of the result."""
    print(text, file=sys.stderr, flush=True)


def table(title: str, figures: Iterable[Figure], where: dict[str, Any]) -> str:
    """The figures as people read them."""
    rows = [("figure", "measured", "spread", "goal", "verdict", "")]
    for item in figures:
        spread = "" if item.low is None or item.high is None else f"{_number(item.low)} .. {_number(item.high)}"
        sign = "≥" if item.better == "higher" else "≤"
        goal = "" if item.goal is None else f"{sign} {_number(item.goal)} {item.unit}".rstrip()
        rows.append((item.name, f"{_number(item.value)} {item.unit}".rstrip(), spread, goal, item.verdict, item.note))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths[:5]))
    found = ", ".join(f"{key} {value}" for key, value in where.items())
    return "\n".join([f"{title} ({found})", "", *lines])


def _number(value: float) -> str:
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def main(title: str, measure: Callable[[], Iterable[Figure]]) -> None:
    """A benchmark's ``main``: measure, print, exit with 1 when a goal falls short."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    where = machine()
    figures = list(measure())
    if arguments.json:
        print(json.dumps({"title": title, "machine": where, "figures": [f.as_json() for f in figures]}, indent=1))
    else:
        print(table(title, figures, where))
    sys.exit(0 if all(item.holds for item in figures) else 1)
