import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from flux_watcher.kubeconfig import MAX_BYTES, BadKubeconfig, read_kubeconfig

TOKEN = "a" * 40


def _ca() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


CA = _ca()


def config(**changes: Any) -> dict[str, Any]:
    """A good one, with parts replaced: cluster, user, context, or anything at the top."""
    cluster = {"server": "https://10.0.0.1:6443", "certificate-authority-data": base64.b64encode(CA.encode()).decode()}
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": changes.get("current", "c"),
        "clusters": [{"name": "c", "cluster": cluster | changes.get("cluster", {})}],
        "users": [{"name": "u", "user": changes.get("user", {"token": TOKEN})}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"} | changes.get("context", {})}],
    }
    return {**found, **changes.get("top", {})}


def authority(pem: str) -> dict[str, Any]:
    return config(cluster={"certificate-authority-data": base64.b64encode(pem.encode()).decode()})


def read(value: Any) -> Any:
    return read_kubeconfig(yaml.safe_dump(value).encode())


def test_a_good_one_gives_authority_and_token_and_nothing_else() -> None:
    access = read(config())
    assert access.ca_pem == CA
    assert access.token.get_secret_value() == TOKEN
    assert TOKEN not in repr(access)


BAD = [
    ("exec", config(user={"exec": {"command": "/bin/sh"}}), "run a program"),
    ("exec beside a token", config(user={"token": TOKEN, "exec": {"command": "sh"}}), "run a program"),
    ("auth provider", config(user={"auth-provider": {"name": "gcp"}}), "run a program"),
    ("client certificate only", config(user={"client-certificate-data": "x", "client-key-data": "y"}), "revoked"),
    ("token file", config(user={"tokenFile": "/etc/passwd"}), "read a file"),
    ("password", config(user={"username": "u", "password": "p"}), "token is expected"),
    ("impersonation", config(user={"token": TOKEN, "as": "system:admin"}), "impersonates"),
    ("unknown field", config(user={"token": TOKEN, "colour": "red"}), "not expected"),
    ("no token", config(user={}), "no usable bearer token"),
    ("token with a line break", config(user={"token": "a" * 20 + "\nX-Header: 1"}), "no usable bearer token"),
    ("proxy", config(cluster={"proxy-url": "http://evil"}), "proxy"),
    ("insecure", config(cluster={"insecure-skip-tls-verify": True}), "switches off"),
    ("authority in a file", config(cluster={"certificate-authority": "/ca"}), "read a file"),
    ("other server name", config(cluster={"tls-server-name": "x"}), "another server"),
    ("plain http", config(cluster={"server": "http://10.0.0.1"}), "no https server"),
    ("no authority", config(cluster={"certificate-authority-data": None}), "could be anybody"),
    ("authority no base64", config(cluster={"certificate-authority-data": "%%%"}), "no base64"),
    ("authority a key", authority("-----BEGIN PRIVATE KEY-----"), "no certificate"),
    ("authority broken", authority("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "cannot be read"),
    ("two users", config(top={"users": [{"name": n, "user": {"token": TOKEN}} for n in "ud"]}), "exactly one"),
    ("context elsewhere", config(current="other"), "is not in it"),
    ("a list", [1, 2], "no mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "why"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_could_do_harm_is_refused_by_name(value: Any, why: str) -> None:
    with pytest.raises(BadKubeconfig, match=why) as refused:
        read(value)
    assert TOKEN not in str(refused.value)


def test_two_mebibytes_are_not_even_parsed() -> None:
    with pytest.raises(BadKubeconfig, match=f"at most {MAX_BYTES}"):
        read_kubeconfig(b"a: b\n" * 420_000)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]",
        "base: &base {token: x}\nusers: *base",
        "a: &anchored 1",
    ],
)
def test_a_yaml_bomb_is_refused_before_it_unfolds(text: str) -> None:
    with pytest.raises(BadKubeconfig, match="anchors or aliases"):
        read_kubeconfig(text.encode())


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system ['true']", "[" * 5000, "a: : b", "\x00"])
def test_tags_depth_and_nonsense_are_refused(text: str) -> None:
    with pytest.raises(BadKubeconfig):
        read_kubeconfig(text.encode())


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read_never_anything_else(content: bytes) -> None:
    with pytest.raises(BadKubeconfig):
        read_kubeconfig(content)
