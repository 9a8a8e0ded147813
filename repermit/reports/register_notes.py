"""The organisation's own notes for its record of processing: read, checked and stored."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from babel import Locale

from repermit.db.connection import Database, lock_rows
from repermit.db.models.base import PreparedQuery
from repermit.db.models.lists import MailingList, RegisterNotes
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.i18n.lazy_text import LazyJoin

FIELDS = ("name", "country", "agreement", "safeguard")
"""What is kept of a processor."""

TEXTS = ("joint-controllers", "representative", "dpia", "measures")
"""What is kept of the processing itself."""

OWN = "own"
"""Stands for an agreement where the organisation does it itself, so that there is none."""

_KEY = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}")
_LONGEST = 2000
# Without the codes of unions, of the unknown, and of what is there for tests.
_TWO_LETTERS = re.compile(r"(?!EU|EZ|QO|UN|XA|XB|ZZ)[A-Z]{2}")


@dataclass(frozen=True, kw_only=True)
class Notes:
    """What has been said: `texts` by TEXTS, `processors` by key and then by FIELDS."""

    texts: Mapping[str, str] = field(default_factory=dict)
    processors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, key: str, name: str) -> str:
        """Return what is known of a processor, "" for nothing."""
        return self.processors.get(key, {}).get(name, "")


def countries() -> tuple[str, ...]:
    """Return the two letters of every country (ISO 3166), in order."""
    known = map(str, Locale("en").territories)
    return tuple(sorted(code for code in known if _TWO_LETTERS.fullmatch(code)))


def read_notes(mailing_list: MailingList) -> Notes:
    """Return what has been said of a list's processing."""
    row = _NOTES.first(mailing_list.id)
    kept = json.loads(row[0]) if row else {}
    return Notes(texts=kept.get("texts", {}), processors=kept.get("processors", {}))


_NOTES = PreparedQuery(
    lambda list_id: (
        RegisterNotes.select(RegisterNotes.notes).where(RegisterNotes.list == list_id).tuples()
    ),
    1,
)


def set_notes(
    database: Database,
    mailing_list: MailingList,
    given: Mapping[str, str],
    *,
    now: datetime,
    actor: str,
) -> Notes:
    """Keep what is given beside what was kept, and return all of it; an empty value takes back.

    Keys are those of TEXTS, or a processor's with a field, as in "hosting.country"; a processor's
    alone, with an empty value, drops it. Raises Refused, before anything changes, for a key or a
    value that makes no sense.
    """
    checked = {key: _checked(key, " ".join(value.split())) for key, value in given.items()}
    with database.atomic():
        lock_rows(MailingList.select().where(MailingList.id == mailing_list.id)).get()
        before = read_notes(mailing_list)
        after = _merged(before, checked)
        if after == before:
            return before
        kept = json.dumps({"texts": after.texts, "processors": after.processors})
        RegisterNotes.insert(list=mailing_list, notes=kept, updated_at=now).on_conflict(
            conflict_target=[RegisterNotes.list],
            preserve=[RegisterNotes.notes, RegisterNotes.updated_at],
        ).execute()
        chain.append(
            Entry(
                event="register_changed",
                at=now,
                actor=actor,
                list=mailing_list.slug,
                consent={"fields": checked},
            )
        )
    return after


def _merged(before: Notes, given: Mapping[str, str]) -> Notes:
    texts = dict(before.texts)
    processors = {key: dict(fields) for key, fields in before.processors.items()}
    for name, value in given.items():
        key, _, what = name.rpartition(".")
        if name in TEXTS:
            texts[name] = value
        elif what in FIELDS and key:
            processors.setdefault(key, {})[what] = value
        else:
            processors.pop(name, None)
    known = {key: {n: v for n, v in fields.items() if v} for key, fields in processors.items()}
    return Notes(
        texts={name: value for name, value in texts.items() if value},
        processors={key: fields for key, fields in known.items() if fields},
    )


def _checked(name: str, value: str) -> str:
    """Return a value as it is kept; raises Refused."""
    if len(value) > _LONGEST:
        raise Refused("%(name)s is longer than %(most)s characters", name=name, most=str(_LONGEST))
    if name in TEXTS:
        return value
    key, _, what = name.rpartition(".")
    if what in FIELDS and _KEY.fullmatch(key):
        return _checked_field(name, what, value)
    if _KEY.fullmatch(name) and not value:
        return value
    raise Refused(
        "%(name)s is not known: take %(names)s, or a recipient with a field, such as "
        "hosting.name, hosting.country, hosting.agreement, hosting.safeguard",
        name=name,
        names=LazyJoin(tuple(TEXTS)),
    )


def _checked_field(name: str, what: str, value: str) -> str:
    if what == "country" and value:
        code = value.upper()
        if code not in countries():
            raise Refused(
                "%(name)s takes a country's two letters, such as NL, not %(value)s",
                name=name,
                value=value,
            )
        return code
    if what == "agreement" and value and value != OWN:
        try:
            date.fromisoformat(value)
        except ValueError:
            raise Refused(
                "%(name)s takes the day of the agreement, such as 2025-05-02, or %(own)s where "
                "you do it yourselves, not %(value)s",
                name=name,
                own=OWN,
                value=value,
            ) from None
    return value
