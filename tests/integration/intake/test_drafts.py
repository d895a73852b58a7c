"""Drafts on a real server: kept without secrets, judged at every change, shared by an organisation and nobody else."""

import pytest

from bus import Answer, Bus
from contracts.catalogue import COST, DRAFT, DRAFT_DROP, DRAFT_READ, DRAFTS
from contracts.drafting import CostOf, Draft, DraftReply, OfDraft
from contracts.questions import Asker, Nothing
from tests.conftest import BusOf
from tests.integration.intake.conftest import OPERATOR, RIVAL
from tests.requests import request_body

COLLEAGUE = Asker(actor="omar", owner="omantel", roles=("operator",))
NAME = "9f1c2d3e4b5a"


async def test_a_colleague_goes_on_where_the_draft_was_left(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")

    async def keep(step: int, revision: int | None = None, asker: Asker = OPERATOR, **body: object) -> DraftReply:
        draft = Draft.model_validate({"draft": NAME, "body": body, "step": step, "revision": revision})
        reply: DraftReply = await gateway.ask(DRAFT, draft, asker=asker)
        return reply

    begun = await keep(2, 0, organisation={"name": "Omantel"}, topology={"region": "mars1"})
    assert [(error.field, error.step) for error in begun.errors] == [("topology.region", 2)]
    read: DraftReply = await gateway.ask(DRAFT_READ, OfDraft(draft=NAME), asker=COLLEAGUE)
    assert (read.body, read.changed_by, read.revision) == (begun.body, "olga", begun.revision)

    mended = await keep(2, read.revision, COLLEAGUE, organisation={"name": "Omantel"}, topology={"region": "fsn1"})
    assert mended.errors == ()
    with pytest.raises(Answer) as stale:
        await keep(3, begun.revision, organisation={"name": "Omantel"})
    assert stale.value.trouble.code == "draft-changed"

    whole = request_body(token=None)
    del whole["secrets"]
    assert (await keep(7, None, **whole)).errors == ()
    (row,) = (await gateway.ask(DRAFTS, Nothing(), asker=COLLEAGUE)).drafts
    assert (row.fqdn, row.organisation, row.step) == ("demo.omani.works", "Omantel", 7)

    assert (await gateway.ask(DRAFTS, Nothing(), asker=RIVAL)).drafts == ()
    with pytest.raises(Answer) as strange:
        await gateway.ask(DRAFT_READ, OfDraft(draft=NAME), asker=RIVAL)
    assert strange.value.trouble.code == "unknown-draft"

    for _ in range(2):
        await gateway.ask(DRAFT_DROP, OfDraft(draft=NAME), asker=OPERATOR)
    assert (await gateway.ask(DRAFTS, Nothing(), asker=OPERATOR)).drafts == ()
    assert (await keep(1, 0, organisation={"name": "Omantel"})).errors == ()


async def test_a_draft_never_holds_a_secret(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    for body, code in (
        ({"ssh_public_key": "-----BEGIN OPENSSH PRIVATE KEY-----"}, "plaintext-secret"),
        ({"comment": "Ab1" * 21 + "Z"}, "plaintext-secret"),
        (request_body(), "invalid-request"),
        ({"comment": "x" * 70_000}, "message-too-large"),
    ):
        with pytest.raises(Answer) as refused:
            await gateway.ask(DRAFT, Draft.model_validate({"draft": NAME, "body": body, "step": 4}), asker=OPERATOR)
        assert refused.value.trouble.code == code
    assert (await gateway.ask(DRAFTS, Nothing(), asker=OPERATOR)).drafts == ()


async def test_a_topology_is_priced_or_told_what_is_wrong(running_intake: Bus, bus_of: BusOf) -> None:
    gateway = await bus_of("gateway")
    priced = await gateway.ask(COST, CostOf.model_validate({"topology": {"region": "fsn1"}, "hours": 24}))
    assert (priced.cost.monthly, priced.total, priced.cost.sample_prices) == ("28.47", "0.94", True)
    with pytest.raises(Answer) as refused:
        await gateway.ask(COST, CostOf.model_validate({"topology": {"region": "ash", "worker_type": "cx23"}}))
    assert [error.field for error in refused.value.errors] == ["topology.worker_type"]
