"""What OpenTofu says on standard output with ``-json``, line by line, read by an allow-list.

Each line is one JSON object. Only the kinds below are read, and of them only the named fields: a line may carry
attribute values, variables or outputs marked sensitive, and none of that may travel. Unknown kinds and fields are
ignored, as the format's documentation asks; another major version of the format is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

INTERFACE_MAJOR = "1"


class UnknownInterface(Exception):
    """OpenTofu speaks a major version of its line format that this release does not know."""


@dataclass(frozen=True, slots=True)
class Version:
    """The first line."""

    tofu: str
    interface: str


@dataclass(frozen=True, slots=True)
class Hook:
    """One resource moved on during an apply."""

    moment: Literal["start", "progress", "complete", "errored"]
    address: str
    resource_type: str
    action: str
    elapsed_s: float = 0.0
    cloud_id: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """One resource that the plan changes."""

    address: str
    action: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Drifted:
    """One resource that is no longer as the state has it."""

    address: str
    action: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """An error or a warning."""

    severity: str
    summary: str
    detail: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """How many resources; ``operation`` is plan, apply or destroy."""

    operation: str
    add: int
    change: int
    remove: int
    imported: int = 0


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs that are not sensitive."""

    values: Mapping[str, Any]


Line = Version | Hook | Planned | Drifted | Diagnostic | Summary | Outputs

_MOMENTS: Mapping[str, Literal["start", "progress", "complete", "errored"]] = {
    "apply_start": "start",
    "apply_progress": "progress",
    "apply_complete": "complete",
    "apply_errored": "errored",
}


def _version(line: Mapping[str, Any]) -> Version:
    interface = str(line.get("ui", ""))
    if interface.split(".", maxsplit=1)[0] != INTERFACE_MAJOR:
        raise UnknownInterface(
            f"OpenTofu speaks version {interface!r} of its line format, this release reads {INTERFACE_MAJOR}.x: "
            "use the pinned version of OpenTofu"
        )
    return Version(str(line.get("tofu", "")), interface)


def _hook(line: Mapping[str, Any]) -> Hook | None:
    hook = line.get("hook") or {}
    resource = hook.get("resource") or {}
    address = str(resource.get("addr", ""))
    if not address or address.startswith("data."):
        return None
    return Hook(
        moment=_MOMENTS[line["type"]],
        address=address,
        resource_type=str(resource.get("resource_type", "")),
        action=str(hook.get("action", "")),
        elapsed_s=float(hook.get("elapsed_seconds", 0) or 0),
        cloud_id=str(hook.get("id_value", "")) if hook.get("id_key") == "id" else "",
    )


def _change(line: Mapping[str, Any]) -> tuple[str, str, str]:
    change = line.get("change") or {}
    resource = change.get("resource") or {}
    return str(resource.get("addr", "")), str(change.get("action", "")), str(change.get("reason", "") or "")


def _planned(line: Mapping[str, Any]) -> Planned | None:
    address, action, reason = _change(line)
    return Planned(address, action, reason) if address and not address.startswith("data.") else None


def _drifted(line: Mapping[str, Any]) -> Drifted | None:
    address, action, _ = _change(line)
    return Drifted(address, action) if address else None


def _diagnostic(line: Mapping[str, Any]) -> Diagnostic:
    body = line.get("diagnostic") or {}
    return Diagnostic(
        severity=str(body.get("severity", "")),
        summary=str(body.get("summary", "")),
        detail=str(body.get("detail", "")),
        address=str(body.get("address", "")),
    )


def _summary(line: Mapping[str, Any]) -> Summary:
    counts = line.get("changes") or {}
    return Summary(
        operation=str(counts.get("operation", "")),
        add=int(counts.get("add", 0)),
        change=int(counts.get("change", 0)),
        remove=int(counts.get("remove", 0)),
        imported=int(counts.get("import", 0)),
    )


def _outputs(line: Mapping[str, Any]) -> Outputs:
    outputs: Mapping[str, Mapping[str, Any]] = line.get("outputs") or {}
    return Outputs({name: out.get("value") for name, out in outputs.items() if not out.get("sensitive", True)})


_READERS: Mapping[str, Any] = {
    "version": _version,
    "planned_change": _planned,
    "resource_drift": _drifted,
    "diagnostic": _diagnostic,
    "change_summary": _summary,
    "outputs": _outputs,
    **dict.fromkeys(_MOMENTS, _hook),
}


def line_of(raw: bytes) -> Line | None:
    """The line as one of the kinds above; None for what is not read."""
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    if not isinstance(line, dict):
        return None
    read = _READERS.get(str(line.get("type", "")))
    found: Line | None = read(line) if read else None
    return found
