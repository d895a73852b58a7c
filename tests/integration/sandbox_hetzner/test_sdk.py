"""The official Python SDK against the simulated cloud, once through the life of every kind of resource.

The SDK blocks, so each life runs in a thread beside the cloud's loop. Its models are optional in every field, so they
are `Any` here.
"""

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hcloud import APIException
from hcloud.actions import ActionFailedException
from hcloud.certificates import Certificate
from hcloud.firewalls import FirewallResource, FirewallResourceLabelSelector, FirewallRule
from hcloud.images import Image
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.load_balancers import (
    LoadBalancerAlgorithm,
    LoadBalancerHealthCheck,
    LoadBalancerService,
    LoadBalancerTarget,
    LoadBalancerTargetIP,
    LoadBalancerTargetLabelSelector,
)
from hcloud.locations import Location
from hcloud.networks import NetworkRoute, NetworkSubnet
from hcloud.server_types import ServerType
from hcloud.servers import ServerCreatePublicNetwork

from .conftest import Cloud
from .keys import public_key

Life = Callable[[Any], None]


def _server(client: Any, name: str = "one", **how: Any) -> Any:
    answer = client.servers.create(
        name=name,
        server_type=ServerType(name=how.pop("server_type", "cx23")),
        image=Image(name="ubuntu-24.04"),
        location=Location(name="fsn1"),
        **how,
    )
    for action in [answer.action, *answer.next_actions]:
        action.wait_until_finished()
    answer.server.reload()
    return answer.server


def _network(client: Any) -> Any:
    network = client.networks.create(
        name="net", ip_range="10.0.0.0/16", subnets=[NetworkSubnet("10.0.1.0/24", "cloud", "eu-central")]
    )
    network.reload()
    return network


def ssh_keys(client: Any) -> None:
    key = client.ssh_keys.create("one", public_key(), labels={"a": "b"})
    assert client.ssh_keys.get_by_fingerprint(key.fingerprint).id == key.id
    assert client.ssh_keys.get_by_name("one").labels == {"a": "b"}
    key.update(name="two")
    assert client.ssh_keys.get_all()[0].name == "two"
    key.delete()
    assert client.ssh_keys.get_all() == []


def networks(client: Any) -> None:
    network = _network(client)
    network.add_subnet(NetworkSubnet("10.0.2.0/24", "cloud", "eu-central")).wait_until_finished()
    network.add_route(NetworkRoute("192.168.0.0/24", "10.0.1.9")).wait_until_finished()
    network.change_ip_range("10.0.0.0/15").wait_until_finished()
    network.change_protection(delete=True).wait_until_finished()
    network.reload()
    assert [s.ip_range for s in network.subnets] == ["10.0.1.0/24", "10.0.2.0/24"]
    assert network.routes[0].gateway == "10.0.1.9"
    assert (network.ip_range, network.protection["delete"]) == ("10.0.0.0/15", True)
    network.delete_route(NetworkRoute("192.168.0.0/24", "10.0.1.9")).wait_until_finished()
    network.delete_subnet(NetworkSubnet("10.0.2.0/24")).wait_until_finished()
    network.change_protection(delete=False).wait_until_finished()
    server = _server(client, networks=[network])
    members = network.get_member_all()
    assert [(m.id, m.type, m.ip, m.subnet) for m in members] == [(server.id, "server", "10.0.1.1", "10.0.1.0/24")]
    network.delete()
    server.reload()
    assert server.private_net == []


def firewalls(client: Any) -> None:
    rules = [FirewallRule("in", "tcp", ["0.0.0.0/0"], port="22"), FirewallRule("in", "icmp", ["::/0"])]
    chosen = FirewallResource("label_selector", label_selector=FirewallResourceLabelSelector("role=web"))
    answer = client.firewalls.create("fw", rules=rules, resources=[chosen])
    firewall = answer.firewall
    server = _server(client, labels={"role": "web"})
    assert [f.firewall.id for f in server.public_net.firewalls] == [firewall.id]
    firewall.reload()
    assert firewall.applied_to[0].applied_to_resources[0].server.id == server.id
    server.update(labels={"role": "db"})
    server.reload()
    assert server.public_net.firewalls == []
    for action in firewall.set_rules(rules[:1]):
        action.wait_until_finished()
    one = FirewallResource("server", server=server)
    for action in firewall.apply_to_resources([one]):
        action.wait_until_finished()
    with pytest.raises(APIException) as refusal:
        firewall.delete()
    assert refusal.value.code == "resource_in_use"
    for action in firewall.remove_from_resources([one, chosen]):
        action.wait_until_finished()
    firewall.delete()


