"""What a request's selection of components gets wrong, told before anything is spent."""

from pathlib import Path
from typing import Any

import pytest

from intake.drafts import errors_so_far
from intake.offers import Offers
from intake.reading import judge
from tests.requests import request_body

OFFERS = Offers(("omani.works",), Path(__file__).parents[3] / "deploy" / "kit" / "catalogue.yaml")
SMALL = {"region": "fsn1", "control_plane_type": "cpx22", "worker_count": 0}
ALMOST = {"region": "fsn1", "control_plane_type": "cpx32", "worker_count": 0}


def errors(**changes: Any) -> list[tuple[str, str]]:
    return [(error.field, error.code) for error in judge(request_body(**changes), OFFERS).errors]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"components": ["bp-alloy", "harbor"]}, []),
        ({"components": ["bp-nothing"]}, [("components.0", "unknown-component")]),
        ({"components": ["cnpg", "bp-hcloud-csi"]}, [("components.1", "component-after-hand-off")]),
        ({"topology": SMALL}, [("topology.worker_count", "kit-does-not-fit")]),
        ({"topology": SMALL, "components": ["harbor"]}, [("topology.worker_count", "kit-does-not-fit")]),
        ({"topology": ALMOST, "components": ["harbor"]}, [("components", "kit-does-not-fit")]),
        ({"topology": {**SMALL, "region": "mars1"}}, [("topology.region", "unknown-region")]),
        (
            {"topology": {**SMALL, "control_plane_type": "cx99"}},
            [("topology.control_plane_type", "unsupported_server_type")],
        ),
    ],
)
def test_each_wrong_selection_is_one_error_at_its_field(
    changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert errors(**changes) == expected


def test_what_does_not_fit_says_by_how_much_and_what_would() -> None:
    (error,) = judge(request_body(topology=ALMOST, components=["harbor"]), OFFERS).errors
    assert "asks for 4.0 cores" in error.message
    assert "lacks 0.5 cores, 0.9 GiB of memory" in error.message
    assert error.message.endswith("it would fit")


def test_a_draft_hears_it_at_the_step_where_it_can_be_changed() -> None:
    found = list(errors_so_far(request_body(topology=ALMOST, components=["harbor"]), 5, OFFERS))
    assert [(error.code, error.step) for error in found if error.code == "kit-does-not-fit"] == [
        ("kit-does-not-fit", 5)
    ]


def test_the_catalogue_tells_the_wizard_what_each_component_is_and_asks_for() -> None:
    rows = {row.name: row for row in OFFERS.reply().components}
    assert rows["bp-velero"].tier == "recommended"
    assert rows["bp-velero"].asks.memory > 0
    assert rows["bp-falco"].per_node.memory > 0
    assert "cloud token" in rows["bp-hcloud-csi"].after_hand_off
    assert all(row.homepage.startswith("https://") and row.licence and row.description for row in rows.values())
