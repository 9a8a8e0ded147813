"""The notice for the sender's own website, in each language that people are asked in.

May import contacts, messages, models and what the admin's pages share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from babel import Locale

from repermit import contacts, messages
from repermit.web.admin.showing import page_language
from repermit.web.site import current_site

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from repermit.models import MailingList


def announcements(
    mailing_list: MailingList, languages: Iterable[str], *, deadline: datetime | None
) -> list[tuple[str, str, str]]:
    """Return the notice as language, its name and the text; the list's own language first."""
    settings, own = current_site().settings, mailing_list.language
    return [
        (
            language,
            language_name(language),
            messages.website_notice(
                organisation=settings.organisation,
                mailing_list=contacts.list_facts(mailing_list),
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
