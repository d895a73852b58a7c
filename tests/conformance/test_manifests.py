"""Every manifest that a Sovereign gets, asked of a real API server without being done: schema, defaults, admission."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.cluster.kit import KIT_PATH, Kit
from sandbox.real.cluster import documents
from sandbox.real.kube import Refused
from tests.conformance.conftest import Ground
from tests.integration.sandbox_cluster.conftest import KIT, REPOSITORY

MANIFESTS = REPOSITORY / "deploy" / "tofu" / "hetzner" / "manifests"
VALUES = {
    "SOVEREIGN_FQDN": "acme.omani.works",
    "SOVEREIGN_ID": "acme_omani_works",
    "SOVEREIGN_ORGANISATION": "Acme",
    "SOVEREIGN_ADMIN_EMAIL": "admin@acme.example",
    "SOVEREIGN_REGION": "fsn1",
    "LOAD_BALANCER_IPV4": "203.0.113.7",
    "ACME_ISSUER": "letsencrypt-staging",
    "DNS_API_URL": "https://dns.example.org",
    "DNS_NAMESERVER": "203.0.113.53:53",
    "DNS_TSIG_NAME": "acme",
}
GATEWAY_KINDS = KIT / "components" / "cilium" / "gateway-api"
PLANS = KIT / "components" / "flux" / "k3s-upgrade"


def of_the_kit() -> list[dict[str, Any]]:
    kit = Kit(KIT)
    folders = sorted(path for part in ("components", "options") for path in (KIT / part).iterdir())
    roots = [KIT_PATH, *(f"{KIT_PATH}/{path.parent.name}/{path.name}" for path in folders)]
    return [document for path in roots for document in kit.manifests(path, VALUES)]


def defined(paths: list[Path]) -> list[dict[str, Any]]:
    return [each for each in documents(paths) if each["kind"] == "CustomResourceDefinition"]


@pytest.mark.timeout(240)
async def test_a_real_api_server_accepts_every_manifest_of_the_kit_and_of_the_first_minutes(ground: Ground) -> None:
    await ground.boot()
    cluster, programs = ground.cluster, ground.cluster.programs
    wanted = [*of_the_kit(), *documents(sorted(MANIFESTS.glob("*.yaml")))]
    assert len(wanted) > 50
    folders = (programs.definitions["cert-manager"], programs.definitions["cilium"], GATEWAY_KINDS, PLANS)
    await cluster.define(defined([path for folder in folders for path in sorted(folder.glob("*.yaml"))]))
    for name in {each["metadata"]["name"] for each in wanted if each["kind"] == "Namespace"} | {"flux-system"}:
        await cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])
    refused = []
    for document in wanted:
        try:
            await cluster.api.apply(document, dry_run=True)
        except Refused as why:
            refused.append(f"{document['kind']} {document['metadata']['name']}: {why}")
    assert refused == []
