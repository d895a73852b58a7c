"""A kubeconfig as it was handed in by a node: somebody else's file, from which three things are taken and nothing else.

The cluster's CA, a bearer token and the name of the server that was meant. Whatever could run a program, read a file,
go through a proxy or weaken TLS is refused by name; the server is never connected to, since the address comes from the
run's outputs. YAML without anchors, aliases or tags, bounded before it is parsed.
"""

import base64
import binascii
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml
from pydantic import SecretStr

MAX_BYTES: Final = 64 * 1024
_CLUSTER: Final = {"server", "certificate-authority-data"}
_USER: Final = {"token"}
_CONTEXT: Final = {"cluster", "user", "namespace"}
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{16,8192}")
_PEM: Final = "-----BEGIN CERTIFICATE-----"
_WHY: Final = {
    "exec": "it would run a program here",
    "auth-provider": "it would run a program here",
    "tokenFile": "it would read a file here",
    "client-certificate": "it would read a file here",
    "client-key": "it would read a file here",
    "client-certificate-data": "a client certificate cannot be revoked; a ServiceAccount's token is expected",
    "client-key-data": "a private key was handed in; a ServiceAccount's token is expected",
    "username": "a ServiceAccount's token is expected",
    "password": "a ServiceAccount's token is expected",
    "as": "it impersonates somebody",
    "proxy-url": "it would lead through a proxy",
    "insecure-skip-tls-verify": "it switches off the check of the certificate",
    "certificate-authority": "it would read a file here; the CA has to stand in it",
    "tls-server-name": "it would check another server's certificate",
}


class BadKubeconfig(Exception):
    """The kubeconfig was refused; the message says why and holds nothing of its content."""


@dataclass(frozen=True)
class Access:
    """What is taken from a kubeconfig."""

    ca_pem: str
    token: SecretStr
    server: str
    """The address that was written in it: for the record, never connected to."""


class _Strict(yaml.SafeLoader):
    """Safe YAML without anchors and aliases: what is small in the file stays small in memory."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.events.AliasEvent) or getattr(event, "anchor", None):
            raise BadKubeconfig("the kubeconfig uses YAML anchors or aliases")
        return super().compose_node(parent, index)


def read_kubeconfig(content: bytes) -> Access:
    """Check a kubeconfig and take what is needed; BadKubeconfig otherwise."""
    if len(content) > MAX_BYTES:
        raise BadKubeconfig(f"the kubeconfig has {len(content)} bytes, at most {MAX_BYTES} are read")
    root = _mapping(_parse(content), "the file")
    name = root.get("current-context")
    context = _only(root, "contexts", "context", name if isinstance(name, str) else "")
    _refuse_unknown(context, _CONTEXT, "context")
    cluster = _only(root, "clusters", "cluster", str(context.get("cluster", "")))
    user = _only(root, "users", "user", str(context.get("user", "")))
    _refuse_unknown(cluster, _CLUSTER, "cluster")
    _refuse_unknown(user, _USER, "user")
    server = cluster.get("server")
    if not isinstance(server, str) or not server.startswith("https://") or len(server) > 300:  # noqa: PLR2004 - a URL
        raise BadKubeconfig("the kubeconfig names no https server")
    token = user.get("token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise BadKubeconfig("the kubeconfig's user has no usable bearer token")
    return Access(ca_pem=_authority(cluster), token=SecretStr(token), server=server)


def _parse(content: bytes) -> Any:
    try:
        return yaml.load(content.decode("utf-8"), Loader=_Strict)  # noqa: S506 - derived from SafeLoader
    except UnicodeDecodeError:
        raise BadKubeconfig("the kubeconfig is no UTF-8") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        # The parser's message quotes the text, which holds the token.
        raise BadKubeconfig("the kubeconfig is no YAML") from None


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise BadKubeconfig(f"{what} of the kubeconfig is no mapping")
    return value


def _only(root: Mapping[str, Any], plural: str, singular: str, name: str) -> Mapping[str, Any]:
    """The one entry of a list, which has to be the one that is meant."""
    rows = root.get(plural)
    if not isinstance(rows, list) or len(rows) != 1:
        raise BadKubeconfig(f"the kubeconfig has to hold exactly one {singular}")
    row = _mapping(rows[0], singular)
    if row.get("name") != name:
        raise BadKubeconfig(f"the {singular} that the kubeconfig means is not in it")
    return _mapping(row.get(singular), singular)


def _refuse_unknown(part: Mapping[str, Any], allowed: set[str], what: str) -> None:
    for field in part:
        if field not in allowed:
            shown = field if field in _WHY else "a field"
            raise BadKubeconfig(f"the kubeconfig's {what} has {shown}: {_WHY.get(field, 'it is not expected there')}")


def _authority(cluster: Mapping[str, Any]) -> str:
    encoded = cluster.get("certificate-authority-data")
    if not isinstance(encoded, str):
        raise BadKubeconfig("the kubeconfig has no certificate-authority-data: the server could be anybody")
    try:
        pem = base64.b64decode(encoded, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise BadKubeconfig("the kubeconfig's certificate-authority-data is no base64 of PEM") from None
    if "PRIVATE KEY" in pem or not pem.lstrip().startswith(_PEM):
        raise BadKubeconfig("the kubeconfig's certificate-authority-data is no certificate")
    try:
        ssl.create_default_context(cadata=pem)
    except ssl.SSLError:
        raise BadKubeconfig("the kubeconfig's certificate-authority-data cannot be read") from None
    return pem
