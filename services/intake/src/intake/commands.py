"""Requests and commands: validated against where the Sovereign stands, then said as facts.

Every accepted command is a guarded ``sovereign.*`` fact: of two that exclude each other one is stored, and the other is
judged again on what the first changed. A repeat (lost answer, redelivered message) gets the answer of the first time.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID, uuid4, uuid5

from bus import Answer, Bucket, Conflict, Journal, TryAgain, Vault, reference
from contracts import questions
from contracts.errors import trouble
from contracts.event import NAMESPACE, About, Fact, derived_id
from contracts.history import History, Recorded
from contracts.identity import fqdn_of, sovereign_id
from contracts.questions import Accepted, Asker
from contracts.request import SealedSecret, SovereignRequest
from contracts.sovereign import (
    SovereignApproved,
    SovereignCancelRequested,
    SovereignDecommissionRequested,
    SovereignReconcileRequested,
    SovereignRequested,
    SovereignRestoreRequested,
    SovereignSuspendRequested,
)
from contracts.tofu import TofuFailed, TofuPlanned
from intake.admission import Existing, Opening, admit, body_digest, need_room, need_secrets, read_request, ssh_networks
from intake.life import Standing, standing
from intake.offers import Offers

_DECISIONS = 10
_LEAVABLE = {"running", "cancelling", "failed", "cancelled", "ready", "degraded", "handed-over", "decommissioning"}
"""From where a life can be made to end."""
C = TypeVar("C", bound=questions.OfSovereign)


class Commands:
    """Everything an operator can ask for."""

    def __init__(
        self,
        *,
        journal: Journal,
        vault: Vault,
        account: Bucket,
        idem: Bucket,
        offers: Offers,
        used_share: Callable[[], Awaitable[float]],
        full_share: float,
    ) -> None:
        self._journal = journal
        self._vault = vault
        self._account = account
        self._idem = idem
        self._offers = offers
        self._used_share = used_share
        self._full_share = full_share

    async def submit(self, question: questions.Submit, asker: Asker | None) -> Accepted:
        """Judge a request and open its run."""
        who = _known(asker)
        body = question.body
        if question.idempotency_key and not body.get("idempotency_key"):
            body = body | {"idempotency_key": question.idempotency_key}
        return await self.take(body, uuid4(), who)

    async def take(self, body: Mapping[str, Any], request_id: UUID, who: Asker) -> Accepted:
        """The one way in, from both doors. ``request_id`` is the same for every repeat of the same message."""
        request = read_request(body, self._offers)
        if request.idempotency_key:
            # The key names the request: its repeat has the same id, and so the same event.
            request_id = uuid5(NAMESPACE, f"request|{who.owner}|{request.idempotency_key}")
            await self._claim_key(who.owner, request)
        return await self._open_run(request, request_id, who)

    async def _claim_key(self, owner: str, request: SovereignRequest) -> None:
        name = hashlib.sha256(f"{owner}|{request.idempotency_key}".encode()).hexdigest()
        digest = body_digest(request).encode()
        try:
            await self._idem.create(f"request.{name}", digest)
        except Conflict:
            found = await self._idem.get(f"request.{name}")
            if found is not None and found.value != digest:
                raise Answer(
                    trouble("idempotency-conflict", attempted="accept the request", on=request.domain.fqdn)
                ) from None

    async def _open_run(self, request: SovereignRequest, request_id: UUID, who: Asker) -> Accepted:
        """Say ``sovereign.requested``, or find the run that the same request opened before."""
        sovereign = sovereign_id(request.domain.fqdn)
        for _ in range(_DECISIONS):
            history = await self._journal.fold(sovereign)
            asked = history.last(SovereignRequested)
            if asked is not None and asked.event.data.request_id == request_id:
                await self._keep(request, asked.event.about)
                return _accepted(asked.event.about, asked.event.id, existing=True)
            decision = admit(request, history, owner=who.owner, known_email=await self._email(history))
            if isinstance(decision, Existing):
                about = About(sovereign=sovereign, owner=who.owner, life=decision.life, run=decision.run)
                await self._keep(request, about)
                return _accepted(about, decision.event_id, existing=True)
            need_room(await self._used_share(), self._full_share, fqdn=request.domain.fqdn)
            try:
                return await self._say_requested(request, request_id, who, history, decision)
            except Conflict:
                continue
        raise TryAgain(f"others kept writing about {sovereign}")

    async def _say_requested(
        self, request: SovereignRequest, request_id: UUID, who: Asker, history: History, opening: Opening
    ) -> Accepted:
        sovereign = history.sovereign
        about = About(sovereign=sovereign, owner=who.owner, actor=who.actor, life=opening.life, run=opening.run)
        fact = SovereignRequested(
            request_id=request_id,
            kind=opening.kind,
            shape=request.shape(),
            body_digest=body_digest(request),
            secrets=tuple(reference(secret) for secret in request.secrets),
            admin_ref=_admin_ref(about),
        )
        await self._journal.append([fact], about, cause=request_id, after=history)
        await self._keep(request, about)
        return _accepted(about, derived_id(request_id, fact, about))

    async def _keep(self, request: SovereignRequest, about: About) -> None:
        """Store secrets and the admin's address: after the fact, so that a loser never overwrites a winner's.

        A crash in between is mended by any repeat of the request; the readers wait for what is not there yet.
        """
        for secret in request.secrets:
            await self._vault.put(about.sovereign, about.life, secret)
        await self._account.put(_admin_ref(about), json.dumps({"email": request.admin_email}).encode())

    async def _email(self, history: History) -> str | None:
        asked = history.data(SovereignRequested)
        found = await self._account.get(asked.admin_ref) if asked else None
        return str(json.loads(found.value)["email"]) if found else None

    async def cancel(self, command: questions.Command, asker: Asker | None) -> Accepted:
        """Stop the run; what exists is kept."""
        return await self._say(
            command, asker, lambda _history: SovereignCancelRequested(reason=command.reason), {"running"}
        )

    async def approve(self, command: questions.Approve, asker: Asker | None) -> Accepted:
        """Approve the plan with this digest, if it is the one that waits."""

        def fact(history: History) -> Fact:
            planned = history.data(TofuPlanned, run=history.run)
            if planned is None or not planned.needs_approval:
                raise _refused("not-now", command.sovereign, "no plan of this run waits for approval")
            if planned.digest != command.plan_digest:
                raise _refused("plan-stale", command.sovereign, f"the plan that waits has digest {planned.digest}")
            return SovereignApproved(plan_digest=command.plan_digest, reason=command.reason)

        return await self._say(command, _approver(asker), fact, {"running"})

    async def decommission(self, command: questions.Decommission, asker: Asker | None) -> Accepted:
        """Take everything away; the name typed again proves that it is meant."""
        if command.confirm != fqdn_of(command.sovereign):
            raise _refused("invalid-request", command.sovereign, f"type {fqdn_of(command.sovereign)} to confirm")

        def fact(history: History) -> Fact:
            failed = _once_more(history, command.sovereign)
            if _lacks_token(history, failed) and not command.secrets:
                raise _refused("credential-required", command.sovereign, "we hold no cloud token any more: bring one")
            return SovereignDecommissionRequested(
                reason=command.reason,
                restore_nameservers=command.restore_nameservers,
                secrets=tuple(reference(secret) for secret in command.secrets),
            )

        return await self._say(command, asker, fact, _LEAVABLE, secrets=command.secrets)

    async def reprovision(self, command: questions.Reprovision, asker: Asker | None) -> Accepted:
        """Take the cluster away and open the next life as it was asked for last: name and zone stay.

        What a life was given ends with it, so the next one's secrets are brought, and rest under its number.
        """
        if command.confirm != fqdn_of(command.sovereign):
            raise _refused("invalid-request", command.sovereign, f"type {fqdn_of(command.sovereign)} to confirm")

        def fact(history: History) -> Fact:
            asked = history.data(SovereignRequested)
            if asked is None:
                raise _refused("unknown-sovereign", command.sovereign)
            _once_more(history, command.sovereign)
            need_secrets(asked.shape.domain, command.secrets)
            brought = tuple(reference(secret) for secret in command.secrets)
            return SovereignDecommissionRequested(reason=command.reason, reprovision=True, secrets=brought)

        return await self._say(command, asker, fact, _LEAVABLE, secrets=command.secrets, lives=2)

    async def reconcile(self, command: questions.Reconcile, asker: Asker | None) -> Accepted:
        """List the cluster anew and kick Flux."""
        return await self._say(
            command,
            asker,
            lambda _history: SovereignReconcileRequested(release=command.release),
            {"running", "ready", "degraded", "failed"},
        )

    async def restore(self, command: questions.Restore, asker: Asker | None) -> Accepted:
        """Bring an earlier version of the state back, while nobody works on the cloud."""
        stages = {"failed", "cancelled", "ready", "degraded", "handed-over"}
        return await self._say(
            command,
            _approver(asker),
            lambda _history: SovereignRestoreRequested(serial=command.serial, reason=command.reason),
            stages,
        )

    async def suspend(self, command: questions.Suspend, asker: Asker | None) -> Accepted:
        """Suspend or resume one release."""
        return await self._say(
            command,
            asker,
            lambda _history: SovereignSuspendRequested(release=command.release, suspend=command.suspend),
            {"running", "ready", "degraded", "failed"},
        )

    async def retry(self, command: questions.Retry, asker: Asker | None) -> Accepted:
        """A retry is ``sovereign.requested`` with the next run number: one entry chain, no second path."""
        return await self._open_next(
            command, asker, {"failed", "cancelled"}, lambda before: before.model_copy(update={"kind": "retry"})
        )

    async def ssh(self, command: questions.Ssh, asker: Asker | None) -> Accepted:
        """A run whose shape differs from the last one's in who may reach the nodes by SSH, and in nothing else."""

        def changed(before: SovereignRequested) -> SovereignRequested:
            cidrs = ssh_networks(before.shape.ssh_allowed_cidrs, command.cidr, opened=command.open)
            if cidrs == before.shape.ssh_allowed_cidrs:
                state = "open" if command.open else "closed"
                raise _refused("not-now", command.sovereign, f"SSH is {state} for {command.cidr} already")
            shape = before.shape.model_copy(update={"ssh_allowed_cidrs": cidrs})
            # Another body than the request's: whoever sends that one again gets its own networks back.
            digest = hashlib.sha256(f"{before.body_digest}|{','.join(cidrs)}".encode()).hexdigest()
            return before.model_copy(update={"kind": "change", "shape": shape, "body_digest": digest})

        stages = {"failed", "cancelled", "ready", "degraded", "handed-over"}
        return await self._open_next(command, asker, stages, changed)

    async def _open_next(
        self,
        command: questions.Retry | questions.Ssh,
        asker: Asker | None,
        stages: set[str],
        changed: Callable[[SovereignRequested], SovereignRequested],
    ) -> Accepted:
        """Open the next run with what follows from the last request."""
        who = _known(asker)
        _check_bound(command.sovereign, command.secrets)
        cause = uuid4()
        for _ in range(_DECISIONS):
            history = await self._journal.fold(command.sovereign)
            where = _standing_of(history, who, command.sovereign, stages)
            asked = history.last(SovereignRequested)
            if asked is None:
                raise _refused("unknown-sovereign", command.sovereign)
            if where.stage == "handed-over" and not command.secrets:
                raise _refused("credential-required", command.sovereign, "we hold no cloud token any more: bring one")
            about = About(
                sovereign=command.sovereign, owner=who.owner, actor=who.actor, life=where.life, run=where.run + 1
            )
            need_room(await self._used_share(), self._full_share, fqdn=fqdn_of(command.sovereign))
            fact = changed(asked.event.data).model_copy(update={"request_id": cause})
            # Before the fact: the work may begin at once, and the owner of a life has no rival.
            await self._store(command.sovereign, where.life, command.secrets)
            try:
                await self._journal.append([fact], about, cause=cause, after=history)
            except Conflict:
                continue
            # And behind it: a hand-off that was under way erased what it found; from now on it sees this fact.
            await self._store(command.sovereign, where.life, command.secrets)
            return _accepted(about, derived_id(cause, fact, about))
        raise TryAgain(f"others kept writing about {command.sovereign}")

    async def _say(
        self,
        command: questions.OfSovereign,
        asker: Asker | None,
        fact_of: Callable[[History], Fact],
        stages: set[str],
        *,
        secrets: tuple[SealedSecret, ...] = (),
        lives: int = 1,
    ) -> Accepted:
        """Judge a command on where the Sovereign stands, then say its fact; secrets rest for so many lives from now."""
        who = _known(asker)
        _check_bound(command.sovereign, secrets)
        cause = uuid4()
        for _ in range(_DECISIONS):
            history = await self._journal.fold(command.sovereign)
            where = _standing_of(history, who, command.sovereign, stages)
            fact = fact_of(history)
            about = About(sovereign=command.sovereign, owner=who.owner, actor=who.actor, life=where.life, run=where.run)
            # Before the fact: the work may begin at once, and the owner of a life has no rival.
            for life in range(where.life, where.life + lives):
                await self._store(command.sovereign, life, secrets)
            try:
                await self._journal.append([fact], about, cause=cause, after=history)
            except Conflict:
                continue
            # And behind it: a hand-off that was under way erased what it found; from now on it sees this fact.
            await self._store(command.sovereign, where.life, secrets)
            return _accepted(about, derived_id(cause, fact, about))
        raise TryAgain(f"others kept writing about {command.sovereign}")

    async def _store(self, sovereign: str, life: int, secrets: tuple[SealedSecret, ...]) -> None:
        for secret in secrets:
            await self._vault.put(sovereign, life, secret)


