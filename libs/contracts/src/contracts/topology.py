"""Streams, consumers, buckets and permissions, derived from the catalogue.

Plain data: ``libs/bus`` turns it into JetStream's own objects and server configuration. Nothing here is written by
hand that the catalogue already knows.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal

from contracts.catalogue import CLI, EVENTS, GATEWAY, INTAKE, LISTENERS, QUESTIONS, SERVICES, TIMERS, TOFU

PROV: Final = "PROV"
INBOX: Final = "INBOX"
REJECTS: Final = "REJECTS"
LOGS: Final = "LOGS"
TIMER_STREAM: Final = "TIMERS"
DLQ: Final = "DLQ"
DOOR: Final = "sovereign.requested"
"""The public door: two tokens, so no Sovereign's subject."""
MAX_EVENT_BYTES: Final = 256 * 1024
LIVE: Final = "live"
"""Prefix under which ``PROV`` repeats each stored event with its sequence (live feeds)."""
ADMIN: Final = "admin"
PUBLISHER: Final = "publisher"
OBSERVER: Final = "observer"
ACCOUNT: Final = "CATALYST"
"""The account of the server in which everything happens."""
OBSERVERS: Final = "OBSERVERS"
"""An account that has the facts of ``PROV`` and nothing else: whatever is subscribed there can hear nothing more."""


@dataclass(frozen=True)
class Stream:
    """One JetStream stream. Sizes in bytes."""

    name: str
    subjects: tuple[str, ...]
    retention: Literal["limits", "workqueue"] = "limits"
    max_age: timedelta | None = None
    max_bytes: int = -1
    max_message_bytes: int = -1
    discard_new: bool = False
    sealed_history: bool = False
    """Neither delete nor purge: an audit trail."""
    duplicate_window: timedelta = timedelta(minutes=2)
    schedules: bool = False
    asynchronous: bool = False
    """Acknowledged before it is on disk, one replica: chatter that may be lost."""
    compressed: bool = False
    republish: bool = False


@dataclass(frozen=True)
class Consumer:
    """One durable pull consumer, shared by a service's replicas."""

    name: str
    stream: str
    service: str
    filters: tuple[str, ...]
    ack_wait: timedelta = timedelta(seconds=30)
    max_ack_pending: int = 1024


@dataclass(frozen=True)
class Bucket:
    """One KV bucket, history 1. ``writers`` and ``readers`` name services; a key's first token is its owner."""

    name: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    own_prefix: bool = False
    """Each writer may only write keys that begin with its own name."""
    own_prefix_read: bool = False
    expiring: bool = False


@dataclass(frozen=True)
class Permissions:
    """What one NATS user may do."""

    user: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    respond: bool = False
    """May answer requests on their reply subjects."""
    deny_publish: tuple[str, ...] = field(default=())
    account: str = ACCOUNT


DOMAINS: Final = tuple(dict.fromkeys(entry.fact.fact.split(".")[0] for entry in EVENTS if entry.stream == PROV))

STREAMS: Final = (
    Stream(
        PROV,
        tuple(f"{domain}.*.*" for domain in DOMAINS),
        max_bytes=8 * 1024**3,
        max_message_bytes=MAX_EVENT_BYTES,
        discard_new=True,
        sealed_history=True,
        duplicate_window=timedelta(minutes=10),
        republish=True,
    ),
    Stream(INBOX, (DOOR,), retention="workqueue", max_age=timedelta(hours=24), max_bytes=256 * 1024**2),
    Stream(
        REJECTS,
        ("request.rejected.*",),
        max_age=timedelta(days=30),
        max_bytes=256 * 1024**2,
        max_message_bytes=MAX_EVENT_BYTES,
    ),
    Stream(
        LOGS,
        ("log.>",),
        max_age=timedelta(days=7),
        max_bytes=4 * 1024**3,
        asynchronous=True,
        compressed=True,
    ),
    Stream(
        TIMER_STREAM, ("timer.at.>", "timer.fire.>"), retention="workqueue", schedules=True, max_bytes=256 * 1024**2
    ),
    Stream(
        DLQ,
        (
            "dlq.>",
            "replay.>",
            *(
                f"$JS.EVENT.ADVISORY.CONSUMER.{kind}.{stream}.*"
                for kind in ("MAX_DELIVERIES", "MSG_TERMINATED")
                for stream in (PROV, INBOX, TIMER_STREAM)
            ),
        ),
        max_age=timedelta(days=90),
        max_bytes=512 * 1024**2,
    ),
)

_ALL: Final = SERVICES
BUCKETS: Final = (
    Bucket("lease", _ALL, _ALL, own_prefix=True, expiring=True),
    Bucket("sealed", _ALL, _ALL, own_prefix_read=True),
    Bucket("tofu", (TOFU,), (TOFU, ADMIN)),
    Bucket("state", (INTAKE,), (INTAKE, GATEWAY)),
    Bucket("presence", _ALL, (*_ALL, CLI), own_prefix=True, expiring=True),
    Bucket("draft", (INTAKE,), (INTAKE,)),
    Bucket("idem", (INTAKE,), (INTAKE,)),
    Bucket("budget", (TOFU,), (TOFU,)),
    Bucket("account", (INTAKE, GATEWAY), (INTAKE, GATEWAY, TOFU)),
    Bucket("zone", ("dns-pdm",), ("dns-pdm",)),
)


