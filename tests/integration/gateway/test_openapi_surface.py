"""The HTTP surface against its own document: generated requests, each answer held against what the document says.

Most answers are refusals or 503 (few questions have a stand-in here): the document says of those too what they look
like. Right and wrong requests are generated alike.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bus import answer
from contracts.catalogue import CATALOGUE, COST, DRAFTS, NAME, SUBMIT
from contracts.drafting import CatalogueReply, CostOf, CostReply, DraftsReply
from contracts.openapi import document
from contracts.questions import Accepted, Asker, Name, NameReply, Nothing, Submit
from contracts.tofu import Cost
from tests.integration.gateway.conftest import TOKEN, EdgeOf, StandIn
from tests.unit.gateway import story

EXAMPLES: Final = 2
"""Per operation and kind (right, wrong)."""
UNANSWERED: Final = {502, 503, 504}


async def test_every_answer_to_generated_requests_is_one_that_the_document_describes(
    edge_of: EdgeOf, stand_in: StandIn
) -> None:
    async def offers(_request: Nothing, _asker: Asker | None) -> CatalogueReply:
        return CatalogueReply(regions=(), server_types=(), components=(), pool_domains=("omani.works",))

    async def price(_request: CostOf, _asker: Asker | None) -> CostReply:
        return CostReply(cost=Cost(monthly="1.00", currency="EUR"), hourly="0.01", as_of="2026-11")

    async def drafts(_request: Nothing, _asker: Asker | None) -> DraftsReply:
        return DraftsReply(drafts=())

    async def name(request: Name, _asker: Asker | None) -> NameReply:
        return NameReply(fqdn=request.fqdn, verdict="free")

    async def accept(_request: Submit, _asker: Asker | None) -> Accepted:
        return Accepted(sovereign=story.ID, life=1, run=1, event_id=story.CAUSE)

    await stand_in(
        answer(CATALOGUE, offers), answer(COST, price), answer(DRAFTS, drafts), answer(NAME, name),
        answer(SUBMIT, accept),
    )  # fmt: skip
    edge = await edge_of()
    await edge.say(*story.facts()[:20])
    asked = await asyncio.to_thread(ask_all, edge.url)
    operations = {row["operationId"] for path in document()["paths"].values() for row in path.values()}
    assert asked == operations


def ask_all(url: str) -> set[str]:
    """Every operation; which were asked."""
    asked: set[str] = set()
    with requests.Session() as session:
        session.headers.update({"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"})
        for operation in _operations():
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                # Where nothing can be sent, nothing wrong can be.
                with contextlib.suppress(Unsatisfiable):
                    ask(operation, mode, url, session)
            asked.add(operation.definition.raw["operationId"])
    return asked


def _operations() -> Iterator[Any]:
    for result in schemathesis.openapi.from_dict(document()).get_all_operations():
        assert isinstance(result, Ok)
        yield result.ok()


def ask(operation: Any, mode: GenerationMode, url: str, session: requests.Session) -> None:
    @seed(20261126)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        response = case.call(base_url=url, session=session, timeout=20)
        assert response.status_code < 500 or response.status_code in UNANSWERED, response.text
        case.validate_response(
            response, checks=[status_code_conformance, content_type_conformance, response_schema_conformance]
        )

    one()
