"""What may pass the door: a request's fields, and whether a request or command fits where the Sovereign stands.

Pure decisions. ``read_request`` tells every wrong field at once; ``admit`` decides what an admissible request opens.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Literal

from bus import Answer
from contracts.errors import FieldError, trouble
from contracts.history import History
from contracts.request import Domain, SealedSecret, SovereignRequest
from contracts.sovereign import SovereignDecommissionRequested, SovereignRequested
from contracts.topology import MAX_EVENT_BYTES
from intake.life import next_life, standing
from intake.offers import Offers
from intake.reading import READERS, judge, size_of

Kind = Literal["new", "change", "retry"]

_IMMUTABLE = ("domain", "components")


@dataclass(frozen=True)
class Opening:
    """An admissible request: the run that it opens."""

    kind: Kind
    life: int
    run: int


@dataclass(frozen=True)
class Existing:
    """The same request was accepted before: the run that it opened."""

    asked: SovereignRequested
    event_id: Any
    life: int
    run: int


def read_request(body: Mapping[str, Any], offers: Offers) -> SovereignRequest:
    """The request in a body; Answer with every field error at once when it is none."""
    if (size := size_of(body)) > MAX_EVENT_BYTES:
        raise _refused("message-too-large", (), message=f"{size} bytes, at most {MAX_EVENT_BYTES}")
    judged = judge(body, offers)
    if judged.request is None or judged.errors:
        raise _refused(judged.code, judged.errors)
    return judged.request


def ssh_networks(networks: tuple[str, ...], cidr: str, *, opened: bool) -> tuple[str, ...]:
    """Who may reach the nodes by SSH once one network more may, or no longer; the same network in any notation."""
    wanted = str(ip_network(cidr, strict=False))
    others = tuple(known for known in networks if str(ip_network(known, strict=False)) != wanted)
    if not opened:
        return others
    return networks if len(others) < len(networks) else (*networks, wanted)


def body_digest(request: SovereignRequest) -> str:
    """SHA-256 of the request without secrets, key and comment: tells a repeat from another body."""
    kept = request.model_dump(mode="json", exclude={"secrets", "idempotency_key", "comment"})
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def admit(request: SovereignRequest, history: History, *, owner: str, known_email: str | None) -> Opening | Existing:
    """What an admissible request opens; Answer says why it cannot open anything now."""
    fqdn = request.domain.fqdn
    digest = body_digest(request)
    if not history.alive:
        if next_life(history) is not None:
            raise _refused("not-now", (), on=fqdn, message="it is being reprovisioned; its next life is about to begin")
        need_secrets(request.domain, request.secrets)
        return Opening("new", history.life + 1, history.run + 1)
    asked = history.last(SovereignRequested)
    if asked is None or asked.event.owner != owner:
        raise _refused("fqdn-taken", (), on=fqdn)
    if history.last(SovereignDecommissionRequested):
        raise _refused("not-now", (), on=fqdn, message="it is being decommissioned; wait for sovereign.decommissioned")
    before: SovereignRequested = asked.event.data
    where = standing(history)
    if where.active:
        if before.body_digest == digest:
            return Existing(before, asked.event.id, asked.event.life, asked.event.run)
        raise _refused("run-active", (), on=fqdn, message=f"run {where.run} is under way")
    if errors := _immutable(request, before, known_email):
        raise _refused("immutable-field", errors, on=fqdn)
    if where.stage == "handed-over":
        need_secrets(request.domain, request.secrets)
    same = before.body_digest == digest
    kind: Kind = "retry" if same and where.stage in {"failed", "cancelled"} else "change"
    return Opening(kind, where.life, where.run + 1)


def need_room(used_share: float, full_share: float, *, fqdn: str) -> None:
    """Nothing new begins on an audit trail that is almost full, so that what runs can end."""
    if used_share >= full_share:
        message = f"the audit trail is {used_share:.0%} full; from {full_share:.0%} on no run is opened"
        raise _refused("stream-almost-full", (), on=fqdn, message=message)


def need_secrets(domain: Domain, secrets: tuple[SealedSecret, ...]) -> None:
    """What a life cannot begin without, or go on without after hand-off."""
    have = {secret.purpose for secret in secrets}
    wanted = {"cloud-token"} | ({"registrar-token"} if domain.mode == "byo-api" else set())
    missing = sorted(wanted - have)
    if missing:
        errors = [
            FieldError(
                field="secrets", code="credential-required", message=f"{name}, sealed to {READERS[name]}, is missing"
            )
            for name in missing
        ]
        raise _refused("credential-required", tuple(errors), on=domain.fqdn)


def _immutable(
    request: SovereignRequest, before: SovereignRequested, known_email: str | None
) -> tuple[FieldError, ...]:
    errors = []
    for name in _IMMUTABLE:
        if getattr(request, name) != getattr(before.shape, name):
            message = "fixed for the Sovereign's life; change it in the Sovereign's own Git repository"
            errors.append(FieldError(field=name, code="immutable-field", message=message))
    if known_email is not None and request.admin_email != known_email:
        message = "fixed for the Sovereign's life; change it in Keycloak's catalyst-admin realm"
        errors.append(FieldError(field="admin_email", code="immutable-field", message=message))
    return tuple(errors)


def _refused(code: str, errors: tuple[FieldError, ...], *, on: str = "the request", message: str = "") -> Answer:
    if not message and errors:
        message = "; ".join(f"{error.field}: {error.message}" for error in errors)
    return Answer(trouble(code, attempted="accept the request", on=on, message=message), errors)
