"""Every field of a request: what is wrong with it is told by one error of its own, beside all others."""

import base64
import json
from typing import Any

import pytest

from contracts.drafting import CostOf
from intake.drafts import errors_so_far
from intake.offers import Offers
from intake.reading import judge
from tests.requests import CLOUD_TOKEN, request_body, sealed_token

OFFERS = Offers(("omani.works", "openova.io"), None)
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----"


def body_with(path: str, value: Any) -> dict[str, Any]:
    """A good request with one field changed."""
    body: dict[str, Any] = json.loads(json.dumps(request_body()))
    *parents, last = path.split(".")
    inner = body
    for part in parents:
        inner = inner[part]
    inner[last] = value
    return body


def _wire(*fields: bytes) -> str:
    return base64.b64encode(b"".join(len(field).to_bytes(4, "big") + field for field in fields)).decode()


SHORT_RSA = f"ssh-rsa {_wire(b'ssh-rsa', b'AQAB', b'x' * 128)} me"
CUT_OFF = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPTyY2rQvXas03wK me"

WRONG = [
    ("organisation.name", "", "organisation.name", "string_too_short"),
    ("organisation.name", "x" * 81, "organisation.name", "string_too_long"),
    ("organisation", "Omantel", "organisation", "model_type"),
    ("organisation.colour", "red", "organisation.colour", "unknown-field"),
    ("topology.region", "mars1", "topology.region", "unknown-region"),
    ("topology.region", ["fsn1", "hel1"], "topology.region", "multi-region"),
    ("topology.regions", ["fsn1", "hel1"], "topology.regions", "multi-region"),
    ("topology.control_plane_type", "cx99", "topology.control_plane_type", "unsupported_server_type"),
    ("topology.worker_type", "cpx31", "topology.worker_type", "unsupported_server_type"),
    ("topology.worker_type", "../../etc", "topology.worker_type", "string_pattern_mismatch"),
    ("topology.control_plane_count", 2, "topology.control_plane_count", "literal_error"),
    ("topology.worker_count", -1, "topology.worker_count", "greater_than_equal"),
    ("topology.worker_count", 51, "topology.worker_count", "less_than_equal"),
    ("topology.placement_fallback", "moon", "topology.placement_fallback", "literal_error"),
    ("domain.mode", "stolen", "domain.mode", "literal_error"),
    ("domain.fqdn", "*.omani.works", "domain.fqdn", "fqdn-wildcard"),
    ("domain.fqdn", "10.0.0.1", "domain.fqdn", "fqdn-ip"),
    ("domain.fqdn", "a" * 60 + ".omani.works", "domain.fqdn", "fqdn-too-long"),
    ("domain.fqdn", "omani.works", "domain.fqdn", "fqdn-reserved"),
    ("domain.fqdn", "demo.example.org", "domain.fqdn", "fqdn-unmanaged"),
    ("domain.mode", "byo-manual", "domain.mode", "fqdn-reserved"),
    ("domain.registrar", "gandi", "domain.registrar", "literal_error"),
    ("domain.registrar", "ovh", "domain", "value_error"),
    ("ssh_public_key", PRIVATE, "ssh_public_key", "plaintext-secret"),
    ("ssh_public_key", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU=", "ssh_public_key", "plaintext-secret"),
    ("ssh_public_key", "ssh-dss AAAAB3NzaC1kc3M= me", "ssh_public_key", "ssh-algorithm"),
    ("ssh_public_key", SHORT_RSA, "ssh_public_key", "ssh-algorithm"),
    ("ssh_public_key", CUT_OFF, "ssh_public_key", "value_error"),
    ("ssh_public_key", "ssh-ed25519 !!! me", "ssh_public_key", "value_error"),
    ("ssh_allowed_cidrs", ["everywhere"], "ssh_allowed_cidrs.0", "string_pattern_mismatch"),
    ("components", ["Bad Name"], "components.0", "string_pattern_mismatch"),
    ("approve_plans", "never", "approve_plans", "literal_error"),
    ("deadline_minutes", 1, "deadline_minutes", "greater_than_equal"),
    ("deadline_minutes", "soon", "deadline_minutes", "int_parsing"),
    ("admin_email", "nobody", "admin_email", "value_error"),
    ("admin_email", "&anchor@example.org", "admin_email", "value_error"),
    ("admin_email", 'quo"te@example.org', "admin_email", "value_error"),
    ("idempotency_key", "k" * 121, "idempotency_key", "string_too_long"),
    ("comment", "x" * 501, "comment", "string_too_long"),
    ("secrets", "none", "secrets", "tuple_type"),
    ("secrets", [{"reader": "tofu-runner"}], "secrets.0.ciphertext", "missing"),
    ("secrets", [sealed_token("other.omani.works")], "secrets.0.bound_to", "secret-misfit"),
    ("colour", "red", "colour", "unknown-field"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "field", "code"), WRONG, ids=[f"{row[0]}-{row[3]}" for row in WRONG])
def test_a_wrong_field_is_named_with_its_code(path: str, value: object, field: str, code: str) -> None:
    judged = judge(body_with(path, value), OFFERS)
    assert (field, code) in {(error.field, error.code) for error in judged.errors}
    assert judged.code == ("plaintext-secret" if code == "plaintext-secret" else "invalid-request")


@pytest.mark.parametrize("field", ["organisation", "topology", "domain", "ssh_public_key", "admin_email"])
def test_a_missing_field_is_named(field: str) -> None:
    body = {name: value for name, value in request_body().items() if name != field}
    assert [(error.field, error.code) for error in judge(body, OFFERS).errors] == [(field, "missing")]


def test_all_errors_are_told_at_once_whichever_judge_finds_them() -> None:
    body = request_body(ssh_public_key="ssh-dss AAAA", admin_email="nobody", colour="red")
    body["topology"] = {"region": "mars1", "control_plane_type": "cx99"}
    body["domain"] = {"mode": "pool", "fqdn": "demo.example.org", "registrar": "ovh"}
    fields = {error.field for error in judge(body, OFFERS).errors}
    assert fields >= {
        "topology.region",
        "topology.control_plane_type",
        "domain",
        "domain.fqdn",
        "ssh_public_key",
        "admin_email",
        "colour",
        "secrets.0.bound_to",
    }


def test_a_type_that_is_not_sold_in_the_region_is_refused_there_only() -> None:
    assert judge(body_with("topology", {"region": "hel1", "control_plane_type": "cax21"}), OFFERS).errors == ()
    there = judge(body_with("topology", {"region": "ash", "control_plane_type": "cax21"}), OFFERS).errors
    assert [(error.field, error.code) for error in there] == [
        ("topology.control_plane_type", "unsupported_server_type")
    ]


MIXED = "Ab1" * 21 + "Z"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (body_with("organisation.industry", MIXED), "organisation.industry"),
        (body_with("topology.control_plane_type", MIXED), "topology.control_plane_type"),
        (body_with("domain.fqdn", f"{MIXED}.omani.works"), "domain.fqdn"),
        (body_with("components", ["harbor", MIXED]), "components.1"),
        (request_body(**{MIXED: "x"}), "the request"),
        (request_body(hcloud_token=MIXED), "hcloud_token"),
    ],
    ids=["text", "server type", "name", "component", "key", "unknown field"],
)
def test_a_secret_in_any_field_is_named_and_never_repeated(body: dict[str, Any], field: str) -> None:
    judged = judge(body, OFFERS)
    assert judged.code == "plaintext-secret"
    assert field in {error.field for error in judged.errors if error.code == "plaintext-secret"}
    assert all("rotate it" in error.message for error in judged.errors if error.code == "plaintext-secret")
    assert MIXED not in "".join(error.model_dump_json() for error in judged.errors)


