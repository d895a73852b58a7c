"""What a failure of OpenTofu or the cloud means: diagnostics in, troubles with an owner out.

The cloud's error *code* decides, never its status or wording: the SDK puts it in brackets behind the message
(``server limit exceeded (resource_limit_exceeded, 1f3a...)``) or on a line of its own (``Error code: ...``). A code
that the registry does not know is told as unknown, with its own text, masked.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from contracts.errors import REGISTRY, Trouble, trouble
from tofu_runner.lines import Diagnostic
from tofu_runner.masking import masked

_BRACKETED = re.compile(r"\(([a-z][a-z0-9_-]{2,63})(?:, [^()]{1,80})?\)")
_LABELLED = re.compile(r"^Error code: ([a-z][a-z0-9_-]{2,63})\s*$", re.MULTILINE)

_OURS: Mapping[str, str] = {"lease_lost": "lease-lost", "throttled": "rate_limit_exceeded"}
"""What our own pass-through says in the cloud's place, by the name that the registry has for it."""

WAITS_FOR_CAPACITY = frozenset({"resource_unavailable", "placement_error"})
WAITS_FOR_BUDGET = frozenset({"rate_limit_exceeded"})
_BUSY = frozenset(
    {
        "conflict", "locked", "maintenance", "unavailable", "timeout", "bad_gateway", "server_error", "service_error",
        "unknown_error", "robot_unavailable", "resource_in_use", "tofu-crashed",
    }
)  # fmt: skip
_ALREADY_OR_NOT_YET = frozenset(
    {
        "uniqueness_error", "not_found", "server_already_attached", "server_already_added",
        "already_in_placement_group",
        "load_balancer_already_attached", "target_already_defined", "source_port_already_used",
        "firewall_already_applied", "firewall_already_removed", "firewall_resource_not_found", "ip_not_available",
        "no_subnet_available", "server_not_attached_to_network", "load_balancer_not_attached_to_network",
        "resolve_cloud_private_targets_error", "must_be_unassigned",
    }
)  # fmt: skip
"""A former worker, or a call whose answer was lost, has done it, or is about to."""
TRANSIENT = _BUSY | _ALREADY_OR_NOT_YET
"""Worth another try in the same run, after an inventory, a bounded number of times."""

_ECHOES = ("execution halted", "operation halted", "execution cancelled", "apply not complete")


def code_of(text: str) -> str:
    """The cloud's error code in a message; empty when there is none."""
    labelled = _LABELLED.search(text)
    if labelled:
        return labelled.group(1)
    bracketed: list[str] = _BRACKETED.findall(text)
    known = [code for code in bracketed if code in REGISTRY or code in _OURS]
    if known:
        return known[-1]
    likely = [code for code in bracketed if "_" in code]
    return likely[-1] if likely else ""


def trouble_of(code: str, text: str, *, attempted: str, on: str, secrets: Collection[str] = ()) -> Trouble:
    """A trouble of a code as the cloud says it, known or not."""
    known = _OURS.get(code, code)
    message = masked(text.strip(), secrets)
    if known in REGISTRY:
        return trouble(known, attempted=attempted, on=on, message=message)
    if code:
        message = f"unknown to this release, code {code}: {message}"
    return trouble("tofu-diagnostic", attempted=attempted, on=on, message=message)


def troubles_of(
    diagnostics: Iterable[Diagnostic], *, attempted: str, secrets: Collection[str] = ()
) -> tuple[Trouble, ...]:
    """Every error among the diagnostics, most telling first, each once."""
    found: dict[tuple[str, str], Trouble] = {}
    for diagnostic in diagnostics:
        if diagnostic.severity != "error" or diagnostic.summary.lower().startswith(_ECHOES):
            continue
        text = f"{diagnostic.summary}\n{diagnostic.detail}".strip()
        on = diagnostic.address or "the configuration"
        told = trouble_of(code_of(text), text, attempted=attempted, on=on, secrets=secrets)
        found.setdefault((told.code, told.on), told)
    return tuple(sorted(found.values(), key=_weight))


def _weight(told: Trouble) -> int:
    """What somebody has to act on comes before what passes, and the unknown last."""
    if told.code == "tofu-diagnostic":
        return 3
    return 2 if told.retryable else 1


def crashed(
    exit_code: int | None, *, attempted: str, tail: Sequence[str] = (), secrets: Collection[str] = ()
) -> Trouble:
    """OpenTofu ended without saying why."""
    message = masked("\n".join((f"exit code {exit_code}", *tail)), secrets)
    return trouble("tofu-crashed", attempted=attempted, on="OpenTofu", message=message)
