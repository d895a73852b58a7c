"""Streams, consumers and buckets, made to be as the catalogue says. Run by an administrator before any service.

Services only bind. An existing object is compared and updated; a change that would lose data is refused unless it is
asked for. Sizes and replicas come from the caller: one server (R1) or a cluster of three (R3).
"""

from dataclasses import dataclass
from typing import Any

from bus.connection import Connection
from bus.outcome import TryAgain
from contracts.topology import BUCKETS, LIVE, STREAMS, Bucket, Consumer, Stream, consumers

_NANO = 10**9
_BUCKET_BYTES = 1024**3


@dataclass(frozen=True)
class Change:
    """One difference that was or would be carried out."""

    what: str
    name: str
    action: str
    detail: str = ""

    def __str__(self) -> str:
        """A line of the diff."""
        return f"{self.action:8} {self.what} {self.name}" + (f"  {self.detail}" if self.detail else "")


class Destructive(Exception):
    """The change would lose data; nothing was changed. Ask for it explicitly."""


async def ensure_topology(
    connection: Connection, *, replicas: int = 1, scale: float = 1.0, destructive: bool = False, dry_run: bool = False
) -> list[Change]:
    """Create or update everything; the changes. ``scale`` shrinks the byte limits on small disks.

    ``dry_run`` only tells. Raises Destructive, with nothing changed, for a change that could lose data, unless
    ``destructive`` asks for it.
    """
    wanted = [(s.name, _stream_config(s, replicas, scale)) for s in STREAMS]
    wanted += [(f"KV_{b.name}", _bucket_config(b, replicas, scale)) for b in BUCKETS]
    changes: list[Change] = []
    found: dict[str, dict[str, Any]] = {}
    for name, _config in wanted:
        info = await _call(connection, f"$JS.API.STREAM.INFO.{name}", None, missing_ok=True)
        if info is not None:
            found[name] = info["config"]
    losses = [loss for name, config in wanted if name in found for loss in _losses(found[name], config)]
    if losses and not destructive:
        raise Destructive("would lose data: " + "; ".join(losses))
    for name, config in wanted:
        changes += await _ensure_stream(connection, name, config, found.get(name), dry_run=dry_run)
    for consumer in consumers():
        changes += await _ensure_consumer(connection, consumer, dry_run=dry_run)
    for stream, name in await _unknown_consumers(connection, [name for name in found if not name.startswith("KV_")]):
        changes.append(await _end_consumer(connection, stream, name, destructive=destructive, dry_run=dry_run))
    return changes


async def _unknown_consumers(connection: Connection, streams: list[str]) -> list[tuple[str, str]]:
    """Durable consumers on our streams that the catalogue does not know: of an earlier release, or somebody's own."""
    known = {(consumer.stream, consumer.name) for consumer in consumers()}
    pairs = []
    for stream in streams:
        rows = await consumer_rows(connection, stream)
        pairs += [(stream, row["name"]) for row in rows if row["config"].get("durable_name")]
    return [pair for pair in pairs if pair not in known]


async def _end_consumer(connection: Connection, stream: str, name: str, *, destructive: bool, dry_run: bool) -> Change:
    if not destructive:
        return Change("consumer", name, "unknown", f"on {stream}; left as it is, a destructive change removes it")
    if not dry_run:
        await _call(connection, f"$JS.API.CONSUMER.DELETE.{stream}.{name}", None, missing_ok=True)
    return Change("consumer", name, "delete", f"on {stream}; what it had still to deliver is forgotten")


async def consumer_rows(connection: Connection, stream: str) -> list[dict[str, Any]]:
    """Every consumer of a stream, as the server describes it (the list comes in pages)."""
    rows: list[dict[str, Any]] = []
    while True:
        answer = await _call(connection, f"$JS.API.CONSUMER.LIST.{stream}", {"offset": len(rows)})
        page = (answer or {}).get("consumers") or []
        rows += page
        if not page or len(rows) >= int((answer or {}).get("total", 0)):
            return rows


def _stream_config(stream: Stream, replicas: int, scale: float) -> dict[str, Any]:
    config: dict[str, Any] = {
        "name": stream.name,
        "subjects": list(stream.subjects),
        "retention": stream.retention,
        "storage": "file",
        "num_replicas": 1 if stream.asynchronous else replicas,
        "max_age": int(stream.max_age.total_seconds() * _NANO) if stream.max_age else 0,
        "max_bytes": int(stream.max_bytes * scale) if stream.max_bytes > 0 else -1,
        "max_msg_size": stream.max_message_bytes,
        "discard": "new" if stream.discard_new else "old",
        "duplicate_window": int(stream.duplicate_window.total_seconds() * _NANO),
        "allow_direct": True,
        "deny_delete": stream.sealed_history,
        "deny_purge": stream.sealed_history,
    }
    if stream.schedules:
        config |= {"allow_msg_schedules": True, "allow_msg_ttl": True}
    if stream.asynchronous:
        config["persist_mode"] = "async"
    if stream.compressed:
        config["compression"] = "s2"
    if stream.republish:
        config["republish"] = {"src": ">", "dest": f"{LIVE}.>"}
    return config


