"""A run as it is said: facts in order, for pages, folds and streams. One control plane, one worker, a pool domain."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from contracts import dns, flux, node, sovereign, tofu
from contracts.errors import trouble
from contracts.event import NAMESPACE, About, Event, Fact, event_of
from contracts.request import SecretRef, Shape
from tests.requests import request_body

FQDN = "demo.omani.works"
ID = "demo_omani_works"
CAUSE = uuid5(NAMESPACE, "story")
BEGAN = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
SHAPE = Shape.model_validate(request_body(FQDN, token=None))
KIT = ("bp-cilium", "bp-cert-manager", "bp-flux", "bp-spire", "bp-openbao")
NODES = (
    tofu.Node(
        name="demo-omani-works-cp1",
        cloud_id=1,
        role="control-plane",
        server_type="cpx22",
        location="fsn1",
        public_ipv4="127.64.0.10",
    ),
    tofu.Node(
        name="demo-omani-works-w1",
        cloud_id=2,
        role="worker",
        server_type="cpx32",
        location="fsn1",
        public_ipv4="127.64.0.11",
    ),
)
RESOURCES = ("hcloud_network.this", "hcloud_firewall.this", "hcloud_server.control_plane[0]", "hcloud_server.worker[0]")


def about(*, owner: str = "demo", life: int = 1, run: int = 1, sovereign_id: str = ID) -> About:
    return About(sovereign=sovereign_id, owner=owner, life=life, run=run, actor="ada")


def requested() -> sovereign.SovereignRequested:
    return sovereign.SovereignRequested(
        request_id=UUID(int=1), kind="new", shape=SHAPE, body_digest="a" * 64, admin_ref=f"{ID}.1.admin"
    )


def dns_and_cloud() -> Iterator[Fact]:
    yield dns.DnsReserved(zone=FQDN, nameservers=("ns1.omani.works", "ns2.omani.works"))
    yield tofu.TofuStarted(action="apply", fencing_token=7)
    yield tofu.TofuPlanned(
        add=len(RESOURCES),
        change=0,
        destroy=0,
        digest="b" * 64,
        needs_approval=False,
        cost=tofu.Cost(monthly="31.20", sample_prices=True, lines=(("server cpx22", "8.00"),)),
    )
    for number, address in enumerate(RESOURCES, 1):
        kind = address.partition(".")[0]
        yield tofu.TofuProgressed(
            address=address, resource_type=kind, state="creating", done=number - 1, total=len(RESOURCES)
        )
        yield tofu.TofuProgressed(
            address=address,
            resource_type=kind,
            state="created",
            done=number,
            total=len(RESOURCES),
            elapsed_s=3,
            cloud_id=str(number),
        )
    yield tofu.TofuApplied(
        add=len(RESOURCES),
        change=0,
        destroy=0,
        nodes=NODES,
        load_balancer_id=3,
        load_balancer_ipv4="127.64.0.9",
        network_id=4,
        state_serial=1,
        cloud_calls=42,
    )
    yield dns.DnsPublished(
        zone=FQDN, serial=2, records=(dns.Record(name=FQDN, type="A", ttl_s=60, content=("1.2.3.4",)),)
    )
    yield dns.DnsDelegated(
        servers=(dns.ServerSays(server="ns1.omani.works", side="parent", verdict="agrees", nameservers=("ns1",)),)
    )


def boot() -> Iterator[Fact]:
    for number, stage in enumerate(("network", "packages", "k3s"), 1):
        for state in ("begun", "done"):
            yield node.NodeReported(
                server=NODES[0].name,
                stage=stage,  # type: ignore[arg-type]  # a literal of the list above
                number=number,
                state=state,
                sequence=number * 2 + (state == "done"),
                at=BEGAN + timedelta(minutes=number),
            )
    yield node.NodeEnrolled(
        server=NODES[0].name,
        kubeconfig=SecretRef(reader="flux-watcher", name="kubeconfig", kid="k", sha256="c" * 64),
        body_sha256="d" * 64,
    )


def release(name: str, kind: type[flux.ReleaseFact], **more: Any) -> flux.ReleaseFact:
    return kind(component=name.removeprefix("bp-"), release=name, occurrence=f"{name}/{kind.fact}", **more)


def kit() -> Iterator[Fact]:
    yield flux.FluxBootstrapped(controllers=("source-controller",), revision="main@sha1:1", expected=KIT)
    for name in KIT:
        yield release(name, flux.HrInstalling)
        if name == "bp-spire":
            yield release("bp-openbao", flux.HrPending, blocked_by="HelmRelease/bp-spire", depends_on=("bp-spire",))
        yield release(name, flux.HrReady, version="1.2.3")
    yield flux.FluxConverged(revision="main@sha1:1", releases=tuple((name, "1.2.3") for name in KIT), stable_s=3)
    yield flux.ProbePassed(hosts=(flux.HostProbe(host=f"console.{FQDN}", url=f"https://console.{FQDN}", status=200),))


def end() -> Iterator[Fact]:
    yield sovereign.SovereignReady(urls=(sovereign.Url(name="console", url=f"https://console.{FQDN}"),))
    yield flux.FluxReleased(removed=("ServiceAccount catalyst-zero/watcher",), verified=True)
    yield sovereign.SovereignHandedOver()


def failure() -> sovereign.SovereignFailed:
    why = trouble("token_readonly", attempted="create a server", on="hcloud_server.control_plane[0]", message="403")
    return sovereign.SovereignFailed(cause=CAUSE, trouble=why, cloud_touched=False)


def facts() -> list[Fact]:
    return [requested(), *dns_and_cloud(), *boot(), *kit(), *end()]


def events(*parts: Fact, **who: Any) -> list[tuple[int, Event[Any]]]:
    """The given facts, or the whole run, as (sequence, event), five seconds apart."""
    said = parts or tuple(facts())
    return [
        (number, event_of(fact, about(**who), source="test", cause=CAUSE, at=BEGAN + timedelta(seconds=5 * number)))
        for number, fact in enumerate(said, 1)
    ]
