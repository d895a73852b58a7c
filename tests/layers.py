"""``python -m tests.layers unit integration ...``: every layer named, one after the other, and a table at the end.

A layer that fails does not keep the next from being run: one call tells everything that is wrong. Inside a layer tests
run side by side in processes of their own; most of them wait for a program more than they compute. The layers with a
stack that their tests share run one test after the other, and so two of them run at the same time.
"""

import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Layer:
    """Which tests belong together, and how many run at once."""

    paths: tuple[str, ...]
    at_once_per_core: float = 0
    """0 runs them one after the other in one process, which a layer with a shared stack needs."""

    @property
    def waits(self) -> bool:
        """Whether it leaves most of the machine idle."""
        return not self.at_once_per_core

    def words(self) -> list[str]:
        """What pytest is told about running side by side."""
        if not self.at_once_per_core:
            return []
        return ["-n", str(max(1, round(self.at_once_per_core * (os.cpu_count() or 1)))), "--dist", "worksteal"]


LAYERS = {
    "unit": Layer(("tests/unit", "tests/contracts"), 1),
    "integration": Layer(("tests/integration",), 1.5),
    "system": Layer(("tests/system",)),
    "browser": Layer(("tests/browser",)),
    "faults": Layer(("tests/faults",)),
    "conformance": Layer(("tests/conformance",)),
}


@dataclass(frozen=True)
class Result:
    """How a layer ended."""

    layer: str
    tests: int
    failed: int
    seconds: float
    passed: bool


def run(name: str, more: list[str], *, aside: bool = False) -> Result:
    """Run one layer; its tests are counted from the report that pytest writes. ``aside`` prints it at its end."""
    layer, report = LAYERS[name], ROOT / ".run" / "tests" / f"{name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    print(f"\n── {name}{' (what it says comes when it has ended)' if aside else ''}", flush=True)
    began = time.monotonic()
    words = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}", *layer.words(), *layer.paths, *more]
    if aside:
        done = subprocess.run(words, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(f"\n── {name}, ended\n{done.stdout}", flush=True)
        status = done.returncode
    else:
        status = subprocess.run(words, cwd=ROOT, check=False).returncode
    tests, failed = counted(report)
    return Result(name, tests, failed, time.monotonic() - began, status == 0)


def run_all(names: list[str], more: list[str]) -> list[Result]:
    """Layers that compute have the machine for themselves; of those that wait, neighbours run at the same time."""
    results: list[Result] = []
    for waits, group in groupby(names, lambda name: LAYERS[name].waits):
        first, *others = group
        if not waits:
            results += [run(name, more) for name in (first, *others)]
            continue
        with ThreadPoolExecutor() as threads:
            beside = [threads.submit(run, name, more, aside=True) for name in others]
            results += [run(first, more), *(one.result() for one in beside)]
    return results


def counted(report: Path) -> tuple[int, int]:
    """Tests, and how many of them failed."""
    if not report.exists():
        return 0, 0
    suite = next(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 - our own pytest wrote it
    return int(suite.get("tests", 0)), int(suite.get("failures", 0)) + int(suite.get("errors", 0))


def table(results: list[Result], seconds: float) -> str:
    """The summary."""
    lines = [f"{'layer':<12} {'tests':>6} {'failed':>7} {'seconds':>8}"]
    for one in results:
        failed = "" if one.passed else str(one.failed or "stopped")
        lines.append(f"{one.layer:<12} {one.tests:>6} {failed:>7} {one.seconds:>8.0f}")
    return "\n".join([*lines, f"{'together':<12} {sum(one.tests for one in results):>6} {'':>7} {seconds:>8.0f}"])


def main() -> int:
    """Run the layers named on the command line; 1 when one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.layers", description=__doc__)
    parser.add_argument("layers", nargs="+", choices=LAYERS)
    options, more = parser.parse_known_args()
    began = time.monotonic()
    results = run_all(options.layers, more)
    print(f"\n{table(results, time.monotonic() - began)}")
    return 0 if all(one.passed for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
