"""Requests that are being written: kept without secrets, judged at every change, shared within the organisation.

A draft belongs to its organisation: a refresh, another device or a colleague goes on where it was left. It is judged by
the same rules as a request, as far as its steps were filled in. It is forgotten some time after its last change.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import AwareDatetime, JsonValue

from bus import Answer, Bucket, Conflict, Value
from contracts.drafting import Draft, DraftError, DraftReply, DraftRow, DraftsReply, OfDraft
from contracts.errors import FieldError, trouble
from contracts.event import Model
from contracts.identity import Actor
from contracts.questions import Asker, Done, Nothing
from intake.offers import Offers
from intake.reading import PLAINTEXT, judge, size_of

MAX_DRAFT_BYTES: Final = 64 * 1024
_STEPS: Final = {
    "organisation": 1, "topology": 2, "ssh_public_key": 4, "ssh_allowed_cidrs": 4, "secrets": 4, "components": 5,
    "domain": 6, "admin_email": 6,
}  # fmt: skip
"""In which of the runbook's seven steps a field is captured; what is missing here belongs to the review."""
_REVIEW: Final = 7
_WRITES: Final = 5


class _Kept(Model):
    """A draft as it rests."""

    body: dict[str, JsonValue]
    step: int
    changed_by: Actor
    changed_at: AwareDatetime


class Drafts:
    """Keeps and judges them."""

    def __init__(self, *, bucket: Bucket, offers: Offers, days: float) -> None:
        self._bucket = bucket
        self._offers = offers
        self._ttl_s = int(days * 86_400)

    async def keep(self, draft: Draft, asker: Asker | None) -> DraftReply:
        """Keep the draft as it is now, wrong fields and all; never what looks like a secret."""
        who = _known(asker)
        self._refuse_secrets(draft)
        kept = _Kept(body=draft.body, step=draft.step, changed_by=who.actor, changed_at=datetime.now(UTC))
        value = kept.model_dump_json().encode()
        key = f"{who.owner}.{draft.draft}"
        for _ in range(_WRITES):
            try:
                if draft.revision == 0:
                    revision = await self._bucket.create(key, value, ttl_s=self._ttl_s)
                else:
                    before = draft.revision or await self._bucket.last_revision(key)
                    revision = await self._bucket.update(key, value, before, ttl_s=self._ttl_s)
            except Conflict:
                if draft.revision is not None:
                    break
                continue
            return self._reply(draft.draft, kept, revision)
        raise _refused("draft-changed", draft.draft)

    async def read(self, question: OfDraft, asker: Asker | None) -> DraftReply:
        """The draft as it was kept last, judged by today's catalogue."""
        found = await self._bucket.get(f"{_known(asker).owner}.{question.draft}")
        if found is None:
            raise _refused("unknown-draft", question.draft)
        return self._reply(question.draft, _Kept.model_validate_json(found.value), found.revision)

    async def drop(self, question: OfDraft, asker: Asker | None) -> Done:
        """Forget it; a draft that is gone already is fine."""
        await self._bucket.delete(f"{_known(asker).owner}.{question.draft}", ttl_s=self._ttl_s)
        return Done()

    async def listed(self, _question: Nothing, asker: Asker | None) -> DraftsReply:
        """Every draft of the organisation, newest first."""
        found = await self._bucket.values(f"{_known(asker).owner}.*")
        rows = sorted((_row(item) for item in found), key=lambda row: row.changed_at, reverse=True)
        return DraftsReply(drafts=tuple(rows))

    def _refuse_secrets(self, draft: Draft) -> None:
        if (size := size_of(draft.body)) > MAX_DRAFT_BYTES:
            raise _refused("message-too-large", draft.draft, message=f"{size} bytes, at most {MAX_DRAFT_BYTES}")
        clear = tuple(error for error in judge(draft.body, self._offers).errors if error.code == PLAINTEXT)
        if clear:
            raise Answer(trouble(PLAINTEXT, attempted="keep the draft", on=draft.draft), clear)
        if draft.body.get("secrets"):
            message = "a draft holds no secrets, not even sealed ones: send them once, with the request"
            error = FieldError(field="secrets", code="secret-in-draft", message=message)
            raise Answer(trouble("invalid-request", attempted="keep the draft", on=draft.draft), (error,))

    def _reply(self, name: str, kept: _Kept, revision: int) -> DraftReply:
        errors = tuple(errors_so_far(kept.body, kept.step, self._offers))
        row = _row_of(name, kept)
        return DraftReply(**row.model_dump(), body=kept.body, revision=revision, errors=errors)


def errors_so_far(body: Mapping[str, Any], step: int, offers: Offers) -> Iterator[DraftError]:
    """Every error of what is filled in, and what is missing in the steps up to this one."""
    for error in judge(body, offers).errors:
        captured = _STEPS.get(error.field.split(".")[0], _REVIEW)
        if captured <= step or not _empty(body, error.field):
            yield DraftError(**error.model_dump(), step=captured)


def _empty(body: Mapping[str, Any], field: str) -> bool:
    """Whether nothing was given there yet."""
    value: Any = body
    for part in field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value in (None, "")


def _row(item: Value) -> DraftRow:
    return _row_of(item.key.split(".", 1)[1], _Kept.model_validate_json(item.value))


def _row_of(name: str, kept: _Kept) -> DraftRow:
    def text(part: str, field: str) -> str:
        inner = kept.body.get(part)
        found = inner.get(field) if isinstance(inner, Mapping) else None
        return found[:253] if isinstance(found, str) else ""

    return DraftRow(
        draft=name,
        fqdn=text("domain", "fqdn"),
        organisation=text("organisation", "name"),
        step=kept.step,
        changed_by=kept.changed_by,
        changed_at=kept.changed_at,
    )


def _known(asker: Asker | None) -> Asker:
    if asker is None:
        raise _refused("not-allowed", "ask.intake.draft", message="nobody is named as asking")
    return asker


def _refused(code: str, name: str, *, message: str = "") -> Answer:
    return Answer(trouble(code, attempted="keep a draft", on=name, message=message))
