"""A plan file that is not this run's: another Sovereign's, or one that the cloud has moved on from."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import pytest

from contracts.request import Shape
from tests.integration.tofu_runner.stand import Stand, shape
from tofu_runner.bench import Bench, Failed, bench
from tofu_runner.tofu import PLAN_FILE
from tofu_runner.tokens import NodeSecrets
from tofu_runner.variables import deployment_of, servers_of, variables_file, variables_of


@asynccontextmanager
async def at_work(here: Stand) -> AsyncIterator[Bench]:
    """What a worker of this Sovereign has in hand, with OpenTofu initialised."""
    world, history = here.world(), await here.history()
    about = here.about(max(history.run, 1))
    key = await world.keep.state_key(about)
    async with here.runner.leases.hold(here.sovereign) as lease:
        chain = here.runner.journal.chain(about, history, cause=uuid4())
        async with bench(world, chain, lease, cloud_token=here.token, state_key=key, hidden=frozenset()) as work:
            await work.step("initialise OpenTofu", work.workspace.init)
            yield work


async def planned(here: Stand, wanted: Shape) -> bytes:
    """The plan file of a run that was never applied."""
    secrets = NodeSecrets.minted().covering(servers_of(here.sovereign, wanted))
    variables = variables_of(
        here.sovereign,
        wanted,
        deployment_of(here.settings),
        node_tokens=secrets.nodes,
        hand_in_token=secrets.hand_in,
        k3s_token=secrets.k3s,
        zone_credential={"url": "", "api_key": ""},
        admin_email="nobody@example.org",
        options=(),
    )
    async with at_work(here) as work:
        await work.step("plan", lambda on_line: work.workspace.plan(variables_file(variables), on_line))
        return (work.workspace.folder / PLAN_FILE).read_bytes()


async def test_the_plan_of_another_run_is_not_applied_and_nothing_is_changed(here: Stand) -> None:
    await here.provision(await here.request(shape(worker_count=0)))
    outdated = await planned(here, shape(worker_count=1))
    other = replace(here, sovereign="other_omani_works")
    foreign = await planned(other, shape(other.fqdn, worker_count=0))
    closed = shape(worker_count=0).model_copy(update={"ssh_allowed_cidrs": ()})
    await here.provision(await here.request(closed, run=2))

    before, changes = here.created(), here.mutations()
    for plan in (outdated, foreign):
        async with at_work(here) as work:
            (work.workspace.folder / PLAN_FILE).write_bytes(plan)
            with pytest.raises(Failed) as refused:
                await work.step("apply", work.workspace.apply_plan)
            assert {told.code for told in refused.value.troubles} == {"tofu-diagnostic"}
    assert (here.created(), here.mutations()) == (before, changes)