def _once_more(history: History, sovereign: str) -> Recorded | None:
    """The failure that a life which is leaving already may be asked to leave again for; refused when there is none."""
    asked, failed = history.last(SovereignDecommissionRequested), history.last(TofuFailed)
    if asked is not None and (failed is None or failed.sequence < asked.sequence):
        raise _refused("not-now", sovereign, "it is being decommissioned already")
    return failed


def _lacks_token(history: History, failed: Recorded | None) -> bool:
    """Whether the cloud token is known to be gone."""
    if standing(history).stage == "handed-over":
        return True
    return failed is not None and failed.event.data.trouble.code == "credential-required"


def _check_bound(sovereign: str, secrets: tuple[SealedSecret, ...]) -> None:
    for secret in secrets:
        if secret.bound_to != sovereign:
            raise _refused("invalid-request", sovereign, f"a secret is sealed for {secret.bound_to!r}")


def _admin_ref(about: About) -> str:
    return f"{about.sovereign}.{about.life}.admin"


def _known(asker: Asker | None) -> Asker:
    if asker is None:
        raise Answer(
            trouble("not-allowed", attempted="take a command", on="ask.intake", message="nobody is named as asking")
        )
    return asker


def _approver(asker: Asker | None) -> Asker:
    """Who may decide about what destroys; the edge has looked already, but not everybody comes by the edge."""
    who = _known(asker)
    if not {"approver", "admin"} & set(who.roles):
        message = f"{who.actor} is no approver"
        raise Answer(trouble("not-allowed", attempted="take a command", on="ask.intake", message=message))
    return who


def _standing_of(history: History, who: Asker, sovereign: str, stages: set[str]) -> Standing:
    if not history.alive or (history.owner != who.owner and "admin" not in who.roles):
        # The same words whether it does not exist or is another's: names of others are not told.
        raise _refused("unknown-sovereign", sovereign)
    where = standing(history)
    if where.stage not in stages:
        raise _refused(
            "not-now", sovereign, f"it is {where.stage}; this command fits when it is {', '.join(sorted(stages))}"
        )
    return where


def _refused(code: str, sovereign: str, message: str = "") -> Answer:
    return Answer(trouble(code, attempted="take the command", on=fqdn_of(sovereign), message=message))


def _accepted(about: About, event_id: Any, *, existing: bool = False) -> Accepted:
    return Accepted(sovereign=about.sovereign, life=about.life, run=about.run, event_id=event_id, existing=existing)
