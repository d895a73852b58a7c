"""Every way the API refuses, as one exception; the status follows from the code as in the official document."""

from collections.abc import Sequence
from typing import Any, Final

STATUS: Final[dict[str, int]] = {
    "json_error": 400,
    "unauthorized": 401,
    "token_readonly": 401,
    "forbidden": 403,
    "maintenance": 403,
    "resource_limit_exceeded": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "uniqueness_error": 409,
    "conflict": 409,
    "deprecated_api_endpoint": 410,
    "resource_unavailable": 412,
    "primary_ip_version_mismatch": 412,
    "source_port_already_used": 412,
    "locked": 423,
    "protected": 423,
    "rate_limit_exceeded": 429,
    "server_error": 500,
    "bad_gateway": 502,
    "unavailable": 503,
    "timeout": 504,
}
"""Status of each code; an operation's own code that is not listed is a 422."""


class ApiError(Exception):
    """A refusal in the API's own words."""

    def __init__(
        self, code: str, message: str, details: dict[str, Any] | None = None, *, status: int | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details
        self.status = status or STATUS.get(code, 422)

    def envelope(self) -> dict[str, Any]:
        """The body of the answer."""
        return {"error": {"code": self.code, "message": self.message, "details": self.details}}


def invalid(field: str, message: str) -> ApiError:
    """One field does not pass."""
    return invalid_fields([(field, message)])


def invalid_fields(problems: Sequence[tuple[str, str]]) -> ApiError:
    """Several fields do not pass; the message names the first, as the real API does."""
    by_name: dict[str, list[str]] = {}
    for name, message in problems:
        by_name.setdefault(name, []).append(message)
    name, message = problems[0]
    return ApiError(
        "invalid_input",
        f"invalid input in field '{name}': {message}",
        {"fields": [{"name": n, "messages": m} for n, m in by_name.items()]},
    )


def not_unique(field: str, message: str) -> ApiError:
    """Another object of the project has this value already."""
    return ApiError("uniqueness_error", message, {"fields": [{"name": field}]})


def not_found(what: str) -> ApiError:
    """No such object in this project."""
    return ApiError("not_found", f"{what} not found")


def limit_exceeded(limit: str) -> ApiError:
    """The project's quota is used up."""
    return ApiError("resource_limit_exceeded", f"{limit.replace('_', ' ')} exceeded", {"limits": [{"name": limit}]})
