"""The organisation's own notes for its record of processing: read, checked and stored."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from babel import Locale

from repermit.db.connection import Database
from repermit.db.models.lists import MailingList, RegisterNotes, lock_list
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.i18n.lazy_text import LazyJoin

FIELDS = ("name", "country", "agreement", "safeguard")
"""The fields of a processor."""

TEXTS = ("joint-controllers", "representative", "dpia", "measures")
"""The texts about the processing itself."""

OWN = "own"
"""The value of `agreement` if the organisation does it itself, without an agreement."""

_KEY = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}")
_MAX_LENGTH = 2000
# Without the codes of unions, of the unknown region, and for tests.
_TWO_LETTERS = re.compile(r"(?!EU|EZ|QO|UN|XA|XB|ZZ)[A-Z]{2}")


@dataclass(frozen=True, kw_only=True)
class Notes:
    """The notes: `texts` by TEXTS, `processors` by key and then by FIELDS."""

    texts: Mapping[str, str] = field(default_factory=dict)
    processors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def get(self, key: str, name: str) -> str:
        """Return a field of a processor, "" if it is not filled in."""
        return self.processors.get(key, {}).get(name, "")


def list_countries() -> tuple[str, ...]:
    """Return the code of every country (ISO 3166), in order."""
    codes = map(str, Locale("en").territories)
    return tuple(sorted(code for code in codes if _TWO_LETTERS.fullmatch(code)))


def read_notes(mailing_list: MailingList) -> Notes:
    """Return the notes on a list's processing."""
    row = RegisterNotes.get_or_none(RegisterNotes.list == mailing_list)
    return parse_notes(row.notes if row else "{}")


def parse_notes(text: str) -> Notes:
    """Return notes as the database has them."""
    stored = json.loads(text)
    return Notes(texts=stored.get("texts", {}), processors=stored.get("processors", {}))


def set_notes(
    database: Database,
    mailing_list: MailingList,
    changes: Mapping[str, str],
    *,
    now: datetime,
    actor: str,
) -> Notes:
    """Change some notes and return all of them; an empty value deletes a note.

    - `changes`: keys are those of TEXTS, or a processor's key with a field, such as
      "hosting.country". A processor's key alone, with an empty value, deletes the processor.

    Raises Refused, before anything changes, for an unknown key or an invalid value.
    """
    checked = {key: _check_value(key, " ".join(value.split())) for key, value in changes.items()}
    with database.atomic():
        lock_list(mailing_list)
        before = read_notes(mailing_list)
        after = _merge_notes(before, checked)
        if after == before:
            return before
        stored = json.dumps({"texts": after.texts, "processors": after.processors})
        RegisterNotes.insert(list=mailing_list, notes=stored, updated_at=now).on_conflict(
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


def _merge_notes(before: Notes, changes: Mapping[str, str]) -> Notes:
    texts = dict(before.texts)
    processors = {key: dict(fields) for key, fields in before.processors.items()}
    for name, value in changes.items():
        key, _, field_name = name.rpartition(".")
        if name in TEXTS:
            texts[name] = value
        elif field_name in FIELDS and key:
            processors.setdefault(key, {})[field_name] = value
        else:
            processors.pop(name, None)
    filled = {key: {n: v for n, v in fields.items() if v} for key, fields in processors.items()}
    return Notes(
        texts={name: value for name, value in texts.items() if value},
        processors={key: fields for key, fields in filled.items() if fields},
    )


def _check_value(name: str, value: str) -> str:
    """Return a value as it is stored; raises Refused for an invalid one."""
    if len(value) > _MAX_LENGTH:
        raise Refused(
            "%(name)s is longer than %(most)s characters", name=name, most=str(_MAX_LENGTH)
        )
    if name in TEXTS:
        return value
    key, _, field_name = name.rpartition(".")
    if field_name in FIELDS and _KEY.fullmatch(key):
        return _check_field(name, field_name, value)
    if _KEY.fullmatch(name) and not value:
        return value
    raise Refused(
        "%(name)s is not known: take %(names)s, or a recipient with a field, such as "
        "hosting.name, hosting.country, hosting.agreement, hosting.safeguard",
        name=name,
        names=LazyJoin(tuple(TEXTS)),
    )


def _check_field(name: str, field_name: str, value: str) -> str:
    if field_name == "country" and value:
        code = value.upper()
        if code not in list_countries():
            raise Refused(
                "%(name)s takes a country's two letters, such as NL, not %(value)s",
                name=name,
                value=value,
            )
        return code
    if field_name == "agreement" and value and value != OWN:
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
