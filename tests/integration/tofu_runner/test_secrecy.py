"""No secret rests or shows anywhere while OpenTofu works and afterwards: looked for by its very value."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import ClientSession

from contracts.tofu import TofuApplied
from tests.integration.tofu_runner.stand import EMAIL, SOVEREIGN, ZONE_KEY, Stand, shape, until
from tests.integration.tofu_runner.test_stop import slowly


def processes() -> dict[Path, bytes]:
    """Arguments and environment of every process."""
    found = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            for file in (process / "environ", process / "cmdline"):
                try:
                    found[file] = file.read_bytes()
                except OSError:
                    continue
    return found


def files(folder: Path) -> dict[Path, bytes]:
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            try:
                found[path] = path.read_bytes()
            except OSError:
                continue
    return found


async def test_secrets_are_in_no_file_process_bucket_or_event(
    here: Stand, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await slowly(here, 3)
    event = await here.request(shape(worker_count=0))
    world = here.world()
    seen: dict[Path, bytes] = {}
    async with asyncio.TaskGroup() as group:
        group.create_task(here.provision(event, world))
        await until(lambda: here.calls()["POST /servers"] > 0)
        seen |= await asyncio.to_thread(processes)
        assert here.settings.work_dir is not None
        seen |= await asyncio.to_thread(files, here.settings.work_dir)
    assert (await here.history()).data(TofuApplied) is not None
    assert any("plan.bin" in path.name for path in seen), "the look was in time"
    assert any(b"HCLOUD_TOKEN" in content for content in seen.values())

    nodes = await world.keep.node_secrets(here.about(), ())
    key = await world.keep.state_key(here.about())
    secrets = {here.token, ZONE_KEY, *nodes.values(), key.hex()}
    assert list(here.settings.work_dir.iterdir()) == [], "nothing of the run is left"
    seen |= await asyncio.to_thread(files, tmp_path / "nats")
    seen[Path("log")] = caplog.text.encode()
    seen[Path("events")] = b"\n".join(
        [item.event.model_dump_json().encode() for item in (await here.everything()).recorded]
    )
    for secret in secrets:
        assert [str(path) for path, content in seen.items() if secret.encode() in content] == []
    assert key not in b"".join(seen.values())
    outside = {path: content for path, content in seen.items() if path.suffix != ".blk"}
    assert [str(path) for path, content in outside.items() if EMAIL.encode() in content] == []
    assert EMAIL.encode() not in b"".join([v.value for v in await here.runner.kv("tofu").values(f"{SOVEREIGN}.>")])


async def test_the_pass_through_takes_its_own_credential_only_and_passes_the_real_token_on(here: Stand) -> None:
    await slowly(here, 3)
    event = await here.request(shape(worker_count=0))
    async with asyncio.TaskGroup() as group, ClientSession() as session:
        group.create_task(here.provision(event))
        await until(lambda: here.calls()["POST /servers"] > 0)
        mark = f"HOME={here.settings.work_dir}".encode()
        seen = await asyncio.to_thread(processes)
        ours = [text for path, text in seen.items() if path.name == "environ" and mark in text]
        variables = dict(line.split(b"=", 1) for line in ours[0].split(b"\0") if b"=" in line)
        endpoint, credential = variables[b"HCLOUD_ENDPOINT"].decode(), variables[b"HCLOUD_TOKEN"].decode()
        assert len(credential) == 64
        assert credential != here.token
        for given in (here.token, "x" * 64, ""):
            async with session.get(f"{endpoint}/servers", headers={"Authorization": f"Bearer {given}"}) as reply:
                assert reply.status == 401
                assert (await reply.json())["error"]["code"] == "unauthorized"
        async with session.get(f"{endpoint}/servers", headers={"Authorization": f"Bearer {credential}"}) as reply:
            assert reply.status == 200
            assert "RateLimit-Remaining" in reply.headers
            assert here.token not in str(reply.headers) + await reply.text()
