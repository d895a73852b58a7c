"""Bad input through both doors: the question and the bare subject refuse in the same words, and nothing follows."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest

from bus import Answer, Bus
from bus.server import NatsServer
from contracts.catalogue import CANCEL, SUBMIT
from contracts.event import NAMESPACE
from contracts.identity import sovereign_id
from contracts.questions import Accepted, Asker, Command, Submit
from contracts.sovereign import RequestRejected
from tests.conftest import BusOf
from tests.integration.intake.conftest import OPERATOR, RIVAL, until
from tests.requests import request_body

PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----"
MIXED = "Ab1" * 21 + "Z"


@dataclass
class Doors:
    """Both ways in."""

    intake: Bus
    gateway: Bus
    publisher: Bus
    server: NatsServer
    _seen: dict[str, RequestRejected]

    async def ask(self, body: dict[str, Any], asker: Asker = OPERATOR, key: str | None = None) -> Accepted:
        reply: Accepted = await self.gateway.ask(SUBMIT, Submit(body=body, idempotency_key=key), asker=asker)
        return reply

    async def publish(self, body: Mapping[str, Any] | bytes) -> UUID:
        """Publish at the bare subject as a CloudEvent, or the bytes as they are; the request's id."""
        request_id = uuid4()
        headers = {}
        if isinstance(body, bytes):
            payload, headers = body, {"Nats-Msg-Id": str(request_id)}
            request_id = uuid5(NAMESPACE, f"door|{request_id}")
        else:
            event = {"specversion": "1.0", "id": str(request_id), "source": "/me", "data": body}
            payload = json.dumps(event | {"type": "sovereign.requested.v1"}).encode()
        await self.publisher.connection.client.request("sovereign.requested", payload, timeout=5, headers=headers)
        return request_id

    async def rejection(self, request_id: UUID) -> RequestRejected:
        async def said() -> RequestRejected | None:
            return self._seen.get(str(request_id))

        return await until(said)

    async def facts(self) -> int:
        """How many facts the audit trail holds: services act on facts and on nothing else."""
        info = await self.gateway.connection.api("$JS.API.STREAM.INFO.PROV")
        return int(info["state"]["messages"])


@pytest.fixture
async def doors(running_intake: Bus, bus_of: BusOf, nats_server: NatsServer) -> Doors:
    publisher = await bus_of("publisher")
    seen: dict[str, RequestRejected] = {}

    async def collect(message: Any) -> None:
        seen[message.subject.rsplit(".", 1)[1]] = RequestRejected.model_validate(json.loads(message.data)["data"])

    await publisher.connection.client.subscribe("request.rejected.*", cb=collect)
    return Doors(running_intake, await bus_of("gateway"), publisher, nats_server, seen)


def changed(**parts: Any) -> dict[str, Any]:
    """A good request with some fields of its parts changed."""
    body = request_body()
    for name, value in parts.items():
        body[name] = {**body[name], **value} if isinstance(value, dict) else value
    return body


BAD: dict[str, tuple[dict[str, Any], str, set[tuple[str, str]]]] = {
    "empty": ({}, "invalid-request", {(field, "missing") for field in ("organisation", "domain", "admin_email")}),
    "several at once": (
        changed(topology={"region": "mars1", "control_plane_type": "cx99"}, admin_email="nobody", colour="red"),
        "invalid-request",
        {
            ("topology.region", "unknown-region"),
            ("topology.control_plane_type", "unsupported_server_type"),
            ("admin_email", "value_error"),
            ("colour", "unknown-field"),
        },
    ),
    "several regions": (
        changed(topology={"region": "fsn1", "regions": ["fsn1", "hel1"]}),
        "invalid-request",
        {("topology.regions", "multi-region")},
    ),
    "private key": (changed(ssh_public_key=PRIVATE), "plaintext-secret", {("ssh_public_key", "plaintext-secret")}),
    "token in clear": (changed(hcloud_token=MIXED), "plaintext-secret", {("hcloud_token", "plaintext-secret")}),
    "old key algorithm": (
        changed(ssh_public_key="ssh-dss AAAAB3NzaC1kc3M= me"),
        "invalid-request",
        {("ssh_public_key", "ssh-algorithm")},
    ),
    "wildcard": (changed(domain={"fqdn": "*.omani.works"}), "invalid-request", {("domain.fqdn", "fqdn-wildcard")}),
    "address": (changed(domain={"fqdn": "10.0.0.1"}), "invalid-request", {("domain.fqdn", "fqdn-ip")}),
    "too long": (
        changed(domain={"fqdn": "a" * 60 + ".omani.works"}),
        "invalid-request",
        {("domain.fqdn", "fqdn-too-long")},
    ),
    "too soon": (changed(deadline_minutes=1), "invalid-request", {("deadline_minutes", "greater_than_equal")}),
    "no token": (request_body(token=None), "credential-required", {("secrets", "credential-required")}),
}


