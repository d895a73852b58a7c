"""What ``make verify-charts`` compares, on objects as Helm prints them. Helm itself is not run here."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.tools.verify_charts import KIT, differences, helm_words, marked, values_of

REPOSITORY = Path(__file__).resolve().parents[3]
CATALOGUE = (REPOSITORY / KIT / "catalogue.yaml").read_text()
ROWS = {row["name"]: row for row in yaml.safe_load(CATALOGUE)["components"]}


def workload(kind: str, name: str, image: str = "example.org/a:1.0", **spec: Any) -> dict[str, Any]:
    pod = {"spec": {"containers": [{"name": "main", "image": image}]}}
    return {"kind": kind, "metadata": {"name": name}, "spec": {"template": pod, **spec}}


LOKI = [
    workload("StatefulSet", "loki", volumeClaimTemplates=[{"metadata": {"name": "storage"}}]),
    workload("Deployment", "loki-gateway"),
    {"kind": "Service", "metadata": {"name": "loki"}},
]


def test_a_chart_that_makes_what_the_catalogue_names_agrees() -> None:
    assert list(differences(ROWS["bp-loki"], LOKI)) == []


@pytest.mark.parametrize(
    ("documents", "told"),
    [
        (LOKI[1:], "names StatefulSet loki, the chart makes none"),
        ([*LOKI, workload("Deployment", "canary")], "makes Deployment canary, the catalogue does not name it"),
        ([workload("StatefulSet", "loki"), *LOKI[1:]], "volumes: the chart claims none"),
        ([*LOKI[:1], workload("Deployment", "loki-gateway", "example.org/nginx:latest")], "which is no pin"),
        ([*LOKI[:1], workload("Deployment", "loki-gateway", "example.org:5000/nginx")], "which is no pin"),
    ],
)
def test_each_disagreement_is_named(documents: list[dict[str, Any]], told: str) -> None:
    assert any(told in line for line in differences(ROWS["bp-loki"], documents))


@pytest.mark.parametrize("name", ROWS)
def test_each_release_has_values_and_a_command_line_of_its_pinned_chart(name: str) -> None:
    release, values = values_of(REPOSITORY / KIT, name.removeprefix("bp-"))
    assert release
    assert "${" not in yaml.safe_dump(dict(values))
    words = helm_words(ROWS[name], release, Path("values.yaml"), None)
    assert ROWS[name]["chart"]["version"] in words
    assert ROWS[name]["chart"]["url"] in words


def test_the_flag_of_one_component_is_set_and_nothing_else_changes() -> None:
    changed = marked(CATALOGUE, "bp-loki", verified=not ROWS["bp-loki"]["verified"])
    differing = [(a, b) for a, b in zip(CATALOGUE.splitlines(), changed.splitlines(), strict=True) if a != b]
    assert len(differing) == 1
    rows = {row["name"]: row["verified"] for row in yaml.safe_load(changed)["components"]}
    assert {name for name, flag in rows.items() if flag != ROWS[name]["verified"]} == {"bp-loki"}
    with pytest.raises(ValueError, match="not in the catalogue"):
        marked(CATALOGUE, "bp-nothing", verified=True)
