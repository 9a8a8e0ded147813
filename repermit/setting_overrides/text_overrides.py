"""Texts of mails and pages in the admin's words: kept in the database, seen by every process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from repermit.db.connection import Database
from repermit.db.models.lists import ListText, MailingList
from repermit.db.models.settings import Correction
from repermit.emails import sender_identity, wording_validation
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.i18n.catalogue_overrides import Text
from repermit.setting_overrides.current_settings import TEXTS, renew, take_turn


def corrections_in(language: str) -> dict[str, tuple[str, ...]]:
    """Return the forms of all that is corrected in a language, by the texts' keys."""
    rows = Correction.select().where(Correction.language == language)
    return {row.key: tuple(json.loads(row.forms)) for row in rows}


def correct(
    database: Database, text: Text, forms: Sequence[str], *, now: datetime, actor: str
) -> bool:
    """Keep a correction, with its evidence; say whether anything has changed.

    Empty forms, or the usual ones, take it back. Asks and reminders of a campaign that was
    launched keep the wording that was frozen. Raises Refused, also for the name of a sensitive
    list, which subjects do not show.
    """
    with database.atomic():
        take_turn(TEXTS)
        there = corrections_in(text.language)
        after = wording_validation.check_correction(text, forms, corrected=there)
        _refuse_sensitive(after)
        before = there.get(text.key, ())
        if after == before:
            return False
        _write(text, after, now=now, actor=actor)
        renew(TEXTS)
        chain.append(_entry(text, before, after, now=now, actor=actor))
    return True


def _refuse_sensitive(forms: tuple[str, ...]) -> None:
    lists = list(MailingList.select().where(MailingList.sensitive))
    names = [one.name for one in (*lists, *ListText.select().where(ListText.list.in_(lists)))]
    if any(sender_identity.contains_name(form, name) for form in forms for name in names if name):
        raise Refused("it shows the name of a sensitive list, and others may see it")


def _write(text: Text, forms: tuple[str, ...], *, now: datetime, actor: str) -> None:
    Correction.delete().where(
        Correction.language == text.language, Correction.key == text.key
    ).execute()
    if forms:
        Correction.create(
            language=text.language,
            key=text.key,
            source=text.source[0],
            forms=json.dumps(forms, ensure_ascii=False),
            at=now,
            by=actor,
        )


def _entry(
    text: Text, before: tuple[str, ...], after: tuple[str, ...], *, now: datetime, actor: str
) -> Entry:
    facts = {
        "language": text.language,
        "text": text.source[0],
        "before": list(before or text.usual),
        "after": list(after or text.usual),
    }
    return Entry(event="text_corrected", at=now, actor=actor, consent=facts)
