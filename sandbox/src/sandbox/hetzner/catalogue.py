"""What can be ordered: locations, server types, images, load balancer types, and their (sample) prices.

The data file is terse; here it becomes the API's own objects, once. Those objects are shared by every answer and
changed in place when the control API changes capacity, so that rendering a server copies nothing of its type.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any, Final

Record = dict[str, Any]

HOURS_PER_MONTH: Final = Decimal(730)


class Catalogue:
    """The API objects of everything that can be ordered, by id, with their names."""

    def __init__(self) -> None:
        source: Record = json.loads(files("sandbox.hetzner").joinpath("catalogue.json").read_text())
        self._source = source
        self._vat = Decimal(source["vat_percent"])
        self.locations: dict[int, Record] = {entry["id"]: entry for entry in source["locations"]}
        self.location_named = {entry["name"]: entry for entry in source["locations"]}
        self.zones: frozenset[str] = frozenset(entry["network_zone"] for entry in source["locations"])
        self.server_types = {entry["id"]: self._server_type(entry) for entry in source["server_types"]}
        self.load_balancer_types = {
            entry["id"]: self._load_balancer_type(entry) for entry in source["load_balancer_types"]
        }
        self.images = {entry["id"]: _image(entry) for entry in source["images"]}
        self.isos = {entry["id"]: {**entry, "type": "public", "deprecation": None} for entry in source["isos"]}

    def location(self, reference: str) -> Record | None:
        """A location by id or name."""
        return _find(self.locations, reference)

    def server_type(self, reference: str) -> Record | None:
        """A server type by id or name."""
        return _find(self.server_types, reference)

    def load_balancer_type(self, reference: str) -> Record | None:
        """A load balancer type by id or name."""
        return _find(self.load_balancer_types, reference)

    def image(self, reference: str, architecture: str) -> Record | None:
        """A system image by id, or by name for an architecture."""
        if reference.isdigit() and (found := self.images.get(int(reference))):
            return found
        return next(
            (i for i in self.images.values() if i["name"] == reference and i["architecture"] == architecture), None
        )

    def offer(self, server_type: Record, location: str) -> Record | None:
        """The entry of a type for one location: there at all, available, deprecated."""
        return next((offer for offer in server_type["locations"] if offer["name"] == location), None)

    def pricing(self) -> Record:
        """The price list, sample data throughout."""
        source, everywhere = self._source, list(self.location_named)
        address, floating = source["sample_primary_ipv4_monthly_net"], source["sample_floating_ipv4_monthly_net"]

        def per_gb(key: str) -> Record:
            return {"price_per_gb_month": self._price(Decimal(source[key]))}

        return {
            "currency": source["currency"],
            "vat_rate": f"{self._vat:.2f}",
            "primary_ips": [
                {"type": "ipv4", "prices": [self._rates(Decimal(address), name) for name in everywhere]},
                {"type": "ipv6", "prices": [self._rates(Decimal(0), name) for name in everywhere]},
            ],
            "floating_ip": {"price_monthly": self._price(Decimal(floating))},
            "floating_ips": [
                {
                    "type": "ipv4",
                    "prices": [{"location": n, "price_monthly": self._price(Decimal(floating))} for n in everywhere],
                }
            ],
            "image": per_gb("sample_image_gb_month_net"),
            "volume": per_gb("sample_volume_gb_month_net"),
            "server_backup": {"percentage": f"{Decimal(source['backup_percent']):.2f}"},
            "server_types": [
                {"id": t["id"], "name": t["name"], "prices": t["prices"]} for t in self.server_types.values()
            ],
            "load_balancer_types": [
                {"id": t["id"], "name": t["name"], "prices": t["prices"]} for t in self.load_balancer_types.values()
            ],
        }

    def _server_type(self, entry: Record) -> Record:
        retired = entry.get("retired", {})
        whole = set(retired.get("locations", ())) == set(entry["locations"])
        dates = {key: retired[key] for key in ("unavailable_after", "announced") if key in retired}
        return {
            "id": entry["id"],
            "name": entry["name"],
            "description": entry["description"],
            "category": entry["category"],
            "cores": entry["cores"],
            "memory": entry["memory"],
            "disk": entry["disk"],
            "deprecated": whole,
            "deprecation": dates if whole else None,
            "prices": self._prices(entry),
            "storage_type": "local",
            "cpu_type": entry["cpu_type"],
            "architecture": entry["architecture"],
            "locations": [
                {
                    "id": self.location_named[name]["id"],
                    "name": name,
                    "available": name not in retired.get("locations", ()),
                    "recommended": entry["recommended"],
                    "deprecation": dates if name in retired.get("locations", ()) else None,
                }
                for name in entry["locations"]
            ],
        }

    def _load_balancer_type(self, entry: Record) -> Record:
        shown = {key: value for key, value in entry.items() if not key.startswith("sample_")}
        return {**shown, "deprecated": None, "prices": self._prices({**entry, "locations": list(self.location_named)})}

    def _prices(self, entry: Record) -> list[Record]:
        monthly = Decimal(entry["sample_monthly_net"])
        per_tb = self._price(Decimal(self._source["sample_price_per_tb_net"]))
        included = self._source["sample_included_traffic_bytes"]
        return [
            {**self._rates(monthly, name), "included_traffic": included, "price_per_tb_traffic": per_tb}
            for name in entry["locations"]
        ]

    def _rates(self, monthly: Decimal, location: str) -> Record:
        if self.location_named[location]["network_zone"] != "eu-central":
            monthly *= Decimal(self._source["sample_factor_outside_europe"])
        return {
            "location": location,
            "price_hourly": self._price(monthly / HOURS_PER_MONTH),
            "price_monthly": self._price(monthly),
        }

    def _price(self, net: Decimal) -> Record:
        return {"net": f"{net:.10f}", "gross": f"{net * (1 + self._vat / 100):.10f}"}


def is_past(moment: str) -> bool:
    """Whether an API time lies behind us."""
    return datetime.fromisoformat(moment) < datetime.now(UTC)


def _image(entry: Record) -> Record:
    return {
        **entry,
        "type": "system",
        "status": "available",
        "image_size": None,
        "disk_size": 5,
        "created_from": None,
        "bound_to": None,
        "rapid_deploy": True,
        "protection": {"delete": False},
        "deleted": None,
        "labels": {},
    }


def _find(table: dict[int, Record], reference: str) -> Record | None:
    if reference.isdigit() and (found := table.get(int(reference))):
        return found
    return next((entry for entry in table.values() if entry["name"] == reference), None)
