"""The health of the services, as an operator sees it."""

from contracts.catalogue import FLUX, SERVICES
from contracts.openapi import Health
from contracts.topology import STREAMS
from tests.integration.gateway.conftest import VIEWER, EdgeOf
from tests.unit.gateway import story


async def test_operators_see_replicas_backlog_and_dead_letters_and_nobody_else_does(edge_of: EdgeOf) -> None:
    edge = await edge_of()
    watcher = await edge.bus_of(FLUX)
    await watcher.presence.announce()
    await edge.say(story.requested())
    found = Health.model_validate(await (await edge.get("/api/v1/health")).json())
    replicas = {one.name: one.replicas for one in found.services}
    assert set(replicas) == set(SERVICES)
    assert replicas[FLUX] == (watcher.settings.replica,)
    assert replicas["intake"] == ()
    assert {one.name for one in found.streams} == {one.name for one in STREAMS}
    pending = {row.name: row.pending for one in found.streams for row in one.consumers}
    assert pending["dns-pdm-work"] == 1, "nobody has taken the request"
    assert found.dead_letters == 0
    refused = await edge.get("/api/v1/health", token=VIEWER)
    assert (refused.status, (await refused.json())["code"]) == (403, "not-allowed")
