"""The shape of a registered error: whose fault it is, whether trying again can help, what the operator does."""

from enum import StrEnum

from contracts.event import Model


class FaultOwner(StrEnum):
    """Who can mend it."""

    USER = "user"
    CLOUD = "cloud"
    US = "us"


class Code(Model):
    """A row of the registry."""

    code: str
    owner: FaultOwner
    retryable: bool
    next_step: str
    remedy: str = ""
    """Where to read on: a row or section of the runbook, or the vendor's page."""


def row(code: str, owner: str, retryable: bool, next_step: str, remedy: str = "") -> Code:  # noqa: FBT001 - a table row
    """A row of a table."""
    where = remedy or f"docs/errors.md, {code}"
    return Code(code=code, owner=FaultOwner(owner), retryable=retryable, next_step=next_step, remedy=where)
