"""How work ends when it does not simply succeed.

    TryAgain            transient: the message comes back after a growing, jittered delay; never buried
      LeaseBusy         another worker holds this Sovereign
    Refused             no retry can help: the message is buried with its reason
    Conflict            a guarded append lost against another writer: read again, decide again
    LeaseLost           another worker may have taken over: stop, say nothing more
    Answer              a question is refused, with the problem as data
      NobodyAnswers     no replica of the asked service runs
      TooSlow           a replica runs, but did not answer before the deadline
    Denied              the server's permissions forbid this user that subject
    TooLarge            the message exceeds the limit
    SecretInClear       something that looks like a secret was about to be published

Anything else that a handler raises is a bug: logged with its traceback, retried, and buried at its tenth delivery.
"""

from collections.abc import Sequence
from datetime import timedelta

from contracts.errors import FieldError, Trouble, trouble


class TryAgain(Exception):
    """Transient: deliver it again, after the given time or a growing delay."""

    def __init__(self, reason: str, *, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class LeaseBusy(TryAgain):
    """Another worker holds the lease."""


class Refused(Exception):
    """No retry can help; the message is buried with this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Conflict(Exception):
    """Somebody else wrote first. Read the Sovereign again and decide again."""


class LeaseLost(Exception):
    """The lease could not be renewed in time; another worker may hold it now."""


class Denied(Exception):
    """The NATS user has no permission for this subject (see docs/flow.md for who may say what)."""

    def __init__(self, user: str, subject: str) -> None:
        super().__init__(
            f"user {user!r} may not publish to {subject!r}: compare contracts.topology and the server's users"
        )
        self.user, self.subject = user, subject


class TooLarge(Exception):
    """The message exceeds the limit of its stream."""

    def __init__(self, subject: str, size: int, limit: int) -> None:
        super().__init__(
            f"{size} bytes for {subject!r}, but a message holds at most {limit} bytes ({limit // 1024} KiB)"
        )
        self.size, self.limit = size, limit


class SecretInClear(Exception):
    """What was about to be published looks like a secret; nothing was published."""

    def __init__(self, subject: str, kind: str) -> None:
        super().__init__(f"not published to {subject!r}: it holds what looks like {kind}; seal it, and rotate it")
        self.kind = kind


class Answer(Exception):
    """A question is refused; the trouble says why, whose fault it is and what to do."""

    def __init__(self, problem: Trouble, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(f"{problem.code}: {problem.message or problem.next_step}")
        self.trouble = problem
        self.errors = tuple(errors)


class NobodyAnswers(Answer):
    """No replica of the service is there."""

    def __init__(self, subject: str) -> None:
        super().__init__(trouble("nobody-answers", attempted=f"ask {subject}", on=subject.split(".")[1]))


class TooSlow(Answer):
    """The service did not answer before the deadline."""

    def __init__(self, subject: str, deadline_s: float) -> None:
        super().__init__(
            trouble("too-slow", attempted=f"ask {subject} within {deadline_s:g} s", on=subject.split(".")[1])
        )
