"""One line of the list: what the read model keeps of each Sovereign (bucket ``state``, key ``<id>.summary``).

Intake writes it from the fold; it can be rebuilt from the stream at any time.
"""

from pydantic import AwareDatetime, Field

from contracts.errors import Trouble
from contracts.event import Model
from contracts.identity import SovereignId
from contracts.view import State


class Summary(Model):
    """A Sovereign in one row."""

    sovereign: SovereignId
    fqdn: str
    owner: str
    organisation: str = ""
    life: int
    run: int
    state: State
    since: AwareDatetime
    region: str = ""
    control_planes: int = 0
    workers: int = 0
    trouble: Trouble | None = None
    monthly_cost: str = ""
    sequence: int = Field(description="Stream sequence that this row reaches.")


def summary_key(sovereign: str) -> str:
    """Where the row rests."""
    return f"{sovereign}.summary"
