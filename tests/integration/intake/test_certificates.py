"""Certificates are noted once per life, as the probes saw them, and counted for a week."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bus import Bus
from contracts.catalogue import CATALOGUE, SUBMIT
from contracts.event import About
from contracts.flux import HostProbe, ProbePassed
from contracts.history import History
from contracts.questions import Nothing, Submit
from intake.certificates import Certificates
from tests.conftest import BusOf
from tests.integration.intake.conftest import OPERATOR, until
from tests.requests import request_body

POOL = "omani.works"


def passed(**changes: Any) -> ProbePassed:
    host = HostProbe(host="console", url="https://console", status=200, issuer="Let's Encrypt R12", **changes)
    return ProbePassed(hosts=(host,))


async def test_a_life_counts_once_and_a_rehearsal_does_not(running_intake: Bus, bus_of: BusOf) -> None:
    gateway, watcher = await bus_of("gateway"), await bus_of("flux-watcher")
    said = {"one": passed(), "two": passed(), "rehearsal": passed(staging_issuer=True)}
    for name, fact in said.items():
        asked = await gateway.ask(SUBMIT, Submit(body=request_body(f"{name}.{POOL}")), asker=OPERATOR)
        about = About(sovereign=asked.sovereign, owner=OPERATOR.owner, life=1, run=1)
        for repeat in (fact, fact.model_copy(update={"replaces": asked.event_id})):
            await watcher.journal.append([repeat], about, cause=asked.event_id, after=History(asked.sovereign))

    async def counted() -> int:
        reply = await gateway.ask(CATALOGUE, Nothing(), asker=OPERATOR)
        found = {row.domain: row.issued for row in reply.certificates}
        return found[POOL] if found[POOL] >= 2 else 0

    assert await until(counted) == 2
    ledger = Certificates(running_intake.kv("state"), (POOL,))
    (later,) = await ledger.counts(datetime.now(UTC) + timedelta(days=8))
    assert (later.issued, later.limit) == (0, 50)
