"""One Sovereign's cloud half on real OpenTofu: applied once, unchanged by a repeat."""

from dataclasses import replace

from contracts.tofu import TofuApplied, TofuDestroyed, TofuFailed, TofuPlanned, TofuProgressed, TofuStarted
from tests.integration.tofu_runner.stand import SSH_KEY, Stand, shape


async def test_a_reserved_name_gets_its_cloud_and_a_second_run_changes_nothing(here: Stand) -> None:
    event = await here.request()
    await here.provision(event)
    history = await here.history()
    failed = history.data(TofuFailed)
    assert failed is None, failed
    applied = history.data(TofuApplied)
    assert applied is not None
    assert {node.name for node in applied.nodes} == {"demo-omani-works-cp1", "demo-omani-works-w1"}
    assert applied.load_balancer_ipv4.startswith("127.")
    started = history.data(TofuStarted)
    assert started is not None
    assert {token.server for token in started.node_tokens} == {node.name for node in applied.nodes}
    whole = await here.everything()
    progressed = [item.event.data for item in whole if isinstance(item.event.data, TofuProgressed)]
    assert progressed[-1].done == progressed[-1].total == applied.add

    before = here.created()
    await here.provision(await here.request(run=2))
    again = (await here.history()).data(TofuApplied, run=2)
    assert again is not None
    assert (again.add, again.change, again.destroy) == (0, 0, 0)
    assert here.created() == before


async def test_the_same_delivery_again_says_and_does_nothing(here: Stand) -> None:
    event = await here.request(shape(worker_count=0))
    await here.provision(event)
    said, calls = len((await here.everything()).recorded), here.calls()
    await here.provision(event)
    assert len((await here.everything()).recorded) == said
    assert here.calls() == calls


async def test_the_plan_tells_its_cost_and_its_calls(here: Stand) -> None:
    await here.provision(await here.request())
    planned = (await here.history()).data(TofuPlanned)
    assert planned is not None
    assert planned.cost is not None
    assert planned.cost.sample_prices
    assert [line[0] for line in planned.cost.lines] == ["1 x cpx22", "1 x cpx32", "1 x lb11", "2 x public IPv4"]
    assert sum(here.calls().values()) <= 100, here.calls()


async def test_two_sovereigns_share_a_key_that_the_project_holds_already_and_neither_takes_it_away(here: Stand) -> None:
    laptop = await here.ask("POST", "/ssh_keys", {"name": "laptop", "public_key": SSH_KEY})
    other = replace(here, sovereign="other_omani_works")
    for one in (here, other):
        await one.provision(await one.request(shape(one.fqdn, worker_count=0)))
        history = await one.history()
        assert history.data(TofuApplied) is not None, history.data(TofuFailed)
    assert here.created()["ssh_keys"] == 1
    servers = here.cloud.simulation.cloud.project("acme").tables["servers"]
    assert {row["name"] for row in servers.values()} == {"demo-omani-works-cp1", "other-omani-works-cp1"}

    await other.decommission()
    destroyed = (await other.history()).data(TofuDestroyed)
    assert destroyed is not None
    assert destroyed.left == ()
    assert here.alive()["ssh_keys"] == 1, "it was never ours"

    # Its owner takes it away: whoever needs it next registers it, and this one is ours.
    await here.drop(f"/ssh_keys/{laptop['ssh_key']['id']}")
    await here.provision(await here.request(shape(worker_count=1), run=2))
    applied = (await here.history()).data(TofuApplied, run=2)
    assert applied is not None, (await here.history()).data(TofuFailed)
    assert applied.destroy == 0
    assert here.alive()["ssh_keys"] == 1
    await here.decommission(run=2)
    assert here.alive() == {}
