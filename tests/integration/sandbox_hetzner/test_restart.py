"""A sandbox that goes down, politely or not, is the same cloud when it comes up again."""

import asyncio
import json
import os
import pathlib
import signal
import sys
from typing import Any

import aiohttp
import pytest

from .conftest import Cloud, CloudAt

SERVER = {"name": "one", "server_type": "cx23", "image": "ubuntu-24.04", "location": "fsn1", "labels": {"a": "b"}}


async def _inventory(cloud: Cloud) -> Any:
    return (await cloud.control("GET", "/inventory"))[1]


async def test_everything_is_there_again_and_what_was_under_way_ends(cloud_at: CloudAt) -> None:
    async with cloud_at(durations={"create_load_balancer": 0.5}) as cloud:
        subnet = {"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}
        network = await cloud.made("/networks", {"name": "net", "ip_range": "10.0.0.0/16", "subnets": [subnet]})
        server = await cloud.made("/servers", SERVER | {"networks": [network["network"]["id"]]})
        balancer = {"name": "lb", "load_balancer_type": "lb11", "location": "fsn1"}
        _, begun = await cloud.call("POST", "/load_balancers", balancer)
        await cloud.control("PUT", "/capacity", {"location": "hel1", "remaining": 0})
        await cloud.control("PUT", "/limits", {"project": "project-a", "limits": {"servers": 1}})
        before = (await cloud.call("GET", f"/servers/{server['server']['id']}"))[1]
        inventory, tokens = await _inventory(cloud), cloud.tokens
        _, ledger = await cloud.control("GET", "/ledger?totals=only")

    async with cloud_at() as cloud:
        cloud.tokens = tokens
        assert await _inventory(cloud) == inventory
        assert (await cloud.call("GET", f"/servers/{server['server']['id']}"))[1] == before
        assert (await cloud.ended(begun["action"]["id"]))["status"] == "success"
        assert (await cloud.call("POST", "/servers", SERVER | {"name": "two"}))[1]["error"]["code"] == (
            "resource_limit_exceeded"
        )
        _, types = await cloud.call("GET", "/server_types?name=cx23")
        assert [o["available"] for o in types["server_types"][0]["locations"]] == [True, True, False]
        _, again = await cloud.control("GET", "/ledger?totals=only")
        assert again["resources"] == ledger["resources"]
        _, found = await cloud.call("GET", "/servers?label_selector=a=b&name=one")
        assert len(found["servers"]) == 1
        taken = (await cloud.call("POST", "/networks", {"name": "net", "ip_range": "10.0.0.0/16"}))[0]
        assert taken == 409


async def _started(directory: pathlib.Path, tokens: pathlib.Path) -> tuple[asyncio.subprocess.Process, str]:
    (directory / "ready.json").unlink(missing_ok=True)
    environment = {**os.environ, "SANDBOX_DIR": str(directory), "SANDBOX_TOKENS_FILE": str(tokens)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "sandbox", env=environment)
    async with asyncio.timeout(20):
        while not (directory / "ready.json").exists():
            assert process.returncode is None, "the sandbox did not come up"
            await asyncio.sleep(0.05)
    return process, json.loads((directory / "ready.json").read_text())["endpoint"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "asked"])
async def test_what_was_answered_survives_the_end_of_the_process(
    tmp_path: pathlib.Path, number: signal.Signals
) -> None:
    token, directory, tokens = "t" * 64, tmp_path / "state", tmp_path / "tokens.json"
    tokens.write_text(json.dumps([{"token": token, "project": "p"}]))
    directory.mkdir()
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        process, endpoint = await _started(directory, tokens)
        try:
            for n in range(20):
                body = {"name": f"net-{n}", "ip_range": "10.0.0.0/16"}
                async with session.post(f"{endpoint}/networks", json=body) as answer:
                    assert answer.status == 201
        finally:
            process.send_signal(number)
            async with asyncio.timeout(10):
                status = await process.wait()
        assert status == (0 if number == signal.SIGTERM else -number)

        process, endpoint = await _started(directory, tokens)
        try:
            async with session.get(f"{endpoint}/networks?per_page=50") as answer:
                found = await answer.json()
            assert [network["name"] for network in found["networks"]] == [f"net-{n}" for n in range(20)]
        finally:
            process.terminate()
            async with asyncio.timeout(10):
                await process.wait()
    kept = [path.read_text() for path in directory.iterdir()]
    assert not any(token in text for text in kept)
