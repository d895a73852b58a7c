"""Refusals in the API server's own words: a Status object and its HTTP code, as clients classify them."""

from __future__ import annotations

from sandbox.cluster.objects import Json, Kind


class ApiProblem(Exception):
    """A request that the API refuses."""

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> Json:
        """The Status object that is the answer's body."""
        body: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            body["details"] = self.details
        return body


def unauthorized() -> ApiProblem:
    """No token, or one that is no longer good."""
    return ApiProblem(401, "Unauthorized", "Unauthorized")


def forbidden(user: str, verb: str, kind: Kind, namespace: str, name: str) -> ApiProblem:
    """A token that is good, for something else."""
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    subject = f'{kind.resource} "{name}"' if name else kind.resource
    return ApiProblem(
        403,
        "Forbidden",
        f'{subject} is forbidden: User "{user}" cannot {verb} resource "{kind.plural}" in API group '
        f'"{kind.group}" {scope}',
        {"name": name, "group": kind.group, "kind": kind.plural},
    )


def not_found(kind: Kind, name: str) -> ApiProblem:
    """No such object."""
    return ApiProblem(
        404,
        "NotFound",
        f'{kind.resource} "{name}" not found',
        {"name": name, "group": kind.group, "kind": kind.plural},
    )


def no_such_path() -> ApiProblem:
    """No such resource: also what a group answers whose CRD is not there yet."""
    return ApiProblem(404, "NotFound", "the server could not find the requested resource")


def already_exists(kind: Kind, name: str) -> ApiProblem:
    """The name is taken."""
    return ApiProblem(
        409,
        "AlreadyExists",
        f'{kind.resource} "{name}" already exists',
        {"name": name, "group": kind.group, "kind": kind.plural},
    )


def conflict(kind: Kind, name: str) -> ApiProblem:
    """A write that was based on an older version."""
    return ApiProblem(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {kind.resource} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again",
        {"name": name, "group": kind.group, "kind": kind.plural},
    )


def expired(message: str) -> ApiProblem:
    """History that has been compacted away."""
    return ApiProblem(410, "Expired", message)


def bad_request(message: str) -> ApiProblem:
    """A request that makes no sense."""
    return ApiProblem(400, "BadRequest", message)


def method_not_allowed() -> ApiProblem:
    """A verb that this resource does not have."""
    return ApiProblem(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def version_too_large(wanted: int, current: int) -> ApiProblem:
    """A version that this server has not reached."""
    return ApiProblem(
        504,
        "Timeout",
        f"Too large resource version: {wanted}, current: {current}",
        {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
    )
