"""What destroys is asked first; what has to wait lets go of everything and comes back."""

from datetime import UTC, datetime

from bus import Fired
from contracts.catalogue import CAPACITY_WAKE_UP, THROTTLE_WAKE_UP
from contracts.node import NodeReported
from contracts.questions import OfState
from contracts.sovereign import SovereignApproved
from contracts.tofu import TofuApplied, TofuFailed, TofuPlanned, TofuRelocated, TofuStarted, TofuWaiting
from sandbox.hetzner.state import Capacity
from tests.integration.tofu_runner.stand import SOVEREIGN, Stand, shape
from tests.integration.tofu_runner.test_keeping import OWNER
from tofu_runner import handlers, keeping


async def test_a_plan_that_destroys_waits_for_the_approval_of_this_very_plan(here: Stand) -> None:
    await here.provision(await here.request())
    servers = here.alive()["servers"]
    event = await here.request(shape(worker_count=0), run=2)
    await here.provision(event)
    history = await here.history()
    planned, waiting = history.data(TofuPlanned, run=2), history.data(TofuWaiting, run=2)
    assert planned is not None
    assert waiting is not None
    assert planned.needs_approval
    assert waiting.why == "approval"
    assert any("hcloud_server.worker" in reason and "destroyed" in reason for reason in planned.reasons)
    assert here.alive()["servers"] == servers, "nothing is touched before somebody said so"
    async with here.runner.leases.hold(SOVEREIGN):
        pass  # the lease is free: nobody waits holding anything

    said = len((await here.everything()).recorded)
    await here.provision(event)
    assert len((await here.everything()).recorded) == said, "the repeat of the request does not pass the gate"

    other = await here.say(here.intake, SovereignApproved(plan_digest="f" * 64), run=2)
    await handlers.approve(other, await here.history(), world=here.world())
    assert (await here.history()).data(TofuApplied, run=2) is None
    assert here.alive()["servers"] == servers, "another plan was approved"

    approved = await here.say(here.intake, SovereignApproved(plan_digest=planned.digest), run=2)
    await handlers.approve(approved, await here.history(), world=here.world())
    applied = (await here.history()).data(TofuApplied, run=2)
    assert applied is not None, (await here.history()).data(TofuFailed)
    assert applied.destroy > 0
    assert here.alive()["servers"] == servers - 1
    await handlers.approve(approved, await here.history(), world=here.world())
    assert here.alive()["servers"] == servers - 1


async def test_more_workers_are_made_without_a_question_and_nothing_else_is_touched(here: Stand) -> None:
    await here.provision(await here.request())
    await here.hand_over()
    assert "node-secrets" not in await here.secrets_kept()
    await here.provision(await here.request(shape(worker_count=2), run=2))
    applied = (await here.history()).data(TofuApplied, run=2)
    assert applied is not None, (await here.history()).data(TofuFailed)
    assert (applied.add, applied.change, applied.destroy) == (1, 0, 0)
    told = here.join_tokens()
    assert set(told) == {"demo-omani-works-cp1", "demo-omani-works-w1", "demo-omani-works-w2"}
    assert len(set(told.values())) == 1, "whoever comes later joins with the token that the first one began with"
    token = told["demo-omani-works-cp1"]
    assert len(token) >= 32
    shown = await keeping.tell_state(OfState(sovereign=SOVEREIGN, serial=0), OWNER, world=here.world())
    assert token not in shown.document
    said = "".join(item.event.model_dump_json() for item in (await here.everything()).recorded)
    assert token not in said
    assert token.encode() not in b"".join([v.value for v in await here.runner.kv("tofu").values(f"{SOVEREIGN}.>")])

    await here.lose_state()
    before = here.created()
    await here.provision(await here.request(shape(worker_count=3), run=3))
    failed = (await here.history()).data(TofuFailed, run=3)
    assert failed is not None
    assert (failed.trouble.code, failed.trouble.on) == (
        "join-token-lost",
        'hcloud_server.worker["demo-omani-works-w3"]',
    )
    assert here.created() == before, "a node that could not join is not made"


async def test_another_firewall_rule_is_changed_in_place(here: Stand) -> None:
    await here.provision(await here.request(shape(worker_count=0)))
    opened = shape(worker_count=0).model_copy(update={"ssh_allowed_cidrs": ()})
    await here.provision(await here.request(opened, run=2))
    applied = (await here.history()).data(TofuApplied, run=2)
    assert applied is not None
    assert (applied.add, applied.change, applied.destroy) == (0, 1, 0)


async def test_a_full_region_parks_the_run_and_the_wake_up_finishes_it(here: Stand) -> None:
    simulation = here.cloud.simulation
    simulation.set_capacity("fsn1", "cpx22", Capacity(remaining=0))
    await here.provision(await here.request(shape(worker_count=0)))
    history = await here.history()
    waiting = history.data(TofuWaiting)
    assert waiting is not None, history.data(TofuFailed)
    assert waiting.why == "capacity"
    assert waiting.until is not None
    assert history.data(TofuFailed) is None

    simulation.set_capacity("fsn1", "cpx22", None)
    fired = Fired(timer=CAPACITY_WAKE_UP.name, about=here.about(), due=datetime.now(UTC))
    await handlers.wake_for_capacity(fired, await here.history(), world=here.world())
    assert (await here.history()).data(TofuApplied) is not None
    assert here.created()["servers"] == 1
    calls = here.calls()
    await handlers.wake_for_capacity(fired, await here.history(), world=here.world())
    assert here.calls() == calls, "a timer that no longer matters does nothing"


