"""The texts of a list in further languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict, Unpack

from repermit.campaigns.mailing_lists import (
    NORMALIZERS,
    check_list_wording,
    lock_list,
    read_texts,
    record_change,
)
from repermit.contacts import counts as contacts_counts
from repermit.contacts import lookup
from repermit.db.connection import Database
from repermit.db.models.lists import ListText, MailingList
from repermit.errors import Refused
from repermit.i18n import catalogues
from repermit.rules.consent import Status
from repermit.settings.definitions import Settings


class TranslationFields(TypedDict, total=False):
    """What may be said of a list in one language more; "" takes it back."""

    name: str
    purpose: str
    frequency: str
    privacy_url: str
    own_subject: str
    own_text: str
    own_html: str


TRANSLATION_FIELDS = tuple(TranslationFields.__annotations__)


def change_translation(
    database: Database,
    mailing_list: MailingList,
    language: str,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    **fields: Unpack[TranslationFields],
) -> ListText:
    """Change what is given of a list in a language that is not its own, and leave the rest.

    A language of which nothing is left is forgotten. A campaign that is live keeps the words with
    which it was launched. Raises Refused.
    """
    while True:
        found: MailingList = MailingList.get_by_id(mailing_list.id)
        before = read_texts(found)
        text = find_translation(found, _require_other_language(found, language))
        previous = vars(text)["__data__"].copy()
        for name, value in fields.items():
            normalize = NORMALIZERS.get(name, str)
            setattr(text, name, normalize(str(value)))
        changed = {name: getattr(text, name) for name in TRANSLATION_FIELDS}
        changed = {name: value for name, value in changed.items() if value != previous.get(name)}
        if changed:
            found.pending_text = text
            check_list_wording(found, settings)
        with database.atomic():
            if read_texts(lock_list(found)) != before:
                continue
            if changed:
                _save_or_delete(text)
                record_change(
                    "list_changed", found, changed, now=now, actor=actor, language=language
                )
        return text


def find_translation(mailing_list: MailingList, language: str) -> ListText:
    """Return a list's texts in a language; an empty row, not saved, if there are none."""
    text: ListText | None = ListText.get_or_none(
        ListText.list == mailing_list, ListText.language == language
    )
    return text or ListText(list=mailing_list, language=language)


def count_untranslated(mailing_list: MailingList) -> Mapping[str, int]:
    """Return how many contacts get mail in the list's language though there are mails in theirs.

    By their language. Whoever has been taken off is not counted.
    """
    list_facts = lookup.read_list_facts(mailing_list)
    counts: Counter[str] = Counter()
    for people, count in contacts_counts.count_contact_groups(mailing_list).items():
        language = catalogues.choose_language(people.language, default="")
        if (
            language
            and language not in list_facts.languages
            and people.status is not Status.REMOVED
        ):
            counts[language] += count
    return {language: n for language, n in sorted(counts.items()) if n}


def _save_or_delete(text: ListText) -> None:
    if any(getattr(text, name) for name in TRANSLATION_FIELDS):
        text.save()
    else:
        text.delete_instance()


def _require_other_language(mailing_list: MailingList, language: str) -> str:
    if NORMALIZERS["language"](language) == mailing_list.language:
        raise Refused(
            "%(language)s is the list's own language: `repermit list set %(list)s` without --in "
            "changes its words",
            code="own_language",
            language=language,
            list=mailing_list.slug,
        )
    return language
