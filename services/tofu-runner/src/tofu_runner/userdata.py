"""How large the largest user data of a request becomes, before any of it can be rendered.

OpenTofu renders it only when the load balancer has its addresses: a request whose user data is too large would fail
after the first things were made. So the packed sizes are added up here, from the module's own files and from what the
request and the installation put in; a test holds the sum against what the module renders.
"""

import base64
import gzip
from collections.abc import Iterable
from pathlib import Path

from contracts.identity import fqdn_of
from contracts.request import Shape
from tofu_runner.variables import Deployment

LIMIT_BYTES = 32 * 1024
"""The cloud's."""
_FOLDERS = ("scripts", "units", "manifests")
_ENTRY_BYTES = 150
"""Path, owner, mode and encoding of one file in cloud-config."""
_GENERATED = 6
"""Files that the module writes itself: settings, secrets, k3s, Cilium, the Sovereign's and the kit's objects."""
_GENERATED_BYTES = 3_500
"""Of these together, with an e-mail address and names of usual length."""


def user_data_bytes(module: Path, deployment: Deployment, shape: Shape, sovereign: str, options: Iterable[str]) -> int:
    """At most about so many, for the first control plane: nobody else is told as much."""
    files = [path.read_bytes() for folder in _FOLDERS for path in (module / folder).rglob("*") if path.is_file()]
    if deployment.node_door_ca:
        files.append(deployment.node_door_ca.encode())
    own = "\n".join(
        (shape.organisation.name, fqdn_of(sovereign), deployment.node_door_url, deployment.kit_url, *options)
    )
    packed = sum(_packed(content) for content in (*files, own.encode()))
    return packed + _ENTRY_BYTES * (len(files) + _GENERATED) + _GENERATED_BYTES


def _packed(content: bytes) -> int:
    return len(base64.b64encode(gzip.compress(content)))
