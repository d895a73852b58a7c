"""Certificates: uploaded ones are read for what they say, managed ones are issued (to nobody) by an action."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from sandbox.hetzner.actions import Finish, rendered
from sandbox.hetzner.calls import Answer, Call, Routes
from sandbox.hetzner.errors import ApiError, invalid
from sandbox.hetzner.listing import named_routes
from sandbox.hetzner.state import Project, Record, shown

_TIME = "%Y-%m-%dT%H:%M:%SZ"


def render(call: Call, record: Record) -> Record:
    """A certificate with the load balancers that use it."""
    users = [
        {"id": balancer["id"], "type": "load_balancer"}
        for balancer in call.project.tables["load_balancers"].values()
        if any(record["id"] in s.get("http", {}).get("certificates", ()) for s in balancer["services"])
    ]
    return {**shown(record), "used_by": users}


def _read(pem: str) -> Record:
    try:
        parsed = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise invalid("certificate", "is not a valid PEM certificate") from None
    try:
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        domains = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        domains = []
    digest = parsed.fingerprint(hashes.SHA256()).hex()
    return {
        "certificate": pem,
        "domain_names": domains,
        "fingerprint": ":".join(digest[i : i + 2] for i in range(0, len(digest), 2)),
        "not_valid_before": parsed.not_valid_before_utc.strftime(_TIME),
        "not_valid_after": parsed.not_valid_after_utc.strftime(_TIME),
        "status": None,
    }


def _unissued(domains: list[str]) -> Record:
    return {
        "certificate": None,
        "domain_names": domains,
        "fingerprint": None,
        "not_valid_before": None,
        "not_valid_after": None,
        "status": {"issuance": "pending", "renewal": "unavailable", "error": None},
    }


def _created(call: Call) -> Answer:
    body = call.body()
    name, labels = body.text("name", longest=255), body.labels()
    kind = body.maybe_text("type", one_of=("uploaded", "managed")) or "uploaded"
    domains = body.texts("domain_names")
    pem = body.text("certificate") if kind == "uploaded" else ""
    if kind == "uploaded":
        body.text("private_key")
    if kind == "managed" and not domains:
        body.problem("domain_names", "Missing data for required field.")
    body.check()
    call.project.ensure_free_name("certificates", name)
    call.project.ensure_room("certificates")
    known = _read(pem) if kind == "uploaded" else _unissued(domains)
    record = call.project.add("certificates", {"name": name, "labels": labels or {}, "type": kind, **known})
    if kind == "uploaded":
        return Answer(201, {"certificate": render(call, record), "action": None})
    action = call.actions.begin(
        call.project, "create_certificate", ("certificates", record), finish="issue_certificate"
    )
    return Answer(201, {"certificate": render(call, record), "action": rendered(action)})


def _finish_issue(project: Project, action: Record) -> None:
    record = project.tables["certificates"].get(action["resources"][0]["id"])
    if record is not None:
        begun = datetime.now(UTC)
        record["certificate"] = "-----BEGIN CERTIFICATE-----\nsimulated\n-----END CERTIFICATE-----"
        record["fingerprint"] = ":".join(["00"] * 32)
        record["not_valid_before"] = begun.strftime(_TIME)
        record["not_valid_after"] = (begun + timedelta(days=90)).strftime(_TIME)
        record["status"] = {"issuance": "completed", "renewal": "scheduled", "error": None}
        project.touch("certificates", record)


def _deleted(call: Call) -> Answer:
    record = call.record("certificates")
    if render(call, record)["used_by"]:
        raise ApiError("resource_in_use", "certificate is still in use by a load balancer")
    call.project.drop("certificates", record)
    return Answer(204)


def _retry(call: Call) -> Answer:
    record = call.record("certificates")
    if record["type"] != "managed" or record["status"]["issuance"] == "completed":
        raise ApiError("unsupported_error", "nothing to retry for this certificate")
    return call.acting("issue_certificate", ("certificates", record), finish="issue_certificate")


ROUTES: Routes = {
    **named_routes("certificates", render, filters=("type",)),
    ("POST", "/certificates"): _created,
    ("DELETE", "/certificates/{id}"): _deleted,
    ("POST", "/certificates/{id}/actions/retry"): _retry,
}
FINISHES: dict[str, Finish] = {"issue_certificate": _finish_issue}
