"""What each list lacks, and which domains its mails come from.

May import addresses, messages, models, config and this room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit import addresses, messages
from repermit.errors import AddressError
from repermit.preflight.words import finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from repermit.config import Settings
    from repermit.models import MailingList
    from repermit.preflight.facts import Finding


def look_at_list(
    mailing_list: MailingList, *, says_how_often: Callable[[str], bool]
) -> Iterator[Finding]:
    """Yield what a list does not say yet, though its readers must know it."""
    slug = mailing_list.slug
    lacking = {
        "list_no_purpose": not mailing_list.purpose,
        "list_no_frequency": not (mailing_list.frequency or says_how_often(mailing_list.purpose)),
        "list_no_privacy": not mailing_list.privacy_url,
        "list_no_sender": not sender_of(mailing_list),
    }
    yield from (finding(code, list=slug) for code, is_lacking in lacking.items() if is_lacking)
    if not any(lacking.values()):
        yield finding("list_ok", list=slug)


def look_at_sender(mailing_list: MailingList, settings: Settings) -> Iterator[Finding]:
    """Yield a warning if the mail server may refuse a list's sender."""
    sender, mailbox = sender_of(mailing_list), settings.mail.username
    is_another = sender.lower() != mailbox.lower()
    if settings.mail.preset == "office365" and sender and mailbox and is_another:
        yield finding("smtp_other_sender", list=mailing_list.slug)


def sender_of(mailing_list: MailingList) -> str:
    """Return the address that a list's mails come from, domain as an A-label; "" if none can be."""
    return _sending(messages.written_address(mailing_list.sender))


def domains_of(lists: Sequence[MailingList], settings: Settings) -> tuple[str, ...]:
    """Return the domains of the senders; without a list, that of the organisation's address."""
    senders = [sender_of(one) for one in lists] or [_sending(settings.organisation.email)]
    return tuple(sorted({one.rpartition("@")[2] for one in senders if one}))


def _sending(text: str) -> str:
    try:
        return addresses.parse(text).sending
    except AddressError:
        return ""