def placement_groups(client: Any) -> None:
    group = client.placement_groups.create("spread", type="spread").placement_group
    servers = [_server(client, f"n{n}", placement_group=group) for n in range(10)]
    group.reload()
    assert group.servers == [server.id for server in servers]
    with pytest.raises(APIException) as refusal:
        _server(client, "eleventh", placement_group=group)
    assert refusal.value.code == "placement_error"
    servers[0].power_off().wait_until_finished()
    servers[0].remove_from_placement_group().wait_until_finished()
    servers[0].add_to_placement_group(group).wait_until_finished()
    group.delete()
    servers[0].reload()
    assert servers[0].placement_group is None


def servers(client: Any) -> None:
    server = _server(client, user_data="#cloud-config", labels={"a": "b"})
    assert server.status == "running"
    assert server.public_net.ipv4.ip.startswith("127.")
    for act in (server.power_off, server.power_on, server.reboot, server.reset, server.shutdown):
        act().wait_until_finished()
    server.reload()
    assert server.status == "off"
    server.change_type(ServerType(name="cx33"), upgrade_disk=True).wait_until_finished()
    server.enable_backup().wait_until_finished()
    image = server.create_image("kept", type="snapshot", labels={"x": "y"})
    image.action.wait_until_finished()
    server.enable_rescue(type="linux64").action.wait_until_finished()
    server.disable_rescue().wait_until_finished()
    server.change_dns_ptr(server.public_net.ipv4.ip, "one.example").wait_until_finished()
    server.attach_iso(client.isos.get_all()[0]).wait_until_finished()
    server.detach_iso().wait_until_finished()
    assert server.request_console().wss_url
    password = server.reset_password()
    assert password.root_password
    password.action.wait_until_finished()
    server.get_metrics("cpu", dt.datetime.now(dt.UTC), dt.datetime.now(dt.UTC))
    server.rebuild(Image(id=image.image.id)).action.wait_until_finished()
    server.reload()
    assert (server.server_type.name, server.primary_disk_size, server.image.id) == ("cx33", 80, image.image.id)
    assert server.public_net.ipv4.dns_ptr == "one.example"
    server.change_protection(delete=True, rebuild=True).wait_until_finished()
    with pytest.raises(APIException) as refusal:
        server.delete()
    assert refusal.value.code == "protected"
    server.change_protection(delete=False, rebuild=False).wait_until_finished()
    server.disable_backup().wait_until_finished()
    server.delete().wait_until_finished()
    with pytest.raises(APIException) as gone:
        client.servers.get_by_id(server.id)
    assert gone.value.code == "not_found"
    assert client.primary_ips.get_all() == []
    image.image.update(description="really kept")
    client.images.get_by_id(image.image.id).delete()


def server_networks(client: Any) -> None:
    network, server = _network(client), _server(client)
    server.attach_to_network(network, ip="10.0.1.7", alias_ips=["10.0.1.8"]).wait_until_finished()
    server.change_alias_ips(network, ["10.0.1.9", "10.0.1.10"]).wait_until_finished()
    server.reload()
    assert (server.private_net[0].ip, server.private_net[0].alias_ips) == ("10.0.1.7", ["10.0.1.9", "10.0.1.10"])
    server.detach_from_network(network).wait_until_finished()
    server.delete().wait_until_finished()
    network.delete_subnet(network.subnets[0]).wait_until_finished()
    network.delete()


