"""No secret of a run rests or shows anywhere in the stack: each is opened with its reader's key and looked for.

Looked through are the whole folder of the stack (streams and buckets on disk, logs, service files), the log stream,
and arguments and environment of every process of the stack, again and again while the run goes on. Left out is the
folder of the sandbox: it plays the customer's cloud, and the servers there hold what was meant for them.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from nats.js.errors import NotFoundError

from bus import connect, seal
from bus.connection import open_connection
from bus.seal import load_public_keys
from catalyst.demo.play import Play, playing
from catalyst.stack.stack import Stack
from contracts.flux import FluxBootstrapped
from contracts.identity import sovereign_id
from contracts.sovereign import SovereignFailed, SovereignHandedOver, SovereignRequested
from contracts.tofu import TofuApplied
from contracts.topology import ADMIN
from tests.scenario import stack_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

REGISTRAR_TOKEN = "canary-registrar-token-5f0c1e2d3b4a"
LOOK_EVERY_S = 0.3
HELD = (
    (TofuApplied, "tofu-runner", ("cloud-token", "zone-credential", "node-secrets", "state-key")),
    (FluxBootstrapped, "flux-watcher", ("kubeconfig",)),
)
"""When a service holds which secrets, all of them at once."""


async def test_no_secret_of_a_run_is_in_a_stream_file_log_environment_or_argument() -> None:
    async with stack_for() as stack, playing(stack, lambda _line: None, project="canary") as play:
        processes: dict[str, bytes] = {}
        secrets: dict[str, bytes] = {"the cloud token": play.token.encode()}
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(look_at_processes(stack, processes))
            await ask_with_registrar_token(play)
            secrets["the registrar's token"] = REGISTRAR_TOKEN.encode()
            sovereign = await play.request(play.name("canary"))
            for fact, reader, names in HELD:
                assert isinstance((await play.until(sovereign, fact, SovereignFailed, seconds=240)).data, fact)
                secrets |= await opened(stack, reader, names, sovereign)
            await play.until(sovereign, SovereignHandedOver)
            looking.cancel()
        texts = processes | await asyncio.to_thread(files, stack.directory) | await log_stream(stack)
    assert {"the kubeconfig's token", "state-key", "zone-credential.api_key"} <= set(secrets), sorted(secrets)
    assert any(name.endswith(".blk") for name in texts), "the streams' files were looked through"
    assert any("HCLOUD_TOKEN" in text.decode(errors="replace") for text in processes.values()), "OpenTofu was seen"
    found = {
        what: [place for place, text in texts.items() if shows(text, secret) and not may_hold(place, what)]
        for what, secret in secrets.items()
    }
    assert {what: places for what, places in found.items() if places} == {}


def may_hold(place: str, what: str) -> bool:
    """A DNS server verifies TSIG with the very secret of the zone's key, so its own database holds that."""
    return what.startswith("zone-credential.") and "/powerdns/pdns.sqlite3" in place


def shows(text: bytes, secret: bytes) -> bool:
    """In clear, or in an encoding that hides nothing."""
    return any(form in text for form in (secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"=")))


async def ask_with_registrar_token(play: Play) -> None:
    """A domain of the customer's own, changed at the registrar with a token that dns-pdm holds."""
    fqdn = "canary.example"
    key = load_public_keys(play.stack.nats.keys / "public", "dns-pdm")[0]
    sealed = seal(
        REGISTRAR_TOKEN.encode(),
        to=key,
        reader="dns-pdm",
        purpose="registrar-token",
        bound_to=sovereign_id(fqdn),
    )
    secrets = [*play.body(fqdn)["secrets"], sealed.model_dump(mode="json")]
    domain = {"mode": "byo-api", "fqdn": fqdn, "registrar": "godaddy"}
    await play.until(await play.request(fqdn, domain=domain, secrets=secrets), SovereignRequested)


async def opened(stack: Stack, reader: str, names: Sequence[str], sovereign: str) -> dict[str, bytes]:
    """What a service holds sealed of a Sovereign, in clear, by name."""
    found: dict[str, bytes] = {}
    async with connect(stack.nats.settings(reader), reader) as bus:
        for name in names:
            found |= dict(values(name, await bus.vault.open(sovereign, 1, name)))
    return found


def values(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The secret parts of one sealed secret."""
    if name == "kubeconfig":
        yield "the kubeconfig's token", yaml.safe_load(content)["users"][0]["user"]["token"].encode()
    elif content.startswith(b"{"):
        for key, value in leaves(json.loads(content)):
            if key not in PUBLIC_PARTS and len(value) >= SHORTEST:
                yield f"{name}.{key}", value.encode()
    else:
        yield name, content


PUBLIC_PARTS = {"url", "nameserver", "tsig_name"}
SHORTEST = 16


def leaves(body: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string of a JSON document, with the key that it stands under."""
    if isinstance(body, dict):
        for name, value in body.items():
            yield from leaves(value, name)
    elif isinstance(body, str):
        yield key, body


async def look_at_processes(stack: Stack, seen: dict[str, bytes]) -> None:
    """Arguments and environment of the stack's processes and of all below them, as often as they change."""
    while True:
        roots = {str(stack.supervisor.pid(name)) for name in stack.supervisor.names}
        seen |= await asyncio.to_thread(listings, roots)
        await asyncio.sleep(LOOK_EVERY_S)


def listings(roots: set[str]) -> dict[str, bytes]:
    parents = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                parents[process.name] = (process / "stat").read_text().rpartition(")")[2].split()[1]
    ours = set(roots)
    while below := {process for process, parent in parents.items() if parent in ours} - ours:
        ours |= below
    found: dict[str, bytes] = {}
    for one in ours:
        for what in ("environ", "cmdline"):
            with contextlib.suppress(OSError):
                found[f"{one} {what}"] = Path(f"/proc/{one}/{what}").read_bytes()
    return found


def files(folder: Path) -> dict[str, bytes]:
    found = {}
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink() and folder / "sandbox" not in file.parents:
            found[str(file)] = file.read_bytes()
    return found


async def log_stream(stack: Stack) -> dict[str, bytes]:
    """The stream of log lines, which lies compressed on disk."""
    connection = await open_connection(stack.nats.settings(ADMIN), ADMIN)
    try:
        context = connection.client.jetstream()
        state = (await context.stream_info("LOGS")).state
        found = {}
        for sequence in range(state.first_seq, state.last_seq + 1):
            try:
                found[f"LOGS {sequence}"] = (await context.get_msg("LOGS", sequence, direct=True)).data or b""
            except NotFoundError:
                continue
        return found
    finally:
        await connection.client.close()
