"""The notice for the sender's own website, in each language that people are asked in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from babel import Locale

from repermit.contacts import lookup
from repermit.db.models.lists import MailingList
from repermit.emails import website_notice
from repermit.web.admin.rendering import page_language
from repermit.web.request_context import current_site


def announcements(
    mailing_list: MailingList, languages: Iterable[str], *, deadline: datetime | None
) -> list[tuple[str, str, str]]:
    """Return the notice as language, its name and the text; the list's own language first."""
    settings, own = current_site().settings, mailing_list.language
    return [
        (
            language,
            language_name(language),
            website_notice.website_notice(
                organisation=settings.organisation,
                mailing_list=lookup.list_facts(mailing_list),
                public_url=settings.public_url,
                deadline=deadline,
                zone=settings.zone,
                language=language,
            ),
        )
        for language in dict.fromkeys([own, *languages])
    ]


def language_name(language: str) -> str:
    """Return what the page calls a language; its code for one that has no name there."""
    return str(Locale(page_language()).languages.get(language, language))
