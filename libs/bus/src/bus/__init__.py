"""How things travel: the only importer of nats. Services build on the names below and never see NATS itself."""

from bus import _wait_for
from bus.bus import Bus, connect
from bus.connection import NoRoom
from bus.feed import Delivered, Feed
from bus.journal import Chain, Journal
from bus.kv import Bucket, Value
from bus.lease import Lease, Leases
from bus.logs import LogChunk, Logs, LogTrail
from bus.outcome import (
    Answer,
    Conflict,
    Denied,
    LeaseBusy,
    LeaseLost,
    NobodyAnswers,
    Refused,
    SecretInClear,
    TooLarge,
    TooSlow,
    TryAgain,
)
from bus.presence import Presence
from bus.questions import field_errors
from bus.routing import DoorMessage, Effects, Elsewhere, Fired, Wake, answer, at_door, hear, on, on_timer
from bus.seal import CannotOpen, SealKeys, seal
from bus.service import Service, run, run_service
from bus.settings import BusSettings
from bus.vault import Vault, reference

__all__ = [
    "Answer",
    "Bucket",
    "Bus",
    "BusSettings",
    "CannotOpen",
    "Chain",
    "Conflict",
    "Delivered",
    "Denied",
    "DoorMessage",
    "Effects",
    "Elsewhere",
    "Feed",
    "Fired",
    "Journal",
    "Lease",
    "LeaseBusy",
    "LeaseLost",
    "Leases",
    "LogChunk",
    "LogTrail",
    "Logs",
    "NoRoom",
    "NobodyAnswers",
    "Presence",
    "Refused",
    "SealKeys",
    "SecretInClear",
    "Service",
    "TooLarge",
    "TooSlow",
    "TryAgain",
    "Value",
    "Vault",
    "Wake",
    "answer",
    "at_door",
    "connect",
    "field_errors",
    "hear",
    "on",
    "on_timer",
    "reference",
    "run",
    "run_service",
    "seal",
]

_wait_for.install()
