"""A request's fields, judged all at once: one list of every error, for both doors and for drafts.

Three judges look at the same body: the contract's model, the catalogue of what is offered, and whether each secret is
sealed to its one reader. Each judges what it can read, so that one wrong field never hides another. What looks like a
secret in clear is never repeated in an error.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from bus import field_errors
from bus.scan import secret_in
from contracts.errors import FieldError
from contracts.identity import Fqdn, sovereign_id
from contracts.request import SealedSecret, SovereignRequest
from intake.offers import Offers

READERS: Final = {"cloud-token": "tofu-runner", "registrar-token": "dns-pdm"}
PLAINTEXT: Final = "plaintext-secret"
_ROTATE: Final = "a secret in clear: it has been erased; rotate it now"
_SEVERAL: Final = "several regions are not supported yet: give one, as topology.region"
_REGIONS: Final = frozenset({"regions", "topology.regions"})


@dataclass(frozen=True)
class Judged:
    """A body: the request in it, when there is one, and everything that is wrong with it."""

    request: SovereignRequest | None
    errors: tuple[FieldError, ...]

    @property
    def code(self) -> str:
        """Which refusal the errors amount to; empty when there are none."""
        if not self.errors:
            return ""
        return PLAINTEXT if any(error.code == PLAINTEXT for error in self.errors) else "invalid-request"


def judge(body: Mapping[str, Any], offers: Offers) -> Judged:
    """Every error of every field."""
    request: SovereignRequest | None = None
    found: list[FieldError] = []
    try:
        request = SovereignRequest.model_validate(body)
    except ValidationError as error:
        found += (_named(item, body) for item in field_errors(error))
    found += _unknown_fields(SovereignRequest, body)
    found += offers.errors(body)
    found += _misfits(body)
    clear = tuple(_in_clear(body))
    return Judged(request, (*clear, *_without(found, clear)))


def _named(error: FieldError, body: Mapping[str, Any]) -> FieldError:
    """Give what pydantic calls by its own check the name that the field's owner would use."""
    if error.field != "topology.region" or error.code == "missing":
        return error
    if isinstance(body["topology"]["region"], list | tuple):
        return error.model_copy(update={"code": "multi-region", "message": _SEVERAL})
    return error.model_copy(update={"code": "unknown-region"})


def _without(errors: Iterable[FieldError], clear: tuple[FieldError, ...]) -> Iterator[FieldError]:
    """Errors that say nothing new of a field with a secret in it, and repeat none."""
    said = {error.field for error in clear}
    for error in errors:
        if error.field not in said and not secret_in(error.model_dump_json().encode()):
            yield error


def _in_clear(value: object, path: str = "") -> Iterator[FieldError]:
    """Where the body holds what looks like a secret. A key can be one too: then its parent is named."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if secret_in(str(key).encode()):
                yield FieldError(field=path or "the request", code=PLAINTEXT, message=_ROTATE)
            else:
                yield from _in_clear(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _in_clear(inner, f"{path}.{index}")
    elif isinstance(value, str) and secret_in(value.encode("utf-8", "replace")):
        yield FieldError(field=path, code=PLAINTEXT, message=_ROTATE)


def _unknown_fields(model: type[BaseModel], body: Mapping[str, Any], path: str = "") -> Iterator[FieldError]:
    """A misspelt field would be lost in silence: writers validate."""
    known = model.model_fields
    for key in sorted(map(str, body)):
        field = f"{path}{key}"
        if field in _REGIONS:
            yield FieldError(field=field, code="multi-region", message=_SEVERAL)
        elif key not in known:
            message = f"there is no field {key[:60]!r}; known: {', '.join(sorted(known))}"
            yield FieldError(field=field, code="unknown-field", message=message)
        else:
            inner = known[key].annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(body[key], Mapping):
                yield from _unknown_fields(inner, body[key], f"{field}.")


def _misfits(body: Mapping[str, Any]) -> Iterator[FieldError]:
    """Each secret is sealed to its one reader, for this Sovereign."""
    sovereign = _sovereign_in(body)
    secrets = body.get("secrets")
    for index, row in enumerate(secrets if isinstance(secrets, list | tuple) else ()):
        try:
            secret = SealedSecret.model_validate(row)
        except ValidationError:
            continue
        reader = READERS.get(secret.purpose)
        if reader is None:
            yield _misfit(index, "purpose", f"one of {', '.join(READERS)}")
        elif secret.reader != reader:
            yield _misfit(index, "reader", f"{secret.purpose} is read by {reader}, not {secret.reader[:40]!r}")
        if sovereign is not None and secret.bound_to != sovereign:
            yield _misfit(index, "bound_to", f"sealed for {secret.bound_to[:80]!r}, this is {sovereign!r}")


def _sovereign_in(body: Mapping[str, Any]) -> str | None:
    domain = body.get("domain")
    try:
        name: str = TypeAdapter(Fqdn).validate_python(domain.get("fqdn") if isinstance(domain, Mapping) else None)
    except ValidationError:
        return None
    return sovereign_id(name)


def _misfit(index: int, field: str, message: str) -> FieldError:
    return FieldError(field=f"secrets.{index}.{field}", code="secret-misfit", message=message)


def size_of(body: Mapping[str, Any]) -> int:
    """Bytes of the body as it would be said."""
    return len(json.dumps(body).encode())
