"""The official OpenAPI document as a witness: it looks at every answer of the simulated API and keeps complaints."""

import json
import os
import pathlib
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from openapi_core.templating.paths.exceptions import OperationNotFound, PathNotFound

from .overlay import present_day

_ENVELOPE_ONLY = {401, 404, 405, 410}
"""Answers for paths and methods that the document does not have at all."""


def load() -> OpenAPI:
    """The document that CATALYST_HETZNER_SPEC names, brought to the present day."""
    place = os.environ.get("CATALYST_HETZNER_SPEC")
    if not place:
        message = (
            "CATALYST_HETZNER_SPEC is not set: it names specs/cloud.spec.json of @mguttmann/hetzner-cloud-mcp 0.1.1"
        )
        raise RuntimeError(message)
    return OpenAPI.from_dict(present_day(json.loads(pathlib.Path(place).read_text())))


@dataclass
class _Seen:
    """Request and answer in the form that openapi-core asks for."""

    request: web.Request
    response: web.Response
    host_url: str = ""
    parameters: RequestParameters = field(default_factory=RequestParameters)

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def method(self) -> str:
        return self.request.method.lower()

    @property
    def content_type(self) -> str:
        return "application/json"

    @property
    def body(self) -> bytes | None:
        return None

    @property
    def data(self) -> bytes | None:
        body = self.response.body
        return body if isinstance(body, bytes) else None

    @property
    def status_code(self) -> int:
        return self.response.status

    @property
    def headers(self) -> dict[str, Any]:
        return dict(self.response.headers)


class Witness:
    """Holds each answer against the document."""

    def __init__(self, document: OpenAPI) -> None:
        self._document = document
        self.complaints: list[str] = []
        self.looked_at = 0

    def look(self, request: web.Request, response: web.Response) -> None:
        self.looked_at += 1
        seen = _Seen(request, response)
        try:
            self._document.validate_response(seen, seen)
        except (PathNotFound, OperationNotFound):
            if response.status not in _ENVELOPE_ONLY:
                self._complain(seen, "the document has no such operation")
        except OpenAPIError as error:
            details = getattr(error.__cause__ or error, "schema_errors", None) or [error.__cause__ or error]
            self._complain(seen, "; ".join(f"{getattr(e, 'json_path', '')} {str(e)[:300]}" for e in details))

    def _complain(self, seen: _Seen, why: str) -> None:
        self.complaints.append(f"{seen.request.method} {seen.path} -> {seen.status_code}: {why}")
