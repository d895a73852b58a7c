"""What a decommission proves: each resource of a life, and the event that saw it gone, signed as one document.

The stream is the source: whatever was created or adopted in this life has to be followed by its deletion there. A
worker that died between a deletion and its word leaves a gap, which the next one closes after its own inventory.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from contracts.event import About
from contracts.history import History
from contracts.proof import Gone, Proof, SignedProof
from contracts.sovereign import SovereignDecommissionRequested
from contracts.tofu import TofuAdopted, TofuDestroyed, TofuProgressed
from tofu_runner.bench import Bench
from tofu_runner.stateversions import Resource


class Signs(Protocol):
    """What is needed of the vault."""

    def sign(self, document: str) -> SignedProof:
        """The document with our signature."""


def gone_of(history: History) -> tuple[Gone, ...]:
    """Everything of this life that an event saw gone, by address; wants the whole history."""
    gone = [
        Gone(address=said.address, cloud_id=said.cloud_id, kind=said.resource_type, seen_by=item.event.id)
        for item in history
        if isinstance(said := item.event.data, TofuProgressed) and said.state == "deleted"
    ]
    return tuple(sorted(gone, key=lambda resource: (resource.address, resource.cloud_id)))


def silent(history: History, known: Iterable[Resource]) -> dict[str, tuple[str, str]]:
    """Address, kind and cloud id of what was there in this life and no event saw gone; wants the whole history."""
    there: dict[tuple[str, str], str] = {}
    for item in history:
        said: Any = item.event.data
        if isinstance(said, TofuAdopted) or (isinstance(said, TofuProgressed) and said.state == "created"):
            there[_kind(said.address), said.cloud_id] = said.address
    for resource in known:
        there[resource.resource_type, resource.cloud_id] = resource.address
    for gone in gone_of(history):
        there.pop((gone.kind, gone.cloud_id), None)
    return {address: key for key, address in there.items() if key[1]}


def _kind(address: str) -> str:
    return address.split(".", maxsplit=1)[0]


async def tell_the_silent(work: Bench, known: Collection[Resource], kept: Mapping[int, object]) -> None:
    """Say of what nobody has said so that it is gone; an inventory has just shown it."""
    history = await work.world.bus.journal.history(work.about.sovereign)
    for address, (kind, cloud_id) in sorted(silent(history, known).items()):
        if cloud_id not in {str(number) for number in kept}:
            await work.say(work.tally.seen_gone(address, kind, cloud_id))


async def destroyed(work: Bench, left: tuple[str, ...]) -> TofuDestroyed:
    """The fact that ends a destroy, with its proof."""
    history = await work.world.bus.journal.history(work.about.sovereign)
    gone = gone_of(history)
    proof = _signed(work.world.bus.vault, work.about, history, gone, left, at=datetime.now(UTC))
    return TofuDestroyed(gone=gone, left=left, cloud_calls=work.passing.account.calls, proof=proof)


def nothing_was_there(signs: Signs, about: About, history: History) -> TofuDestroyed:
    """The same for a life that never asked anything of the cloud: there is nothing to look for, and no token needed."""
    return TofuDestroyed(proof=_signed(signs, about, history, (), (), at=None))


def _signed(
    signs: Signs, about: About, history: History, gone: tuple[Gone, ...], left: tuple[str, ...], *, at: datetime | None
) -> SignedProof:
    asked = history.last(SovereignDecommissionRequested)
    proof = Proof(
        sovereign=about.sovereign,
        owner=about.owner,
        life=about.life,
        asked_by=asked.event.id if asked else None,
        gone=gone,
        left=left,
        inventory_at=at,
    )
    return signs.sign(proof.model_dump_json())
