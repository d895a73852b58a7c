"""What can be ordered, the price list, and the endpoint that the real API has removed."""

from sandbox.hetzner.calls import Answer, Call, Routes
from sandbox.hetzner.errors import ApiError
from sandbox.hetzner.listing import as_is as _as_is
from sandbox.hetzner.listing import catalogue_routes, page


def _pricing(call: Call) -> Answer:
    return Answer(200, {"pricing": call.catalogue.pricing()})


def _datacenters(_call: Call) -> Answer:
    raise ApiError(
        "deprecated_api_endpoint",
        "API functionality was removed",
        {"announcement": "https://docs.hetzner.cloud/changelog"},
    )


def _no_floating_ips(call: Call) -> Answer:
    return page(call, "floating_ips", [], _as_is)


ROUTES: Routes = {
    **catalogue_routes("locations", "location", lambda call: list(call.catalogue.locations.values())),
    **catalogue_routes("server_types", "server_type", lambda call: list(call.catalogue.server_types.values())),
    **catalogue_routes(
        "load_balancer_types", "load_balancer_type", lambda call: list(call.catalogue.load_balancer_types.values())
    ),
    **catalogue_routes("isos", "iso", lambda call: list(call.catalogue.isos.values())),
    ("GET", "/pricing"): _pricing,
    ("GET", "/datacenters"): _datacenters,
    ("GET", "/datacenters/{id}"): _datacenters,
    ("GET", "/floating_ips"): _no_floating_ips,
}
