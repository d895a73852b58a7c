"""Intake as it runs: the real bus, the real catalogue."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from bus import Bus, Service, answer, at_door, on, on_timer
from contracts import catalogue, drafting, questions
from contracts.catalogue import EVENTS
from contracts.questions import Asker
from intake import milestones, reminders
from intake.certificates import Certificates
from intake.commands import Commands
from intake.door import Door
from intake.drafts import Drafts
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
    door = Door(commands=commands, journal=bus.journal, owner=settings.door_owner)
    drafts = Drafts(bucket=bus.kv("draft"), offers=offers, days=settings.draft_days)
    nodes = NodeDoor(journal=bus.journal, vault=bus.vault, idem=bus.kv("idem"))
    certificates = Certificates(bus.kv("state"), settings.pool_domains)
    projector = Projector(
        journal=bus.journal,
        state=bus.kv("state"),
        certificates=certificates,
        feed_after=lambda after: bus.feed(after=after),
    )

    async def offered(_nothing: questions.Nothing, _asker: Asker | None) -> drafting.CatalogueReply:
        return offers.reply(await certificates.counts())

    async def priced(question: drafting.CostOf, _asker: Asker | None) -> drafting.CostReply:
        return offers.cost(question)

    stalled = timedelta(seconds=settings.stalled_window_s)
    approval = timedelta(hours=settings.approval_reminder_h)
    advance = partial(milestones.advance, settings=settings, vault=bus.vault)
    heard = [entry.fact for entry in EVENTS if any(listener.service == "intake" for listener in entry.heard_by)]
    yield Service(
        name="intake",
        routes=[
            *(on(fact, advance) for fact in heard),
            on_timer(catalogue.ENROL_DEADLINE, partial(milestones.enrol_deadline, settings=settings)),
            on_timer(catalogue.RUN_DEADLINE, milestones.run_deadline),
            on_timer(catalogue.EMPTY_LIFE_EXPIRY, milestones.empty_life_expiry),
            on_timer(catalogue.SECRETS_EXPIRY, partial(milestones.secrets_expiry, vault=bus.vault)),
            on_timer(catalogue.STALLED_WINDOW, partial(reminders.stalled_window, window=stalled)),
            on_timer(catalogue.APPROVAL_REMINDER, partial(reminders.approval_reminder, every=approval)),
            at_door(door.judge),
        ],
        answers=[
            answer(catalogue.SUBMIT, commands.submit),
            answer(catalogue.CANCEL, commands.cancel),
            answer(catalogue.RETRY, commands.retry),
            answer(catalogue.SSH, commands.ssh),
            answer(catalogue.RESTORE, commands.restore),
            answer(catalogue.APPROVE, commands.approve),
            answer(catalogue.DECOMMISSION, commands.decommission),
            answer(catalogue.REPROVISION, commands.reprovision),
            answer(catalogue.RECONCILE, commands.reconcile),
            answer(catalogue.SUSPEND, commands.suspend),
            answer(catalogue.DRAFT, drafts.keep),
            answer(catalogue.DRAFT_READ, drafts.read),
            answer(catalogue.DRAFT_DROP, drafts.drop),
            answer(catalogue.DRAFTS, drafts.listed),
            answer(catalogue.CATALOGUE, offered),
            answer(catalogue.COST, priced),
            answer(catalogue.NODE_STAGE, nodes.stage),
            answer(catalogue.NODE_ENROL, nodes.enrol),
        ],
        background=[projector.run],
        slots=32,
    )
