"""``make bump-flux VERSION=x.y.z``: every place that names the Flux release, changed together or not at all.

Two Flux versions in one Sovereign delete Flux: Helm rolls the second one back and takes the first one's controllers
along (runbook, "bp-flux double-install"). So cloud-init's pin, the kit's release and the catalogue move in one step,
by the table of what each chart ships (deploy/kit/components/flux/versions.yaml). A version that it lacks is refused.
"""

import argparse
import re
import sys
from pathlib import Path

import yaml

KIT = Path("deploy/kit")
TABLE = KIT / "components/flux/versions.yaml"
PINS = Path("deploy/pins.yaml")


class NoMappingError(Exception):
    """The table does not say which chart ships this release; the message says what to add."""


def chart_of(root: Path, version: str) -> str:
    """The newest chart that ships a Flux release."""
    charts: dict[str, str] = yaml.safe_load((root / TABLE).read_text())["charts"]
    fitting = [chart for chart, shipped in charts.items() if shipped == version]
    if not fitting:
        known = ", ".join(sorted(charts.values()))
        raise NoMappingError(
            f"{TABLE} does not say which version of the chart flux2 ships Flux {version}; it knows {known}. "
            "Look it up (appVersion in the chart's index) and add the line, then run this again."
        )
    return max(fitting, key=lambda chart: [int(part) for part in chart.split(".")])


def bump(root: Path, version: str) -> list[str]:
    """Change every place; which ones changed. NoMappingError before anything is written."""
    chart = chart_of(root, version)
    pins = yaml.safe_load((root / PINS).read_text())["flux"]
    old_chart, old = pins["chart_version"], pins["version"]
    repository = pins["repository"]
    edits = {
        PINS: [
            (f"  version: {old}\n  repository: {repository}", f"  version: {version}\n  repository: {repository}"),
            (f"  chart_version: {old_chart}\n  release: flux", f"  chart_version: {chart}\n  release: flux"),
        ],
        KIT / "components/flux/release.yaml": [(f"      version: {old_chart}\n", f"      version: {chart}\n")],
        KIT / "catalogue.yaml": [
            (
                f"name: flux2, version: {old_chart}, appVersion: {old}",
                f"name: flux2, version: {chart}, appVersion: {version}",
            )
        ],
    }
    written = {path: _edited((root / path).read_text(), changes, path) for path, changes in edits.items()}
    for path, text in written.items():
        (root / path).write_text(text)
    return [str(path) for path in written]


def _edited(text: str, changes: list[tuple[str, str]], path: Path) -> str:
    for before, after in changes:
        if text.count(before) != 1:
            raise NoMappingError(
                f"{path} does not hold {before.strip()!r} exactly once: it has drifted; mend that first."
            )
        text = text.replace(before, after)
    return text


def main() -> int:
    """Bump, and say what is to be done by hand."""
    parser = argparse.ArgumentParser(description="Change the Flux release everywhere at once.")
    parser.add_argument("version", type=_version)
    version = parser.parse_args().version
    try:
        changed = bump(Path(), version)
    except NoMappingError as lacks:
        sys.stderr.write(f"{lacks}\n")
        return 1
    controllers = yaml.safe_load(TABLE.read_text())["controllers"]
    sys.stdout.write(f"Flux {version}: changed {', '.join(changed)}. Now: make test-unit\n")
    if version not in controllers:
        sys.stdout.write(
            f"The cluster of real programs still builds other controllers: add those of {version} to {TABLE}, "
            "and bump their folders in deploy/tools/build; a test holds the two together.\n"
        )
    return 0


def _version(text: str) -> str:
    version = text.removeprefix("v")
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise argparse.ArgumentTypeError(f"{text!r} is no release such as 2.9.5")
    return version


if __name__ == "__main__":
    sys.exit(main())
