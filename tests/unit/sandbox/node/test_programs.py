"""What the stand-ins answer, and what they refuse."""

import json
import pathlib
from collections.abc import AsyncIterator, Mapping

import pytest

from sandbox.hetzner.machines import Machine
from sandbox.node.commands import Commands
from sandbox.node.k3s import K3s
from sandbox.node.server import Server
from sandbox.node.switchboard import Answer, Call
from tests.unit.sandbox.node.fakes import FakeCluster, FakeClusters, machine

FIRST = """
cluster-init: true
token: right
node-name: cp1
node-ip: 10.0.1.11
tls-san: [10.0.1.250]
flannel-backend: none
"""
JOINING = "server: https://10.0.1.250:6443\ntoken: right\nnode-name: {name}\nnode-ip: {ip}\n"


class Surroundings:
    """A directory in which nothing is behind any private address."""

    def machine(self, server_id: int) -> Machine | None:
        return machine("", server_id, private_ip="10.0.1.99")

    def machines(self, project: str, labels: Mapping[str, str]) -> list[Machine]:
        return []

    def address_behind(self, server_id: int, private_ip: str) -> str | None:
        return None

    def load_balancer_address(self, project: str, labels: Mapping[str, str]) -> str | None:
        return None


class Computer:
    """Servers without processes: programs are called one by one."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.clusters = FakeClusters()
        self.k3s = K3s(self.clusters)
        self.stand_ins = directory / "stand-ins"
        self.stand_ins.mkdir()
        (self.stand_ins / "k3s").touch()
        self.commands = Commands(self.k3s, self.stand_ins)
        self._directory = directory

    def server(self, number: int, config: str = "") -> Server:
        server = Server(machine("", number, f"server-{number}"), self._directory / str(number))
        path = server.path("/etc/rancher/k3s/config.yaml")
        path.parent.mkdir(parents=True)
        path.write_text(config)
        return server

    async def run(self, server: Server, line: str, text: str = "") -> Answer:
        program, *arguments = line.split()
        return await self.commands.respond(Call(server, program, tuple(arguments), "", text))

    async def start(self, server: Server, unit: str = "k3s") -> bool:
        await self.run(server, f"systemctl start --no-block {unit}")
        return (await self.run(server, f"systemctl is-active --quiet {unit}")).status == 0

    @property
    def cluster(self) -> FakeCluster:
        return self.clusters.clusters["demo_omani_works"]


@pytest.fixture
async def computer(tmp_path: pathlib.Path) -> AsyncIterator[Computer]:
    computer = Computer(tmp_path)
    yield computer
    await computer.k3s.stop()


@pytest.fixture
async def first(computer: Computer) -> Server:
    server = computer.server(1, FIRST)
    assert await computer.start(server)
    return server


class TestK3s:
    async def test_the_first_control_plane_begins_the_cluster(self, computer: Computer, first: Server) -> None:
        assert computer.cluster.address == "127.64.77.1"
        assert computer.cluster.nodes == {"cp1": ("10.0.1.11", "control-plane")}
        assert first.path("/var/lib/rancher/k3s/server/tls/server-ca.crt").read_text().startswith("-----BEGIN")
        assert computer.cluster.get("StorageClass", None, "local-path")

    async def test_others_join_it_and_open_the_front_door(self, computer: Computer, first: Server) -> None:
        second = computer.server(2, JOINING.format(name="cp2", ip="10.0.1.12"))
        worker = computer.server(3, JOINING.format(name="w1", ip="10.0.1.101"))
        assert await computer.start(second)
        assert await computer.start(worker, "k3s-agent")
        assert computer.cluster.nodes["cp2"] == ("10.0.1.12", "control-plane")
        assert computer.cluster.nodes["w1"] == ("10.0.1.101", "worker")
        assert computer.cluster.front_doors == ["127.64.77.1", "127.64.77.2", "127.64.77.3"]

    async def test_a_node_waits_for_a_cluster_and_the_journal_says_so(self, computer: Computer) -> None:
        worker = computer.server(3, JOINING.format(name="w1", ip="10.0.1.101"))
        assert not await computer.start(worker, "k3s-agent")
        journal = await computer.run(worker, "journalctl --unit k3s-agent")
        assert "https://10.0.1.250:6443/cacerts: connection refused" in journal.text
        assert await computer.start(computer.server(1, FIRST))
        assert await computer.start(worker, "k3s-agent")

    async def test_another_token_does_not_join(self, computer: Computer, first: Server) -> None:
        config = JOINING.format(name="w1", ip="10.0.1.101").replace("right", "wrong")
        worker = computer.server(3, config)
        assert not await computer.start(worker, "k3s-agent")
        assert "failed to validate token" in worker.journal[-1]
        assert "w1" not in computer.cluster.nodes

    async def test_a_second_cluster_does_not_begin(self, computer: Computer, first: Server) -> None:
        second = computer.server(2, FIRST)
        assert not await computer.start(second)
        assert "a second one must not begin" in second.journal[-1]

    async def test_an_address_that_leads_nowhere_does_not_join(self, computer: Computer, first: Server) -> None:
        computer.k3s.directory = Surroundings()
        worker = computer.server(3, JOINING.format(name="w1", ip="10.0.1.101"))
        assert not await computer.start(worker, "k3s-agent")
        assert "no route to host" in worker.journal[-1]

    async def test_drop_ins_add_to_the_configuration(self, computer: Computer) -> None:
        server = computer.server(1, FIRST)
        drop_in = server.path("/etc/rancher/k3s/config.yaml.d/20-addresses.yaml")
        drop_in.parent.mkdir()
        drop_in.write_text("tls-san+:\n  - 127.64.77.1\n")
        assert await computer.start(server)
        assert computer.cluster.san == ["10.0.1.250", "127.64.77.1"]

    async def test_local_storage_disabled_means_no_storage_class(self, computer: Computer) -> None:
        server = computer.server(1, FIRST + "disable: [local-storage]\n")
        assert await computer.start(server)
        answer = await computer.run(server, "kubectl get storageclass local-path --output name")
        assert answer == Answer(1, 'Error from server (NotFound): storageclass "local-path" not found')


class TestKubectl:
    async def test_there_is_none_before_the_cluster(self, computer: Computer) -> None:
        answer = await computer.run(computer.server(1), "kubectl get --raw /readyz")
        assert answer.status == 1
        assert "connection to the server 127.0.0.1:6443 was refused" in answer.text

    async def test_applied_objects_are_found_by_name_and_path(self, computer: Computer, first: Server) -> None:
        document = (
            "kind: Secret\nmetadata: {name: s, annotations: {a.b/c: 'yes'}}\n---\nkind: Node\nmetadata: {name: n}\n"
        )
        done = await computer.run(first, "kubectl --namespace flux-system apply --server-side --filename -", document)
        assert done.text == "secret/s created\nnode/n created"
        path = r"kubectl -n flux-system get secret s -o jsonpath={.metadata.annotations.a\.b/c}"
        assert (await computer.run(first, path)).text == "yes"
        missing = "kubectl -n flux-system get secret s --output jsonpath={.data.token}"
        assert await computer.run(first, missing) == Answer(0, "")
        assert computer.cluster.get("Node", "", "n")

    async def test_a_merge_patch_changes_only_what_it_names(self, computer: Computer, first: Server) -> None:
        patch = json.dumps({"metadata": {"annotations": {"default": "true"}}})
        done = await computer.run(
            first, f"kubectl patch storageclass local-path --type merge --patch {patch.replace(' ', '')}"
        )
        assert done.status == 0
        (item,) = computer.cluster.get("StorageClass", None, "local-path")
        assert item["metadata"] == {"name": "local-path", "annotations": {"default": "true"}}
        assert item["provisioner"] == "rancher.io/local-path"

    @pytest.mark.parametrize(
        "line",
        ["kubectl delete node cp1", "kubectl get", "kubectl apply --filename other.yaml", "kubectl rollout undo x/y"],
    )
    async def test_a_form_that_is_not_simulated_fails(self, computer: Computer, first: Server, line: str) -> None:
        answer = await computer.run(first, line)
        assert answer.status == 1
        assert "not simulated" in answer.text

    async def test_an_api_that_is_down_answers_nothing(self, computer: Computer, first: Server) -> None:
        computer.cluster.api_healthy = False
        assert (await computer.run(first, "kubectl get --raw /readyz")).status == 1


class TestHelm:
    async def test_flux_brings_its_kinds_and_controllers(self, computer: Computer, first: Server) -> None:
        line = "helm upgrade --install flux flux2 --repo https://x --version 2.19.1 --namespace flux-system"
        assert (await computer.run(first, line)).status == 0
        assert {each["metadata"]["name"] for each in computer.cluster.get("Deployment", "flux-system", None)} == {
            *("source-controller", "kustomize-controller", "helm-controller", "notification-controller")
        }
        assert computer.cluster.get("CustomResourceDefinition", None, "helmreleases.helm.toolkit.fluxcd.io")

    async def test_cilium_has_no_agents_beside_another_network(self, computer: Computer) -> None:
        server = computer.server(1, FIRST.replace("flannel-backend: none", "flannel-backend: vxlan"))
        await computer.start(server)
        await computer.run(server, "helm upgrade --install cilium cilium --namespace kube-system")
        assert computer.cluster.get("DaemonSet", None, None) == []

    @pytest.mark.parametrize("line", ["helm uninstall cilium", "helm upgrade --install x unknown-chart"])
    async def test_anything_else_fails(self, computer: Computer, first: Server, line: str) -> None:
        assert (await computer.run(first, line)).status == 1


class TestSmallPrograms:
    async def test_ip_shows_the_private_address_once_the_cloud_attached_it(self, computer: Computer) -> None:
        server = computer.server(1)
        assert " 10.0.1.11/" in (await computer.run(server, "ip -4 -o address show")).text
        computer.commands.directory = Surroundings()
        shown = await computer.run(server, "ip -4 -o address show scope global")
        assert " 10.0.1.99/" in shown.text
        assert "127.0.0.1" not in shown.text

    async def test_a_firewall_rule_is_there_once_it_was_added(self, computer: Computer) -> None:
        server = computer.server(1)
        rule = "OUTPUT -d 169.254.169.254/32 -j REJECT"
        assert (await computer.run(server, f"iptables -w 10 -C {rule}")).status == 1
        assert (await computer.run(server, f"iptables -w 10 -I {rule}")).status == 0
        assert (await computer.run(server, f"iptables -w 10 -C {rule}")).status == 0

    async def test_a_download_puts_a_stand_in_where_the_program_would_be(self, computer: Computer) -> None:
        server = computer.server(1)
        destination = server.path("/usr/local/bin/k3s")
        answer = await computer.run(server, f"catalyst-fetch https://x/k3s https://x/sums {destination}")
        assert answer.status == 0
        assert destination.resolve() == (computer.stand_ins / "k3s").resolve()

    @pytest.mark.parametrize("where", ["/../../../outside/k3s", "relative/k3s", "/usr/local/bin/unknown"])
    async def test_a_download_elsewhere_is_refused(
        self, computer: Computer, where: str, tmp_path: pathlib.Path
    ) -> None:
        answer = await computer.run(computer.server(1), f"catalyst-fetch https://x/k3s https://x/sums {where}")
        assert answer.status != 0
        assert not (tmp_path / "outside").exists()

    @pytest.mark.parametrize("line", ["reboot", "systemctl stop k3s", "iptables -F"])
    async def test_what_is_not_simulated_fails(self, computer: Computer, line: str) -> None:
        assert (await computer.run(computer.server(1), line)).status != 0
