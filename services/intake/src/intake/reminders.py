"""Runs that wait: nothing was said for a while, or a plan waits for somebody.

A reminder decides nothing. It says who should act and since when, so that no run is ever silent without a named reason.
Each timer sets its successor until it no longer matters.
"""

from datetime import datetime, timedelta

from bus import Effects, Fired, Wake
from contracts.catalogue import APPROVAL_REMINDER, STALLED_WINDOW
from contracts.dns import DnsAwaitingDelegation, DnsDelegated
from contracts.errors import trouble
from contracts.history import History, Recorded
from contracts.identity import fqdn_of
from contracts.sovereign import SovereignApproved, SovereignReminded
from contracts.tofu import TofuApplied, TofuFailed, TofuStarted, TofuWaiting
from intake.life import standing


async def stalled_window(fired: Fired, history: History, *, window: timedelta) -> Effects:
    """Nothing was said of a run for the whole window, and no fact names a reason to wait: remind."""
    if not _goes_on(fired, history):
        return []
    newest = max((_spoken(item) for item in history if item.event.run == fired.about.run), default=fired.due)
    quiet = fired.due - newest
    if quiet < window:
        return [Wake(STALLED_WINDOW, window - quiet)]
    again = Wake(STALLED_WINDOW, window)
    if _waits(history, fired.due):
        return [again]
    applying = history.later(TofuStarted, TofuApplied, run=fired.about.run)
    busy = applying is not None and history.later(TofuFailed, TofuStarted, run=fired.about.run) is None
    why = trouble(
        "silent-apply" if busy else "silent-stream",
        attempted="hear of the run",
        on=fqdn_of(history.sovereign),
        message=f"the last word was said at {newest.isoformat(timespec='seconds')}",
    )
    return [SovereignReminded(about="silence", since=newest, trouble=why), again]


async def approval_reminder(fired: Fired, history: History, *, every: timedelta) -> Effects:
    """The plan still waits: remind, until somebody approves, cancels or the run goes on."""
    waiting = _waiting_for_approval(history, fired.about.run)
    if waiting is None or not _goes_on(fired, history):
        return []
    why = trouble(
        "approval-missing", attempted="apply the plan", on=fqdn_of(history.sovereign), message=waiting.event.data.detail
    )
    reminded = SovereignReminded(about="approval", since=waiting.event.time, trouble=why)
    return [reminded, Wake(APPROVAL_REMINDER, every)]


def _goes_on(fired: Fired, history: History) -> bool:
    about = fired.about
    return about.life == history.life and about.run == history.run and standing(history).active


def _spoken(item: Recorded) -> datetime:
    """When it was said; a reminder is no word of the run itself."""
    if isinstance(item.event.data, SovereignReminded):
        return item.event.data.since
    return item.event.time


def _waits(history: History, now: datetime) -> bool:
    """Whether a fact names what the run waits for: an approval, the cloud until a time, or the customer's registrar."""
    run = history.run
    if _waiting_for_approval(history, run) is not None:
        return True
    if history.later(DnsAwaitingDelegation, DnsDelegated, run=run) is not None:
        return True
    parked = history.later(TofuWaiting, TofuStarted, run=run)
    until = parked.event.data.until if parked else None
    return until is not None and until > now


def _waiting_for_approval(history: History, run: int) -> Recorded | None:
    waiting = history.later(TofuWaiting, TofuStarted, run=run)
    if waiting is None or waiting.event.data.why != "approval":
        return None
    approved = history.last(SovereignApproved, run=run)
    return None if approved is not None and approved.sequence > waiting.sequence else waiting