def load_balancers(client: Any) -> None:
    network, server = _network(client), _server(client, labels={"role": "web"})
    server.attach_to_network(network).wait_until_finished()
    check = LoadBalancerHealthCheck(protocol="tcp", port=80, interval=15, timeout=10, retries=3)
    created = client.load_balancers.create(
        name="lb",
        load_balancer_type=LoadBalancerType(name="lb11"),
        location=Location(name="fsn1"),
        algorithm=LoadBalancerAlgorithm("round_robin"),
        network=network,
        services=[LoadBalancerService("tcp", 80, 80, proxyprotocol=False, health_check=check)],
    )
    created.action.wait_until_finished()
    balancer = created.load_balancer
    balancer.add_service(LoadBalancerService("http", 9090, 9090, False)).wait_until_finished()
    balancer.update_service(LoadBalancerService(listen_port=9090, destination_port=9091)).wait_until_finished()
    targets = [
        LoadBalancerTarget("server", server=server, use_private_ip=True),
        LoadBalancerTarget("label_selector", label_selector=LoadBalancerTargetLabelSelector("role=web")),
        LoadBalancerTarget("ip", ip=LoadBalancerTargetIP(server.public_net.ipv4.ip)),
    ]
    for target in targets:
        balancer.add_target(target).wait_until_finished()
    with pytest.raises(APIException) as refusal:
        balancer.add_target(targets[0])
    assert refusal.value.code == "target_already_defined"
    with pytest.raises(APIException) as refusal:
        balancer.add_service(LoadBalancerService("tcp", 80, 80, False))
    assert refusal.value.code == "source_port_already_used"
    balancer.change_algorithm(LoadBalancerAlgorithm("least_connections")).wait_until_finished()
    balancer.change_type(LoadBalancerType(name="lb21")).wait_until_finished()
    balancer.change_dns_ptr(balancer.public_net.ipv4.ip, "lb.example").wait_until_finished()
    with pytest.raises(APIException) as refusal:
        balancer.disable_public_interface()
    assert refusal.value.code == "targets_without_use_private_ip"
    balancer.reload()
    assert [(s.listen_port, s.destination_port) for s in balancer.services] == [(80, 80), (9090, 9091)]
    assert [t.type for t in balancer.targets] == ["server", "label_selector", "ip"]
    assert balancer.targets[1].targets[0].server.id == server.id
    assert (balancer.load_balancer_type.name, balancer.private_net[0].ip) == ("lb21", "10.0.1.2")
    for target in targets:
        balancer.remove_target(target).wait_until_finished()
    balancer.delete_service(balancer.services[0]).wait_until_finished()
    balancer.disable_public_interface().wait_until_finished()
    balancer.enable_public_interface().wait_until_finished()
    balancer.detach_from_network(network).wait_until_finished()
    balancer.attach_to_network(network, ip="10.0.1.99").wait_until_finished()
    balancer.delete()


def volumes(client: Any) -> None:
    server = _server(client)
    created = client.volumes.create(10, "data", server=server, format="ext4")
    for action in [created.action, *created.next_actions]:
        action.wait_until_finished()
    volume = created.volume
    volume.resize(20).wait_until_finished()
    with pytest.raises(APIException):
        volume.delete()
    volume.detach().wait_until_finished()
    volume.attach(server, automount=False).wait_until_finished()
    volume.reload()
    assert (volume.size, volume.server.id, volume.status) == (20, server.id, "available")
    server.delete().wait_until_finished()
    volume.reload()
    assert volume.server is None
    volume.delete()


def primary_ips(client: Any) -> None:
    created = client.primary_ips.create("ipv4", "kept", location=Location(name="fsn1"), auto_delete=False)
    address = created.primary_ip
    assert address.assignee_id is None
    server = _server(client, public_net=ServerCreatePublicNetwork(ipv4=address, enable_ipv6=False))
    assert (server.public_net.ipv4.ip, server.public_net.ipv6) == (address.ip, None)
    with pytest.raises(APIException) as refusal:
        address.delete()
    assert refusal.value.code == "must_be_unassigned"
    server.power_off().wait_until_finished()
    address.unassign().wait_until_finished()
    address.assign(server.id, "server").wait_until_finished()
    address.change_dns_ptr(address.ip, "kept.example").wait_until_finished()
    address.update(auto_delete=False, labels={"a": "b"})
    server.delete().wait_until_finished()
    address.reload()
    assert (address.assignee_id, address.dns_ptr[0]["dns_ptr"]) == (None, "kept.example")
    address.delete()
    assert client.primary_ips.get_all() == []


def certificates(client: Any) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "one.example")])
    today = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today)
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("one.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM).decode()
    uploaded = client.certificates.create("uploaded", pem, "private half")
    assert uploaded.domain_names == ["one.example"]
    managed = client.certificates.create_managed("managed", ["two.example"])
    managed.action.wait_until_finished()
    assert client.certificates.get_by_name("managed").status.issuance == "completed"
    assert isinstance(uploaded.data_model, Certificate)
    for certificate in client.certificates.get_all():
        certificate.delete()


LIVES: list[Life] = [
    ssh_keys,
    networks,
    firewalls,
    placement_groups,
    servers,
    server_networks,
    load_balancers,
    volumes,
    primary_ips,
    certificates,
]


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life.__name__)
async def test_the_sdk_lives_through_a_whole_life_of(cloud: Cloud, life: Life) -> None:
    await asyncio.to_thread(life, await cloud.client())


async def test_a_failed_action_reaches_the_sdk_with_its_code(cloud: Cloud) -> None:
    client = await cloud.client()
    fault = {"method": "POST", "path": "/servers", "steps": [{"action": {"error_code": "action_failed"}}]}
    await cloud.control("POST", "/faults", fault)
    with pytest.raises(ActionFailedException) as failure:
        await asyncio.to_thread(_server, client)
    assert failure.value.action.error
    assert failure.value.action.error["code"] == "action_failed"
