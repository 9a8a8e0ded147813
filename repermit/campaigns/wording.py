"""A list as its mails take it: the facts, the admin's own templates, the drafts.

May import messages, models and what lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit import contacts, messages
from repermit.messages import OwnWording

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import MailingList


def own_wording(mailing_list: MailingList) -> OwnWording:
    """Return the admin's own templates for the list's asks."""
    return OwnWording(
        subject=mailing_list.own_subject, text=mailing_list.own_text, html=mailing_list.own_html
    )


def draft(
    mailing_list: MailingList, *, settings: Settings, deadline: datetime, language: str
) -> messages.Draft:
    """Return the ask as it would be worded now; raises WordingError and AddressError."""
    return messages.draft_ask(
        organisation=settings.organisation,
        mailing_list=contacts.list_facts(mailing_list),
        deadline=deadline,
        zone=settings.zone,
        language=language,
        own=own_wording(mailing_list),
    )
