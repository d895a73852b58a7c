"""What others say to dns-pdm in these tests."""

from uuid import uuid4

from contracts.request import Domain, Organisation, Shape, Topology
from contracts.sovereign import SovereignRequested
from contracts.tofu import TofuApplied

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPTyY2rQvXas03wK+urnsyAZ8lfY3j6QV3wU3LaTX4vk admin"


def shape(fqdn: str = "demo.omani.works", mode: str = "pool") -> Shape:
    registrar = {"registrar": "namecheap"} if mode == "byo-api" else {}
    return Shape(
        organisation=Organisation(name="Acme"),
        topology=Topology(region="fsn1"),
        domain=Domain.model_validate({"mode": mode, "fqdn": fqdn, **registrar}),
        ssh_public_key=SSH_KEY,
    )


def requested(fqdn: str = "demo.omani.works", mode: str = "pool", kind: str = "new") -> SovereignRequested:
    return SovereignRequested.model_validate(
        {
            "request_id": uuid4(),
            "kind": kind,
            "shape": shape(fqdn, mode),
            "body_digest": "0" * 64,
            "admin_ref": "demo.1.admin",
        }
    )


def applied(ipv4: str = "192.0.2.10", ipv6: str = "2001:db8::10") -> TofuApplied:
    return TofuApplied(
        add=10,
        change=0,
        destroy=0,
        nodes=(),
        load_balancer_id=1,
        load_balancer_ipv4=ipv4,
        load_balancer_ipv6=ipv6,
        network_id=1,
        state_serial=1,
    )
