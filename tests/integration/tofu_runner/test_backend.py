"""The state backend: what it takes, and what it refuses with nothing changed."""

import asyncio
import base64
import hashlib
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from yarl import URL

from bus import Bus
from tests.conftest import BusOf
from tests.integration.tofu_runner.stand import SOVEREIGN
from tofu_runner.backend import KEY_PATH, STATE_PATH, USER, Backend
from tofu_runner.loopback import served
from tofu_runner.stateversions import CHUNK_BYTES, MAX_BYTES, StateVersions, opened, resources_of, without_secrets

KEY = bytes(range(32))
PASSWORD = "the-password-of-this-run"
CANARY = "canary-in-the-state"


def credential(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()}


@dataclass
class Held:
    """A lease that the test decides about."""

    token: int = 7
    sure: bool = True


def resource(name: str) -> dict[str, Any]:
    attributes = {"id": "1", "name": name, "secret": CANARY}
    return {"mode": "managed", "type": "hcloud_server", "name": name, "instances": [{"attributes": attributes}]}


def join_token(value: str) -> dict[str, Any]:
    dynamic = {"value": value, "type": "string"}
    instance = {"attributes": {"id": "2", "input": dynamic, "output": dynamic}}
    return {"mode": "managed", "type": "terraform_data", "name": "join_token", "instances": [instance]}


def state(
    serial: int, *names: str, lineage: str = "l", key: bytes = KEY, filler: int = 0, token: str | None = None
) -> bytes:
    """A version as OpenTofu encrypts it."""
    resources = [*([] if token is None else [join_token(token)]), *(resource(n) for n in names)]
    inner = {"serial": serial, "lineage": lineage, "resources": resources, "filler": "x" * filler}
    nonce = os.urandom(12)
    data = nonce + AESGCM(key).encrypt(nonce, json.dumps(inner).encode(), None)
    outer = {"serial": serial, "lineage": lineage, "encrypted_data": base64.b64encode(data).decode()}
    return json.dumps(outer | {"encryption_version": "v0"}).encode()


@dataclass
class Place:
    """A backend that is served."""

    url: str
    lease: Held
    versions: StateVersions
    bus: Bus
    session: ClientSession

    async def call(self, method: str, body: bytes = b"", password: str = PASSWORD, **headers: str) -> int:
        known = credential(password) | headers
        async with self.session.request(
            method, self.url, data=io.BytesIO(body) if body else None, headers=known
        ) as reply:
            await reply.read()
            return reply.status

    async def post(self, body: bytes, **headers: str) -> int:
        return await self.call("POST", body, **headers)

    async def keys(self) -> list[str]:
        return sorted(await self.bus.kv("tofu").keys(f"{SOVEREIGN}.>"))


@asynccontextmanager
async def backend(bus: Bus, lease: Held | None = None) -> AsyncIterator[Place]:
    held = lease or Held()
    versions = StateVersions(bus.kv("tofu"), SOVEREIGN, 1, key=KEY, lease=held)
    await versions.load()
    routes = Backend(versions, held, password=PASSWORD, key=KEY).routes()
    async with served(*routes) as port, ClientSession() as session:
        yield Place(f"http://127.0.0.1:{port}{STATE_PATH}", held, versions, bus, session)


@pytest.fixture
async def place(bus_of: BusOf) -> AsyncIterator[Place]:
    async with backend(await bus_of("tofu-runner")) as found:
        yield found


async def test_a_version_comes_back_as_it_was_written_and_is_kept_in_small_encrypted_chunks(place: Place) -> None:
    body = state(1, "a", "b", filler=300_000)
    assert await place.call("GET") == 404
    assert await place.post(body) == 200
    async with place.session.get(place.url, headers=credential(PASSWORD)) as reply:
        assert await reply.read() == body
    keys = await place.keys()
    assert keys == [f"{SOVEREIGN}.1.1.7-{n}" for n in range(len(keys) - 1)] + [f"{SOVEREIGN}.1.head"]
    for key in keys:
        found = await place.bus.kv("tofu").get(key)
        assert found is not None
        assert len(found.value) <= CHUNK_BYTES
        assert CANARY.encode() not in found.value


