"""Whose fault it is and what to do: every failure as data, and the registry of all codes.

``Trouble`` is what a failing fact or answer carries. ``REGISTRY`` knows, for each code, the owner, whether trying
again can help, the advice for the operator, and where the runbook or the vendor's documentation says so.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from contracts.event import Model


class FaultOwner(StrEnum):
    """Who can mend it."""

    USER = "user"
    CLOUD = "cloud"
    US = "us"


Text = Annotated[str, StringConstraints(max_length=2000)]


class Trouble(Model):
    """A failure, told to a person at three in the morning."""

    code: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
    owner: FaultOwner
    retryable: bool
    attempted: Text = Field(description="What we tried to do.")
    on: Text = Field(description="On which thing: a resource address, a host, a field.")
    next_step: Text = Field(description="What the operator does now.")
    message: Text = Field(default="", description="The other party's own words, masked and shortened.")
    remedy: str = Field(default="", description="Where to read on: a runbook section or a documentation page.")


class FieldError(Model):
    """One wrong field of a request."""

    field: str = Field(description="Path in the request, such as topology.region.")
    code: str
    message: str


class Code(Model):
    """A row of the registry."""

    code: str
    owner: FaultOwner
    retryable: bool
    next_step: str
    remedy: str = ""


def _code(code: str, owner: str, retryable: bool, next_step: str, remedy: str = "") -> Code:  # noqa: FBT001 - a table row
    return Code(code=code, owner=FaultOwner(owner), retryable=retryable, next_step=next_step, remedy=remedy)


_TABLE = "runbook: What can go wrong, and what to do"
_CLOUD_DOCS = "Hetzner Cloud API: errors"

_ROWS: Final[tuple[Code, ...]] = (
    # The runbook's failure table, row by row.
    _code("token_readonly", "user", False, "Create a token with Read & Write scope and send the request again for the same FQDN.", f"{_TABLE}, row 1"),
    _code("unauthorized", "user", False, "The token is wrong or expired: create a new Read & Write token and send the request again.", f"{_TABLE}, row 1"),
    _code("forbidden", "user", False, "The token may not do this: create a new Read & Write token in the right project.", f"{_TABLE}, row 1"),
    _code("resource_limit_exceeded", "user", False, "Ask Hetzner support to raise the project's limit, then retry.", f"{_TABLE}, row 2"),
    _code("create-slow", "cloud", True, "Wait up to 15 minutes; if it is still creating, cancel and retry in another location.", f"{_TABLE}, row 3"),
    _code("resource_unavailable", "cloud", True, "No capacity for this type here: allow placement fallback, or retry in another location.", f"{_TABLE}, row 3"),
    _code("placement_error", "cloud", True, "The cloud cannot place the server: allow placement fallback, or retry in another location.", f"{_TABLE}, row 3"),
    _code("api-not-up-yet", "us", True, "Normal for about five minutes: k3s, Cilium and Flux are still starting.", f"{_TABLE}, row 4"),
    _code("cni-stuck", "us", True, "On the control plane run journalctl -u k3s -n 100 and check that k3s runs with --flannel-backend=none.", f"{_TABLE}, row 5"),
    _code("certificate-rate-limited", "user", True, "Let's Encrypt allows 50 certificates a week per domain: wait; kubectl -n cert-manager describe challenge shows until when.", f"{_TABLE}, row 6"),
    _code("certificate-failed", "us", True, "Look at kubectl -n cert-manager describe challenge, and check that the names resolve to the load balancer.", f"{_TABLE}, row 6"),
    _code("dns-not-visible", "cloud", True, "Allow up to 30 minutes for propagation; dig NS and dig console.<fqdn> show what the world sees.", f"{_TABLE}, row 7"),
    _code("url-unreachable", "us", True, "dig console.<fqdn> must give the load balancer's address; allow up to 30 minutes for propagation.", f"{_TABLE}, row 7"),
    _code("mail-not-sent", "user", True, "SMTP is not set in the realm: reset the password through kcadm.sh in the keycloak pod.", f"{_TABLE}, row 8"),
    _code("storageclass-missing", "us", True, "Pending PVCs and no default StorageClass: install local-path-provisioner and mark it default.", f"{_TABLE}, row 9; StorageClass missing"),
    # Its two incident sections.
    _code("flux-removed", "us", False, "Flux was deleted by its own chart's rollback (version pins differ): reprovision with matching pins.", "runbook: bp-flux double-install"),
    _code("flux-not-reconciling", "us", True, "No HelmRelease appeared: check GitRepository, then Kustomization, then the controllers' logs, then reconcile.", "runbook: Phase 1 watch shows 0 HelmReleases"),
    # Its two silence rules.
    _code("silent-stream", "us", True, "Nothing was said for 60 s: the heartbeat tells which service is alive; reload the page, nothing is lost.", "runbook: Watch the SSE event stream"),
    _code("silent-apply", "cloud", True, "No progress for 5 minutes during apply: look for stuck servers in the Hetzner console; rate limits resolve by themselves.", "runbook: Watch the SSE event stream"),
    # The cloud's own codes (Hetzner Cloud API, errors), as far as they reach us.
    _code("rate_limit_exceeded", "cloud", True, "The project's 3600 calls an hour are used up: the run waits by itself until the limit refills.", _CLOUD_DOCS),
    _code("conflict", "cloud", True, "Another change of the same resource is under way; it is tried again.", _CLOUD_DOCS),
    _code("locked", "cloud", True, "The resource is busy with another action; it is tried again.", _CLOUD_DOCS),
    _code("maintenance", "cloud", True, "The cloud is in maintenance; it is tried again later.", _CLOUD_DOCS),
    _code("unavailable", "cloud", True, "The cloud's API is unavailable; it is tried again later.", _CLOUD_DOCS),
    _code("timeout", "cloud", True, "The cloud did not answer in time; it is tried again.", _CLOUD_DOCS),
    _code("bad_gateway", "cloud", True, "The cloud's API is failing; it is tried again.", _CLOUD_DOCS),
    _code("server_error", "cloud", True, "The cloud reports an error of its own; it is tried again.", _CLOUD_DOCS),
    _code("service_error", "cloud", True, "The cloud reports an error in a service behind the API; it is tried again.", _CLOUD_DOCS),
    _code("action_failed", "cloud", True, "The cloud accepted the change but it failed; retry, and open a ticket with the action's id if it fails again.", _CLOUD_DOCS),
    _code("no_space_left_in_location", "cloud", True, "No volume space in this location: retry in another.", _CLOUD_DOCS),
    _code("not_found", "us", False, "Something that should exist is gone: retry, the run takes inventory first.", _CLOUD_DOCS),
    _code("uniqueness_error", "us", True, "A resource of this name or key exists already: the run takes inventory and adopts what is ours.", _CLOUD_DOCS),
    _code("invalid_input", "us", False, "The cloud refused what we sent: report this with the run's events.", _CLOUD_DOCS),
    _code("json_error", "us", False, "The cloud could not read what we sent: check the token for blanks, else report this.", _CLOUD_DOCS),
    _code("protected", "user", False, "The resource is protected against deletion: lift the protection in the Hetzner console, then retry.", _CLOUD_DOCS),
    _code("resource_in_use", "us", True, "The resource is still attached; it is tried again.", _CLOUD_DOCS),
    _code("unsupported_error", "us", False, "The cloud does not support this combination: report this with the run's events.", _CLOUD_DOCS),
    _code("unsupported_server_type", "user", False, "This server type is not offered there: choose another type or location.", _CLOUD_DOCS),
    _code("deprecated_api_endpoint", "us", False, "The cloud retired this call: upgrade Catalyst Zero.", _CLOUD_DOCS),
    # The door.
    _code("invalid-request", "user", False, "Correct the named fields and send the request again."),
    _code("plaintext-secret", "user", False, "A secret was sent in clear and has been erased: rotate it now, then send it sealed (catalyst seal)."),
    _code("message-too-large", "user", False, "A message holds at most 256 KiB: shorten the request."),
    _code("fqdn-taken", "user", False, "Another owner holds this name: choose another."),
    _code("run-active", "user", False, "A run for this Sovereign is under way with another body: wait for it, or cancel it first."),
    _code("immutable-field", "user", False, "This is fixed for the Sovereign's life: change it in its own Git repository, or decommission first."),
    _code("idempotency-conflict", "user", False, "The same idempotency key came with another body: use a new key."),
    _code("credential-required", "user", False, "A secret that this needs is gone: send it again, sealed, with the command."),
    _code("not-now", "user", False, "The command does not fit the Sovereign's present state; the message says which commands do."),
    _code("unknown-sovereign", "user", False, "No Sovereign of this name is known to you: look at catalyst list."),
    _code("not-allowed", "user", False, "Your role does not permit this: ask an administrator of your organisation."),
    _code("draft-changed", "user", True, "Somebody else changed this draft meanwhile: load it again, then make your change."),
    _code("unknown-draft", "user", False, "There is no such draft (drafts are forgotten some weeks after their last change): begin a new one."),
    _code("stream-almost-full", "us", True, "The audit trail is 90 % full: new requests wait until the operator gives it room."),
    # Our own parts.
    _code("enrol-timeout", "us", True, "The first control plane did not hand in its kubeconfig in time: look at the last boot stage, then retry."),
    _code("run-deadline", "user", True, "The deadline of the request passed: retry continues from what exists."),
    _code("boot-stage-failed", "us", True, "A boot stage failed on the node: its last log lines are in the event; retry replaces the node."),
    _code("hand-in-refused", "us", False, "A kubeconfig came that is not this node's: nothing was taken from it; the real one still works."),
    _code("fqdn-reserved", "user", False, "This name is reserved: choose another."),
    _code("fqdn-unmanaged", "user", False, "This domain is none of the pool domains: choose one of them, or bring your own domain (byo-manual)."),
    _code("fqdn-nested", "user", False, "This name lies in the zone of another Sovereign: choose another."),
    _code("dns-write-failed", "us", True, "PowerDNS did not take or keep the records; it is tried again."),
    _code("dns-unreachable", "us", True, "The DNS server does not answer; it is tried again."),
    _code("delegation-missing", "user", True, "The parent zone does not delegate to our servers yet: paste the NS records at the registrar."),
    _code("delegation-broken", "user", True, "Parent and child disagree: the message names the server and what it says."),
    _code("registrar-refused", "user", False, "The registrar refused the token or the domain: check both, or use byo-manual."),
    _code("registrar-token-incomplete", "user", False, "The registrar's credentials lack the named part: seal them again with every part."),
    _code("registrar-unauthorized", "user", False, "The registrar does not accept these credentials: make new ones there and send the request again."),
    _code("registrar-domain-missing", "user", False, "The domain is not in this registrar account: use the account that holds it, or byo-manual."),
    _code("registrar-caller-refused", "user", False, "The registrar does not allow our address: put the named address on its API allow-list, then retry."),
    _code("registrar-unsupported", "user", False, "This registrar cannot delegate this name by its API: use byo-manual, which says what to paste."),
    _code("registrar-rate-limited", "cloud", True, "The registrar's call limit is reached: it is tried again by itself."),
    _code("registrar-down", "cloud", True, "The registrar's API does not answer properly: it is tried again by itself."),
    _code("plan-stale", "us", True, "The plan changed since it was approved: look at the new one and approve it."),
    _code("approval-missing", "user", True, "The plan destroys or replaces something: approve it, or cancel."),
    _code("state-refused", "us", False, "The state backend refused a write: report this with the run's events."),
    _code("tofu-crashed", "us", True, "OpenTofu ended without a result: retry, the run takes inventory first."),
    _code("tofu-diagnostic", "us", False, "OpenTofu reports an error this release does not know: its text is in the message."),
    _code("lease-lost", "us", True, "Another worker took over this run; nothing is to be done."),
    _code("release-failed", "us", True, "A component failed to install: its conditions and events say why; reconcile tries again."),
    _code("source-unreachable", "us", True, "The kit's source cannot be fetched: check address, credentials and egress, then reconcile."),
    _code("chart-missing", "us", False, "The chart does not exist in its repository at the pinned version: correct the kit."),
    _code("image-pull-failed", "us", True, "An image cannot be pulled: check the registry and egress of the nodes."),
    _code("node-lost", "cloud", True, "A node is gone or not Ready: look at it in the Hetzner console; retry replaces a lost node."),
    _code("cluster-unreachable", "us", True, "The cluster's API does not answer; the watch goes on and reports when it is back."),
    _code("nobody-answers", "us", True, "No replica of the service is running: start it, or look at its log."),
    _code("too-slow", "us", True, "The service did not answer in time: ask again; look at its metrics if it persists."),
    # The HTTP edge.
    _code("login-required", "user", False, "Log in, or send Authorization: Bearer with an API token (catalyst user token)."),
    _code("login-failed", "user", False, "Name and password do not match, or the login link was used or is too old: ask for a new one."),
    _code("cross-origin", "user", False, "The call came from another site or without the page's token: open the console and do it there."),
    _code("no-such-page", "user", False, "There is nothing at this address: /api/v1/openapi.json lists what there is."),
    _code("method-not-allowed", "user", False, "This address knows other methods: the Allow header names them."),
    _code("unreadable-body", "user", False, "The body must be one JSON object: correct it and send it again."),
    _code("too-many-requests", "user", True, "Too many calls in a short time: wait as long as Retry-After says."),
    _code("node-unauthorized", "us", False, "The node's token is missing or not known: its user data is not of this life; retry replaces the node."),
    _code("resume-unknown", "user", False, "The resume token is of another stream or of the future: start from the beginning (from=0)."),
    _code("internal", "us", True, "An error of ours: it is logged with the message's id; report it if it persists."),
    _code("not-an-event", "us", False, "A message on this subject is no CloudEvent that this release can read; its publisher must be corrected."),
)  # fmt: skip

REGISTRY: Final[dict[str, Code]] = {row.code: row for row in _ROWS}


def trouble(code: str, *, attempted: str, on: str, message: str = "", next_step: str = "") -> Trouble:
    """A trouble of a registered code; KeyError when the code is not in the registry."""
    row = REGISTRY[code]
    return Trouble(
        code=code,
        owner=row.owner,
        retryable=row.retryable,
        attempted=attempted[:2000],
        on=on[:2000],
        next_step=next_step or row.next_step,
        message=message[:2000],
        remedy=row.remedy,
    )
