"""A list in further languages: what its readers are told there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict, Unpack

from repermit.campaigns.mailing_lists import SETTLING, check_wording_of, keep_act
from repermit.contacts import counts as contacts_counts
from repermit.contacts import lookup
from repermit.db.connection import Database, lock_rows
from repermit.db.models.lists import ListText, MailingList
from repermit.errors import Refused
from repermit.i18n import catalogues
from repermit.rules.consent import Status
from repermit.settings.definitions import Settings


class TextFields(TypedDict, total=False):
    """What may be said of a list in one language more; "" takes it back."""

    name: str
    purpose: str
    frequency: str
    privacy_url: str
    own_subject: str
    own_text: str
    own_html: str


TEXT_FIELDS = tuple(TextFields.__annotations__)


def change_text(
    database: Database,
    mailing_list: MailingList,
    language: str,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    **fields: Unpack[TextFields],
) -> ListText:
    """Change what is given of a list in a language that is not its own, and leave the rest.

    A language of which nothing is left is forgotten. A campaign that is live keeps the words with
    which it was launched. Raises Refused.
    """
    with database.atomic():
        found: MailingList = lock_rows(
            MailingList.select().where(MailingList.id == mailing_list.id)
        ).get()
        text = text_in(found, _further(found, language))
        before = vars(text)["__data__"].copy()
        for name, value in fields.items():
            settle = SETTLING.get(name, str)
            setattr(text, name, settle(str(value)))
        changed = {name: getattr(text, name) for name in TEXT_FIELDS}
        changed = {name: value for name, value in changed.items() if value != before.get(name)}
        if changed:
            _keep(text)
            check_wording_of(found, settings)
            keep_act("list_changed", found, changed, now=now, actor=actor, language=language)
    return text


def text_in(mailing_list: MailingList, language: str) -> ListText:
    """Return what is said of a list in a language; an empty one, not saved, if nothing is."""
    found: ListText | None = ListText.get_or_none(
        ListText.list == mailing_list, ListText.language == language
    )
    return found or ListText(list=mailing_list, language=language)


def texts_of(mailing_list: MailingList) -> list[ListText]:
    """Return what is said of a list in languages that are not its own, whole or not."""
    return list(
        ListText.select()
        .where(ListText.list == mailing_list, ListText.language != mailing_list.language)
        .order_by(ListText.language)
    )


def read_otherwise(mailing_list: MailingList) -> Mapping[str, int]:
    """Return how many contacts get mail in the list's language though there are mails in theirs.

    By their language. Whoever has been taken off is not counted.
    """
    about = lookup.list_facts(mailing_list)
    counts: Counter[str] = Counter()
    for people, count in contacts_counts.count_people(mailing_list).items():
        theirs = catalogues.pick_language(people.language, otherwise="")
        if theirs and theirs not in about.languages and people.status is not Status.REMOVED:
            counts[theirs] += count
    return {language: n for language, n in sorted(counts.items()) if n}


def _keep(text: ListText) -> None:
    if any(getattr(text, name) for name in TEXT_FIELDS):
        text.save()
    else:
        text.delete_instance()


def _further(mailing_list: MailingList, language: str) -> str:
    if SETTLING["language"](language) == mailing_list.language:
        raise Refused(
            "%(language)s is the list's own language: `repermit list set %(list)s` without --in "
            "changes its words",
            code="own_language",
            language=language,
            list=mailing_list.slug,
        )
    return language
