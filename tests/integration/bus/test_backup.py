"""A backup is rehearsed: saved while services work, restored on a new server, and the work goes on where it was."""

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from bus import Bus, Wake, connect, seal
from bus.server import NatsServer
from contracts import About, Fact, History
from contracts.catalogue import DELEGATION_CHECK
from contracts.dns import DnsReserved
from contracts.sovereign import SovereignCancelRequested
from tests.conftest import BusOf
from tests.integration.bus.hosting import dns_pdm, hosted, until
from tests.integration.bus.operator import catalyst
from tests.unit.intake.test_life import REQUESTED

RESERVED = DnsReserved(zone="demo.omani.works.", nameservers=())


def about(number: int) -> About:
    return About(sovereign=f"s{number}_omani_works", owner="acme", life=1, run=1)


async def _request(intake: Bus, number: int) -> None:
    await intake.journal.append([REQUESTED], about(number), cause=uuid4(), after=History(about(number).sovereign))


@pytest.fixture
def passphrase(tmp_path: Path) -> str:
    file = tmp_path / "passphrase"
    file.write_text("correct horse battery staple\n")
    return str(file)


async def _at_work(bus_of: BusOf) -> None:
    """Facts, some handled and some not, a timer far in the future and one that is due, a sealed secret, a state."""
    intake, dns = await bus_of("intake"), await bus_of("dns-pdm")

    async def reserve(_event: Any, _history: History) -> list[Any]:
        return [RESERVED]

    async def reserved() -> bool:
        return (await intake.journal.fold(about(1).sovereign)).last(DnsReserved) is not None

    async with hosted(dns, dns_pdm(reserve)):
        await _request(intake, 1)
        await until(reserved)
    await _request(intake, 2)
    await dns.timers.set(DELEGATION_CHECK, about(1), datetime.now(UTC) + timedelta(days=400), key="far")
    await dns.timers.set(DELEGATION_CHECK, about(2), datetime.now(UTC), key="due")
    (key,) = intake.public_keys_of("tofu-runner")
    secret = seal(b"canary", to=key, reader="tofu-runner", purpose="cloud-token", bound_to=about(1).sovereign)
    await intake.vault.put(about(1).sovereign, 1, secret)
    await (await bus_of("tofu-runner")).kv("tofu").put("s1.1.head", b"serial 7")


async def test_after_a_restore_on_a_new_server_a_service_goes_on_with_a_correct_fold(
    bus_of: BusOf, nats_server: NatsServer, tmp_path: Path, passphrase: str
) -> None:
    intake = await bus_of("intake")
    await _at_work(bus_of)
    before = await intake.journal.history(about(1).sovereign), await intake.journal.history(about(2).sovereign)
    epoch = await intake.journal.stream_epoch()

    folder = tmp_path / "backup"
    saved = await catalyst(nats_server, "backup", str(folder), "--passphrase-file", passphrase)
    assert saved.exit_code == 0, saved.output
    await _request(intake, 3)
    keys = tmp_path / "restored-keys"
    options = ("--passphrase-file", passphrase, "--scale", "0.02")
    made = await catalyst(nats_server, "restore", str(folder), "--part", "keys", *options, CATALYST_KEYS_DIR=str(keys))
    assert made.exit_code == 0, made.output
    await nats_server.stop(kill=True)

    async with contextlib.AsyncExitStack() as stack:
        new = NatsServer(tmp_path / "new", keys, sync="2m")
        await new.start()
        stack.push_async_callback(new.stop)
        told = await catalyst(new, "restore", str(folder), "--part", "streams", *options)
        assert told.exit_code == 0, told.output
        intake, dns, tofu = [
            await stack.enter_async_context(connect(new.settings(user), user))
            for user in ("intake", "dns-pdm", "tofu-runner")
        ]
        after = await intake.journal.history(about(1).sovereign), await intake.journal.history(about(2).sovereign)
        assert after == before
        # What was said after the backup is gone: tokens of browsers that saw it are of another epoch now.
        assert await intake.journal.stream_epoch() != epoch
        assert await tofu.vault.open(about(1).sovereign, 1, "cloud-token") == b"canary"
        state = await tofu.kv("tofu").get("s1.1.head")
        assert state is not None
        assert state.value == b"serial 7"
        heard: list[str] = []
        fired: list[str] = []

        async def reserve(event: Any, history: History) -> list[Fact]:
            heard.append(event.subject)
            assert history.life == 1
            return [RESERVED]

        async def check(timer: Any, _history: History) -> list[Any]:
            fired.append(timer.key)
            return [Wake(DELEGATION_CHECK, timedelta(days=400), key="again")]

        async def goes_on() -> bool:
            return (await intake.journal.fold(about(2).sovereign)).last(DnsReserved) is not None and bool(fired)

        async with hosted(dns, dns_pdm(reserve, timers=[(DELEGATION_CHECK, check)])):
            await until(goes_on)
        # What was done before the backup is not done again; what was not, is; the later timer still waits.
        assert heard == [about(2).sovereign]
        assert fired == ["due"]
        history = await intake.journal.fold(about(2).sovereign)
        await intake.journal.append([SovereignCancelRequested()], about(2), cause=uuid4(), after=history)
        assert (await intake.journal.history(about(2).sovereign)).recorded[-1].sequence == before[1].upto + 2

        again = await catalyst(new, "restore", str(folder), "--part", "streams", *options)
        assert (again.exit_code, "holds" in again.output) == (4, True)


async def test_a_damaged_backup_a_wrong_passphrase_and_a_used_folder_are_refused(
    nats_server: NatsServer, tmp_path: Path, passphrase: str
) -> None:
    folder, wrong = tmp_path / "backup", tmp_path / "wrong"
    wrong.write_text("something else")
    saved = await catalyst(nats_server, "backup", str(folder), "--passphrase-file", passphrase)
    assert saved.exit_code == 0, saved.output
    assert folder.stat().st_mode & 0o077 == 0
    seeds = [file.read_bytes().strip() for file in nats_server.keys.glob("*.nk")]
    assert not [f for f in folder.iterdir() if any(seed in f.read_bytes() for seed in seeds)]

    used = await catalyst(nats_server, "backup", str(folder), "--passphrase-file", passphrase)
    assert (used.exit_code, "not empty" in used.output) == (4, True)
    keys = {"CATALYST_KEYS_DIR": str(tmp_path / "elsewhere")}
    refused = await catalyst(nats_server, "restore", str(folder), "--passphrase-file", str(wrong), **keys)
    assert (refused.exit_code, "passphrase is wrong" in refused.output) == (4, True)
    assert not (tmp_path / "elsewhere").exists()
    file = folder / "PROV.snapshot"
    file.write_bytes(file.read_bytes() + b"x")
    damaged = await catalyst(nats_server, "restore", str(folder), "--passphrase-file", passphrase, **keys)
    assert (damaged.exit_code, "PROV.snapshot is missing or damaged" in damaged.output) == (4, True)
