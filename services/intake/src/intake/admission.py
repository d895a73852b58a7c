"""What may pass the door: a request's fields, and whether a request or command fits where the Sovereign stands.

Pure decisions. ``read_request`` tells every wrong field at once; ``admit`` decides what an admissible request opens.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from bus import Answer, field_errors
from bus.scan import secret_in
from contracts.errors import FieldError, trouble
from contracts.history import History
from contracts.identity import sovereign_id
from contracts.request import SovereignRequest
from contracts.sovereign import SovereignDecommissionRequested, SovereignRequested
from contracts.topology import MAX_EVENT_BYTES
from intake.life import standing
from intake.offers import Offers

Kind = Literal["new", "change", "retry"]

_READERS = {"cloud-token": "tofu-runner", "registrar-token": "dns-pdm"}
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
    raw = json.dumps(body).encode()
    if len(raw) > MAX_EVENT_BYTES:
        raise _refused("message-too-large", (), message=f"{len(raw)} bytes, at most {MAX_EVENT_BYTES}")
    if kind := secret_in(raw):
        raise _refused("plaintext-secret", _where_secret(body), message=f"the request holds what looks like {kind}")
    try:
        request = SovereignRequest.model_validate(body)
    except ValidationError as error:
        found = field_errors(error)
        code = "plaintext-secret" if any(item.code == "plaintext-secret" for item in found) else "invalid-request"
        raise _refused(code, (*found, *_unknown_fields(body))) from None
    errors = (*_unknown_fields(body), *offers.errors(request), *_secret_errors(request))
    if errors:
        raise _refused("invalid-request", errors)
    return request


def _where_secret(body: Mapping[str, Any]) -> tuple[FieldError, ...]:
    found = [
        FieldError(field=key, code="plaintext-secret", message="a secret in clear; erased, rotate it")
        for key, value in body.items()
        if secret_in(json.dumps(value).encode())
    ]
    return tuple(found)


def _unknown_fields(body: Mapping[str, Any]) -> tuple[FieldError, ...]:
    """A misspelt field would be lost in silence: writers validate."""
    known = set(SovereignRequest.model_fields)
    return tuple(
        FieldError(
            field=key, code="unknown-field", message=f"there is no field {key!r}; known: {', '.join(sorted(known))}"
        )
        for key in sorted(set(body) - known)
    )


def _secret_errors(request: SovereignRequest) -> tuple[FieldError, ...]:
    """Each secret is sealed to its one reader, for this Sovereign."""
    sovereign = sovereign_id(request.domain.fqdn)
    errors = []
    for index, secret in enumerate(request.secrets):
        reader = _READERS.get(secret.purpose)
        if reader is None:
            errors.append(_secret_error(index, "purpose", f"one of {', '.join(_READERS)}, not {secret.purpose!r}"))
        elif secret.reader != reader:
            errors.append(_secret_error(index, "reader", f"{secret.purpose} is read by {reader}, not {secret.reader}"))
        if secret.bound_to != sovereign:
            errors.append(_secret_error(index, "bound_to", f"sealed for {secret.bound_to!r}, this is {sovereign!r}"))
    return tuple(errors)


def _secret_error(index: int, field: str, message: str) -> FieldError:
    return FieldError(field=f"secrets.{index}.{field}", code="secret-misfit", message=message)


def body_digest(request: SovereignRequest) -> str:
    """SHA-256 of the request without secrets, key and comment: tells a repeat from another body."""
    kept = request.model_dump(mode="json", exclude={"secrets", "idempotency_key", "comment"})
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def admit(request: SovereignRequest, history: History, *, owner: str, known_email: str | None) -> Opening | Existing:
    """What an admissible request opens; Answer says why it cannot open anything now."""
    fqdn = request.domain.fqdn
    digest = body_digest(request)
    if not history.alive:
        _need_secrets(request)
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
        _need_secrets(request)
    same = before.body_digest == digest
    kind: Kind = "retry" if same and where.stage in {"failed", "cancelled"} else "change"
    return Opening(kind, where.life, where.run + 1)


def need_room(used_share: float, full_share: float, *, fqdn: str) -> None:
    """Nothing new begins on an audit trail that is almost full, so that what runs can end."""
    if used_share >= full_share:
        message = f"the audit trail is {used_share:.0%} full; from {full_share:.0%} on no run is opened"
        raise _refused("stream-almost-full", (), on=fqdn, message=message)


def _need_secrets(request: SovereignRequest) -> None:
    have = {secret.purpose for secret in request.secrets}
    wanted = {"cloud-token"} | ({"registrar-token"} if request.domain.mode == "byo-api" else set())
    missing = sorted(wanted - have)
    if missing:
        errors = [
            FieldError(
                field="secrets", code="credential-required", message=f"{name}, sealed to {_READERS[name]}, is missing"
            )
            for name in missing
        ]
        raise _refused("credential-required", tuple(errors), on=request.domain.fqdn)


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
