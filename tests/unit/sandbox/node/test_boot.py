"""The boot script, really run: what it reports, what stops it, and what is left when its server goes."""

import asyncio
import pathlib

from sandbox.node import BootFault, BootScenario, SimulatedMachines
from tests.unit.sandbox.node.fakes import HAND_IN_TOKEN, NODE_TOKEN, Door, FakeClusters, machine, user_data


async def booted(machines: SimulatedMachines, server_id: int = 1) -> None:
    """Wait until nothing of the boot runs any more."""
    async with asyncio.timeout(90):
        await machines.settled(server_id)


def living(root: pathlib.Path) -> list[str]:
    """Command lines of processes that have something to do with this folder."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            environment, line = (entry / "environ").read_bytes(), (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if f"ROOT={root}".encode() in environment:
            found.append(line.replace(b"\0", b" ").decode())
    return found


async def test_each_stage_is_reported_in_order_with_the_servers_own_token_and_address(
    machines: SimulatedMachines, door: Door
) -> None:
    await machines.power_on(machine(user_data(door.url, {"network": "true", "packages": "true"})))
    await booted(machines)
    assert door.said == ["network begun", "network done", "packages begun", "packages done"]
    assert [each["sequence"] for each in door.reports] == [1, 2, 3, 4]
    assert [each["number"] for each in door.reports] == [1, 1, 2, 2]
    assert door.tokens == {f"Bearer {NODE_TOKEN}"}
    assert door.callers == {"127.64.77.1"}


async def test_a_failed_stage_ends_the_boot_and_tells_its_last_lines_without_secrets(
    machines: SimulatedMachines, door: Door
) -> None:
    failing = f"""
