import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bus import Answer, Bus, run_service
from bus.server import NatsServer
from contracts.catalogue import CANCEL, DECOMMISSION, RETRY, SUBMIT
from contracts.errors import trouble
from contracts.event import About
from contracts.questions import Asker, Command, Decommission, Retry, Submit
from contracts.request import SealedSecret
from contracts.sovereign import RequestRejected, SovereignRequested
from contracts.summary import Summary
from contracts.tofu import TofuFailed
from intake.app import intake
from intake.settings import Settings
from tests.conftest import BusOf
from tests.requests import CLOUD_TOKEN, request_body, sealed_token

OPERATOR = Asker(actor="olga", owner="omantel", roles=("operator",))
RIVAL = Asker(actor="rita", owner="rival", roles=("operator",))


@pytest.fixture
async def running_intake(nats_server: NatsServer, bus_of: BusOf) -> AsyncIterator[Bus]:
    bus = await bus_of("intake")
    settings = Settings(**bus.settings.model_dump(exclude={"uvloop"}))
    async with intake(settings, bus) as service, asyncio.TaskGroup() as group:
        group.create_task(run_service(service, bus))
        await _until(lambda: _answers(bus))
        yield bus
        bus.stopping.set()


async def _answers(bus: Bus) -> bool:
    with contextlib.suppress(Answer):
        return bool(await bus.presence.replicas())
    return False


async def _until(condition: Any, seconds: float = 60) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await condition()):
            await asyncio.sleep(0.02)
        return found


