"""The mail as a launch would send it now, for the admin to look at.

May import contacts, models, messages, links and what lies below.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from repermit import addresses, contacts, messages
from repermit.campaigns.wording import NOBODY, draft
from repermit.config import LANGUAGES
from repermit.consent import Status
from repermit.errors import Refused
from repermit.links import Links
from repermit.messages import AskValues
from repermit.models import Contact

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import MailingList

_USUAL_DAYS = 28


def preview(
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    language: str | None = None,
    deadline: datetime | None = None,
    to: str | None = None,
) -> messages.Mail:
    """Return the ask to a made-up contact, in the list's language if none is given.

    Why and since when it is on the list is taken from the first contact that is to be asked, so
    that the sentence reads as most will read it; nothing else is taken from there.
    `deadline` is in 28 days if not given; `to` is the address that it is written to. Raises
    Refused, AddressError for `to` and the sender, and WordingError.
    """
    language = language or mailing_list.language
    if language not in LANGUAGES:
        message = f"there are no mails in {language!r}; there are {', '.join(LANGUAGES)}"
        raise Refused(message)
    days = settings.campaign.minimum_days + _USUAL_DAYS // 2
    until = deadline or now + timedelta(days=max(days, _USUAL_DAYS))
    wording = draft(mailing_list, settings=settings, deadline=until, language=language)
    return messages.compose(wording, _values(mailing_list, settings, now, to))


def _values(
    mailing_list: MailingList, settings: Settings, now: datetime, to: str | None
) -> AskValues:
    links = Links(settings.public_url, settings.secret_keys)
    sender = addresses.parse(messages.written_address(mailing_list.sender)).sending
    key = settings.secret_keys[-1]
    source, since = _origin(mailing_list)
    return AskValues(
        address=addresses.parse(to).sending if to else sender,
        source=source,
        since=since,
        yes_url=links.url("yes", NOBODY),
        no_url=links.url("no", NOBODY),
        me_url=links.url("me", NOBODY),
        list_label=messages.list_label(
            contacts.list_facts(mailing_list), key=settings.fingerprint_key
        ),
        message_id=messages.unnumbered_message_id(
            f"preview {now.isoformat()}", sender_domain=sender.rpartition("@")[2], key=key
        ),
        return_path=sender,
        date=now,
    )


def _origin(mailing_list: MailingList) -> tuple[str, datetime | None]:
    """Return `source` and `since` of the first contact to be asked, or "" and None."""
    first = (
        Contact.select(Contact.source, Contact.since)
        .where(Contact.list == mailing_list, Contact.status == Status.UNCONFIRMED)
        .order_by(Contact.id)
        .first()
    )
    return (first.source, first.since) if first else ("", None)
