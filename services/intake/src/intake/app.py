"""Intake as it runs: the real bus, the real catalogue."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from bus import Bus, Service, answer, at_door, on, on_timer
from contracts import catalogue, questions
from contracts.catalogue import EVENTS
from contracts.questions import Asker
from intake import milestones
from intake.commands import Commands
from intake.door import Door
from intake.nodes import NodeDoor
from intake.offers import Offers
from intake.projector import Projector
from intake.settings import Settings


@asynccontextmanager
async def intake(settings: Settings, bus: Bus) -> AsyncIterator[Service]:
    """Build the service."""
    offers = Offers(settings.pool_domains, settings.catalogue_file)
    commands = Commands(
        journal=bus.journal,
        vault=bus.vault,
        account=bus.account,
        idem=bus.kv("idem"),
        offers=offers,
        used_share=bus.room.used_share,
        full_share=settings.full_share,
    )
    door = Door(commands=commands, journal=bus.journal, offers=offers, owner=settings.door_owner)
    nodes = NodeDoor(journal=bus.journal, vault=bus.vault, idem=bus.kv("idem"))
    projector = Projector(journal=bus.journal, state=bus.kv("state"), feed_after=lambda after: bus.feed(after=after))

    async def offered(_nothing: questions.Nothing, _asker: Asker | None) -> questions.CatalogueReply:
        return offers.reply()

    advance = partial(milestones.advance, settings=settings)
    heard = [entry.fact for entry in EVENTS if any(listener.service == "intake" for listener in entry.heard_by)]
    yield Service(
        name="intake",
        routes=[
            *(on(fact, advance) for fact in heard),
            on_timer(catalogue.ENROL_DEADLINE, milestones.enrol_deadline),
            on_timer(catalogue.RUN_DEADLINE, milestones.run_deadline),
            on_timer(catalogue.EMPTY_LIFE_EXPIRY, milestones.empty_life_expiry),
            at_door(door.judge),
        ],
        answers=[
            answer(catalogue.SUBMIT, commands.submit),
            answer(catalogue.CANCEL, commands.cancel),
            answer(catalogue.RETRY, commands.retry),
            answer(catalogue.APPROVE, commands.approve),
            answer(catalogue.DECOMMISSION, commands.decommission),
            answer(catalogue.RECONCILE, commands.reconcile),
            answer(catalogue.SUSPEND, commands.suspend),
            answer(catalogue.CATALOGUE, offered),
            answer(catalogue.NODE_STAGE, nodes.stage),
            answer(catalogue.NODE_ENROL, nodes.enrol),
        ],
        background=[projector.run],
        slots=32,
    )
