"""Where a run stands, read from its history: what tofu-runner still has to do for it. Pure.

The history is a fold: the last event of each kind. Of a pair of opposite facts the later by sequence holds.
"""

from contracts.event import Fact
from contracts.history import History
from contracts.node import NodeEnrolled
from contracts.sovereign import (
    SovereignApproved,
    SovereignCancelled,
    SovereignCancelRequested,
    SovereignDecommissioned,
    SovereignDecommissionRequested,
    SovereignFailed,
    SovereignRequested,
)
from contracts.tofu import (
    TofuApplied,
    TofuDestroyed,
    TofuFailed,
    TofuInterrupted,
    TofuPlanned,
    TofuStarted,
    TofuWaiting,
)

_ENDS: tuple[type[Fact], ...] = (TofuApplied, TofuFailed, TofuInterrupted, TofuDestroyed, TofuWaiting)


def _at(history: History, fact: type[Fact], run: int | None = None) -> int:
    found = history.last(fact, run=run)
    return found.sequence if found else 0


def started(history: History, run: int) -> bool:
    """Whether work of this run ever began."""
    return _at(history, TofuStarted, run) > 0


def deserted(history: History) -> bool:
    """Whether the last worker of this life never said how it ended: it died, or works still."""
    begun = _at(history, TofuStarted)
    return begun > 0 and all(_at(history, end) < begun for end in _ENDS)


def decommissioning(history: History) -> bool:
    """Whether this life is to end."""
    return _at(history, SovereignDecommissionRequested) > 0 and _at(history, SovereignDecommissioned) == 0


def stop_wanted(history: History, run: int) -> str:
    """Why work of this run has to stop: ``cancelled``, ``deadline`` or empty."""
    failed = history.data(SovereignFailed, run=run)
    if failed is not None and failed.trouble.code == "run-deadline":
        return "deadline"
    if failed is not None or _at(history, SovereignCancelRequested, run) or _at(history, SovereignCancelled, run):
        return "cancelled"
    if history.run > run or decommissioning(history):
        return "cancelled"
    return ""


def ended(history: History, run: int) -> bool:
    """Whether the outcome of this run's apply is said."""
    if _at(history, TofuApplied, run) or _at(history, TofuFailed, run) or _at(history, TofuDestroyed, run):
        return True
    interrupted = history.data(TofuInterrupted, run=run)
    return interrupted is not None and interrupted.why != "shutdown"


def parked(history: History, run: int) -> bool:
    """Whether the run let go and waits: a timer or an approval resumes it, not a repeat of what began it."""
    return _at(history, TofuWaiting, run) > _at(history, TofuStarted, run)


def to_do(history: History, run: int) -> bool:
    """Whether an apply of this run is still to be done."""
    return not ended(history, run) and not stop_wanted(history, run)


def approved_digest(history: History, run: int) -> str:
    """The digest that an operator approved in this run; empty when none."""
    approved = history.data(SovereignApproved, run=run)
    return approved.plan_digest if approved else ""


def said_digest(history: History, run: int) -> str:
    """The digest of the plan that waits for an approval."""
    planned = history.data(TofuPlanned, run=run)
    return planned.digest if planned and planned.needs_approval else ""


def touched(history: History) -> bool:
    """Whether an apply ever began in this life."""
    return _at(history, TofuStarted) > 0


def destroyed(history: History) -> bool:
    """Whether this life's resources are proved gone, and nothing began since."""
    return _at(history, TofuDestroyed) > 0


def request_of(history: History) -> SovereignRequested | None:
    """The newest request of this life."""
    return history.data(SovereignRequested)


def enrolled(history: History) -> bool:
    """Whether the first control plane of this life ever handed in its kubeconfig."""
    return _at(history, NodeEnrolled) > 0
