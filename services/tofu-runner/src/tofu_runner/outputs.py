"""What the module puts out when a plan was applied, as the fact tells it."""

from collections.abc import Mapping
from typing import Any

from contracts.request import Shape
from contracts.tofu import Cost, Node, TofuApplied
from tofu_runner.bench import Bench
from tofu_runner.plan import Plan


def applied_of(work: Bench, shape: Shape, plan: Plan, cost: Cost | None) -> TofuApplied:
    """The outputs as the fact tells them."""
    values: Mapping[str, Any] = work.outputs.values if work.outputs else {}
    return TofuApplied(
        add=plan.add,
        change=plan.count("update"),
        destroy=plan.destroy,
        nodes=nodes_of(values, shape),
        load_balancer_id=int(values["load_balancer_id"]),
        load_balancer_ipv4=str(values["load_balancer_ipv4"]),
        load_balancer_ipv6=str(values.get("load_balancer_ipv6") or ""),
        network_id=int(values["network_id"]),
        state_serial=work.versions.serial,
        cloud_calls=work.passing.account.calls,
        cost=cost,
    )


def nodes_of(values: Mapping[str, Any], shape: Shape) -> tuple[Node, ...]:
    """The servers among the outputs."""
    topology = shape.topology
    ids: Mapping[str, Any] = values["servers"]
    nodes = []
    for output, role, kind in (
        ("control_plane_ips", "control-plane", topology.control_plane_type),
        ("worker_ips", "worker", topology.worker_type),
    ):
        for name, addresses in sorted(values.get(output, {}).items()):
            nodes.append(
                Node(
                    name=name,
                    cloud_id=int(ids[name]),
                    role="worker" if role == "worker" else "control-plane",
                    server_type=kind,
                    location=topology.region,
                    public_ipv4=str(addresses.get("public") or ""),
                    private_ipv4=str(addresses.get("private") or ""),
                )
            )
    return tuple(nodes)
