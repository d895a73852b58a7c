"""Keys are made, rotated and retired under a running installation; connections are encrypted when it is set up so."""

import asyncio
import contextlib
import ipaddress
import json
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bus import Bus, BusSettings, CannotOpen, connect, seal
from bus.server import NatsServer, TlsFiles, make_topology
from contracts.questions import PublicKey
from tests.conftest import BusOf
from tests.integration.bus.hosting import until
from tests.integration.bus.operator import catalyst

DEMO = "demo_omani_works"


async def _rejected(settings: BusSettings, user: str, caplog: pytest.LogCaptureFixture, words: str) -> bool:
    """The client keeps trying, as a service does while its broker starts; its log says why it does not get in."""
    caplog.clear()

    async def attempt() -> None:
        async with connect(settings, user):
            pass

    trying = asyncio.get_running_loop().create_task(attempt())

    async def told() -> bool:
        return trying.done() or any(words in str(getattr(record, "error", "")).lower() for record in caplog.records)

    async with asyncio.timeout(20):
        await until(told)
    rejected = not trying.done()
    trying.cancel()
    await asyncio.wait({trying})
    return rejected


async def _may_enter(settings: BusSettings, user: str) -> bool:
    async with connect(settings, user) as bus:
        return await bus.journal.last_sequence() == 0


async def _restarted(server: NatsServer) -> None:
    await server.stop()
    await server.start()


async def test_a_rotated_nkey_is_accepted_beside_the_old_one_until_that_is_retired(
    nats_server: NatsServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = tmp_path / "old.nk"
    shutil.copy(nats_server.keys / "intake.nk", old)
    rotated = await catalyst(nats_server, "keys", "rotate", "intake", "--kind", "nkey")
    assert rotated.exit_code == 0, rotated.output
    listed = json.loads((await catalyst(nats_server, "keys", "list", "--json")).output)
    rows = [(row["state"], row["public"]) for row in listed if (row["owner"], row["kind"]) == ("intake", "nkey")]
    assert [state for state, _ in rows] == ["current", "accepted"]
    assert rotated.output.strip() == rows[0][1]
    # Making what is missing takes nothing away.
    assert (await catalyst(nats_server, "keys", "init")).output == "Nothing was missing.\n"
    await _restarted(nats_server)
    assert await _may_enter(nats_server.settings("intake"), "intake")
    assert await _may_enter(BusSettings(nats_url=nats_server.url, nkey_file=old), "intake")
    retired = await catalyst(nats_server, "keys", "retire", "intake", "--kind", "nkey")
    assert retired.output.strip() == f"{rows[1][1]} is accepted no longer"
    await _restarted(nats_server)
    assert await _may_enter(nats_server.settings("intake"), "intake")
    former = BusSettings(nats_url=nats_server.url, nkey_file=old)
    assert await _rejected(former, "intake", caplog, "authorization violation")


async def test_an_old_sealing_key_opens_until_the_last_secret_that_needs_it_has_ended(
    bus_of: BusOf, nats_server: NatsServer
) -> None:
    intake = await bus_of("intake")

    def current() -> PublicKey:
        return intake.public_keys_of("tofu-runner")[0]

    async def put(name: str) -> None:
        await intake.vault.put(
            DEMO, 1, seal(b"canary", to=current(), reader="tofu-runner", purpose=name, bound_to=DEMO)
        )

    before = current().kid
    await put("cloud-token")
    rotated = await catalyst(nats_server, "keys", "rotate", "tofu-runner")
    assert rotated.output.strip() == current().kid != before
    await put("state-key")
    runner = await bus_of("tofu-runner")
    assert [await runner.vault.open(DEMO, 1, name) for name in ("cloud-token", "state-key")] == [b"canary", b"canary"]

    kept = await catalyst(nats_server, "keys", "retire", "tofu-runner")
    assert kept.output.strip() == f"seal {before} stays: 1 secrets are sealed to it"
    await runner.vault.erase(DEMO, 1, "cloud-token")
    gone = await catalyst(nats_server, "keys", "retire", "tofu-runner")
    assert gone.output.strip() == f"seal {before} is retired"
    late = seal(b"late", to=runner.vault.public_keys()[1], reader="tofu-runner", purpose="late", bound_to=DEMO)
    await intake.vault.put(DEMO, 1, late)
    restarted = await bus_of("tofu-runner", replica="restarted")
    assert await restarted.vault.open(DEMO, 1, "state-key") == b"canary"
    with pytest.raises(CannotOpen, match="rotated away"):
        await restarted.vault.open(DEMO, 1, "late")
    refused = await catalyst(nats_server, "keys", "rotate", "gateway")
    assert (refused.exit_code, "nothing is ever sealed to gateway" in refused.output) == (2, True)


def _authority(folder: Path) -> TlsFiles:
    """A certificate authority of the test's own, and a server's certificate for 127.0.0.1."""
    folder.mkdir()
    now = datetime.now(UTC)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test root")])

    def certificate(subject: x509.Name, public: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )

    root = certificate(root_name, root_key.public_key(), ca=True).sign(root_key, hashes.SHA256())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nats")])
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server = certificate(name, key.public_key(), ca=False).add_extension(addresses, critical=False)
    files = TlsFiles(folder / "server.pem", folder / "server.key", folder / "root.pem")
    files.authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    files.certificate.write_bytes(server.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    files.key.write_bytes(key.private_bytes(pem, pkcs8, plain))
    return files


@contextlib.asynccontextmanager
async def _encrypted(folder: Path) -> AsyncIterator[NatsServer]:
    server = NatsServer(folder / "nats", folder / "keys", sync="2m", tls=_authority(folder / "tls"))
    await server.start()
    try:
        await make_topology(server)
        yield server
    finally:
        await server.stop()


async def test_with_tls_only_clients_that_trust_the_servers_root_get_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with _encrypted(tmp_path) as server:
        async with connect(server.settings("intake"), "intake") as bus:
            assert await _secured(bus)
        told = await catalyst(server, "streams", CATALYST_NATS_CA=str(_ca_of(server)))
        assert (told.exit_code, "PROV" in told.output) == (0, True)
        another = _authority(tmp_path / "other").authority
        strange = server.settings("intake").model_copy(update={"nats_ca": another})
        assert await _rejected(strange, "intake", caplog, "certificate verify failed")
        trusting_nobody = server.settings("intake").model_copy(update={"nats_ca": None})
        assert await _rejected(trusting_nobody, "intake", caplog, "certificate verify failed")


def _ca_of(server: NatsServer) -> Path:
    assert server.tls is not None
    return server.tls.authority


async def _secured(bus: Bus) -> bool:
    info = bus.connection.client._server_info
    return bool(info["tls_required"]) and await bus.journal.last_sequence() == 0
