"""Timers: a message schedule that comes back when it is due (nats-server 2.12 and later, NATS ADR-51).

``timer.at.<service>.<id>.<name>`` holds the schedule, ``timer.fire.<service>.<id>.<name>`` is where it fires. The
message id includes the due time: the same timer set again is dropped, another time replaces it.
"""

from datetime import datetime
from uuid import UUID, uuid5

from bus.connection import Connection
from bus.routing import Fired
from bus.tracing import inject
from contracts.catalogue import TimerRow
from contracts.event import NAMESPACE, About


def fired_id(fired: Fired) -> UUID:
    """The cause of what follows from a timer."""
    return uuid5(
        NAMESPACE,
        f"timer|{fired.timer}|{fired.about.sovereign}|{fired.about.life}|{fired.about.run}|{fired.key}|{fired.due.isoformat()}",
    )


class Timers:
    """Sets timers for one service."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def set(self, timer: TimerRow, about: About, due: datetime, *, key: str = "") -> None:
        """Wake ``timer.service`` about this Sovereign at ``due``."""
        fired = Fired(timer=timer.name, about=about, key=key, due=due)
        place = f"{timer.service}.{about.sovereign}.{timer.name}"
        moment = due.isoformat().replace("+00:00", "Z")
        headers = {
            "Nats-Schedule": f"@at {moment}",
            "Nats-Schedule-Target": f"timer.fire.{place}",
            "Nats-Msg-Id": str(fired_id(fired)),
        }
        inject(headers)
        await self._connection.store(f"timer.at.{place}", fired.model_dump_json().encode(), headers)
