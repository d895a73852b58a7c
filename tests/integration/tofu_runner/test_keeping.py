"""The state's versions for their operator: listed, read, brought back under the lease, with a reason."""

import json

import pytest

from bus import Answer, Refused, TryAgain
from contracts.questions import Asker, OfSovereign, OfState
from contracts.sovereign import SovereignRestoreRequested
from contracts.tofu import TofuAdopted, TofuApplied, TofuFailed, TofuStateRestored
from tests.integration.tofu_runner.stand import SOVEREIGN, Stand, shape
from tofu_runner import keeping

OWNER = Asker(actor="olga", owner="acme", roles=("approver",))
OF = OfSovereign(sovereign=SOVEREIGN)


async def test_an_earlier_version_comes_back_and_the_next_run_adopts_what_came_since(here: Stand) -> None:
    await here.provision(await here.request(shape(worker_count=0)))
    first = (await keeping.tell_versions(OF, OWNER, world=here.world())).versions[0]
    await here.provision(await here.request(shape(worker_count=1), run=2))
    versions = (await keeping.tell_versions(OF, OWNER, world=here.world())).versions
    assert versions[0].newest
    assert versions[0].serial > first.serial
    assert versions[0].resources > first.resources

    asked = SovereignRestoreRequested(serial=first.serial, reason="a colleague edited it")
    event = await here.say(here.intake, asked, 2)
    async with here.runner.leases.hold(SOVEREIGN):
        with pytest.raises(TryAgain):
            await keeping.restore(event, await here.history(), world=here.world())
    for _ in range(2):
        await keeping.restore(event, await here.history(), world=here.world())
    restored = (await here.history()).data(TofuStateRestored)
    assert restored == TofuStateRestored(serial=first.serial, reason="a colleague edited it")
    after = (await keeping.tell_versions(OF, OWNER, world=here.world())).versions
    assert [row.serial for row in after] == [versions[0].serial + 1, *(row.serial for row in versions)]
    assert after[0].resources == first.resources
    state = await keeping.tell_state(OfState(sovereign=SOVEREIGN, serial=0), OWNER, world=here.world())
    assert len(json.loads(state.document)["resources"]) > 0

    made = here.created()
    await here.provision(await here.request(shape(worker_count=1), run=3))
    history = await here.history()
    applied = history.data(TofuApplied, run=3)
    assert applied is not None, history.data(TofuFailed)
    assert applied.add == 0
    assert history.data(TofuAdopted, run=3) is not None
    assert here.created() == made


async def test_what_is_not_kept_or_not_ones_own_is_refused_and_nothing_is_changed(here: Stand) -> None:
    await here.request(shape(worker_count=0))
    event = await here.say(here.intake, SovereignRestoreRequested(serial=7, reason="a guess"))
    with pytest.raises(Refused):
        await keeping.restore(event, await here.history(), world=here.world())
    assert (await here.history()).data(TofuStateRestored) is None
    with pytest.raises(Answer) as unknown:
        await keeping.tell_state(OfState(sovereign=SOVEREIGN, serial=7), OWNER, world=here.world())
    assert unknown.value.trouble.code == "state-unknown"
    rival = OWNER.model_copy(update={"owner": "rival"})
    with pytest.raises(Answer) as refused:
        await keeping.tell_versions(OF, rival, world=here.world())
    assert refused.value.trouble.code == "unknown-sovereign"