async def test_a_request_opens_run_1_and_a_repeat_answers_the_same_run(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    first = await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
    again = await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
    assert (first.sovereign, first.life, first.run, first.existing) == ("demo_omani_works", 1, 1, False)
    assert again.existing
    assert again.event_id == first.event_id
    history = await running_intake.journal.history("demo_omani_works")
    assert [item.event.type for item in history.recorded] == ["sovereign.requested.v1"]


async def test_every_wrong_field_is_told_at_once(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    body = request_body(ssh_public_key="-----BEGIN OPENSSH PRIVATE", admin_email="nobody", colour="red")
    body["topology"] = {"region": "mars1", "control_plane_type": "cx99"}
    with pytest.raises(Answer) as refused:
        await gateway.ask(SUBMIT, Submit(body=body), asker=OPERATOR)
    fields = {error.field for error in refused.value.errors}
    assert {"topology.region", "ssh_public_key", "admin_email", "colour"} <= fields
    assert refused.value.trouble.owner == "user"


async def test_of_two_owners_who_ask_at_once_one_gets_the_name(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    results = await asyncio.gather(
        *(gateway.ask(SUBMIT, Submit(body=request_body()), asker=asker) for asker in (OPERATOR, RIVAL)),
        return_exceptions=True,
    )
    refused = [result for result in results if isinstance(result, Answer)]
    assert len(refused) == 1
    assert refused[0].trouble.code == "fqdn-taken"
    history = await running_intake.journal.history("demo_omani_works")
    assert len(history.recorded) == 1


async def test_another_body_while_a_run_is_active_is_refused(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
    other = request_body(topology={"region": "nbg1", "worker_count": 3})
    with pytest.raises(Answer) as refused:
        await gateway.ask(SUBMIT, Submit(body=other), asker=OPERATOR)
    assert refused.value.trouble.code == "run-active"


async def test_an_idempotency_key_with_another_body_is_refused(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    await gateway.ask(SUBMIT, Submit(body=request_body(), idempotency_key="k1"), asker=OPERATOR)
    body = request_body("other.omani.works")
    with pytest.raises(Answer) as refused:
        await gateway.ask(SUBMIT, Submit(body=body, idempotency_key="k1"), asker=OPERATOR)
    assert refused.value.trouble.code == "idempotency-conflict"


async def test_cancel_before_anything_began_ends_the_run_and_retry_opens_the_next(
    running_intake: Bus, bus_of: BusOf
) -> None:
    gateway = await bus_of("gateway")
    await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
    await gateway.ask(CANCEL, Command(sovereign="demo_omani_works", reason="wrong size"), asker=OPERATOR)

    async def cancelled() -> bool:
        history = await running_intake.journal.fold("demo_omani_works")
        return any(item.event.data.fact == "sovereign.cancelled" for item in history)

    await _until(cancelled)
    retried = await gateway.ask(RETRY, Retry(sovereign="demo_omani_works"), asker=OPERATOR)
    assert retried.run == 2
    with pytest.raises(Answer) as refused:
        await gateway.ask(RETRY, Retry(sovereign="demo_omani_works"), asker=RIVAL)
    assert refused.value.trouble.code == "unknown-sovereign"


async def test_decommission_wants_the_name_typed_again(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
    wrong = Decommission(sovereign="demo_omani_works", confirm="other.omani.works")
    with pytest.raises(Answer):
        await gateway.ask(DECOMMISSION, wrong, asker=OPERATOR)
    command = Decommission(sovereign="demo_omani_works", confirm="demo.omani.works")
    assert (await gateway.ask(DECOMMISSION, command, asker=OPERATOR)).run == 1


async def test_a_decommission_that_failed_for_want_of_the_token_is_asked_again_with_it(
    running_intake: Bus, bus_of: BusOf
) -> None:
    gateway, runner = await bus_of("gateway"), await bus_of("tofu-runner")
    await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
    command = Decommission(sovereign="demo_omani_works", confirm="demo.omani.works")
    asked = await gateway.ask(DECOMMISSION, command, asker=OPERATOR)
    with pytest.raises(Answer) as refused:
        await gateway.ask(DECOMMISSION, command, asker=OPERATOR)
    assert refused.value.trouble.code == "not-now"

    history = await running_intake.journal.fold("demo_omani_works")
    about = About(sovereign="demo_omani_works", owner="omantel", life=1, run=1)
    gone = trouble("credential-required", attempted="destroy the cloud resources", on="cloud-token")
    await runner.journal.append([TofuFailed(trouble=gone)], about, cause=asked.event_id, after=history)
    with pytest.raises(Answer) as refused:
        await gateway.ask(DECOMMISSION, command, asker=OPERATOR)
    assert refused.value.trouble.code == "credential-required"
    token = SealedSecret.model_validate(sealed_token("demo.omani.works"))
    again = await gateway.ask(DECOMMISSION, command.model_copy(update={"secrets": (token,)}), asker=OPERATOR)
    assert again.event_id != asked.event_id


async def test_the_read_model_follows_the_stream(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)

    async def row() -> Summary | None:
        found = await gateway.kv("state").get("demo_omani_works.summary")
        return Summary.model_validate_json(found.value) if found else None

    summary = await _until(row)
    assert (summary.fqdn, summary.owner, summary.state) == ("demo.omani.works", "omantel", "requested")


@pytest.mark.parametrize("wrapped", [True, False], ids=["cloudevent", "bare"])
async def test_the_bare_subject_opens_a_run(wrapped: bool, running_intake: Bus, bus_of: BusOf) -> None:
    publisher = await bus_of("publisher")
    body: dict[str, Any] = request_body()
    if wrapped:
        body = {"specversion": "1.0", "id": "1", "source": "/me", "type": "sovereign.requested.v1", "data": body}
    await publisher.connection.client.request("sovereign.requested", json.dumps(body).encode(), timeout=5)

    async def opened() -> bool:
        return (await running_intake.journal.fold("demo_omani_works")).life == 1

    await _until(opened)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"not json", "not-an-event"),
        (b"[1]", "not-an-event"),
        (b'{"specversion":"1.0","type":"sovereign.requested.v9","data":{}}', "not-an-event"),
        (b"{}", "invalid-request"),
        (json.dumps({"token": CLOUD_TOKEN.replace("0a", "0A", 3)}).encode(), "plaintext-secret"),
        (b'{"comment":"' + b"x" * 300_000 + b'"}', "message-too-large"),
    ],
    ids=["no json", "no object", "unknown version", "empty", "secret in clear", "too large"],
)
async def test_a_bad_message_at_the_door_is_rejected_with_a_reason_and_leaves_no_bytes(
    payload: bytes, code: str, running_intake: Bus, bus_of: BusOf, nats_server: NatsServer
) -> None:
    publisher, gateway = await bus_of("publisher"), await bus_of("gateway")
    rejected = await publisher.connection.client.subscribe("request.rejected.*")
    await publisher.connection.client.request("sovereign.requested", payload, timeout=5)
    message = await rejected.next_msg(timeout=10)
    event = json.loads(message.data)
    assert event["data"]["trouble"]["code"] == code
    assert event["type"] == RequestRejected.type_name()

    async def erased() -> bool:
        info = await gateway.connection.api("$JS.API.STREAM.INFO.INBOX")
        return bool(info["state"]["messages"] == 0)

    await _until(erased)
    if code == "plaintext-secret":
        canary = CLOUD_TOKEN.replace("0a", "0A", 3).encode()
        assert not await asyncio.to_thread(_files_with, nats_server.directory, canary)


def _files_with(directory: Path, needle: bytes) -> list[Path]:
    return [file for file in directory.rglob("*") if file.is_file() and needle in file.read_bytes()]


async def test_the_loser_of_a_race_never_overwrites_the_winners_secret(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    bodies = [request_body(), request_body()]
    askers = [OPERATOR, RIVAL]
    pairs = zip(bodies, askers, strict=True)
    await asyncio.gather(
        *(gateway.ask(SUBMIT, Submit(body=body), asker=asker) for body, asker in pairs), return_exceptions=True
    )
    history = await running_intake.journal.fold("demo_omani_works")
    asked = history.last(SovereignRequested)
    assert asked is not None
    winner = bodies[askers.index(OPERATOR if asked.event.owner == "omantel" else RIVAL)]
    tofu = await bus_of("tofu-runner")
    stored = await tofu.kv("sealed").get("tofu-runner.demo_omani_works.1.cloud-token")
    assert stored is not None
    assert json.loads(stored.value)["ciphertext"] == winner["secrets"][0]["ciphertext"]
