"""Whose fault it is and what to do: every failure as data, and the registry of all codes.

``Trouble`` is what a failing fact or answer carries. ``REGISTRY`` knows, for each code, the owner, whether trying
again can help, the advice for the operator, and where the runbook or the vendor's documentation says so.
"""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from contracts.cloud_codes import CLOUD_CODES
from contracts.codes import Code, FaultOwner, row
from contracts.event import Model

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


_TABLE = "runbook: What can go wrong, and what to do"

_ROWS: Final[tuple[Code, ...]] = (
    # The runbook's failure table, row by row.
    row("create-slow", "cloud", True, "Wait up to 15 minutes; if it is still creating, cancel and retry in another location.", f"{_TABLE}, row 3"),
    row("api-not-up-yet", "us", True, "Normal for about five minutes: k3s, Cilium and Flux are still starting.", f"{_TABLE}, row 4"),
    row("cni-stuck", "us", True, "On the control plane run journalctl -u k3s -n 100 and check that k3s runs with --flannel-backend=none.", f"{_TABLE}, row 5"),
    row("certificate-rate-limited", "user", True, "Let's Encrypt allows 50 certificates a week per domain: wait; kubectl -n cert-manager describe challenge shows until when.", f"{_TABLE}, row 6"),
    row("certificate-failed", "us", True, "Look at kubectl -n cert-manager describe challenge, and check that the names resolve to the load balancer.", f"{_TABLE}, row 6"),
    row("dns-not-visible", "cloud", True, "Allow up to 30 minutes for propagation; dig NS and dig console.<fqdn> show what the world sees.", f"{_TABLE}, row 7"),
    row("url-unreachable", "us", True, "dig console.<fqdn> must give the load balancer's address; allow up to 30 minutes for propagation.", f"{_TABLE}, row 7"),
    row("mail-not-sent", "user", True, "SMTP is not set in the realm: reset the password through kcadm.sh in the keycloak pod.", f"{_TABLE}, row 8"),
    row("storageclass-missing", "us", True, "Pending PVCs and no default StorageClass: install local-path-provisioner and mark it default.", f"{_TABLE}, row 9; StorageClass missing"),
    # Its two incident sections.
    row("flux-removed", "us", False, "Flux was deleted by its own chart's rollback (version pins differ): reprovision with matching pins.", "runbook: bp-flux double-install"),
    row("flux-not-reconciling", "us", True, "No HelmRelease appeared, or a controller is away: check GitRepository, then Kustomization, then the controllers' logs, then reconcile.", "runbook: Phase 1 watch shows 0 HelmReleases"),
    # Its two silence rules.
    row("silent-stream", "us", True, "Nothing was said for 60 s: the heartbeat tells which service is alive; reload the page, nothing is lost.", "runbook: Watch the SSE event stream"),
    row("silent-apply", "cloud", True, "No progress for 5 minutes during apply: look for stuck servers in the Hetzner console; rate limits resolve by themselves.", "runbook: Watch the SSE event stream"),
    # Preflight.
    row("image-missing", "us", False, "The pinned image is gone from the cloud: upgrade Catalyst Zero."),
    row("user-data-too-large", "us", False, "What a server is told would exceed the cloud's 32 KiB: give the node door a shorter certificate chain."),
    row("ssh-key-weak", "user", False, "Make a new key (ssh-keygen -t ed25519) and send its .pub file."),
    row("kit-does-not-fit", "user", False, "The selection asks for more than the servers have: choose what the message names, or leave components out; they can be added later."),
    row("mail-undeliverable", "user", False, "No mail can reach this address: correct it. Keycloak's mails go there; the first password comes sealed to the SSH key all the same."),
    row("kit-lacks-component", "us", False, "This installation's kit has no such component any more: decommission needs none; for a new run leave it out, or bring the kit that has it."),
    row("name-in-use", "user", False, "Something else in the project has this name: rename or delete it in the Hetzner console, or use another project."),
    # The door.
    row("invalid-request", "user", False, "Correct the named fields and send the request again."),
    row("plaintext-secret", "user", False, "A secret was sent in clear and has been erased: rotate it now, then send it sealed (catalyst seal)."),
    row("message-too-large", "user", False, "A message holds at most 256 KiB: shorten the request."),
    row("fqdn-taken", "user", False, "Another owner holds this name: choose another."),
    row("run-active", "user", False, "A run for this Sovereign is under way with another body: wait for it, or cancel it first."),
    row("immutable-field", "user", False, "This is fixed for the Sovereign's life: change it in its own Git repository, or decommission first."),
    row("idempotency-conflict", "user", False, "The same idempotency key came with another body: use a new key."),
    row("credential-required", "user", False, "A secret that this needs is gone: send it again, sealed, with the command."),
    row("not-now", "user", False, "The command does not fit the Sovereign's present state; the message says which commands do."),
    row("unknown-sovereign", "user", False, "No Sovereign of this name is known to you: look at catalyst list."),
    row("not-allowed", "user", False, "Your role does not permit this: ask an administrator of your organisation."),
    row("draft-changed", "user", True, "Somebody else changed this draft meanwhile: load it again, then make your change."),
    row("unknown-draft", "user", False, "There is no such draft (drafts are forgotten some weeks after their last change): begin a new one."),
    row("stream-almost-full", "us", True, "The audit trail is 90 % full: new requests wait until the operator gives it room."),
    # Our own parts.
    row("enrol-timeout", "us", True, "The first control plane did not hand in its kubeconfig in time: look at the last boot stage, then retry."),
    row("run-deadline", "user", True, "The deadline of the request passed: retry continues from what exists."),
    row("boot-stage-failed", "us", True, "A boot stage failed on the node: its last log lines are in the event; retry replaces the node."),
    row("hand-in-refused", "us", False, "A kubeconfig came that is not this node's: nothing was taken from it; the real one still works."),
    row("fqdn-invalid", "user", False, "This is no name that a Sovereign can have: the message says what is wrong with it."),
    row("fqdn-too-long", "user", False, "The whole name has at most 63 characters: choose a shorter one."),
    row("fqdn-public-suffix", "user", False, "Others register their names below this one: bring a domain of your own."),
    row("fqdn-reserved", "user", False, "This name is reserved: choose another."),
    row("fqdn-unmanaged", "user", False, "This domain is none of the pool domains: choose one of them, or bring your own domain (byo-manual)."),
    row("fqdn-nested", "user", False, "This name lies in the zone of another Sovereign: choose another."),
    row("dns-write-failed", "us", True, "PowerDNS did not take or keep the records; it is tried again."),
    row("dns-unreachable", "us", True, "The DNS server does not answer; it is tried again."),
    row("delegation-missing", "user", True, "The parent zone does not delegate to our servers yet: paste the NS records at the registrar."),
    row("delegation-broken", "user", True, "Parent and child disagree: the message names the server and what it says."),
    row("registrar-refused", "user", False, "The registrar refused the token or the domain: check both, or use byo-manual."),
    row("registrar-token-incomplete", "user", False, "The registrar's credentials lack the named part: seal them again with every part."),
    row("registrar-unauthorized", "user", False, "The registrar does not accept these credentials: make new ones there and send the request again."),
    row("registrar-domain-missing", "user", False, "The domain is not in this registrar account: use the account that holds it, or byo-manual."),
    row("registrar-caller-refused", "user", False, "The registrar does not allow our address: put the named address on its API allow-list, then retry."),
    row("registrar-unsupported", "user", False, "This registrar cannot delegate this name by its API: use byo-manual, which says what to paste."),
    row("registrar-rate-limited", "cloud", True, "The registrar's call limit is reached: it is tried again by itself."),
    row("registrar-down", "cloud", True, "The registrar's API does not answer properly: it is tried again by itself."),
    row("plan-stale", "us", True, "The plan changed since it was approved: look at the new one and approve it."),
    row("approval-missing", "user", True, "The plan destroys or replaces something: approve it, or cancel."),
    row("state-refused", "us", False, "The state backend refused a write: report this with the run's events."),
    row("state-unknown", "user", False, "This version is not kept, or cannot be read: catalyst state versions shows those that are."),
    row("join-token-lost", "user", False, "The state that held the cluster's join token is lost, so no node can be added: restore a version that has it (catalyst state versions), or reprovision."),
    row("tofu-crashed", "us", True, "OpenTofu ended without a result: retry, the run takes inventory first."),
    row("tofu-diagnostic", "us", False, "OpenTofu reports an error this release does not know: its text is in the message."),
    row("lease-lost", "us", True, "Another worker took over this run; nothing is to be done."),
    row("release-failed", "us", True, "A component failed to install: its conditions and events say why; reconcile tries again."),
    row("source-unreachable", "us", True, "The kit's source cannot be fetched: check address, credentials and egress, then reconcile."),
    row("chart-missing", "us", False, "The chart does not exist in its repository at the pinned version: correct the kit."),
    row("image-pull-failed", "us", True, "An image cannot be pulled: check the registry and egress of the nodes."),
    row("node-lost", "cloud", True, "A node is gone or not Ready: look at it in the Hetzner console; retry replaces a lost node."),
    row("cluster-unreachable", "us", True, "The cluster's API does not answer; the watch goes on and reports when it is back."),
    row("nobody-answers", "us", True, "No replica of the service is running: start it, or look at its log."),
    row("too-slow", "us", True, "The service did not answer in time: ask again; look at its metrics if it persists."),
    # The HTTP edge.
    row("login-required", "user", False, "Log in, or send Authorization: Bearer with an API token (catalyst user token)."),
    row("login-failed", "user", False, "Name and password do not match, or the login link was used or is too old: ask for a new one."),
    row("login-refused", "user", False, "Begin the login anew from the login page; if it fails again, ask whoever keeps your organisation's accounts."),
    row("login-provider-unreachable", "us", True, "The organisation's login provider does not answer: try again in a minute; a local account logs in without it."),
    row("cross-origin", "user", False, "The call came from another site or without the page's token: open the console and do it there."),
    row("no-such-page", "user", False, "There is nothing at this address: /api/v1/openapi.json lists what there is."),
    row("method-not-allowed", "user", False, "This address knows other methods: the Allow header names them."),
    row("unreadable-body", "user", False, "The body must be one JSON object: correct it and send it again."),
    row("too-many-requests", "user", True, "Too many calls in a short time: wait as long as Retry-After says."),
    row("node-unauthorized", "us", False, "The node's token is missing or not known: its user data is not of this life; retry replaces the node."),
    row("resume-unknown", "user", False, "The resume token is of another stream or of the future: start from the beginning (from=0)."),
    row("internal", "us", True, "An error of ours: it is logged with the message's id; report it if it persists."),
    row("not-an-event", "us", False, "A message on this subject is no CloudEvent that this release can read; its publisher must be corrected."),
)  # fmt: skip

REGISTRY: Final[dict[str, Code]] = {known.code: known for known in (*_ROWS, *CLOUD_CODES)}


def trouble(code: str, *, attempted: str, on: str, message: str = "", next_step: str = "") -> Trouble:
    """A trouble of a registered code; KeyError when the code is not in the registry."""
    known = REGISTRY[code]
    return Trouble(
        code=code,
        owner=known.owner,
        retryable=known.retryable,
        attempted=attempted[:2000],
        on=on[:2000],
        next_step=next_step or known.next_step,
        message=message[:2000],
        remedy=known.remedy,
    )