def _bucket_config(bucket: Bucket, replicas: int, scale: float) -> dict[str, Any]:
    return {
        "name": f"KV_{bucket.name}",
        "subjects": [f"$KV.{bucket.name}.>"],
        "retention": "limits",
        "storage": "file",
        "num_replicas": replicas,
        "max_msgs_per_subject": 1,
        "max_bytes": int(_BUCKET_BYTES * scale),
        "discard": "new",
        "duplicate_window": 120 * _NANO,
        "allow_direct": True,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "allow_msg_ttl": True,
    }


def _losses(now: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    found = []
    gone = set(now.get("subjects", [])) - set(wanted["subjects"])
    if gone:
        found.append(f"{wanted['name']} no longer keeps {', '.join(sorted(gone))}")
    for limit in ("max_bytes", "max_age", "max_msgs_per_subject"):
        old, new = now.get(limit, 0) or 0, wanted.get(limit, 0) or 0
        if new > 0 and (old <= 0 or new < old):
            found.append(f"{wanted['name']} {limit} {old} -> {new}")
    if wanted["num_replicas"] < now.get("num_replicas", 1):
        found.append(f"{wanted['name']} replicas {now['num_replicas']} -> {wanted['num_replicas']}")
    return found


async def _ensure_stream(
    connection: Connection, name: str, config: dict[str, Any], now: dict[str, Any] | None, *, dry_run: bool
) -> list[Change]:
    if now is None:
        if not dry_run:
            await _call(connection, f"$JS.API.STREAM.CREATE.{name}", config)
        return [Change("stream", name, "create")]
    different = {key: (now.get(key), value) for key, value in config.items() if not _same(key, now, value)}
    if not different:
        return []
    if not dry_run:
        await _call(connection, f"$JS.API.STREAM.UPDATE.{name}", now | config)
    detail = ", ".join(f"{key}: {old} -> {new}" for key, (old, new) in different.items())
    return [Change("stream", name, "update", detail)]


def _same(key: str, now: dict[str, Any], value: Any) -> bool:
    old = now.get(key)
    if key == "subjects":
        return set(old or []) == set(value)
    return old == value or (not old and not value) or (old in (-1, None) and value == -1)


async def _ensure_consumer(connection: Connection, consumer: Consumer, *, dry_run: bool) -> list[Change]:
    config: dict[str, Any] = {
        "durable_name": consumer.name,
        "name": consumer.name,
        "ack_policy": "explicit",
        "ack_wait": int(consumer.ack_wait.total_seconds() * _NANO),
        "max_ack_pending": consumer.max_ack_pending,
        "max_deliver": -1,
        "max_waiting": 512,
        "deliver_policy": "all",
        "replay_policy": "instant",
        "filter_subjects": list(consumer.filters),
        "metadata": {"owner": consumer.service},
    }
    info = await _call(connection, f"$JS.API.CONSUMER.INFO.{consumer.stream}.{consumer.name}", None, missing_ok=True)
    now = info["config"] if info else None
    if now is not None:
        had = set(now.get("filter_subjects") or ([now["filter_subject"]] if now.get("filter_subject") else []))
        keys = ("ack_wait", "max_ack_pending", "max_deliver")
        if had == set(consumer.filters) and all(now.get(key) == config[key] for key in keys):
            return []
    if not dry_run:
        body = {"stream_name": consumer.stream, "config": config}
        await _call(connection, f"$JS.API.CONSUMER.CREATE.{consumer.stream}.{consumer.name}", body)
    return [Change("consumer", consumer.name, "update" if now else "create")]


async def _call(
    connection: Connection, subject: str, body: dict[str, Any] | None, *, missing_ok: bool = False
) -> dict[str, Any] | None:
    answer = await connection.api(subject, body)
    if "error" in answer:
        error = answer["error"]
        if missing_ok and error.get("code") == 404:  # noqa: PLR2004 - HTTP's own word
            return None
        raise TryAgain(f"{subject}: {error.get('description')} ({error.get('err_code')})")
    return answer
