"""What the module is told: the request's shape, the deployment's settings and the life's secrets, as one file.

The file never exists on a disk: its text goes through a pipe. It is written in OpenTofu's own syntax, in which a
quoted string may hold templates, so those are escaped: nothing in a request can be evaluated.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.identity import fqdn_of, slug_of
from contracts.request import NETWORK_ZONES, Shape
from tofu_runner.settings import Settings


@dataclass(frozen=True)
class Deployment:
    """What is the same for every Sovereign of this installation."""

    node_door_url: str
    node_door_ca: str
    kit_url: str
    kit_path: str
    kit_revision: str
    acme_server: str


def deployment_of(settings: Settings) -> Deployment:
    """As this installation is set up."""
    return Deployment(
        node_door_url=settings.node_door_url,
        node_door_ca=settings.node_door_ca_file.read_text() if settings.node_door_ca_file else "",
        kit_url=settings.kit_url,
        kit_path=settings.kit_path,
        kit_revision=settings.kit_revision,
        acme_server=settings.acme_server,
    )


def servers_of(sovereign: str, shape: Shape) -> tuple[str, ...]:
    """The names of the servers that a shape asks for; the first hands in the kubeconfig."""
    slug = slug_of(sovereign)
    planes = tuple(f"{slug}-cp{n + 1}" for n in range(shape.topology.control_plane_count))
    return (*planes, *(f"{slug}-w{n + 1}" for n in range(shape.topology.worker_count)))


def variables_of(
    sovereign: str,
    shape: Shape,
    deployment: Deployment,
    *,
    node_tokens: Mapping[str, str],
    hand_in_token: str,
    k3s_token: str,
    zone_credential: Mapping[str, str],
    admin_email: str,
    options: Sequence[str],
    ssh_key_id: int = 0,
) -> dict[str, Any]:
    """Every variable of the module."""
    topology = shape.topology
    return {
        "sovereign_id": sovereign,
        "fqdn": fqdn_of(sovereign),
        "location": topology.region,
        "network_zone": NETWORK_ZONES[topology.region],
        "control_plane_count": topology.control_plane_count,
        "control_plane_type": topology.control_plane_type,
        "worker_count": topology.worker_count,
        "worker_type": topology.worker_type,
        "ssh_public_key": shape.ssh_public_key,
        "ssh_key_id": ssh_key_id,
        "ssh_allowed_cidrs": list(shape.ssh_allowed_cidrs),
        "node_door_url": deployment.node_door_url.rstrip("/"),
        "node_door_ca": deployment.node_door_ca,
        "node_tokens": dict(node_tokens),
        "hand_in_token": hand_in_token,
        "k3s_token": k3s_token,
        "zone_credential": dict(zone_credential),
        "organisation": shape.organisation.name,
        "admin_email": admin_email,
        "kit_source": {
            "url": deployment.kit_url,
            "path": deployment.kit_path,
            "revision": deployment.kit_revision,
        },
        "kit_options": list(options),
        "acme_server": deployment.acme_server,
        # Short, for the pass-through looks after the actions and answers when they have ended (looks.py).
        "poll_interval": "50ms",
        "poll_function": "constant",
    }


def _literal(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    # JSON writes backspace and form feed in a way that OpenTofu's strings do not know.
    text = re.sub(r"(?<!\\)((?:\\\\)*)\\([bf])", lambda m: m[1] + {"b": "\\u0008", "f": "\\u000c"}[m[2]], text)
    # Astral characters come as surrogate pairs, which OpenTofu reads as two characters: write them themselves.
    text = re.sub(r"\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", _joined, text)
    return text.replace("${", "$${").replace("%{", "%%{")


def _joined(pair: re.Match[str]) -> str:
    return bytes.fromhex(pair[1] + pair[2]).decode("utf-16-be")


def variables_file(variables: Mapping[str, Any]) -> bytes:
    """The text of a variables file."""
    return "".join(f"{name} = {_literal(value)}\n" for name, value in variables.items()).encode()