for n in $(printf '%s ' {{1..80}}); do echo "line $n"; done
echo 'the token is {HAND_IN_TOKEN}, again {HAND_IN_TOKEN}'
echo 'Authorization: Bearer some.other-token'
printf 'quote " backslash \\\\ tab \\t bell \\007 \\303\\251\\n'
false
"""
    await machines.power_on(machine(user_data(door.url, {"k3s": failing, "api": "true"})))
    await booted(machines)
    assert door.said == ["k3s begun", "k3s failed"]
    log = door.reports[-1]["log"]
    assert len(log) == 50
    assert "line 80" in log
    assert "line 1" not in log
    assert log[-1] == "The stage ended with status 1."
    assert "the token is [masked], again [masked]" in log
    assert "Authorization: Bearer [masked]" in log
    assert 'quote " backslash \\ tab \t bell  ' in log


async def test_a_stage_beyond_its_bound_is_stopped_and_says_so(machines: SimulatedMachines, door: Door) -> None:
    text = user_data(door.url, {"cni": "read -r line < <(exec /bin/sleep 600)"}, bound_s=200)
    await machines.power_on(machine(text))
    await booted(machines)
    assert door.said == ["cni begun", "cni failed"]
    assert door.reports[-1]["log"] == ["The stage was stopped: it took longer than 200 s."]


async def test_an_absent_door_stops_no_stage_and_hears_everything_in_order_afterwards(
    machines: SimulatedMachines, door: Door
) -> None:
    door.absent = 12
    await machines.power_on(machine(user_data(door.url, {"network": "true", "packages": "true"})))
    await booted(machines)
    assert [each["sequence"] for each in door.reports] == [1, 2, 3, 4]


async def test_a_refused_report_is_put_aside_and_does_not_hold_up_the_others(
    machines: SimulatedMachines, door: Door
) -> None:
    door.answer = 403
    await machines.power_on(machine(user_data(door.url, {"network": "true"})))
    await booted(machines)
    assert door.said == ["network begun", "network done"]
    refused = machines.servers[1].path("/var/lib/catalyst/refused")
    assert sorted(each.name for each in refused.iterdir()) == ["000001.json", "000002.json"]


async def test_a_power_off_ends_every_process_of_the_server(machines: SimulatedMachines, door: Door) -> None:
    text = user_data(door.url, {"network": "( exec timeout 99999 tail -f /dev/null ) & wait"})
    await machines.power_on(machine(text))
    await door.until(lambda seen: seen.said == ["network begun"])
    root = machines.servers[1].root
    assert living(root)
    await machines.power_off(1)
    assert living(root) == []
    assert root.exists()


async def test_a_removed_server_leaves_no_disk(machines: SimulatedMachines, door: Door) -> None:
    await machines.power_on(machine(user_data(door.url, {"network": "true"})))
    await booted(machines)
    home = machines.servers[1].home
    await machines.remove(1)
    await machines.remove(1)
    assert not home.exists()


async def test_powering_on_twice_boots_once(machines: SimulatedMachines, door: Door) -> None:
    server = machine(user_data(door.url, {"network": "true"}))
    await machines.power_on(server)
    await machines.power_on(server)
    await booted(machines)
    await machines.power_off(1)
    await machines.power_on(server)
    await booted(machines)
    assert door.said == ["network begun", "network done"]


async def test_no_more_boots_run_at_once_than_allowed(machines: SimulatedMachines, door: Door) -> None:
    waits = user_data(door.url, {"network": "until [ -e $ROOT/go ]; do sleep 10; done"})
    for number in (1, 2, 3):
        await machines.power_on(machine(waits, number, f"server-{number}"))
    await door.until(lambda seen: len(seen.reports) == 2)
    waiting = next(each for each in machines.servers.values() if not each.booted)
    for each in machines.servers.values():
        if each is not waiting:
            (each.root / "go").touch()
    await door.until(lambda seen: len(seen.reports) == 5)
    assert waiting.booted
    (waiting.root / "go").touch()
    await booted(machines, waiting.machine.id)


async def test_unreadable_user_data_leaves_the_server_silent_and_its_console_explains(
    machines: SimulatedMachines, door: Door
) -> None:
    await machines.power_on(machine("#cloud-config\nruncmd: [unclosed\n"))
    await booted(machines)
    assert "cloud-init: the user data is no YAML" in machines.servers[1].console.read_text()
    assert door.said == []


async def test_a_boot_sees_no_program_of_this_computer_but_the_listed_ones(
    machines: SimulatedMachines, door: Door
) -> None:
    stage = "command -v python3 && exit 1; command -v mount && exit 1; ! kubectl get --raw /readyz"
    await machines.power_on(machine(user_data(door.url, {"network": stage})))
    await booted(machines)
    assert door.said == ["network begun", "network done"]


class TestFaults:
    async def test_a_stage_can_fail_with_given_lines_once(self, machines: SimulatedMachines, door: Door) -> None:
        fault = BootFault(server="demo-omani-works-cp1", stage="packages", kind="fails", lines=("E: no mirror",))
        machines.play(BootScenario(stage_seconds={}, faults=(fault,)))
        text = user_data(door.url, {"network": "sysctl -p", "packages": "apt-get update"})
        await machines.power_on(machine(text))
        await booted(machines)
        assert door.said == ["network begun", "network done", "packages begun", "packages failed"]
        assert "E: no mirror" in door.reports[-1]["log"]
        await machines.power_on(machine(text, 2))
        await booted(machines, 2)
        assert door.said[4:] == ["network begun", "network done", "packages begun", "packages done"]

    async def test_a_stage_can_hang_until_its_bound(self, machines: SimulatedMachines, door: Door) -> None:
        machines.add_fault(BootFault(server="*", stage="flux", kind="hangs"))
        await machines.power_on(machine(user_data(door.url, {"flux": "helm upgrade"}, bound_s=200)))
        await booted(machines)
        assert door.said == ["flux begun", "flux failed"]

    async def test_a_server_can_die_without_a_word(self, machines: SimulatedMachines, door: Door) -> None:
        machines.add_fault(BootFault(server="*", stage="hand-in", kind="dies"))
        await machines.power_on(machine(user_data(door.url, {"hand-in": "kubectl get x y"})))
        await booted(machines)
        assert "hand-in done" not in door.said
        assert "hand-in failed" not in door.said
        assert living(machines.servers[1].root) == []

    async def test_a_stage_can_run_twice(self, machines: SimulatedMachines, door: Door) -> None:
        machines.add_fault(BootFault(server="*", stage="hand-in", kind="repeats"))
        await machines.power_on(machine(user_data(door.url, {"hand-in": "echo once >> $ROOT/count"})))
        await booted(machines)
        assert (machines.servers[1].root / "count").read_text() == "once\nonce\n"


async def test_a_sovereign_without_servers_has_no_cluster(
    machines: SimulatedMachines, door: Door, clusters: FakeClusters
) -> None:
    config = "cluster-init: true\ntoken: join-token\ntls-san: [203.0.113.10]\nflannel-backend: none\n"
    stage = {"k3s": "systemctl start --no-block k3s; systemctl is-active --quiet k3s"}
    await machines.power_on(machine(user_data(door.url, stage, files={"/etc/rancher/k3s/config.yaml": config})))
    await booted(machines)
    assert door.said == ["k3s begun", "k3s done"]
    cluster = clusters.clusters["demo_omani_works"]
    assert (cluster.address, cluster.san) == ("127.64.77.1", ["203.0.113.10"])
    await machines.remove(1)
    assert clusters.removed == ["demo_omani_works"]
