"""OpenTofu's lines, read by an allow-list."""

import json

import pytest

from tofu_runner.lines import Diagnostic, Drifted, Hook, Outputs, Planned, Summary, UnknownInterface, Version, line_of


def raw(**line: object) -> bytes:
    return json.dumps({"@level": "info", "@message": "canary-message", **line}).encode()


def test_the_version_line_is_read_and_another_major_is_refused() -> None:
    assert line_of(raw(type="version", tofu="1.12.6", ui="1.2")) == Version("1.12.6", "1.2")
    assert line_of(raw(type="version", tofu="9.0.0", ui="1.99", new="field")) == Version("9.0.0", "1.99")
    with pytest.raises(UnknownInterface, match="2"):
        line_of(raw(type="version", tofu="2.0.0", ui="2.0"))


@pytest.mark.parametrize(
    "nothing",
    [b"", b"not json", b"[1, 2]", b'"text"', b"\xff\xfe", raw(type="log"), raw(type="never_heard_of"), raw()],
)
def test_what_is_not_known_is_passed_over(nothing: bytes) -> None:
    assert line_of(nothing) is None


def test_a_finished_resource_has_its_id_and_nothing_else_of_its_values() -> None:
    resource = {"addr": "hcloud_network.private", "resource_type": "hcloud_network", "implied_provider": "hcloud"}
    hook = {"resource": resource, "action": "create", "id_key": "id", "id_value": "42", "elapsed_seconds": 3}
    assert line_of(raw(type="apply_complete", hook=hook)) == Hook(
        "complete", "hcloud_network.private", "hcloud_network", "create", 3.0, "42"
    )
    named = {**hook, "id_key": "name", "id_value": "canary"}
    read = line_of(raw(type="apply_complete", hook=named))
    assert isinstance(read, Hook)
    assert read.cloud_id == ""


def test_data_sources_are_no_progress() -> None:
    hook = {"resource": {"addr": "data.hcloud_image.node", "resource_type": "hcloud_image"}, "action": "read"}
    assert line_of(raw(type="apply_start", hook=hook)) is None


def test_plans_drift_and_sums_are_read() -> None:
    resource = {"addr": "hcloud_server.worker"}
    change = {"resource": resource, "action": "replace", "reason": "tainted"}
    assert line_of(raw(type="planned_change", change=change)) == Planned("hcloud_server.worker", "replace", "tainted")
    drift = {"resource": resource, "action": "delete"}
    assert line_of(raw(type="resource_drift", change=drift)) == Drifted("hcloud_server.worker", "delete")
    counts = {"add": 1, "change": 2, "remove": 3, "import": 4, "operation": "plan"}
    assert line_of(raw(type="change_summary", changes=counts)) == Summary("plan", 1, 2, 3, 4)


def test_sensitive_outputs_and_those_that_do_not_say_are_left_out() -> None:
    outputs = {
        "open": {"sensitive": False, "type": "string", "value": "1.2.3.4"},
        "secret": {"sensitive": True, "type": "string", "value": "canary-secret"},
        "silent": {"type": "string", "value": "canary-silent"},
    }
    assert line_of(raw(type="outputs", outputs=outputs)) == Outputs({"open": "1.2.3.4"})


def test_a_diagnostic_keeps_words_and_address_but_no_snippet() -> None:
    body = {"severity": "error", "summary": "s", "detail": "d", "address": "a.b", "snippet": {"values": ["canary"]}}
    assert line_of(raw(type="diagnostic", diagnostic=body)) == Diagnostic("error", "s", "d", "a.b")
