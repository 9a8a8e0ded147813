"""What was done and who looked, a page at a time, the newest first; of nobody's person is read.

May import models and what lies below.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from peewee import fn

from repermit.models import Access, Evidence, EvidenceHead, EvidencePart, SecurityEvent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

_PAGE = 50
# How far back one page looks, so that it is quick however seldom something is.
_REACH = 50_000


@dataclass(frozen=True, kw_only=True)
class Record:
    """An act or a look: `what` is the event or the act, `subject` whom it was about.

    `number` counts from the first on, an entry's own sequence number for an act. `said` is what the
    entry of an act keeps of it: not who it was about, nor where they were; nothing once it is gone.
    """

    number: int
    at: datetime
    what: str
    actor: str
    list: str
    subject: str
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Records:
    """A page; `before` is where the next one begins, 0 if there is none.

    The page may have few records, or none, although more lie further back.
    """

    records: tuple[Record, ...]
    before: int


def acts(
    *,
    before: int = 0,
    what: str = "",
    actor: str = "",
    slug: str = "",
    page: int = _PAGE,
    reach: int = _REACH,
) -> Records:
    """Return acts from the evidence before a number (0: the newest), filtered where one is given.

    An `actor` that ends in ":" is everybody of that kind, as in "cli:".
    """
    end = before or EvidenceHead.get().seq + 1
    wanted = _wanted(Evidence, Evidence.event, what=what, actor=actor, slug=slug)
    rows = _rows(Evidence, Evidence.seq, wanted, end=end, page=page, reach=reach)
    said = _said([row.seq for row in rows])
    found = [
        Record(
            number=row.seq,
            at=row.at,
            what=row.event,
            actor=row.actor,
            list=row.list,
            subject=row.subject,
            said=said.get(row.seq, {}),
        )
        for row in rows
    ]
    return _page(found, page=page, floor=end - reach)


def looks(
    *,
    before: int = 0,
    what: str = "",
    actor: str = "",
    slug: str = "",
    page: int = _PAGE,
    reach: int = _REACH,
) -> Records:
    """Return looks at personal data, in the same way."""
    end = before or (Access.select(fn.MAX(Access.id)).scalar() or 0) + 1
    wanted = _wanted(Access, Access.act, what=what, actor=actor, slug=slug)
    rows = _rows(Access, Access.id, wanted, end=end, page=page, reach=reach)
    found = [
        Record(
            number=row.id,
            at=row.at,
            what=row.act,
            actor=row.actor,
            list=row.list,
            subject=row.subject,
        )
        for row in rows
    ]
    return _page(found, page=page, floor=end - reach)


def list_security_events(
    *,
    before: int = 0,
    what: str = "",
    actor: str = "",
    page: int = _PAGE,
    reach: int = _REACH,
) -> Records:
    """Return what was refused, in the same way; `said` has how often, until when and whence."""
    end = before or (SecurityEvent.select(fn.MAX(SecurityEvent.id)).scalar() or 0) + 1
    wanted = _wanted(SecurityEvent, SecurityEvent.what, what=what, actor=actor, slug="")
    rows = _rows(SecurityEvent, SecurityEvent.id, wanted, end=end, page=page, reach=reach)
    found = [
        Record(
            number=row.id,
            at=row.at,
            what=row.what,
            actor=row.actor,
            list="",
            subject="",
            said={"times": row.times, "until": row.last_at, "network": row.network},
        )
        for row in rows
    ]
    return _page(found, page=page, floor=end - reach)


def _wanted(table: Any, kind: Any, *, what: str, actor: str, slug: str) -> list[Any]:
    wanted = []
    if what:
        wanted.append(kind == what)
    if actor.endswith(":"):
        wanted.append(fn.SUBSTR(table.actor, 1, len(actor)) == actor)
    elif actor:
        wanted.append(table.actor == actor)
    if slug:
        wanted.append(table.list == slug)
    return wanted


def _rows(
    table: Any, number: Any, wanted: Sequence[Any], *, end: int, page: int, reach: int
) -> list[Any]:
    """Return one row more than a page has, of the `reach` numbers before `end`."""
    near = table.select().where(number < end, number >= end - reach, *wanted)
    return list(near.order_by(number.desc()).limit(page + 1))


def _said(seqs: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return what entries keep of acts, by their numbers."""
    parts = EvidencePart.select().where(EvidencePart.seq.in_(seqs), EvidencePart.part == "consent")
    return {part.seq: json.loads(part.json) for part in parts}


def _page(found: list[Record], *, page: int, floor: int) -> Records:
    if len(found) > page:
        return Records(records=tuple(found[:page]), before=found[page - 1].number)
    return Records(records=tuple(found), before=floor if floor > 1 else 0)
