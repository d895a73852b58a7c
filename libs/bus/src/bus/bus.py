"""The bus as one service sees it: a connection and the ports that stand on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from bus import questions
from bus.connection import Connection, open_connection
from bus.feed import Feed
from bus.journal import Journal
from bus.kv import Bucket
from bus.lease import Leases
from bus.logs import Logs, LogTrail
from bus.metrics import Metrics
from bus.presence import Presence
from bus.sampling import Room
from bus.seal import SealKeys, load_public_keys
from bus.settings import BusSettings
from bus.timers import Timers
from bus.vault import Vault
from contracts.catalogue import Question
from contracts.event import Model
from contracts.questions import Asker, PublicKey


class Bus:
    """Ports for handlers, and for edges the way to ask."""

    def __init__(self, connection: Connection, service: str, settings: BusSettings) -> None:
        keys = SealKeys.load(settings.seal_key_file) if settings.seal_key_file else None
        self.connection = connection
        self.service = service
        self.settings = settings
        self.metrics = Metrics()
        self.stopping = asyncio.Event()
        """Set at SIGTERM: long work ends gracefully."""
        self.journal = Journal(connection, service)
        self.timers = Timers(connection)
        self.leases = Leases(
            self.kv("lease"),
            service,
            f"{service}-{settings.replica}",
            ttl_s=settings.lease_ttl_s,
            sure_s=settings.lease_sure_s,
            renew_s=settings.lease_renew_s,
            metrics=self.metrics,
        )
        self.vault = Vault(self.kv("sealed"), keys)
        self.account = self.kv("account")
        self.presence = Presence(self.kv("presence"), service, settings.replica)
        self.logs = Logs(connection)
        self.log_trail = LogTrail(connection)
        self.room = Room(connection)

    def kv(self, bucket: str) -> Bucket:
        """A bucket of the catalogue."""
        return Bucket(self.connection, bucket)

    def feed(self, *, after: int | None = None) -> Feed:
        """Every event after a sequence, then live; from now on when none is given."""
        return Feed(self.connection, after=after)

    def public_keys_of(self, service: str) -> tuple[PublicKey, ...]:
        """A service's public keys from the installation's folder: services never ask each other."""
        if self.settings.public_keys_dir is None:
            raise ValueError("CATALYST_PUBLIC_KEYS_DIR is not set: the folder 'public' that catalyst keys init writes")
        return load_public_keys(self.settings.public_keys_dir, service)

    async def ask(
        self, question: Question, request: Model, *, asker: Asker | None = None, deadline: timedelta | None = None
    ) -> Any:
        """Ask a question (edges only); the typed reply. Raises Answer, NobodyAnswers, TooSlow."""
        return await questions.ask(self.connection, question, request, asker=asker, deadline=deadline)


@asynccontextmanager
async def connect(settings: BusSettings, service: str) -> AsyncIterator[Bus]:
    """A connected bus, closed at the end."""
    connection = await open_connection(settings, service)
    try:
        yield Bus(connection, service, settings)
    finally:
        if not connection.client.is_closed:
            await connection.client.close()
