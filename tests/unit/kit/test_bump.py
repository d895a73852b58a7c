"""The Flux release is one thing in many places: changed together, or the build says which place drifted."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.tools.bump_flux import KIT, PINS, TABLE, NoMappingError, bump

REPOSITORY = Path(__file__).resolve().parents[3]
RELEASE = KIT / "components/flux/release.yaml"
SITES = (PINS, TABLE, RELEASE, KIT / "catalogue.yaml")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The places that name the release, as they are."""
    for site in SITES:
        (tmp_path / site).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / site, tmp_path / site)
    return tmp_path


def drifts(root: Path) -> Iterator[str]:
    """Where two places name different releases."""
    pins = yaml.safe_load((root / PINS).read_text())["flux"]
    shipped = yaml.safe_load((root / TABLE).read_text())["charts"].get(pins["chart_version"])
    rows = yaml.safe_load((root / KIT / "catalogue.yaml").read_text())["components"]
    listed = next(row["chart"] for row in rows if row["name"] == "bp-flux")
    chart = yaml.safe_load((root / RELEASE).read_text())["spec"]["chart"]["spec"]["version"]
    if shipped != pins["version"]:
        yield f"cloud-init's chart {pins['chart_version']} ships {shipped}, not {pins['version']}"
    if chart != pins["chart_version"]:
        yield f"the kit installs chart {chart} over cloud-init's {pins['chart_version']}"
    if (listed["version"], listed["appVersion"]) != (pins["chart_version"], pins["version"]):
        yield "the catalogue names another release"


def test_this_checkout_names_one_release_everywhere() -> None:
    assert list(drifts(REPOSITORY)) == []


@pytest.mark.parametrize(("version", "chart"), [("2.8.5", "2.18.3"), ("2.4.0", "2.14.1")])
def test_a_bump_changes_every_place_and_nothing_else(checkout: Path, version: str, chart: str) -> None:
    before = {site: (checkout / site).read_text().splitlines() for site in SITES}
    bump(checkout, version)
    assert list(drifts(checkout)) == []
    assert yaml.safe_load((checkout / RELEASE).read_text())["spec"]["chart"]["spec"]["version"] == chart
    for site in SITES:
        after = (checkout / site).read_text().splitlines()
        changed = [new for old, new in zip(before[site], after, strict=True) if old != new]
        assert all(version in line or chart in line for line in changed)


def test_a_release_whose_chart_is_not_known_is_refused_and_nothing_changes(checkout: Path) -> None:
    before = {site: (checkout / site).read_text() for site in SITES}
    with pytest.raises(NoMappingError, match=r"which version of the chart flux2 ships Flux 9\.9\.9"):
        bump(checkout, "9.9.9")
    assert {site: (checkout / site).read_text() for site in SITES} == before


@pytest.mark.parametrize(
    ("site", "before", "after", "told"),
    [
        (PINS, "chart_version: 2.19.1", "chart_version: 2.14.1", "ships 2.4.0, not 2.9.5"),
        (RELEASE, "version: 2.19.1", "version: 2.13.0", "the kit installs chart 2.13.0 over cloud-init's 2.19.1"),
        (KIT / "catalogue.yaml", "appVersion: 2.9.5", "appVersion: 2.4.0", "the catalogue names another release"),
    ],
)
def test_the_runbooks_drift_fails_the_build_and_no_bump_goes_over_it(
    checkout: Path, site: Path, before: str, after: str, told: str
) -> None:
    text = (checkout / site).read_text()
    assert text.count(before) == 1
    (checkout / site).write_text(text.replace(before, after))
    assert any(told in drift for drift in drifts(checkout))
    with pytest.raises(NoMappingError, match="it has drifted"):
        bump(checkout, "2.8.5")
