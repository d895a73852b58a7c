"""The operations of each kind of resource; `ROUTES`, `FINISHES` and `UNDOES` put them together."""

from sandbox.hetzner.actions import Finish
from sandbox.hetzner.calls import Routes
from sandbox.hetzner.resources import (
    actions,
    catalogue,
    certificates,
    firewalls,
    images,
    load_balancer_parts,
    load_balancers,
    networks,
    placement_groups,
    primary_ips,
    server_actions,
    servers,
    ssh_keys,
    volumes,
)

ROUTES: Routes = {
    **actions.ROUTES,
    **catalogue.ROUTES,
    **certificates.ROUTES,
    **firewalls.ROUTES,
    **images.ROUTES,
    **load_balancers.ROUTES,
    **load_balancer_parts.ROUTES,
    **networks.ROUTES,
    **placement_groups.ROUTES,
    **primary_ips.ROUTES,
    **servers.ROUTES,
    **server_actions.ROUTES,
    **ssh_keys.ROUTES,
    **volumes.ROUTES,
}
FINISHES: dict[str, Finish] = {
    **certificates.FINISHES,
    **images.FINISHES,
    **load_balancers.FINISHES,
    **networks.FINISHES,
    **servers.FINISHES,
    **server_actions.FINISHES,
    **volumes.FINISHES,
}
UNDOES: dict[str, Finish] = {
    **load_balancers.UNDOES,
    **servers.UNDOES,
    **server_actions.UNDOES,
}
