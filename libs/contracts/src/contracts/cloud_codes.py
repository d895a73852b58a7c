"""Every error code that the Hetzner Cloud API and its official client know.

The list is the client's own (hcloud-go v2.47, ``hcloud/error.go``: 66 codes) and what the official document names
beyond it. Which ones the client itself repeats is the client's business; ``retryable`` here says whether a retry of
the run can help.
"""

from typing import Final

from contracts.codes import Code, row

_TABLE: Final = "runbook: What can go wrong, and what to do"
_DOCS: Final = "Hetzner Cloud API: errors"
_REPORT: Final = "report this with the run's events"
_INVENTORY: Final = "retry, the run takes inventory first"
_ACME: Final = f"{_TABLE}, row 6"

CLOUD_CODES: Final[tuple[Code, ...]] = (
    # The token and what it may.
    row("token_readonly", "user", False, "Create a token with Read & Write scope and send the request again for the same FQDN.", f"{_TABLE}, row 1"),
    row("unauthorized", "user", False, "The token is wrong or expired: create a new Read & Write token and send the request again.", f"{_TABLE}, row 1"),
    row("forbidden", "user", False, "The token may not do this: create a new Read & Write token in the right project.", f"{_TABLE}, row 1"),
    # Limits and room.
    row("resource_limit_exceeded", "user", False, "Ask Hetzner support to raise the project's limit, then retry.", f"{_TABLE}, row 2"),
    row("resource_unavailable", "cloud", True, "No capacity for this type here: allow placement fallback, or retry in another location.", f"{_TABLE}, row 3"),
    row("placement_error", "cloud", True, "The cloud cannot place the server: allow placement fallback, or retry in another location.", f"{_TABLE}, row 3"),
    row("no_space_left_in_location", "cloud", True, "No volume space in this location: retry in another.", f"{_TABLE}, row 3"),
    row("rate_limit_exceeded", "cloud", True, "The project's 3600 calls an hour are used up: the run waits by itself until the limit refills.", "runbook: Watch the SSE event stream"),
    # Busy or out of order: it is tried again.
    row("conflict", "cloud", True, "Another change of the same resource is under way; it is tried again.", _DOCS),
    row("locked", "cloud", True, "The resource is busy with another action; it is tried again.", _DOCS),
    row("resource_locked", "user", False, "The cloud has locked this resource: ask Hetzner support why, then retry.", _DOCS),
    row("maintenance", "cloud", True, "The cloud is in maintenance; it is tried again later.", _DOCS),
    row("unavailable", "cloud", True, "The cloud's API is unavailable; it is tried again later.", _DOCS),
    row("timeout", "cloud", True, "The cloud did not answer in time; it is tried again.", _DOCS),
    row("bad_gateway", "cloud", True, "The cloud's API is failing; it is tried again.", _DOCS),
    row("server_error", "cloud", True, "The cloud reports an error of its own; it is tried again.", _DOCS),
    row("service_error", "cloud", True, "The cloud reports an error in a service behind the API; it is tried again.", _DOCS),
    row("unknown_error", "cloud", True, "The cloud reports an error that it does not name: retry, and open a ticket with its text if it fails again.", _DOCS),
    row("action_failed", "cloud", True, "The cloud accepted the change but it failed; retry, and open a ticket with the action's id if it fails again.", _DOCS),
    row("robot_unavailable", "cloud", True, "A system behind the cloud's API is away; it is tried again.", _DOCS),
    # What we sent.
    row("not_found", "us", False, f"Something that should exist is gone: {_INVENTORY}.", _DOCS),
    row("uniqueness_error", "us", True, "A resource of this name or key exists already: the run takes inventory and adopts what is ours.", _DOCS),
    row("invalid_input", "us", False, f"The cloud refused what we sent: {_REPORT}.", _DOCS),
    row("json_error", "us", False, "The cloud could not read what we sent: check the token for blanks, else report this.", _DOCS),
    row("method_not_allowed", "us", False, f"The cloud does not know this call: {_REPORT}.", _DOCS),
    row("unsupported_error", "us", False, f"The cloud does not support this combination: {_REPORT}.", _DOCS),
    row("deprecated_api_endpoint", "us", False, "The cloud retired this call: upgrade Catalyst Zero.", _DOCS),
    row("protected", "user", False, "The resource is protected against deletion: lift the protection in the Hetzner console, then retry.", _DOCS),
    row("resource_in_use", "us", True, "The resource is still attached; it is tried again.", _DOCS),
    # Servers.
    row("invalid_server_type", "user", False, "This server type does not exist, is retired or does not fit this server: choose another type.", _DOCS),
    row("unsupported_server_type", "user", False, "This server type is not offered there: choose another type or location.", _DOCS),
    row("server_not_stopped", "us", False, f"The change needs a stopped server: stop it in the Hetzner console, or {_REPORT}.", _DOCS),
    row("server_already_attached", "us", True, f"The server is attached already: {_INVENTORY}.", _DOCS),
    row("server_already_added", "us", True, f"The server was named twice: {_INVENTORY}.", _DOCS),
    row("server_has_ipv4", "us", True, f"The server has a public IPv4 address already: {_INVENTORY}.", _DOCS),
    row("server_has_ipv6", "us", True, f"The server has a public IPv6 network already: {_INVENTORY}.", _DOCS),
    row("server_is_load_balancer_target", "user", False, "The server's address is the target of a load balancer: remove the target in the Hetzner console, then retry.", _DOCS),
    row("already_in_placement_group", "us", True, f"The server is in a placement group already: {_INVENTORY}.", _DOCS),
    row("primary_ip_assigned", "user", False, "The primary address belongs to another server: free it in the Hetzner console, then retry.", _DOCS),
    row("primary_ip_already_assigned", "user", False, "The primary address belongs to another server: free it in the Hetzner console, then retry.", _DOCS),
    row("primary_ip_datacenter_mismatch", "us", False, f"The primary address lies in another location: {_REPORT}.", _DOCS),
    row("primary_ip_version_mismatch", "us", False, f"The primary address is of the other IP version: {_REPORT}.", _DOCS),
    row("must_be_unassigned", "us", True, "The primary address is still assigned; it is tried again.", _DOCS),
    # Networks.
    row("networks_overlap", "user", False, "The server is in another network with the same range: detach it in the Hetzner console, then retry.", _DOCS),
    row("ip_not_available", "us", True, f"The private address is taken: {_INVENTORY}.", _DOCS),
    row("no_subnet_available", "us", True, "The network has no subnet or free address yet; it is tried again.", _DOCS),
    row("vswitch_id_already_used", "user", False, "The vSwitch is coupled to another network: uncouple it in the Hetzner console, then retry.", _DOCS),
    row("incompatible_network_type", "us", False, f"The network's type does not fit: {_REPORT}.", _DOCS),
    # Load balancers.
    row("invalid_load_balancer_type", "us", False, f"The load balancer's type does not fit what hangs on it: {_REPORT}.", _DOCS),
    row("ip_not_owned", "us", False, f"The target address is not the project's: {_REPORT}.", _DOCS),
    row("cloud_resource_ip_not_allowed", "us", False, f"The target is a cloud resource and may not be named by address: {_REPORT}.", _DOCS),
    row("missing_ipv4", "us", False, f"A public target has no IPv4 address: {_REPORT}.", _DOCS),
    row("source_port_already_used", "us", True, f"The port is served already: {_INVENTORY}.", _DOCS),
    row("target_already_defined", "us", True, f"The target exists already: {_INVENTORY}.", _DOCS),
    row("load_balancer_already_attached", "us", True, f"The load balancer is attached already: {_INVENTORY}.", _DOCS),
    row("load_balancer_not_attached_to_network", "us", True, "The load balancer is not in the network yet; it is tried again.", _DOCS),
    row("server_not_attached_to_network", "us", True, "The server is not in the network yet; it is tried again.", _DOCS),
    row("targets_without_use_private_ip", "us", False, f"The load balancer has targets by public address: {_REPORT}.", _DOCS),
    row("resolve_cloud_private_targets_error", "cloud", True, "The load balancer cannot resolve its private targets yet; it is tried again.", _DOCS),
    # Volumes and firewalls.
    row("volume_already_attached", "user", False, "The volume is attached to a server: detach it in the Hetzner console, then retry.", _DOCS),
    row("firewall_already_applied", "us", True, f"The firewall is applied already: {_INVENTORY}.", _DOCS),
    row("firewall_already_removed", "us", True, f"The firewall was removed already: {_INVENTORY}.", _DOCS),
    row("firewall_resource_not_found", "us", True, f"The firewall names a resource that is gone: {_INVENTORY}.", _DOCS),
    row("firewall_managed_by_label_selector", "user", False, "A label selector applies this firewall: change the selector in the Hetzner console, then retry.", _DOCS),
    row("private_net_only_server", "us", False, f"The server has no public interface for a firewall: {_REPORT}.", _DOCS),
    # Certificates and zones of the cloud's own; we order none, an operator's may stand in the same project.
    row("caa_record_does_not_allow_ca", "user", False, "A CAA record forbids the certificate authority: allow letsencrypt.org, then retry.", _ACME),
    row("ca_dns_validation_failed", "user", True, "The certificate authority does not see the records yet: dig them, then retry.", _ACME),
    row("ca_too_many_authorizations_failed_recently", "user", True, "Too many failed authorisations: wait an hour, mend the records, then retry.", _ACME),
    row("ca_too_many_certificates_issued_for_registered_domain", "user", True, "Let's Encrypt allows 50 certificates a week per domain: wait.", _ACME),
    row("ca_too_many_duplicate_certificates", "user", True, "Let's Encrypt allows 5 equal certificates a week: wait.", _ACME),
    row("could_not_verify_domain_delegated_to_zone", "user", True, "The domain is not delegated to the zone: look at the registrar.", f"{_TABLE}, row 7"),
    row("dns_zone_not_found", "user", False, "The cloud has no zone of this name: look at the Hetzner console.", f"{_TABLE}, row 7"),
    row("dns_zone_is_secondary_zone", "user", False, "The zone is a secondary one and cannot be changed here: change its primary.", f"{_TABLE}, row 7"),
)  # fmt: skip
