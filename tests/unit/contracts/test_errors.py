"""The registry of codes against the lists that it has to cover."""

import pytest

from contracts.errors import REGISTRY, trouble

RUNBOOK_ROWS = {
    1: {"token_readonly", "unauthorized", "forbidden"},
    2: {"resource_limit_exceeded"},
    3: {"create-slow", "resource_unavailable", "placement_error"},
    4: {"api-not-up-yet"},
    5: {"cni-stuck"},
    6: {"certificate-rate-limited", "certificate-failed"},
    7: {"dns-not-visible", "url-unreachable"},
    8: {"mail-not-sent"},
    9: {"storageclass-missing"},
}
INCIDENTS = {
    "flux-removed": "runbook: bp-flux double-install",
    "flux-not-reconciling": "runbook: Phase 1 watch shows 0 HelmReleases",
}
SILENCE = {"silent-stream", "silent-apply"}
CLOUD = [
    "service_error", "rate_limit_exceeded", "unknown_error", "not_found", "invalid_input", "forbidden",
    "unauthorized", "json_error", "locked", "resource_limit_exceeded", "resource_unavailable",
    "uniqueness_error", "protected", "maintenance", "conflict", "robot_unavailable", "resource_locked",
    "server_error", "token_readonly", "bad_gateway", "timeout", "unsupported_error", "deprecated_api_endpoint",
    "invalid_server_type", "server_not_stopped", "networks_overlap", "placement_error",
    "server_already_attached", "primary_ip_assigned", "primary_ip_datacenter_mismatch",
    "primary_ip_version_mismatch", "server_has_ipv4", "server_has_ipv6", "primary_ip_already_assigned",
    "server_is_load_balancer_target", "ip_not_owned", "source_port_already_used",
    "cloud_resource_ip_not_allowed", "server_not_attached_to_network", "target_already_defined",
    "invalid_load_balancer_type", "load_balancer_already_attached", "targets_without_use_private_ip",
    "load_balancer_not_attached_to_network", "missing_ipv4", "ip_not_available", "no_subnet_available",
    "vswitch_id_already_used", "no_space_left_in_location", "volume_already_attached",
    "firewall_already_applied", "incompatible_network_type", "resource_in_use", "server_already_added",
    "firewall_resource_not_found", "firewall_managed_by_label_selector", "private_net_only_server",
    "firewall_already_removed", "caa_record_does_not_allow_ca", "ca_dns_validation_failed",
    "ca_too_many_authorizations_failed_recently", "ca_too_many_certificates_issued_for_registered_domain",
    "ca_too_many_duplicate_certificates", "could_not_verify_domain_delegated_to_zone", "dns_zone_not_found",
    "dns_zone_is_secondary_zone",
]  # fmt: skip
"""Of hcloud-go v2.47, ``hcloud/error.go``."""
DOCUMENTED = ["method_not_allowed", "unavailable", "must_be_unassigned", "already_in_placement_group"]
"""Codes that the official API document names and the client does not."""


@pytest.mark.parametrize("number", RUNBOOK_ROWS)
def test_every_row_of_the_runbooks_failure_table_has_its_codes(number: int) -> None:
    pointing = {row.code for row in REGISTRY.values() if row.remedy.endswith(f"what to do, row {number}")}
    pointing |= {row.code for row in REGISTRY.values() if f"what to do, row {number};" in row.remedy}
    assert RUNBOOK_ROWS[number] <= pointing


def test_both_incidents_and_both_silence_rules_have_their_codes() -> None:
    assert {code: REGISTRY[code].remedy for code in INCIDENTS} == INCIDENTS
    assert {REGISTRY[code].remedy for code in SILENCE} == {"runbook: Watch the SSE event stream"}


def test_every_code_of_the_cloud_is_classified() -> None:
    assert len(CLOUD) == len(set(CLOUD))
    assert sorted({*CLOUD, *DOCUMENTED} - set(REGISTRY)) == []


def test_every_row_says_what_to_do_and_where_to_read_on() -> None:
    for row in REGISTRY.values():
        assert row.next_step.endswith("."), row.code
        assert row.remedy, row.code


def test_a_trouble_carries_what_the_registry_says_of_its_code() -> None:
    told = trouble("resource_limit_exceeded", attempted="create a server", on="worker-1", message="10 of 10")
    assert (told.owner, told.retryable, told.remedy) == ("user", False, REGISTRY["resource_limit_exceeded"].remedy)
    with pytest.raises(KeyError):
        trouble("no-such-code", attempted="test", on="test")
