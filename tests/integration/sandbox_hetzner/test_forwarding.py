"""The load balancer's data plane: bytes really reach targets, health is what a connection finds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from .conftest import Cloud

BALANCER = {"name": "lb", "load_balancer_type": "lb11", "location": "fsn1"}


@contextlib.asynccontextmanager
async def _echo(address: str, port: int, name: str) -> AsyncIterator[None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.readline()
        writer.write(f"{name} heard {said.decode()}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, address, port)
    try:
        yield
    finally:
        server.close()


async def _ask(address: str, port: int) -> str:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(address, port)
        writer.write(b"hello\n")
        await writer.drain()
        try:
            return (await reader.read()).decode()
        except ConnectionResetError:
            return ""
        finally:
            writer.close()


async def _health(cloud: Cloud, balancer: int) -> dict[int, str]:
    _, answer = await cloud.call("GET", f"/load_balancers/{balancer}")
    statuses = {}
    for target in answer["load_balancer"]["targets"]:
        statuses[target["server"]["id"]] = target["health_status"][0]["status"]
    return statuses


async def _until(cloud: Cloud, balancer: int, wanted: dict[int, str]) -> None:
    async with asyncio.timeout(5):
        while await _health(cloud, balancer) != wanted:
            await asyncio.sleep(0.05)


async def _server(cloud: Cloud, name: str, **how: Any) -> Any:
    body = {"name": name, "server_type": "cx23", "image": "ubuntu-24.04", "location": "fsn1", **how}
    made = await cloud.made("/servers", body)
    return (await cloud.call("GET", f"/servers/{made['server']['id']}"))[1]["server"]


async def test_connections_reach_healthy_targets_and_go_elsewhere_when_one_dies(cloud: Cloud) -> None:
    one, two = await _server(cloud, "one"), await _server(cloud, "two")
    balancer = (await cloud.made("/load_balancers", BALANCER))["load_balancer"]
    path, address = f"/load_balancers/{balancer['id']}/actions", balancer["public_net"]["ipv4"]["ip"]
    await cloud.made(f"{path}/add_service", {"protocol": "tcp", "listen_port": 443, "destination_port": 443})
    for server in (one, two):
        await cloud.made(f"{path}/add_target", {"type": "server", "server": {"id": server["id"]}})
    addresses = [server["public_net"]["ipv4"]["ip"] for server in (one, two)]
    async with _echo(addresses[1], 8443, "two"):
        async with _echo(addresses[0], 8443, "one"):
            await _until(cloud, balancer["id"], {one["id"]: "healthy", two["id"]: "healthy"})
            heard = {await _ask(address, 8443) for _ in range(4)}
            assert heard == {"one heard hello\n", "two heard hello\n"}
        await _until(cloud, balancer["id"], {one["id"]: "unhealthy", two["id"]: "healthy"})
        assert {await _ask(address, 8443) for _ in range(4)} == {"two heard hello\n"}
    assert not await _ask(address, 8443)


async def test_a_target_by_label_or_by_private_address_is_the_same_loopback_server(cloud: Cloud) -> None:
    subnet = {"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}
    network = await cloud.made("/networks", {"name": "net", "ip_range": "10.0.0.0/16", "subnets": [subnet]})
    network_id = network["network"]["id"]
    server = await _server(
        cloud, "one", networks=[network_id], labels={"role": "web"}, public_net={"enable_ipv4": False}
    )
    private = server["private_net"][0]["ip"]
    home = cloud.up.simulation.directory.machine(server["id"])
    assert home is not None
    targets = [
        {"type": "label_selector", "label_selector": {"selector": "role=web"}, "use_private_ip": True},
        {"type": "ip", "ip": {"ip": private}},
    ]
    for number, target in enumerate(targets):
        body = {**BALANCER, "name": f"lb{number}", "network": network_id, "targets": [target]}
        body["services"] = [{"protocol": "tcp", "listen_port": 7000, "destination_port": 7001}]
        balancer = (await cloud.made("/load_balancers", body))["load_balancer"]
        async with _echo(home.public_ipv4, 7001, "it"):
            assert await _ask(balancer["public_net"]["ipv4"]["ip"], 7000) == "it heard hello\n"


async def test_a_deleted_service_or_balancer_listens_no_more(cloud: Cloud) -> None:
    services = [{"protocol": "tcp", "listen_port": port, "destination_port": port} for port in (7000, 7001)]
    made = await cloud.made("/load_balancers", {**BALANCER, "services": services})
    balancer, address = made["load_balancer"]["id"], made["load_balancer"]["public_net"]["ipv4"]["ip"]
    assert not await _ask(address, 7000)
    await cloud.made(f"/load_balancers/{balancer}/actions/delete_service", {"listen_port": 7000})
    await _refused(address, 7000)
    status, answer = await cloud.call("DELETE", f"/load_balancers/{balancer}")
    assert status == 201
    await cloud.settled(answer)
    await _refused(address, 7001)


async def _refused(address: str, port: int) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection(address, port)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.02)
