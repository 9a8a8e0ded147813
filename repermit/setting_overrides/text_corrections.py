"""Corrections of the texts of mails and pages, stored in the database for all processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from repermit.db.connection import Database
from repermit.db.models.lists import ListText, MailingList
from repermit.db.models.settings import Correction
from repermit.emails import sender_identity, text_correction_validation
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.i18n.correctable_texts import Text
from repermit.setting_overrides.current_settings import (
    TEXTS_VERSION_KEY,
    lock_version,
    renew_version,
)


def read_corrections(language: str) -> dict[str, tuple[str, ...]]:
    """Return the forms of a language's corrected texts, by their keys."""
    rows = Correction.select().where(Correction.language == language)
    return {row.key: tuple(json.loads(row.forms)) for row in rows}


def save_correction(
    database: Database, text: Text, forms: Sequence[str], *, now: datetime, actor: str
) -> bool:
    """Store a correction with its evidence; return whether it changed anything.

    Empty forms, or the shipped ones, delete it. Asks and reminders of a launched campaign keep
    their frozen wording. Raises Refused, also for the name of a sensitive list, which subjects
    must not show.
    """
    with database.atomic():
        lock_version(TEXTS_VERSION_KEY)
        corrections = read_corrections(text.language)
        new_forms = text_correction_validation.check_correction(text, forms, corrected=corrections)
        _refuse_sensitive(new_forms)
        old_forms = corrections.get(text.key, ())
        if new_forms == old_forms:
            return False
        _write_correction(text, new_forms, now=now, actor=actor)
        renew_version(TEXTS_VERSION_KEY)
        chain.append(_make_entry(text, old_forms, new_forms, now=now, actor=actor))
    return True


def _refuse_sensitive(forms: tuple[str, ...]) -> None:
    lists = list(MailingList.select().where(MailingList.sensitive))
    names = [row.name for row in (*lists, *ListText.select().where(ListText.list.in_(lists)))]
    if any(sender_identity.contains_name(form, name) for form in forms for name in names if name):
        raise Refused("it shows the name of a sensitive list, and others may see it")


def _write_correction(text: Text, forms: tuple[str, ...], *, now: datetime, actor: str) -> None:
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


def _make_entry(
    text: Text, before: tuple[str, ...], after: tuple[str, ...], *, now: datetime, actor: str
) -> Entry:
    facts = {
        "language": text.language,
        "text": text.source[0],
        "before": list(before or text.usual),
        "after": list(after or text.usual),
    }
    return Entry(event="text_corrected", at=now, actor=actor, consent=facts)
