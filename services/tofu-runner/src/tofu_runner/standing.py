"""Where a run stands, read from its history: what tofu-runner still has to do for it. Pure.

The history is a fold: the last event of each kind. Of a pair of opposite facts the later by sequence holds.
"""

from contracts.event import Fact
from contracts.history import History
from contracts.node import NodeEnrolled, NodeReported
from contracts.sovereign import (
    SovereignApproved,
    SovereignCancelled,
    SovereignCancelRequested,
    SovereignDecommissioned,
    SovereignDecommissionRequested,
    SovereignFailed,
    SovereignHandedOver,
    SovereignRequested,
)
from contracts.tofu import (
    TofuApplied,
    TofuDestroyed,
    TofuFailed,
    TofuInterrupted,
    TofuProgressed,
    TofuStarted,
    TofuWaiting,
)


def _at(history: History, fact: type[Fact], run: int | None = None) -> int:
    found = history.last(fact, run=run)
    return found.sequence if found else 0


def started(history: History, run: int) -> bool:
    """Whether work of this run ever began."""
    return _at(history, TofuStarted, run) > 0


def decommissioning(history: History) -> bool:
    """Whether this life is to end."""
    return _at(history, SovereignDecommissionRequested) > 0 and _at(history, SovereignDecommissioned) == 0


def needed_again(history: History) -> bool:
    """Whether something was asked since the hand-off: what was brought for that is not the hand-off's to erase."""
    return decommissioning(history) or _at(history, SovereignRequested) > _at(history, SovereignHandedOver)


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


def never_applied(history: History) -> bool:
    """Whether no run of this life ever came to its end."""
    return _at(history, TofuApplied) == 0


def destroyed(history: History) -> bool:
    """Whether this life's resources are proved gone, and nothing began since."""
    return _at(history, TofuDestroyed) > 0


def request_of(history: History) -> SovereignRequested | None:
    """The newest request of this life."""
    return history.data(SovereignRequested)


def broken_nodes(history: History) -> tuple[str, ...]:
    """Servers that a retry makes anew: their last word was a failed stage, or the first one never handed in.

    Wants the whole history, not its fold: all servers report on one subject. What was made since then is not broken.
    """
    request, begun = request_of(history), history.data(TofuStarted)
    if request is None or request.kind != "retry" or begun is None:
        return ()
    broken: dict[str, bool] = {}
    for item in history:
        match item.event.data:
            case NodeReported(server=server, state=state):
                broken[server] = state == "failed"
            case TofuProgressed(address=address, state="created"):
                broken |= {server: False for server in broken if f'"{server}"' in address}
            case SovereignFailed(trouble=why) if why.code == "enrol-timeout":
                broken[begun.first_server] = True
    if enrolled(history):
        broken[begun.first_server] = False
    return tuple(sorted(server for server, is_broken in broken.items() if is_broken))


def enrolled(history: History) -> bool:
    """Whether the first control plane of this life ever handed in its kubeconfig."""
    return _at(history, NodeEnrolled) > 0
