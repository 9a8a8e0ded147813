"""The mails of a list as they would be sent now, for the admin to look at.

May import evidence, contacts, models, messages, links and what lies below.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from repermit import addresses, contacts, evidence, messages
from repermit.campaigns.wording import NOBODY, draft
from repermit.config import LANGUAGES
from repermit.consent import MailKind, Status
from repermit.errors import Refused
from repermit.evidence import Entry
from repermit.links import Links
from repermit.messages import AskValues, ConfirmValues
from repermit.models import Contact

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from repermit.config import Settings
    from repermit.models import Database, MailingList

_USUAL_DAYS = 28


def preview(
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    kind: MailKind = MailKind.ASK,
    language: str | None = None,
    deadline: datetime | None = None,
    to: str | None = None,
) -> messages.Mail:
    """Return a mail to a made-up contact, in the list's language if none is given.

    An ask, its reminder or the mail that confirms a sign-up, which people on the list get.

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
    if kind is MailKind.CONFIRM:
        wording = messages.draft_confirm(
            organisation=settings.organisation,
            mailing_list=contacts.list_facts(mailing_list),
            zone=settings.zone,
            language=language,
        )
    else:
        wording = draft(
            mailing_list, settings=settings, deadline=until, language=language, kind=kind
        )
    return messages.compose(wording, _values(kind, mailing_list, settings, now, to))


def note_test_mail(
    database: Database, mailing_list: MailingList, *, now: datetime, actor: str
) -> None:
    """Append that a mail of a list was sent to whoever asked for it, to be looked at."""
    entry = Entry(event="test_mail_sent", at=now, actor=actor, list=mailing_list.slug)
    with database.atomic():
        evidence.append(entry)


def _values(
    kind: MailKind, mailing_list: MailingList, settings: Settings, now: datetime, to: str | None
) -> AskValues | ConfirmValues:
    links = Links(settings.public_url, settings.secret_keys)
    if kind is MailKind.CONFIRM:
        confirm_url = links.url("confirm", NOBODY)
        return ConfirmValues(confirm_url=confirm_url, **_envelope(mailing_list, settings, now, to))
    source, since = _origin(mailing_list)
    return AskValues(
        source=source,
        since=since,
        yes_url=links.url("yes", NOBODY),
        no_url=links.url("no", NOBODY),
        me_url=links.url("me", NOBODY),
        **_envelope(mailing_list, settings, now, to),
    )


def _envelope(
    mailing_list: MailingList, settings: Settings, now: datetime, to: str | None
) -> dict[str, Any]:
    sender = addresses.parse(messages.written_address(mailing_list.sender)).sending
    key = settings.secret_keys[-1]
    return {
        "address": addresses.parse(to).sending if to else sender,
        "list_label": messages.list_label(
            contacts.list_facts(mailing_list), key=settings.fingerprint_key
        ),
        "message_id": messages.unnumbered_message_id(
            f"preview {now.isoformat()}", sender_domain=sender.rpartition("@")[2], key=key
        ),
        "return_path": sender,
        "date": now,
    }


def _origin(mailing_list: MailingList) -> tuple[str, datetime | None]:
    """Return `source` and `since` of the first contact to be asked, or "" and None."""
    first = (
        Contact.select(Contact.source, Contact.since)
        .where(Contact.list == mailing_list, Contact.status == Status.UNCONFIRMED)
        .order_by(Contact.id)
        .first()
    )
    return (first.source, first.since) if first else ("", None)
