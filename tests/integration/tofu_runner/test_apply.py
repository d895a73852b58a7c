"""One Sovereign's cloud half on real OpenTofu: applied once, unchanged by a repeat."""

from contracts.tofu import TofuApplied, TofuFailed, TofuPlanned, TofuProgressed, TofuStarted
from tests.integration.tofu_runner.stand import Stand, shape


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
    assert [line[0] for line in planned.cost.lines] == ["1 x cpx22", "1 x cpx32", "1 x lb11"]
    assert sum(here.calls().values()) <= 100, here.calls()