def consumers() -> tuple[Consumer, ...]:
    """Every durable consumer: per service and role, the door's, and one per service for its timers and for replays."""
    rows = [Consumer(f"{INTAKE}-door", INBOX, INTAKE, (DOOR,), max_ack_pending=64)]
    for name in sorted({heard.consumer for heard in LISTENERS}):
        service = name.rsplit("-", 1)[0]
        facts = [e.fact.fact for e in EVENTS if any(heard.consumer == name for heard in e.heard_by)]
        rows.append(Consumer(name, PROV, service, tuple(f"{fact}.*" for fact in facts)))
    services = sorted({timer.service for timer in TIMERS})
    rows += [Consumer(f"{name}-timers", TIMER_STREAM, name, (f"timer.fire.{name}.>",)) for name in services]
    rows += [Consumer(f"{name}-replay", DLQ, name, (f"replay.{name}.>",)) for name in sorted({r.service for r in rows})]
    return tuple(rows)


def _bucket_publish(service: str) -> list[str]:
    subjects = []
    for bucket in BUCKETS:
        if service in bucket.writers:
            subjects.append(f"$KV.{bucket.name}.{service}.>" if bucket.own_prefix else f"$KV.{bucket.name}.>")
        if service in bucket.readers:
            key = f"{service}.>" if bucket.own_prefix_read else ">"
            subjects.append(f"$JS.API.DIRECT.GET.KV_{bucket.name}.$KV.{bucket.name}.{key}")
            if not bucket.own_prefix_read:
                subjects.append(f"$JS.API.DIRECT.GET.KV_{bucket.name}")
    return subjects


def permissions_of(service: str) -> Permissions:
    """What one service's user may publish and hear."""
    publish = [f"{e.fact.fact}.*" for e in EVENTS if e.said_by == service]
    publish += ["$JS.API.DIRECT.GET.PROV", "$JS.API.DIRECT.GET.PROV.>", "$JS.API.STREAM.INFO.PROV"]
    for consumer in consumers():
        if consumer.service == service:
            publish += [
                f"$JS.API.CONSUMER.MSG.NEXT.{consumer.stream}.{consumer.name}",
                f"$JS.API.CONSUMER.INFO.{consumer.stream}.{consumer.name}",
                f"$JS.ACK.{consumer.stream}.{consumer.name}.>",
            ]
    if any(timer.service == service for timer in TIMERS):
        publish.append(f"timer.at.{service}.>")
        # A schedule's target is published by the server in the name of the schedule's author.
        publish.append(f"timer.fire.{service}.>")
    if service == INTAKE:
        publish += [f"$JS.API.STREAM.MSG.DELETE.{INBOX}", f"$JS.API.DIRECT.GET.{INBOX}"]
    if service == GATEWAY:
        publish += [question.subject for question in QUESTIONS]
        publish += ["$JS.API.DIRECT.GET.REJECTS.>", "$JS.API.DIRECT.GET.LOGS", "$JS.API.STREAM.INFO.*", "$SRV.>"]
        publish += ["$JS.API.CONSUMER.INFO.*.*"]
    publish += [f"dlq.{service}.>", "log.>", *_bucket_publish(service)]
    subscribe = [f"_INBOX_{service}.>", f"ask.{service}.>", "$SRV.>", f"{LIVE}.>"]
    if service == GATEWAY:
        subscribe += ["log.>", "request.rejected.*"]
    return Permissions(service, tuple(publish), tuple(subscribe), respond=True)


def observable() -> tuple[str, ...]:
    """The subjects that observers have: every fact about a Sovereign."""
    return tuple(f"{domain}.*.*" for domain in DOMAINS)


def permissions() -> tuple[Permissions, ...]:
    """Every user: the services, the operator's tools, the outsider who may only request, the observer, the admin."""
    operator = Permissions(
        CLI,
        publish=(
            DOOR,
            *(question.subject for question in QUESTIONS if question.role != "node"),
            "$JS.API.DIRECT.GET.>",
            "$JS.API.STREAM.INFO.*",
            "$JS.API.STREAM.NAMES",
            "$JS.API.STREAM.LIST",
            "$JS.API.CONSUMER.INFO.*.*",
            "$JS.API.CONSUMER.LIST.*",
            "$JS.API.CONSUMER.NAMES.*",
            "$JS.API.INFO",
            "$SRV.>",
            # catalyst dlq replay and drop.
            "replay.>",
            f"$JS.API.STREAM.MSG.DELETE.{DLQ}",
        ),
        subscribe=(
            f"_INBOX_{CLI}.>",
            "_INBOX.>",
            *observable(),
            f"{LIVE}.>",
            "request.rejected.*",
            "log.>",
        ),
        deny_publish=tuple(
            f"$JS.API.DIRECT.GET.KV_{bucket}{rest}" for bucket in ("sealed", "tofu", "account") for rest in ("", ".>")
        ),
    )
    inboxes = ("_INBOX.>", f"_INBOX_{PUBLISHER}.>")
    publisher = Permissions(PUBLISHER, publish=(DOOR,), subscribe=(*inboxes, "request.rejected.*"))
    admin = Permissions(ADMIN, publish=(">",), subscribe=(">",))
    observer = Permissions(OBSERVER, publish=(), subscribe=(">",), deny_publish=(">",), account=OBSERVERS)
    return (*(permissions_of(service) for service in SERVICES), operator, publisher, observer, admin)
