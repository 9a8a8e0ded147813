"""Who gets the data of a list, as the pages name them (GDPR art. 13(1)(e) and (f), 15(1)(c))."""

from __future__ import annotations

from repermit.db.models.base import PreparedQuery
from repermit.db.models.lists import MailingList
from repermit.privacy.my_data import Recipient
from repermit.reports import data_recipients, register_notes
from repermit.web.public.my_data_text import describe_recipient
from repermit.web.public.page_text import Voice
from repermit.web.request_context import get_site


def list_recipients(mailing_list: MailingList) -> list[tuple[str, Recipient]]:
    """Return who gets the data as the record of processing names them, each with their key.

    Who the organisation is itself has no name.
    """
    recipients = data_recipients.list_recipients(
        mailing_list,
        settings=get_site().settings,
        notes=register_notes.read_notes(mailing_list),
    )
    return [
        (
            recipient.key,
            Recipient(
                role=recipient.role,
                name="" if recipient.is_own else recipient.name or recipient.server,
                country=recipient.country,
                safeguard=recipient.safeguard if recipient.is_abroad else "",
            ),
        )
        for recipient in recipients
    ]


def describe_recipients(slug: str, voice: Voice) -> tuple[str, ...]:
    """Return a sentence for each recipient of a list's data; none for a list that is gone."""
    mailing_list = _LIST.first(slug)
    if mailing_list is None:
        return ()
    return tuple(describe_recipient(one, voice) for _, one in list_recipients(mailing_list))


_LIST = PreparedQuery(lambda slug: MailingList.select().where(MailingList.slug == slug), 1)
