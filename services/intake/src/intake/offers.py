"""What can be asked for: locations, server types, pool domains, components.

Server types and prices are read from a data file beside this module, dated there; the cloud's own catalogue is asked in
preflight by tofu-runner, which knows the account. Components come from the kit's catalogue.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from bus import Answer
from contracts.drafting import (
    CatalogueReply,
    CertificateCount,
    ComponentRow,
    CostOf,
    CostReply,
    RegionRow,
    ServerTypeRow,
)
from contracts.errors import FieldError, trouble
from contracts.fit import Size, fit
from contracts.identity import Fqdn
from contracts.kit import Component, kit_of
from contracts.request import Topology
from intake.prices import FINE, HOURS_PER_MONTH, PriceList, money

_FQDN: TypeAdapter[str] = TypeAdapter(Fqdn)
_NAMES: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])


class Offers:
    """The catalogue, and what a request gets wrong about it."""

    def __init__(self, pool_domains: Sequence[str], catalogue_file: Path | None) -> None:
        data: dict[str, Any] = json.loads(resources.files("intake").joinpath("cloud.json").read_text())
        self.regions = tuple(RegionRow.model_validate(row) for row in data["regions"])
        self._only_in: dict[str, list[str]] = data["families_only_in_zone"]
        self.prices = PriceList(data)
        self.server_types = tuple(self._type_row(row) for row in data["server_types"])
        self.types = {row.name: row for row in self.server_types}
        self.pool_domains = tuple(pool_domains)
        self.kit = kit_of(yaml.safe_load(catalogue_file.read_text())) if catalogue_file else None

    def reply(self, certificates: tuple[CertificateCount, ...] = ()) -> CatalogueReply:
        """The answer to the catalogue question."""
        return CatalogueReply(
            regions=self.regions,
            server_types=self.server_types,
            components=tuple(map(_row, self.kit.components)) if self.kit else (),
            pool_domains=self.pool_domains,
            certificates=certificates,
            as_of=self.prices.as_of,
            sample_prices=self.prices.sample,
        )

    def _type_row(self, row: Mapping[str, Any]) -> ServerTypeRow:
        name: str = row["name"]
        zones = self._only_in.get(name.rstrip("0123456789"))
        regions = tuple(region.name for region in self.regions if zones is None or region.network_zone in zones)
        price = self.prices.monthly(name, "eu-central")
        shown = {"monthly": money(price), "hourly": money(price / HOURS_PER_MONTH, FINE)}
        return ServerTypeRow.model_validate({**row, **shown, "regions": regions})

    def cost(self, question: CostOf) -> CostReply:
        """What a topology costs; Answer when the catalogue does not offer it."""
        errors = tuple(self.type_errors(question.topology.model_dump()))
        if errors:
            what = trouble("invalid-request", attempted="price a topology", on="topology")
            raise Answer(what, errors)
        zone = next(row.network_zone for row in self.regions if row.name == question.topology.region)
        return self.prices.bill(question, zone)

    def errors(self, body: Mapping[str, Any]) -> Iterator[FieldError]:
        """Everything in a request's body that the catalogue contradicts, as far as it can be read."""
        topology, domain = body.get("topology"), body.get("domain")
        if isinstance(topology, Mapping):
            yield from self.type_errors(topology)
        if isinstance(domain, Mapping):
            yield from self._domain_errors(domain)
        yield from self._component_errors(body.get("components"))
        yield from self._size_errors(topology, body.get("components", ()))

    def type_errors(self, topology: Mapping[str, Any]) -> Iterator[FieldError]:
        """Server types that do not exist, or not there."""
        zone = next((row.network_zone for row in self.regions if row.name == topology.get("region")), None)
        for field in ("control_plane_type", "worker_type"):
            name = topology.get(field, Topology.model_fields[field].default)
            if not isinstance(name, str) or (field == "worker_type" and topology.get("worker_count") == 0):
                continue
            if name not in self.types:
                message = f"there is no server type {name[:40]!r}; one of {', '.join(sorted(self.types))}"
                yield FieldError(field=f"topology.{field}", code="unsupported_server_type", message=message)
            elif zone and zone not in self._only_in.get(name.rstrip("0123456789"), [zone]):
                message = f"{name} is not offered in {topology.get('region')} ({zone})"
                yield FieldError(field=f"topology.{field}", code="unsupported_server_type", message=message)

    def _domain_errors(self, domain: Mapping[str, Any]) -> Iterator[FieldError]:
        try:
            fqdn: str = _FQDN.validate_python(domain.get("fqdn"))
        except ValidationError:
            return
        mode = domain.get("mode", "pool")
        under = [pool for pool in self.pool_domains if fqdn == pool or fqdn.endswith(f".{pool}")]
        if fqdn in self.pool_domains:
            message = f"{fqdn} is a pool domain itself; put a name before it"
            yield FieldError(field="domain.fqdn", code="fqdn-reserved", message=message)
        elif mode == "pool" and not under:
            message = f"{fqdn} lies under none of the pool domains {', '.join(self.pool_domains)}"
            yield FieldError(field="domain.fqdn", code="fqdn-unmanaged", message=message)
        elif mode in ("byo-manual", "byo-api") and under:
            message = f"{fqdn} lies under the pool domain {under[0]}: use mode pool"
            yield FieldError(field="domain.mode", code="fqdn-reserved", message=message)

    def _component_errors(self, wanted: object) -> Iterator[FieldError]:
        for index, name in enumerate(wanted if self.kit and isinstance(wanted, list | tuple) else ()):
            found = self.kit.named(name) if self.kit and isinstance(name, str) else None
            field = f"components.{index}"
            if isinstance(name, str) and found is None:
                message = f"there is no component {name[:40]!r}"
                yield FieldError(field=field, code="unknown-component", message=message)
            elif found is not None and found.after_hand_off:
                message = f"{found.name} can only be added after hand-off: it {found.after_hand_off}"
                yield FieldError(field=field, code="component-after-hand-off", message=message)

    def _size_errors(self, topology: object, wanted: object) -> Iterator[FieldError]:
        """Whether the selection fits the servers, once both can be read."""
        if self.kit is None or not isinstance(topology, Mapping) or any(self.type_errors(topology)):
            return
        try:
            asked = Topology.model_validate(topology)
            names = _NAMES.validate_python(wanted)
        except ValidationError:
            return
        if any(self.kit.named(name) is None for name in names):
            return
        zone = next(row.network_zone for row in self.regions if row.name == asked.region)
        sizes = {row.name: self._size(row, zone) for row in self.server_types if asked.region in row.regions}
        found = fit(self.kit, names, asked, sizes)
        if not found.fits:
            alone = fit(self.kit, (), asked, sizes)
            field, told = ("components", found) if alone.fits else ("topology.worker_count", alone)
            yield FieldError(field=field, code="kit-does-not-fit", message=told.message)

    def _size(self, row: ServerTypeRow, zone: str) -> Size:
        return Size(row.cores, row.memory_gib, row.disk_gib, float(self.prices.monthly(row.name, zone)))


def _row(component: Component) -> ComponentRow:
    return ComponentRow(
        name=component.name,
        family=component.family,
        tier=component.tier,
        depends_on=component.depends_on,
        description=component.description,
        homepage=component.homepage,
        licence=component.licence,
        version=component.chart.version,
        asks=component.asks,
        per_node=component.per_node,
        after_hand_off=component.after_hand_off,
    )
