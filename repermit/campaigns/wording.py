"""A list as its mails take it: the facts, the admin's own templates, the drafts.

May import messages, models and what lies below.
"""

from __future__ import annotations

import re
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


def sender_address(sender: str) -> str:
    """Return the address in "Name <address>", or what there is; it is not checked.

    A name may have commas without quotes, as organisations' names do.
    """
    found = _NAMED.fullmatch(sender.strip())
    return found[1] if found else sender


_NAMED = re.compile(r"[^<>]*<([^<>]+)>")


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