async def test_a_bad_request_is_refused_in_the_same_words_at_both_doors_and_nothing_follows(doors: Doors) -> None:
    for name, (body, code, wanted) in BAD.items():
        with pytest.raises(Answer) as refused:
            await doors.ask(body)
        rejected = await doors.rejection(await doors.publish(body))
        for trouble, errors in (
            (refused.value.trouble, refused.value.errors),
            (rejected.trouble, rejected.errors),
        ):
            assert (trouble.code, trouble.owner) == (code, "user"), name
            assert wanted <= {(error.field, error.code) for error in errors}, name
        assert rejected.errors == refused.value.errors, name
    assert await doors.facts() == 0

    async def erased() -> bool:
        info = await doors.gateway.connection.api("$JS.API.STREAM.INFO.INBOX")
        return bool(info["state"]["messages"] == 0)

    await until(erased)
    assert await asyncio.to_thread(_files_with, doors.server.directory, MIXED.encode()) == []
    assert await asyncio.to_thread(_files_with, doors.server.directory, b"b3BlbnNzaC1rZXktdjE") == []


async def test_what_is_fixed_or_taken_is_refused_at_both_doors(doors: Doors) -> None:
    await doors.ask(request_body(), key="k1")
    before = await doors.facts()

    async def both(body: dict[str, Any], code: str) -> None:
        with pytest.raises(Answer) as refused:
            await doors.ask(body)
        assert refused.value.trouble.code == code
        assert (await doors.rejection(await doors.publish(body))).trouble.code == code

    await both(changed(topology={"worker_count": 3}), "run-active")
    await both(request_body("other.omani.works", idempotency_key="k1"), "idempotency-conflict")
    with pytest.raises(Answer) as taken:
        await doors.ask(request_body(), RIVAL)
    assert taken.value.trouble.code == "fqdn-taken"
    assert await doors.facts() == before

    await doors.gateway.ask(CANCEL, Command(sovereign="demo_omani_works"), asker=OPERATOR)

    async def cancelled() -> bool:
        return any(
            i.event.data.fact == "sovereign.cancelled" for i in await doors.intake.journal.fold("demo_omani_works")
        )

    await until(cancelled)
    await both(changed(admin_email="other@example.org", components=["harbor"]), "immutable-field")


async def test_the_name_of_another_owner_is_taken_at_the_bare_subject_too(doors: Doors) -> None:
    await doors.ask(request_body(), RIVAL)
    rejected = await doors.rejection(await doors.publish(request_body()))
    assert (rejected.trouble.code, rejected.fqdn) == ("fqdn-taken", "demo.omani.works")
    assert await doors.facts() == 1


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("Demo.OMANI.works.", "demo.omani.works"), ("bücher.omani.works", "xn--bcher-kva.omani.works")],
    ids=["mixed case, trailing dot", "international"],
)
async def test_a_name_is_kept_in_one_form_whatever_was_typed(typed: str, kept: str, doors: Doors) -> None:
    body = request_body(kept)
    body["domain"]["fqdn"] = typed
    assert (await doors.ask(body)).sovereign == sovereign_id(kept)
    again = await doors.ask(request_body(kept))
    assert again.existing


async def test_a_deadline_stays_with_the_run(doors: Doors) -> None:
    accepted = await doors.ask(changed(deadline_minutes=30))
    (asked,) = (await doors.intake.journal.history(accepted.sovereign)).recorded
    assert asked.event.data.shape.deadline_minutes == 30

    async def timer_set() -> bool:
        info = await doors.gateway.connection.api("$JS.API.STREAM.INFO.TIMERS", {"subjects_filter": "timer.at.>"})
        return {
            "timer.at.intake.demo_omani_works.run-deadline",
            "timer.at.intake.demo_omani_works.stalled-window",
        } <= set(info["state"].get("subjects") or {})

    await until(timer_set)


UNREADABLE = {
    "no json": (b"not json", "not-an-event"),
    "no object": (b"[1]", "not-an-event"),
    "unknown version": (b'{"specversion":"1.0","type":"sovereign.requested.v9","data":{}}', "not-an-event"),
    "empty": (b"{}", "invalid-request"),
    "too large": (b'{"comment":"' + b"x" * 300_000 + b'"}', "message-too-large"),
}


async def test_a_message_that_is_no_request_is_rejected_with_a_reason(doors: Doors) -> None:
    for name, (payload, code) in UNREADABLE.items():
        assert (await doors.rejection(await doors.publish(payload))).trouble.code == code, name
    assert await doors.facts() == 0


def _files_with(directory: Path, needle: bytes) -> list[Path]:
    return [file for file in directory.rglob("*") if file.is_file() and needle in file.read_bytes()]
