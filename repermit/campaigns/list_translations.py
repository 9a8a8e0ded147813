"""The texts of a list in further languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict, Unpack

from repermit.campaigns.mailing_lists import (
    NORMALIZERS,
    check_list_wording,
    make_version,
    read_texts,
    record_change,
    refuse_other_version,
)
from repermit.contacts import counts as contacts_counts
from repermit.contacts import lookup
from repermit.db.connection import Database
from repermit.db.models.lists import ListText, MailingList, lock_list
from repermit.errors import Refused
from repermit.i18n import catalogues
from repermit.rules.consent import Status
from repermit.settings.definitions import Settings


class TranslationFields(TypedDict, total=False):
    """The texts of a list in a further language; "" deletes a text."""

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
    since: str = "",
    **fields: Unpack[TranslationFields],
) -> ListText:
    """Change the given texts of a list in a further language.

    - `since`: the version of these texts that the page showed, "" to change any version.

    A language without any text left is deleted. A live campaign keeps the wording with which it was
    launched. Raises Refused.
    """
    while True:
        current_list: MailingList = MailingList.get_by_id(mailing_list.id)
        before = read_texts(current_list)
        text = find_translation(current_list, _require_other_language(current_list, language))
        previous = vars(text)["__data__"].copy()
        version = make_version(text, fields)
        for name, value in fields.items():
            normalize = NORMALIZERS.get(name, str)
            setattr(text, name, normalize(str(value)))
        changed = {name: getattr(text, name) for name in TRANSLATION_FIELDS}
        changed = {name: value for name, value in changed.items() if value != previous.get(name)}
        if changed:
            refuse_other_version(version, since)
            current_list.pending_text = text
            check_list_wording(current_list, settings)
        with database.atomic():
            if read_texts(lock_list(current_list)) != before:
                continue
            if changed:
                _save_or_delete(text)
                record_change(
                    "list_changed", current_list, changed, now=now, actor=actor, language=language
                )
        return text


def find_translation(mailing_list: MailingList, language: str) -> ListText:
    """Return a list's texts in a language; an empty row, not saved, if there are none."""
    text: ListText | None = ListText.get_or_none(
        ListText.list == mailing_list, ListText.language == language
    )
    return text or ListText(list=mailing_list, language=language)


def count_untranslated(mailing_list: MailingList) -> Mapping[str, int]:
    """Count the contacts that get the list's language because it has no texts in theirs.

    By their language, without removed contacts.
    """
    list_facts = lookup.read_list_facts(mailing_list)
    counts: Counter[str] = Counter()
    for group, count in contacts_counts.count_contact_groups(mailing_list).items():
        language = catalogues.choose_language(group.language, default="")
        if language and language not in list_facts.languages and group.status is not Status.REMOVED:
            counts[language] += count
    return {language: count for language, count in sorted(counts.items()) if count}


def _save_or_delete(text: ListText) -> None:
    if any(getattr(text, name) for name in TRANSLATION_FIELDS):
        text.save()
    else:
        text.delete_instance()


def _require_other_language(mailing_list: MailingList, language: str) -> str:
    if NORMALIZERS["language"](language) == mailing_list.language:
        raise Refused(
            "this is the list’s own language",
            cli="; `repermit list set %(list)s` without --in changes its words",
            list=mailing_list.slug,
        )
    return language