async def test_capacity_that_never_comes_ends_in_a_failure_that_says_so(here: Stand) -> None:
    full = Capacity(remaining=0)
    here.cloud.simulation.set_capacity("fsn1", "cpx22", full)
    await here.provision(await here.request(shape(worker_count=0)), here.world(capacity_waits=0))
    failed = (await here.history()).data(TofuFailed)
    assert failed is not None
    assert failed.trouble.code == "resource_unavailable"
    assert failed.trouble.owner == "cloud"
    assert failed.trouble.retryable
    assert "hcloud_server.control_plane" in failed.trouble.on
    assert failed.resources > 0


async def test_a_used_up_quota_is_told_as_the_users_and_not_tried_again(here: Stand) -> None:
    here.cloud.simulation.cloud.project("acme").limits.update({"servers": 0})
    await here.provision(await here.request(shape(worker_count=0)))
    history = await here.history()
    failed = history.data(TofuFailed)
    assert failed is not None
    assert (failed.trouble.code, failed.trouble.owner) == ("resource_limit_exceeded", "user")
    assert here.calls()["POST /servers"] == 1


async def test_a_throttled_project_parks_the_run_and_says_until_when(here: Stand) -> None:
    event = await here.request(shape(worker_count=0))
    bucket = here.cloud.simulation.api.bucket("acme")
    # Enough for the token's probe and the inventory, none for the apply; and nothing refills.
    bucket.set(remaining=14, per_second=0.0)
    await here.provision(event, here.world(throttle_patience_s=0.5))
    history = await here.history()
    waiting = history.data(TofuWaiting)
    assert waiting is not None, history.data(TofuFailed)
    assert waiting.why == "throttled"
    assert waiting.until is not None

    bucket.set(remaining=3600, per_second=1.0)
    fired = Fired(timer=THROTTLE_WAKE_UP.name, about=here.about(), due=datetime.now(UTC))
    await handlers.wake_for_budget(fired, await here.history(), world=here.world())
    assert (await here.history()).data(TofuApplied) is not None
    assert (await here.history()).data(TofuStarted) is not None
    assert here.created()["servers"] == 1


async def test_a_retry_replaces_the_node_whose_boot_failed_and_asks_nobody(here: Stand) -> None:
    await here.provision(await here.request(shape(worker_count=0)))
    before = (await here.history()).data(TofuApplied)
    assert before is not None
    at = datetime.now(UTC)
    report = NodeReported(server=before.nodes[0].name, stage="k3s", number=3, state="failed", sequence=5, at=at)
    await here.say(here.intake, report)
    await here.provision(await here.request(shape(worker_count=0), run=2, kind="retry"))
    after = (await here.history()).data(TofuApplied, run=2)
    assert after is not None, (await here.history()).recorded[-1]
    assert after.nodes[0].cloud_id != before.nodes[0].cloud_id
    assert after.load_balancer_ipv4 == before.load_balancer_ipv4
    assert here.alive()["servers"] == 1


async def test_another_type_is_chosen_where_the_request_allows_it_and_kept_afterwards(here: Stand) -> None:
    wanted = shape(worker_count=0, placement_fallback="type")
    here.cloud.simulation.set_capacity("fsn1", "cpx22", Capacity(remaining=0))
    await here.provision(await here.request(wanted))
    history = await here.history()
    relocated, applied = history.data(TofuRelocated), history.data(TofuApplied)
    assert applied is not None, history.data(TofuFailed)
    assert relocated is not None
    assert relocated.to_location == "fsn1"
    assert applied.nodes[0].server_type == relocated.to_type != "cpx22"
    here.cloud.simulation.set_capacity("fsn1", "cpx22", None)
    await here.provision(await here.request(wanted, run=2))
    again = (await here.history()).data(TofuApplied, run=2)
    assert again is not None
    assert (again.add, again.change, again.destroy) == (0, 0, 0), "the choice stays"


async def test_another_location_is_chosen_and_nothing_half_made_stays_in_the_full_one(here: Stand) -> None:
    here.cloud.simulation.set_capacity("fsn1", "*", Capacity(remaining=0))
    await here.provision(await here.request(shape(worker_count=0, placement_fallback="location")))
    applied = (await here.history()).data(TofuApplied)
    assert applied is not None, (await here.history()).data(TofuFailed)
    assert applied.nodes[0].location in {"hel1", "nbg1"}
    project = here.cloud.simulation.cloud.project("acme")
    places = {str(r["location"]) for kind in ("servers", "load_balancers") for r in project.tables[kind].values()}
    assert places == {applied.nodes[0].location}
