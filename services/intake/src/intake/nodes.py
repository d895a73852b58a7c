"""The node door: boot stages and the kubeconfig, taken only from the node whose token it is.

The gateway passes on hashes, never tokens. Hashes were said in ``tofu.started``; a report that matches none is refused
and an event says so, so that a stranger at the door is seen. A hand-in is good once: the same body again gets the same
answer, another body is refused.
"""

import hashlib
from datetime import UTC, datetime

from bus import Answer, Bucket, Conflict, Journal, Vault
from contracts.errors import Trouble, trouble
from contracts.event import About, Event
from contracts.history import History
from contracts.identity import fqdn_of
from contracts.node import NodeEnrolled, NodeRefused, NodeReported
from contracts.questions import Asker, Done, NodeEnrol, NodeStage
from contracts.tofu import TofuStarted
from intake.life import standing


class NodeDoor:
    """Takes reports and the hand-in."""

    def __init__(self, *, journal: Journal, vault: Vault, idem: Bucket) -> None:
        self._journal = journal
        self._vault = vault
        self._idem = idem

    async def stage(self, report: NodeStage, _asker: Asker | None) -> Done:
        """A boot stage of one server."""
        history = await self._journal.fold(report.sovereign)
        started = self._open(history, report.sovereign)
        known = {token.server: token.sha256 for token in started.data.node_tokens}
        if known.get(report.server) != report.token_sha256:
            what = _refusal(report.sovereign, "the token is not this server's")
            mark = _mark(report.server, report.token_sha256)
            refused = NodeRefused(server=report.server, door="stages", trouble=what, occurrence=mark)
            await self._say_refused(history, started, refused)
            raise Answer(what)
        fact = NodeReported(
            server=report.server,
            stage=report.stage,
            number=report.number,
            state=report.state,
            sequence=report.sequence,
            at=_moment(report.at),
            log=report.log,
        )
        await self._journal.append([fact], _about(started, history), cause=started.id, after=history)
        return Done()

    async def enrol(self, hand_in: NodeEnrol, _asker: Asker | None) -> Done:
        """The kubeconfig of the first control plane, sealed to flux-watcher."""
        history = await self._journal.fold(hand_in.sovereign)
        started = self._open(history, hand_in.sovereign)
        if started.data.hand_in_sha256 != hand_in.token_sha256:
            what = _refusal(hand_in.sovereign, "the hand-in token is not the one that was given to the node")
            refused = NodeRefused(door="kubeconfig", trouble=what, occurrence=_mark(hand_in.body_sha256))
            await self._say_refused(history, started, refused)
            raise Answer(what)
        again = await self._claim(hand_in, started)
        if again is None:
            what = _refusal(hand_in.sovereign, "the token was used with another body before")
            refused = NodeRefused(door="kubeconfig", trouble=what, occurrence=_mark(hand_in.body_sha256))
            await self._say_refused(history, started, refused)
            raise Answer(what)
        if history.last(NodeEnrolled) is not None:
            return Done(again=again)
        reference = await self._vault.put(hand_in.sovereign, started.life, hand_in.kubeconfig)
        fact = NodeEnrolled(
            server=started.data.first_server,
            kubeconfig=reference,
            caller_ip=hand_in.caller_ip,
            body_sha256=hand_in.body_sha256,
        )
        await self._journal.append([fact], _about(started, history), cause=started.id, after=history)
        return Done(again=again)

    async def _claim(self, hand_in: NodeEnrol, started: Event[TofuStarted]) -> bool | None:
        """Use the token: False the first time, True for the same body again, None for another body."""
        key = f"enrol.{hand_in.sovereign}.{started.life}.{hand_in.token_sha256[:16]}"
        try:
            await self._idem.create(key, hand_in.body_sha256.encode())
        except Conflict:
            found = await self._idem.get(key)
            return True if found is not None and found.value.decode() == hand_in.body_sha256 else None
        return False

    def _open(self, history: History, sovereign: str) -> Event[TofuStarted]:
        started = history.last(TofuStarted)
        if started is None or not history.alive or standing(history).stage in {"handed-over", "decommissioned"}:
            raise Answer(_refusal(sovereign, "no node of this Sovereign is expected to report now"))
        return started.event

    async def _say_refused(self, history: History, started: Event[TofuStarted], refused: NodeRefused) -> None:
        await self._journal.append([refused], _about(started, history), cause=started.id, after=history)


def _mark(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def _about(started: Event[TofuStarted], history: History) -> About:
    """Of the current run: a slow node of an earlier attempt reports into the run that goes on."""
    return started.about.model_copy(update={"run": history.run, "actor": None})


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _refusal(sovereign: str, message: str) -> Trouble:
    return trouble("hand-in-refused", attempted="take what a node sent", on=fqdn_of(sovereign), message=message)
