"""What the state misses: the cloud's inventory against the state, and import blocks for the difference.

A worker that died between a creation and its record leaves a resource that OpenTofu does not know. Each resource of the
module has one name, so what is there under that name and with our label is ours. The table below knows the module's
addresses; a test holds it against the module's own plan.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from contracts.identity import slug_of
from tofu_runner.inventory import Found, Inventory

_SERVICES = {"http": 80, "https": 443, "api": 6443}


@dataclass(frozen=True)
class Adoption:
    """One resource to import."""

    address: str
    import_id: str


def expected(sovereign: str, inventory: Inventory, servers: Iterable[str]) -> Iterator[Adoption]:
    """Everything of the module that exists in the cloud, as its address and import id."""
    slug = slug_of(sovereign)
    names = tuple(servers)
    yield from _plain(inventory, "hcloud_ssh_key.operator[0]", f"{slug}-key")
    yield from _plain(inventory, "hcloud_firewall.nodes", f"{slug}-fw")
    yield from _plain(inventory, "hcloud_placement_group.control_planes", f"{slug}-pg")
    workers = sum(name.startswith(f"{slug}-w") for name in names)
    for group in range((workers + 9) // 10):
        yield from _plain(inventory, f"hcloud_placement_group.workers[{group}]", f"{slug}-pg-w{group + 1}")
    network = inventory.named("hcloud_network", f"{slug}-net")
    if network is not None:
        yield Adoption("hcloud_network.private", str(network.cloud_id))
        for part in _parts(network, "subnet"):
            yield Adoption("hcloud_network_subnet.nodes", f"{network.cloud_id}-{part}")
    found_servers = {name: found for name in names if (found := inventory.named("hcloud_server", name))}
    for name, server in found_servers.items():
        kind = "worker" if name.startswith(f"{slug}-w") else "control_plane"
        yield Adoption(f"hcloud_server.{kind}[{json.dumps(name)}]", str(server.cloud_id))
    balancer = inventory.named("hcloud_load_balancer", f"{slug}-lb")
    if balancer is not None:
        yield from _balancer(balancer, network, found_servers)


def _plain(inventory: Inventory, address: str, name: str) -> Iterator[Adoption]:
    found = inventory.named(address.split(".", maxsplit=1)[0], name)
    if found is not None:
        yield Adoption(address, str(found.cloud_id))


def _parts(found: Found, kind: str) -> Iterator[str]:
    return (part.removeprefix(f"{kind}:") for part in found.parts if part.startswith(f"{kind}:"))


def _balancer(balancer: Found, network: Found | None, servers: dict[str, Found]) -> Iterator[Adoption]:
    yield Adoption("hcloud_load_balancer.front", str(balancer.cloud_id))
    if network is not None and str(network.cloud_id) in _parts(balancer, "network"):
        yield Adoption("hcloud_load_balancer_network.front", f"{balancer.cloud_id}-{network.cloud_id}")
    targets = set(_parts(balancer, "target"))
    for name, server in servers.items():
        if str(server.cloud_id) in targets:
            address = f"hcloud_load_balancer_target.control_plane[{json.dumps(name)}]"
            yield Adoption(address, f"{balancer.cloud_id}__server__{server.cloud_id}")
    listening = set(_parts(balancer, "service"))
    for key, port in _SERVICES.items():
        if str(port) in listening:
            yield Adoption(f'hcloud_load_balancer_service.front["{key}"]', f"{balancer.cloud_id}__{port}")


def missing(expectations: Iterable[Adoption], known: Iterable[str]) -> tuple[Adoption, ...]:
    """What exists and the state does not know."""
    addresses = frozenset(known)
    return tuple(adoption for adoption in expectations if adoption.address not in addresses)


def import_blocks(adoptions: Iterable[Adoption]) -> str:
    """OpenTofu's own words for it."""
    return "".join(
        f'import {{\n  to = {adoption.address}\n  id = "{adoption.import_id}"\n}}\n' for adoption in adoptions
    )
