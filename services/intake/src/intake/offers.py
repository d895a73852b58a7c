"""What can be asked for: locations, server types, pool domains, components.

Server types are read from a data file beside this module, dated there; the cloud's own catalogue is asked in preflight
by tofu-runner, which knows the account. Components come from the kit's catalogue.
"""

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from contracts.errors import FieldError
from contracts.questions import CatalogueReply, ComponentRow, RegionRow, ServerTypeRow
from contracts.request import SovereignRequest


class Offers:
    """The catalogue, and what a request gets wrong about it."""

    def __init__(self, pool_domains: Sequence[str], catalogue_file: Path | None) -> None:
        data: dict[str, Any] = json.loads(resources.files("intake").joinpath("cloud.json").read_text())
        self.regions = tuple(RegionRow.model_validate(row) for row in data["regions"])
        self.server_types = tuple(ServerTypeRow.model_validate(row) for row in data["server_types"])
        self._only_in: dict[str, list[str]] = data["families_only_in_zone"]
        self.pool_domains = tuple(pool_domains)
        self.components = _components(catalogue_file) if catalogue_file else ()

    def reply(self) -> CatalogueReply:
        """The answer to the catalogue question."""
        return CatalogueReply(
            regions=self.regions,
            server_types=self.server_types,
            components=self.components,
            pool_domains=self.pool_domains,
        )

    def errors(self, request: SovereignRequest) -> tuple[FieldError, ...]:
        """Everything about the request that the catalogue contradicts."""
        return (*self._type_errors(request), *self._domain_errors(request), *self._component_errors(request))

    def _type_errors(self, request: SovereignRequest) -> list[FieldError]:
        topology = request.topology
        known = {row.name: row for row in self.server_types}
        zone = next(row.network_zone for row in self.regions if row.name == topology.region)
        wanted = {"control_plane_type": topology.control_plane_type}
        if topology.worker_count:
            wanted["worker_type"] = topology.worker_type
        found = []
        for field, name in wanted.items():
            if name not in known:
                message = f"there is no server type {name!r}; one of {', '.join(sorted(known))}"
                found.append(FieldError(field=f"topology.{field}", code="unsupported_server_type", message=message))
            elif zone not in self._only_in.get(name.rstrip("0123456789"), [zone]):
                message = f"{name} is not offered in {topology.region} ({zone})"
                found.append(FieldError(field=f"topology.{field}", code="unsupported_server_type", message=message))
        return found

    def _domain_errors(self, request: SovereignRequest) -> list[FieldError]:
        fqdn = request.domain.fqdn
        under = [pool for pool in self.pool_domains if fqdn == pool or fqdn.endswith(f".{pool}")]
        if request.domain.mode == "pool" and not under:
            message = f"{fqdn} lies under none of the pool domains {', '.join(self.pool_domains)}"
            return [FieldError(field="domain.fqdn", code="fqdn-unmanaged", message=message)]
        if fqdn in self.pool_domains:
            message = f"{fqdn} is a pool domain itself; put a name before it"
            return [FieldError(field="domain.fqdn", code="fqdn-reserved", message=message)]
        if request.domain.mode != "pool" and under:
            message = f"{fqdn} lies under the pool domain {under[0]}: use mode pool"
            return [FieldError(field="domain.mode", code="fqdn-reserved", message=message)]
        return []

    def _component_errors(self, request: SovereignRequest) -> list[FieldError]:
        known = {row.name for row in self.components}
        if not known:
            return []
        return [
            FieldError(field=f"components.{index}", code="unknown-component", message=f"there is no component {name!r}")
            for index, name in enumerate(request.components)
            if name not in known
        ]


def _components(file: Path) -> tuple[ComponentRow, ...]:
    rows = yaml.safe_load(file.read_text())["components"]
    return tuple(
        ComponentRow(
            name=row["name"],
            family=row["family"],
            tier=row["tier"],
            depends_on=tuple(row.get("dependsOn", row.get("depends_on", ())) or ()),
            description=row.get("description", ""),
        )
        for row in rows
    )