async def test_the_same_version_again_is_taken_and_older_ones_stay(place: Place) -> None:
    assert await place.post(state(1, "a")) == 200
    second = state(2, "a", "b")
    assert await place.post(second) == 200
    assert await place.post(second) == 200
    assert f"{SOVEREIGN}.1.1.7-0" in await place.keys()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(state(5, "a", "b", lineage="another"), 409, id="another-lineage"),
        pytest.param(state(4, "a", "b"), 409, id="lower-serial"),
        pytest.param(state(5, "a", "b", "c"), 409, id="same-serial-another-content"),
        pytest.param(state(6, "a"), 409, id="a-resource-gone-unexplained"),
        pytest.param(state(6), 409, id="everything-gone"),
        pytest.param(state(6, "a", "b", key=bytes(32)), 409, id="another-key"),
        pytest.param(json.dumps({"serial": 6, "lineage": "l", "resources": []}).encode(), 409, id="in-clear"),
        pytest.param(state(6, "a", "b")[:-30], 409, id="truncated"),
        pytest.param(b"", 409, id="empty"),
        pytest.param(b"\x00" * (20 * 1024 * 1024), 413, id="20-MiB"),
    ],
)
async def test_what_does_not_follow_is_refused_and_nothing_is_changed(place: Place, body: bytes, status: int) -> None:
    good = state(5, "a", "b")
    assert await place.post(good) == 200
    before = await place.keys()
    assert await place.post(body) == status
    assert await place.keys() == before
    assert await place.versions.load() == good


async def test_a_body_that_its_checksum_does_not_fit_is_refused(place: Place) -> None:
    body = state(1, "a")
    wrong = base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()
    assert await place.post(body, **{"Content-MD5": wrong}) == 400
    assert await place.call("GET") == 404
    right = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    assert await place.post(body, **{"Content-MD5": right}) == 200


async def test_a_body_that_ends_early_is_no_version(place: Place) -> None:
    good, next_one = state(1, "a"), state(2, "a", "b")
    assert await place.post(good) == 200
    before = await place.keys()
    url = URL(place.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = f"POST {url.path} HTTP/1.1\r\nHost: {url.host}\r\nAuthorization: {credential(PASSWORD)['Authorization']}\r\n"
    writer.write(f"{head}Content-Length: {len(next_one)}\r\n\r\n".encode() + next_one[:-30])
    writer.write_eof()
    async with asyncio.timeout(20):
        assert b" 200 " not in await reader.read()
    writer.close()
    assert await place.keys() == before
    assert await place.versions.load() == good
    assert await place.post(next_one) == 200


async def test_a_wrong_password_gets_neither_state_nor_key(place: Place) -> None:
    assert await place.post(state(1, "a")) == 200
    for method in ("GET", "POST", "LOCK", "UNLOCK"):
        assert await place.call(method, state(2, "a"), password="wrong") == 401
    key_url = place.url.replace(STATE_PATH, KEY_PATH)
    async with place.session.get(key_url) as reply:
        assert reply.status == 401
        assert KEY not in await reply.read()
    async with place.session.get(key_url, headers=credential(PASSWORD)) as reply:
        assert await reply.read() == KEY


async def test_without_a_sure_lease_nothing_is_locked_or_written_but_it_can_be_read(place: Place) -> None:
    assert await place.post(state(1, "a")) == 200
    place.lease.sure = False
    assert await place.call("LOCK", b"{}") == 423
    assert await place.post(state(2, "a")) == 409
    assert await place.call("GET") == 200
    assert place.versions.serial == 1


async def test_a_worker_that_was_overtaken_cannot_move_the_head(bus_of: BusOf) -> None:
    bus = await bus_of("tofu-runner")
    async with backend(bus) as old, backend(bus, Held(token=8)) as new:
        assert await new.post(state(1, "new")) == 200
        assert await old.post(state(1, "old")) == 409
        assert await new.versions.load() is not None
        assert [r.name for r in new.versions.resources] == ["new"]


async def test_what_the_plan_removes_may_go(place: Place) -> None:
    assert await place.post(state(1, "a", "b")) == 200
    place.versions.removable = frozenset({"hcloud_server.b"})
    assert await place.post(state(2, "a")) == 200


async def test_the_join_token_stays_in_the_state_until_the_plan_takes_it_away(place: Place) -> None:
    assert await place.post(state(1, token="the-clusters-own")) == 200
    assert place.versions.join_token == "the-clusters-own"
    assert place.versions.resources == (), "it is nothing of the cloud"
    assert await place.post(state(2, "a")) == 409
    assert await place.post(state(2, "a", token="another")) == 409
    assert await place.post(state(2, "a", token="the-clusters-own")) == 200
    shown = json.dumps(without_secrets(opened(await place.versions.read(2), KEY)))
    assert "the-clusters-own" not in shown
    assert '"hcloud_server"' in shown
    place.versions.removable = frozenset({"terraform_data.join_token"})
    assert await place.post(state(3, "a")) == 200


async def test_a_body_over_the_limit_is_refused_although_it_does_not_say_its_length(place: Place) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MAX_BYTES // 2**20 + 2):
            yield bytes(2**20)

    async with place.session.post(place.url, data=endless(), headers=credential(PASSWORD)) as reply:
        assert reply.status == 413
    assert await place.keys() == []


def test_what_opentofu_encrypted_is_opened_and_its_resources_are_named() -> None:
    found = resources_of(opened(state(3, "a"), KEY))
    assert [(r.address, r.cloud_id) for r in found] == [("hcloud_server.a", "1")]
