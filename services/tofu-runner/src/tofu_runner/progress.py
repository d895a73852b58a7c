"""How far an apply is: hook lines in, ``tofu.progressed`` out.

``done`` counts resources that finished, whatever became of them; ``total`` is what the plan changes. A resource that is
replaced finishes twice, once deleted and once created, so it counts as two in both.
"""

from collections.abc import Mapping
from typing import Literal

from contracts.tofu import TofuProgressed
from tofu_runner.lines import Hook
from tofu_runner.stateversions import KEPT_TYPE

State = Literal["creating", "created", "updating", "updated", "deleting", "deleted", "failed", "working"]

_STATES: Mapping[tuple[str, str], State] = {
    ("start", "create"): "creating",
    ("complete", "create"): "created",
    ("start", "update"): "updating",
    ("complete", "update"): "updated",
    ("start", "delete"): "deleting",
    ("complete", "delete"): "deleted",
}


class Tally:
    """Counts what finished in one run of OpenTofu."""

    def __init__(self, total: int, fencing_token: int) -> None:
        self.total = total
        self.done = 0
        self._ids: dict[str, str] = {}
        self._fencing_token = fencing_token

    def fact(self, hook: Hook) -> TofuProgressed | None:
        """What this line means to people; None for steps that change nothing, such as reading."""
        state = self._state(hook)
        if state is None:
            return None
        if hook.cloud_id:
            self._ids[hook.address] = hook.cloud_id
        if hook.moment in {"complete", "errored"}:
            self.done += 1
        return TofuProgressed(
            address=hook.address,
            resource_type=hook.resource_type,
            state=state,
            elapsed_s=hook.elapsed_s,
            done=self.done,
            total=max(self.total, self.done),
            cloud_id=hook.cloud_id or self._ids.get(hook.address, ""),
            fencing_token=self._fencing_token,
        )

    def seen_gone(self, address: str, kind: str, cloud_id: str) -> TofuProgressed:
        """What somebody else than OpenTofu saw gone."""
        self.done += 1
        return TofuProgressed(
            address=address,
            resource_type=kind,
            state="deleted",
            done=self.done,
            total=max(self.total, self.done),
            cloud_id=cloud_id,
            fencing_token=self._fencing_token,
        )

    @staticmethod
    def _state(hook: Hook) -> State | None:
        if hook.action not in {"create", "update", "delete"} or hook.resource_type == KEPT_TYPE:
            return None
        if hook.moment == "errored":
            return "failed"
        if hook.moment == "progress":
            return "working"
        return _STATES[(hook.moment, hook.action)]
