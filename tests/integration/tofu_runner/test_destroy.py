"""Decommission: from every state it ends with an empty cloud, and says what is gone."""

from datetime import UTC, datetime

from bus import Fired, Wake
from bus.sign import verify
from contracts.dns import DnsWithdrawn
from contracts.proof import Proof
from contracts.sovereign import SovereignDecommissionRequested, SovereignHandedOver
from contracts.tofu import TofuDestroyed, TofuFailed, TofuProgressed
from tests.integration.tofu_runner.stand import SOVEREIGN, Stand, shape
from tofu_runner import handlers


async def test_a_decommission_leaves_nothing_and_names_what_is_gone(here: Stand) -> None:
    await here.provision(await here.request())
    await here.decommission()
    history = await here.history()
    assert history.data(TofuFailed) is None, history.data(TofuFailed)
    destroyed = history.data(TofuDestroyed)
    assert destroyed is not None
    assert here.alive() == {}
    assert {gone.kind for gone in destroyed.gone} >= {"hcloud_server", "hcloud_network", "hcloud_load_balancer"}
    assert all(gone.cloud_id for gone in destroyed.gone)
    assert destroyed.left == ()
    assert await here.secrets_kept() == {"state-key"}
    saw = {item.event.id for item in await here.everything()}
    assert {gone.seen_by for gone in destroyed.gone} <= saw
    proof = proved(here, destroyed)
    assert proof.gone == destroyed.gone
    made = [item.event.data for item in await here.everything() if isinstance(item.event.data, TofuProgressed)]
    assert {gone.cloud_id for gone in proof.gone} == {said.cloud_id for said in made if said.state == "created"}


def proved(here: Stand, destroyed: TofuDestroyed) -> Proof:
    assert destroyed.proof is not None
    verify(destroyed.proof, here.runner.vault.signing_keys())
    return destroyed.proof.proof()


async def test_a_decommission_with_the_state_lost_finds_everything_by_its_label(here: Stand) -> None:
    await here.provision(await here.request())
    bucket = here.runner.kv("tofu")
    for key in await bucket.keys(f"{SOVEREIGN}.1.>"):
        if not key.endswith("mutations"):
            await bucket.delete(key)
    await here.decommission()
    assert (await here.history()).data(TofuDestroyed) is not None
    assert here.alive() == {}


async def test_a_life_that_never_touched_the_cloud_is_gone_at_once_without_a_token(here: Stand) -> None:
    await here.request()
    await here.runner.vault.erase(SOVEREIGN, 1, "cloud-token")
    await here.decommission()
    destroyed = (await here.history()).data(TofuDestroyed)
    assert destroyed is not None
    assert destroyed.gone == ()
    assert proved(here, destroyed).inventory_at is None
    assert sum(here.calls().values()) == 0


async def test_a_token_that_a_decommission_brings_outlives_the_hand_off(here: Stand) -> None:
    await here.provision(await here.request(shape(worker_count=0)))
    handed = await here.say(here.intake, SovereignHandedOver())
    before = await here.history()
    await here.put_secret(here.intake, "cloud-token", here.token.encode())
    await here.say(here.intake, SovereignDecommissionRequested())
    # Its reading was made before the command came.
    await handlers.forget(handed, before, world=here.world())
    assert "cloud-token" in await here.secrets_kept()


async def test_a_token_that_another_run_brings_outlives_the_hand_off_that_was_under_way(here: Stand) -> None:
    await here.request(shape(worker_count=0))
    handed = await here.say(here.intake, SovereignHandedOver())
    before = await here.history()
    await here.request(shape(worker_count=0), run=2)
    # Its reading was made before the request came.
    await handlers.forget(handed, before, world=here.world())
    assert {"cloud-token", "zone-credential"} <= await here.secrets_kept()


async def test_what_was_brought_since_it_was_looked_at_is_not_erased(here: Stand) -> None:
    event = await here.request()
    keep = here.world().keep
    held = await keep.held(event.about)
    await here.put_secret(here.intake, "cloud-token", here.token.encode())
    await keep.forget(event.about, held)
    assert "cloud-token" in await here.secrets_kept()


