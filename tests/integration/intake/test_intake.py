"""Requests and commands on a real server: what they open, what excludes what, and the read model."""

import asyncio
import json
from typing import Any

import pytest

from bus import Answer, Bus
from contracts.catalogue import APPROVE, CANCEL, DECOMMISSION, REPROVISION, RETRY, SSH, SUBMIT
from contracts.dns import DnsRefused, DnsReleased
from contracts.errors import trouble
from contracts.event import About
from contracts.history import History
from contracts.questions import Approve, Command, Decommission, Reprovision, Retry, Ssh, Submit
from contracts.request import SealedSecret
from contracts.sovereign import SovereignDecommissionRequested, SovereignRequested
from contracts.summary import Summary
from contracts.tofu import TofuFailed, TofuPlanned
from tests.conftest import BusOf
from tests.integration.intake.conftest import OPERATOR, RIVAL, running, until
from tests.requests import request_body, sealed_token


async def test_a_request_opens_run_1_and_a_repeat_answers_the_same_run(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    first = await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
    again = await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
    assert (first.sovereign, first.life, first.run, first.existing) == ("demo_omani_works", 1, 1, False)
    assert again.existing
    assert again.event_id == first.event_id
    history = await running_intake.journal.history("demo_omani_works")
    assert [item.event.type for item in history.recorded] == ["sovereign.requested.v1"]


async def test_of_two_owners_who_ask_at_once_one_gets_the_name(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    results = await asyncio.gather(
        *(gateway.ask(SUBMIT, Submit(body=request_body()), asker=asker) for asker in (OPERATOR, RIVAL)),
        return_exceptions=True,
    )
    refused = [result for result in results if isinstance(result, Answer)]
    assert len(refused) == 1
    assert refused[0].trouble.code == "fqdn-taken"
    history = await running_intake.journal.history("demo_omani_works")
    assert len(history.recorded) == 1


async def test_cancel_before_anything_began_ends_the_run_and_retry_opens_the_next(
    running_intake: Bus, bus_of: BusOf
) -> None:
    gateway = await bus_of("gateway")
    await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
    await gateway.ask(CANCEL, Command(sovereign="demo_omani_works", reason="wrong size"), asker=OPERATOR)

    async def cancelled() -> bool:
        history = await running_intake.journal.fold("demo_omani_works")
        return any(item.event.data.fact == "sovereign.cancelled" for item in history)

    await until(cancelled)
    retried = await gateway.ask(RETRY, Retry(sovereign="demo_omani_works"), asker=OPERATOR)
    assert retried.run == 2
    with pytest.raises(Answer) as refused:
        await gateway.ask(RETRY, Retry(sovereign="demo_omani_works"), asker=RIVAL)
    assert refused.value.trouble.code == "unknown-sovereign"


async def test_decommission_wants_the_name_typed_again(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
    wrong = Decommission(sovereign="demo_omani_works", confirm="other.omani.works")
    with pytest.raises(Answer):
        await gateway.ask(DECOMMISSION, wrong, asker=OPERATOR)
    command = Decommission(sovereign="demo_omani_works", confirm="demo.omani.works")
    assert (await gateway.ask(DECOMMISSION, command, asker=OPERATOR)).run == 1


async def test_a_decommission_that_failed_for_want_of_the_token_is_asked_again_with_it(
    running_intake: Bus, bus_of: BusOf
) -> None:
    gateway, runner = await bus_of("gateway"), await bus_of("tofu-runner")
    await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
    command = Decommission(sovereign="demo_omani_works", confirm="demo.omani.works")
    asked = await gateway.ask(DECOMMISSION, command, asker=OPERATOR)
    with pytest.raises(Answer) as refused:
        await gateway.ask(DECOMMISSION, command, asker=OPERATOR)
    assert refused.value.trouble.code == "not-now"

    history = await running_intake.journal.fold("demo_omani_works")
    about = About(sovereign="demo_omani_works", owner="omantel", life=1, run=1)
    gone = trouble("credential-required", attempted="destroy the cloud resources", on="cloud-token")
    await runner.journal.append([TofuFailed(trouble=gone)], about, cause=asked.event_id, after=history)
    with pytest.raises(Answer) as refused:
        await gateway.ask(DECOMMISSION, command, asker=OPERATOR)
    assert refused.value.trouble.code == "credential-required"
    token = SealedSecret.model_validate(sealed_token("demo.omani.works"))
    again = await gateway.ask(DECOMMISSION, command.model_copy(update={"secrets": (token,)}), asker=OPERATOR)
    assert again.event_id != asked.event_id


async def test_a_reprovision_opens_the_next_life_by_itself_and_the_name_is_nobody_elses_meanwhile(
    running_intake: Bus, bus_of: BusOf
) -> None:
    gateway, dns, tofu = await bus_of("gateway"), await bus_of("dns-pdm"), await bus_of("tofu-runner")
    await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
    command = Reprovision(sovereign="demo_omani_works", confirm="demo.omani.works")
    refusals = []
    for wrong in (command.model_copy(update={"confirm": "other.omani.works"}), command):
        with pytest.raises(Answer) as refused:
            await gateway.ask(REPROVISION, wrong, asker=OPERATOR)
        refusals.append(refused.value.trouble.code)
    assert refusals == ["invalid-request", "credential-required"]
    token = SealedSecret.model_validate(sealed_token("demo.omani.works"))
    asked = await gateway.ask(REPROVISION, command.model_copy(update={"secrets": (token,)}), asker=OPERATOR)
    with pytest.raises(Answer) as refused:
        await gateway.ask(REPROVISION, command.model_copy(update={"secrets": (token,)}), asker=OPERATOR)
    assert refused.value.trouble.code == "not-now"

    about = About(sovereign="demo_omani_works", owner="omantel", life=1, run=1)
    released = DnsReleased(zone="demo.omani.works.", kept=True)
    await dns.journal.append([released], about, cause=asked.event_id, after=await dns.journal.fold(about.sovereign))

    async def next_life() -> SovereignRequested | None:
        history = await running_intake.journal.fold(about.sovereign)
        return history.data(SovereignRequested) if history.life == 2 else None

    request = await until(next_life)
    history = await running_intake.journal.history(about.sovereign)
    assert [(i.event.type, i.event.life, i.event.run, i.event.owner) for i in history.recorded[-2:]] == [
        ("sovereign.decommissioned.v1", 1, 1, "omantel"),
        ("sovereign.requested.v1", 2, 2, "omantel"),
    ]
    assert [secret.name for secret in request.secrets] == ["cloud-token"]
    for life in (1, 2):
        stored = await tofu.kv("sealed").get(f"tofu-runner.demo_omani_works.{life}.cloud-token")
        assert stored is not None
        assert json.loads(stored.value)["ciphertext"] == token.ciphertext
    with pytest.raises(Answer) as refused:
        await gateway.ask(SUBMIT, Submit(body=request_body()), asker=RIVAL)
    assert refused.value.trouble.code == "fqdn-taken"


async def test_a_token_that_was_brought_for_a_next_life_goes_with_a_decommission_instead(
    running_intake: Bus, bus_of: BusOf
) -> None:
    gateway, dns, tofu = await bus_of("gateway"), await bus_of("dns-pdm"), await bus_of("tofu-runner")
    await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
    token = SealedSecret.model_validate(sealed_token("demo.omani.works"))
    anew = Reprovision(sovereign="demo_omani_works", confirm="demo.omani.works", secrets=(token,))
    asked = await gateway.ask(REPROVISION, anew, asker=OPERATOR)
    about = About(sovereign="demo_omani_works", owner="omantel", life=1, run=1)
    broken = TofuFailed(trouble=trouble("server_error", attempted="destroy the cloud resources", on="the cloud"))
    await tofu.journal.append([broken], about, cause=asked.event_id, after=await tofu.journal.fold(about.sovereign))
    for_good = Decommission(sovereign="demo_omani_works", confirm="demo.omani.works")
    await gateway.ask(DECOMMISSION, for_good, asker=OPERATOR)
    released = DnsReleased(zone="demo.omani.works.")
    await dns.journal.append([released], about, cause=asked.event_id, after=await dns.journal.fold(about.sovereign))
    await until(lambda: _fact(running_intake, "sovereign.decommissioned"))
    history = await running_intake.journal.fold(about.sovereign)
    assert (history.life, history.alive) == (1, False)
    assert await tofu.kv("sealed").get("tofu-runner.demo_omani_works.2.cloud-token") is None


async def test_a_life_that_ended_empty_is_given_up_by_its_timer_and_the_name_is_free_again(bus_of: BusOf) -> None:
    gateway, dns = await bus_of("gateway"), await bus_of("dns-pdm")
    about = About(sovereign="demo_omani_works", owner="omantel", life=1, run=1)
    async with running(await bus_of("intake"), empty_life_days=1 / 86_400) as bus:
        asked = await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
        why = trouble("fqdn-reserved", attempted="reserve the name", on="demo.omani.works")
        await dns.journal.append([DnsRefused(trouble=why)], about, cause=asked.event_id, after=History(about.sovereign))

        async def given_up() -> bool:
            return (await bus.journal.fold(about.sovereign)).last(SovereignDecommissionRequested) is not None

        await until(given_up)
        released = DnsReleased(zone="demo.omani.works.")
        await dns.journal.append([released], about, cause=asked.event_id, after=await dns.journal.fold(about.sovereign))

        async def free() -> bool:
            return not (await bus.journal.fold(about.sovereign)).alive

        await until(free)
        again = await gateway.ask(SUBMIT, Submit(body=request_body()), asker=RIVAL)
        assert (again.life, again.run) == (2, 2)


async def test_the_read_model_follows_the_stream(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)

    async def row() -> Summary | None:
        found = await gateway.kv("state").get("demo_omani_works.summary")
        return Summary.model_validate_json(found.value) if found else None

    summary = await until(row)
    assert (summary.fqdn, summary.owner, summary.state) == ("demo.omani.works", "omantel", "requested")


@pytest.mark.parametrize("wrapped", [True, False], ids=["cloudevent", "bare"])
async def test_the_bare_subject_opens_a_run(wrapped: bool, running_intake: Bus, bus_of: BusOf) -> None:
    publisher = await bus_of("publisher")
    body: dict[str, Any] = request_body()
    if wrapped:
        body = {"specversion": "1.0", "id": "1", "source": "/me", "type": "sovereign.requested.v1", "data": body}
    await publisher.connection.client.request("sovereign.requested", json.dumps(body).encode(), timeout=5)

    async def opened() -> bool:
        return (await running_intake.journal.fold("demo_omani_works")).life == 1

    await until(opened)


async def test_the_loser_of_a_race_never_overwrites_the_winners_secret(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    bodies = [request_body(), request_body()]
    askers = [OPERATOR, RIVAL]
    pairs = zip(bodies, askers, strict=True)
    await asyncio.gather(
        *(gateway.ask(SUBMIT, Submit(body=body), asker=asker) for body, asker in pairs), return_exceptions=True
    )
    history = await running_intake.journal.fold("demo_omani_works")
    asked = history.last(SovereignRequested)
    assert asked is not None
    winner = bodies[askers.index(OPERATOR if asked.event.owner == "omantel" else RIVAL)]
    tofu = await bus_of("tofu-runner")
    stored = await tofu.kv("sealed").get("tofu-runner.demo_omani_works.1.cloud-token")
    assert stored is not None
    assert json.loads(stored.value)["ciphertext"] == winner["secrets"][0]["ciphertext"]


async def test_an_approval_by_who_may_not_or_of_another_plan_changes_nothing(
    running_intake: Bus, bus_of: BusOf
) -> None:
    gateway, tofu = await bus_of("gateway"), await bus_of("tofu-runner")
    asked = await gateway.ask(SUBMIT, Submit(body=request_body()), asker=OPERATOR)
    about = About(sovereign="demo_omani_works", owner="omantel", life=1, run=1)
    planned = TofuPlanned(add=0, change=0, destroy=1, digest="a" * 64, needs_approval=True)
    await tofu.journal.append([planned], about, cause=asked.event_id, after=await tofu.journal.fold("demo_omani_works"))
    approver = OPERATOR.model_copy(update={"roles": ("approver",)})
    rival = RIVAL.model_copy(update={"roles": ("approver",)})
    this = Approve(sovereign="demo_omani_works", plan_digest="a" * 64)
    other = Approve(sovereign="demo_omani_works", plan_digest="b" * 64)
    refusals = []
    for command, asker in ((this, None), (this, OPERATOR), (this, rival), (other, approver)):
        with pytest.raises(Answer) as refused:
            await gateway.ask(APPROVE, command, asker=asker)
        refusals.append(refused.value.trouble.code)
    assert refusals == ["not-allowed", "not-allowed", "unknown-sovereign", "plan-stale"]
    assert not await _fact(running_intake, "sovereign.approved")
    await gateway.ask(APPROVE, this, asker=approver)
    assert await _fact(running_intake, "sovereign.approved")


async def test_ssh_is_opened_and_closed_by_a_run_that_differs_in_nothing_else(
    running_intake: Bus, bus_of: BusOf
) -> None:
    gateway = await bus_of("gateway")
    await gateway.ask(SUBMIT, Submit(body=request_body(ssh_allowed_cidrs=["198.51.100.0/24"])), asker=OPERATOR)
    opened = Ssh(sovereign="demo_omani_works", cidr="203.0.113.7/32", open=True)
    with pytest.raises(Answer) as refused:
        await gateway.ask(SSH, opened, asker=OPERATOR)
    assert refused.value.trouble.code == "not-now", "a run is under way"
    await gateway.ask(CANCEL, Command(sovereign="demo_omani_works"), asker=OPERATOR)

    async def requested(run: int) -> SovereignRequested | None:
        await until(lambda: _fact(running_intake, "sovereign.cancelled"))
        return (await running_intake.journal.fold("demo_omani_works")).data(SovereignRequested, run=run)

    first = await requested(1)
    assert first is not None
    assert (await gateway.ask(SSH, opened, asker=OPERATOR)).run == 2
    second = await requested(2)
    assert second is not None
    assert second.shape.ssh_allowed_cidrs == ("198.51.100.0/24", "203.0.113.7/32")
    assert second.shape.model_copy(update={"ssh_allowed_cidrs": first.shape.ssh_allowed_cidrs}) == first.shape
    assert second.kind == "change"
    assert second.body_digest != first.body_digest


async def _fact(bus: Bus, name: str) -> bool:
    return any(item.event.data.fact == name for item in await bus.journal.fold("demo_omani_works"))
