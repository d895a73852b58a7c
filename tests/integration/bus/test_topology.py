"""Streams, consumers and buckets become what the catalogue says, and nothing is lost on the way unless it is meant."""

import json
from typing import Any
from uuid import uuid4

from bus import Bus
from bus.server import NatsServer
from contracts import About, History
from contracts.topology import BUCKETS, PROV, STREAMS, consumers
from tests.conftest import BusOf
from tests.integration.bus.operator import catalyst
from tests.unit.intake.test_life import REQUESTED

ABOUT = About(sovereign="demo_omani_works", owner="acme", life=1, run=1)
SCALE = ("--scale", "0.02")


async def _config(admin: Bus, stream: str) -> dict[str, Any]:
    config: dict[str, Any] = (await admin.connection.api(f"$JS.API.STREAM.INFO.{stream}"))["config"]
    return config


async def test_the_difference_is_printed_then_made_and_what_loses_data_is_refused(
    bus_of: BusOf, nats_server: NatsServer
) -> None:
    admin = await bus_of("admin")
    same = await catalyst(nats_server, "topology", *SCALE)
    assert (same.exit_code, same.output) == (0, "Everything is as it should be.\n")

    wanted = await _config(admin, PROV)
    changed = wanted | {"max_msg_size": 1024, "duplicate_window": 10**9}
    await admin.connection.api(f"$JS.API.STREAM.UPDATE.{PROV}", changed)
    await admin.connection.api(f"$JS.API.CONSUMER.DELETE.{PROV}.intake-work")
    own = {"durable_name": "somebody", "name": "somebody", "ack_policy": "explicit"}
    body = {"stream_name": PROV, "config": own}
    await admin.connection.api(f"$JS.API.CONSUMER.CREATE.{PROV}.somebody", body)

    told = await catalyst(nats_server, "topology", *SCALE, "--dry-run")
    assert "update   stream PROV  max_msg_size: 1024 -> 262144" in told.output
    assert "create   consumer intake-work" in told.output
    assert "unknown  consumer somebody" in told.output
    assert (await _config(admin, PROV))["max_msg_size"] == 1024

    made = await catalyst(nats_server, "topology", *SCALE)
    assert (made.exit_code, made.output) == (0, told.output)
    assert await _config(admin, PROV) == wanted

    refused = await catalyst(nats_server, "topology", "--scale", "0.01")
    assert refused.exit_code == 4
    assert "would lose data: PROV max_bytes" in refused.output
    assert "Nothing was changed" in refused.output
    assert await _config(admin, PROV) == wanted
    meant = await catalyst(nats_server, "topology", "--scale", "0.01", "--destructive")
    assert "delete   consumer somebody" in meant.output
    assert (await _config(admin, PROV))["max_bytes"] == wanted["max_bytes"] // 2


async def test_every_stream_bucket_and_consumer_of_the_catalogue_exists_and_is_surveyed(
    bus_of: BusOf, nats_server: NatsServer
) -> None:
    intake = await bus_of("intake")
    await intake.journal.append([REQUESTED], ABOUT, cause=uuid4(), after=History(ABOUT.sovereign))
    told = await catalyst(nats_server, "streams", "--json")
    rows = {row["name"]: row for row in json.loads(told.output)}
    assert set(rows) == {stream.name for stream in STREAMS} | {f"KV_{bucket.name}" for bucket in BUCKETS}
    found = {(name, consumer["name"]) for name, row in rows.items() for consumer in row["consumers"]}
    assert found == {(consumer.stream, consumer.name) for consumer in consumers()}
    prov = rows[PROV]
    assert (prov["messages"], prov["last"]) == (1, 1)
    assert 0 < prov["used_share"] < 0.01
    pending = {consumer["name"]: consumer["pending"] for consumer in prov["consumers"]}
    assert pending["dns-pdm-work"] == 1
    assert pending["tofu-runner-work"] == 0
    text = (await catalyst(nats_server, "streams")).output
    assert "dns-pdm-work         1 pending, 0 in hand, 0 redelivered" in text
