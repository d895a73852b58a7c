"""``python -m tests.layers unit integration ...``: every layer named, one after the other, and a table at the end.

A layer that fails does not keep the next from being run: one call tells everything that is wrong. Inside a layer tests
run side by side in processes of their own; most of them wait for a program more than they compute.
"""

import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Layer:
    """Which tests belong together, and how many run at once."""

    paths: tuple[str, ...]
    at_once_per_core: float = 0
    """0 runs them one after the other in one process, which a layer with a shared stack needs."""

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


def run(name: str, more: list[str]) -> Result:
    """Run one layer; its tests are counted from the report that pytest writes."""
    layer, report = LAYERS[name], ROOT / ".run" / "tests" / f"{name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    print(f"\n── {name}", flush=True)
    began = time.monotonic()
    words = ["-m", "pytest", "-q", f"--junit-xml={report}", *layer.words(), *layer.paths, *more]
    status = subprocess.run([sys.executable, *words], cwd=ROOT, check=False).returncode
    tests, failed = counted(report)
    return Result(name, tests, failed, time.monotonic() - began, status == 0)


def counted(report: Path) -> tuple[int, int]:
    """Tests, and how many of them failed."""
    if not report.exists():
        return 0, 0
    suite = next(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 - our own pytest wrote it
    return int(suite.get("tests", 0)), int(suite.get("failures", 0)) + int(suite.get("errors", 0))


def table(results: list[Result]) -> str:
    """The summary."""
    lines = [f"{'layer':<12} {'tests':>6} {'failed':>7} {'seconds':>8}"]
    for one in results:
        failed = "" if one.passed else str(one.failed or "stopped")
        lines.append(f"{one.layer:<12} {one.tests:>6} {failed:>7} {one.seconds:>8.0f}")
    total = sum(one.seconds for one in results)
    return "\n".join([*lines, f"{'together':<12} {sum(one.tests for one in results):>6} {'':>7} {total:>8.0f}"])


def main() -> int:
    """Run the layers named on the command line; 1 when one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.layers", description=__doc__)
    parser.add_argument("layers", nargs="+", choices=LAYERS)
    options, more = parser.parse_known_args()
    results = [run(name, more) for name in options.layers]
    print(f"\n{table(results)}")
    return 0 if all(one.passed for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
