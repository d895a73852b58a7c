"""Requests as operators send them."""

from typing import Any

from bus import seal
from bus.seal import SealKeys
from contracts.identity import sovereign_id

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPTyY2rQvXas03wK+urnsyAZ8lfY3j6QV3wU3LaTX4vk sovereign-admin@example"
CLOUD_TOKEN = "Canary" + "0a" * 29


def request_body(fqdn: str = "demo.omani.works", *, token: str | None = CLOUD_TOKEN, **changes: Any) -> dict[str, Any]:
    """A request for one Sovereign, its cloud token sealed to a tofu-runner's key of the test's own."""
    body: dict[str, Any] = {
        "organisation": {"name": "Omantel", "industry": "telecom"},
        "topology": {"region": "fsn1", "worker_count": 1},
        "domain": {"mode": "pool", "fqdn": fqdn},
        "ssh_public_key": SSH_KEY,
        "admin_email": "admin@example.org",
        "secrets": [],
    }
    if token is not None:
        body["secrets"] = [sealed_token(fqdn, token)]
    return body | changes


def sealed_token(fqdn: str, token: str = CLOUD_TOKEN, keys: SealKeys | None = None) -> dict[str, Any]:
    """The token, sealed for this Sovereign."""
    key = (keys or SealKeys.generate("tofu-runner")).public()[0]
    secret = seal(token.encode(), to=key, reader="tofu-runner", purpose="cloud-token", bound_to=sovereign_id(fqdn))
    return secret.model_dump(mode="json")