def test_a_good_request_has_no_errors() -> None:
    judged = judge(request_body(), OFFERS)
    assert judged.errors == ()
    assert judged.request is not None
    assert CLOUD_TOKEN not in judged.request.model_dump_json()


def test_a_draft_is_judged_up_to_its_step() -> None:
    assert {error.field for error in errors_so_far({}, 1, OFFERS)} == {"organisation"}
    assert {error.field for error in errors_so_far({}, 7, OFFERS)} == {
        "organisation",
        "topology",
        "domain",
        "ssh_public_key",
        "admin_email",
    }
    begun = {
        "organisation": {"name": "Omantel"},
        "topology": {"region": "mars1"},
        "ssh_public_key": "",
        "admin_email": "x",
    }
    found = {(error.field, error.step) for error in errors_so_far(begun, 2, OFFERS)}
    assert found == {("topology.region", 2), ("admin_email", 6)}


def test_a_topology_is_priced_line_by_line_and_by_the_hour() -> None:
    question = CostOf.model_validate({"topology": {"region": "fsn1", "worker_count": 1}, "hours": 1460})
    reply = OFFERS.cost(question)
    assert dict(reply.cost.lines) == {
        "1 x cpx22 (control plane)": "7.99",
        "1 x cpx32 (worker)": "13.99",
        "1 x lb11 (load balancer)": "5.49",
        "2 x public IPv4": "1.00",
    }
    assert (reply.cost.monthly, reply.total, reply.cost.sample_prices) == ("28.47", "56.94", True)
    abroad = OFFERS.cost(CostOf.model_validate({"topology": {"region": "ash", "worker_count": 1}}))
    assert abroad.cost.monthly == "35.34"