async def test_a_decommission_after_hand_over_needs_the_token_again_and_then_works(here: Stand) -> None:
    await here.provision(await here.request(shape(worker_count=0)))
    handed = await here.say(here.intake, SovereignHandedOver())
    await handlers.forget(handed, await here.history(), world=here.world())
    assert await here.secrets_kept() == {"state-key"}
    await here.decommission()
    failed = (await here.history()).data(TofuFailed)
    assert failed is not None
    assert failed.trouble.code == "credential-required"

    await here.put_secret(here.intake, "cloud-token", here.token.encode())
    await here.decommission()
    assert (await here.history()).data(TofuDestroyed) is not None
    assert here.alive() == {}


async def test_what_the_cluster_made_goes_too_and_what_is_foreign_or_protected_is_named_and_left(here: Stand) -> None:
    await here.provision(await here.request(shape(worker_count=0)))
    network = (await here.ask("GET", "/networks"))["networks"][0]["id"]
    server = (await here.ask("GET", "/servers"))["servers"][0]["id"]
    of_ccm, of_csi = {"hcloud-ccm/service-uid": "1"}, {"pvc-name": "data", "managed-by": "csi-driver"}
    balancer = {"load_balancer_type": "lb11", "location": "fsn1", "network": network}
    await here.ask("POST", "/load_balancers", balancer | {"name": "made-by-ccm", "labels": of_ccm})
    volume = {"size": 10, "server": server}
    await here.ask("POST", "/volumes", volume | {"name": "pvc-1", "labels": of_csi})
    await here.ask("POST", "/volumes", volume | {"name": "somebodys-data"})
    guarded = await here.ask("POST", "/volumes", volume | {"name": "pvc-guarded", "labels": of_csi})
    await here.ask("POST", f"/volumes/{guarded['volume']['id']}/actions/change_protection", {"delete": True})
    await here.decommission()
    history = await here.history()
    destroyed = history.data(TofuDestroyed)
    assert destroyed is not None, history.data(TofuFailed)
    gone = {gone.address for gone in destroyed.gone}
    assert {"hcloud_load_balancer made-by-ccm", "hcloud_volume pvc-1"} <= gone
    assert [name.split()[1] for name in destroyed.left] == ["somebodys-data", "pvc-guarded"]
    assert here.alive() == {"volumes": 2}
    assert proved(here, destroyed).left == destroyed.left


async def test_without_a_withdrawal_the_deadline_destroys(here: Stand) -> None:
    await here.provision(await here.request(shape(worker_count=0)))
    asked = await here.say(here.intake, SovereignDecommissionRequested())
    (wake,) = await handlers.expect_withdrawal(asked, await here.history(), world=here.world())
    fired = _fired(here, wake)
    await handlers.destroy_anyway(fired, await here.history(), world=here.world())
    assert (await here.history()).data(TofuDestroyed) is not None
    await handlers.destroy_anyway(fired, await here.history(), world=here.world())
    assert here.alive() == {}


async def test_after_a_withdrawal_the_deadline_does_nothing(here: Stand) -> None:
    await here.request()
    asked = await here.say(here.intake, SovereignDecommissionRequested())
    (wake,) = await handlers.expect_withdrawal(asked, await here.history(), world=here.world())
    await here.say(here.dns, DnsWithdrawn())
    await handlers.destroy_anyway(_fired(here, wake), await here.history(), world=here.world())
    assert (await here.history()).data(TofuDestroyed) is None


def _fired(here: Stand, wake: object) -> Fired:
    assert isinstance(wake, Wake)
    return Fired(timer=wake.timer.name, about=here.about(), key=wake.key, due=datetime.now(UTC))


async def test_a_withdrawal_without_a_decommission_destroys_nothing(here: Stand) -> None:
    await here.provision(await here.request(shape(worker_count=0)))
    before = here.alive()
    withdrawn = await here.say(here.dns, DnsWithdrawn())
    await handlers.destroy(withdrawn, await here.history(), world=here.world())
    assert here.alive() == before
