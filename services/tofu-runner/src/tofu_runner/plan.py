"""What a plan means: counts, changes, its digest, and whether somebody has to approve it.

The plan comes as the JSON of ``tofu show -json``, which holds every value, secrets too; this module takes from it
addresses, actions and reasons, and a digest of the rest. Values marked sensitive do not enter the digest, nor does
what the provider knows only after the apply, so that the same change of the same Sovereign has the same digest
whenever it is planned.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from contracts.request import Shape
from contracts.tofu import PlannedChange
from tofu_runner.stateversions import JOIN_TOKEN, KEPT_TYPE

Action = Literal["create", "update", "replace", "delete", "import"]

_MAX_CHANGES_TOLD = 200
"""An event holds at most 256 KiB; a plan of three control planes and fifty workers has about 70 changes."""

_POINTER = "hcloud_load_balancer_target"
_SERVICE = "hcloud_load_balancer_service"

HALF_MADE = frozenset({"replace_because_tainted"})
"""Reasons to replace a resource that never was finished: nothing of value is lost, so nobody is asked."""

_CALLS: Mapping[str, int] = {
    "hcloud_server": 9,
    "hcloud_load_balancer": 4,
    "hcloud_load_balancer_network": 4,
    "hcloud_load_balancer_target": 4,
    "hcloud_load_balancer_service": 3,
    "hcloud_network_subnet": 3,
}
"""About how many calls one creation takes, with a look or two at its action; two for what is not listed."""
_CALLS_OTHERWISE = 2
_CALLS_TO_LOOK = 30
"""Refresh, images, inventory and the token's probe."""


@dataclass(frozen=True)
class Change:
    """One resource that the plan changes."""

    address: str
    resource_type: str
    action: Action
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    """A plan, without a single value of it."""

    changes: tuple[Change, ...]
    digest: str
    gone: frozenset[str]
    """Addresses that leave the state with nothing of the cloud: the refresh missed them, or they are values."""
    can_join: bool = True
    """Whether a server that is made can be told the cluster's join token."""

    def count(self, *actions: Action) -> int:
        """How many changes are of these kinds."""
        return sum(change.action in actions for change in self.changes)

    @property
    def add(self) -> int:
        """Resources made, the second half of replacements among them."""
        return self.count("create", "replace")

    @property
    def destroy(self) -> int:
        """Resources destroyed, the first half of replacements among them."""
        return self.count("delete", "replace")

    @property
    def removals(self) -> frozenset[str]:
        """Addresses that may leave the state when this plan is applied."""
        return self.gone | {change.address for change in self.changes if change.action in {"delete", "replace"}}

    def servers_made(self) -> tuple[str, ...]:
        """Addresses of the servers that would be made."""
        made = (c for c in self.changes if c.resource_type == "hcloud_server" and c.action in {"create", "replace"})
        return tuple(change.address for change in made)

    def told(self) -> tuple[PlannedChange, ...]:
        """The changes as the event tells them."""
        return tuple(
            PlannedChange(address=change.address, action=change.action, reason=change.reason)
            for change in self.changes[:_MAX_CHANGES_TOLD]
        )

    def call_budget(self) -> int:
        """Cloud calls that this plan will take, about."""
        return _CALLS_TO_LOOK + sum(_CALLS.get(change.resource_type, _CALLS_OTHERWISE) for change in self.changes)


def calls_for(shape: Shape) -> int:
    """Cloud calls that the whole of a shape will take, about; before there is a plan."""
    planes, workers = shape.topology.control_plane_count, shape.topology.worker_count
    parts = {"hcloud_server": planes + workers, "hcloud_load_balancer_target": planes, _SERVICE: 3, "others": 4}
    once = ("hcloud_load_balancer", "hcloud_load_balancer_network", "hcloud_network_subnet")
    counts = {**parts, **dict.fromkeys(once, 1)}
    return _CALLS_TO_LOOK + sum(_CALLS.get(kind, _CALLS_OTHERWISE) * count for kind, count in counts.items())


def _action(actions: Sequence[str], *, importing: bool) -> Action | None:
    kinds = set(actions)
    if kinds == {"create", "delete"}:
        return "replace"
    if kinds == {"create"}:
        return "create"
    if kinds == {"update"}:
        return "update"
    if kinds == {"delete"}:
        return "delete"
    return "import" if importing else None


def _open_values(value: Any, sensitive: Any, unknown: Any) -> Any:
    """A value without what is sensitive or not known yet; both masks mirror the value's shape."""
    if sensitive is True or unknown is True:
        return None
    if isinstance(value, dict):
        return {key: _open_values(inner, _under(sensitive, key), _under(unknown, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_open_values(inner, _at(sensitive, i), _at(unknown, i)) for i, inner in enumerate(value)]
    return value


def _under(mask: Any, key: str) -> Any:
    return mask.get(key, False) if isinstance(mask, dict) else False


def _at(mask: Any, index: int) -> Any:
    return mask[index] if isinstance(mask, list) and index < len(mask) else False


def plan_of(shown: Mapping[str, Any]) -> Plan:
    """The plan that ``tofu show -json`` printed."""
    changes: list[Change] = []
    normal: list[Any] = []
    values_gone: set[str] = set()
    can_join = False
    for resource in shown.get("resource_changes", ()):
        if resource.get("mode") != "managed":
            continue
        change, address = resource.get("change", {}), str(resource["address"])
        if address == JOIN_TOKEN:
            can_join = bool((change.get("after") or {}).get("input"))
        action = _action(change.get("actions", ()), importing="importing" in change)
        if resource.get("type") == KEPT_TYPE:
            values_gone |= {address} if action in {"delete", "replace"} else set()
            continue
        if action is None:
            continue
        changes.append(Change(address, str(resource.get("type", "")), action, str(resource.get("action_reason", ""))))
        after = _open_values(change.get("after"), change.get("after_sensitive"), change.get("after_unknown"))
        normal.append([address, action, sorted(map(json.dumps, change.get("replace_paths", ()))), after])
    normal.sort(key=lambda row: row[0])
    changes.sort(key=lambda change: change.address)
    digest = hashlib.sha256(json.dumps(normal, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    gone = frozenset(
        str(drift["address"])
        for drift in shown.get("resource_drift", ())
        if list(drift.get("change", {}).get("actions", ())) == ["delete"]
    )
    return Plan(tuple(changes), digest, gone | values_gone, can_join=can_join)


def reasons_to_ask(plan: Plan, *, always: bool = False, replaceable: Iterable[str] = ()) -> tuple[str, ...]:
    """Why somebody has to approve this plan; empty when nobody has to.

    ``replaceable`` are addresses of nodes that failed to boot and never enrolled: replacing them loses nothing.
    """
    spared = {*replaceable, *(change.address for change in plan.changes if change.reason in HALF_MADE)}
    # Where a load balancer points goes with the server that it points to, and is nothing of its own.
    servers = {address.partition("[")[2] for address in spared if address.startswith("hcloud_server.")}
    spared |= {
        change.address
        for change in plan.changes
        if change.resource_type == _POINTER and change.address.partition("[")[2] in servers
    }
    reasons = []
    for change in plan.changes:
        if change.action == "delete":
            reasons.append(f"{change.address} would be destroyed")
        elif change.action == "replace" and change.address not in spared:
            why = f" ({change.reason.replace('_', ' ')})" if change.reason else ""
            reasons.append(f"{change.address} would be destroyed and made anew{why}")
    if not reasons and always and plan.changes:
        reasons.append("the request asks for an approval of every plan")
    return tuple(reasons[:_MAX_CHANGES_TOLD])
