"""What goes into a mail, and the mail that comes out.

May import nothing of repermit. All times are aware UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class MailingListFacts:
    """What the reader is told about a list; `sender` is "Name <address>" or an address."""

    slug: str
    name: str
    purpose: str
    frequency: str = ""
    privacy_url: str
    language: str
    sender: str
    sensitive: bool = False


@dataclass(frozen=True, kw_only=True)
class OwnWording:
    """The admin's own templates for an ask; "" leaves the wording that repermit has.

    A text without HTML is given its HTML from the text.
    """

    subject: str = ""
    text: str = ""
    html: str = ""


@dataclass(frozen=True, kw_only=True)
class AskValues:
    """What differs from contact to contact in an ask or its reminder.

    The links are ASCII, as `Links.url` makes them. `source` and `since` say why the address is
    on the list; "" and None where nobody knows. `list_label` stands for the list in headers,
    as `list_label` makes it. `date` is the Date header: the first attempt's,
    so that every attempt is the same mail.
    """

    address: str
    name: str = ""
    source: str = ""
    since: datetime | None = None
    yes_url: str
    no_url: str
    me_url: str
    list_label: str
    message_id: str
    return_path: str
    date: datetime


@dataclass(frozen=True, kw_only=True)
class ConfirmValues:
    """What differs in a mail that confirms a sign-up.

    There is no name: anybody may fill in the form, and a name is where abusers put their text.
    """

    address: str
    confirm_url: str
    list_label: str
    message_id: str
    return_path: str
    date: datetime


@dataclass(frozen=True, kw_only=True)
class NoticeValues:
    """What a notice to the admin has of its own."""

    address: str
    list_label: str
    message_id: str
    return_path: str
    date: datetime


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One mail ready to be sent.

    `raw` are its bytes with CRLF line ends and lines of at most 998 octets; pure ASCII unless
    `needs_smtputf8`, when an address has a local part outside ASCII (RFC 6531). `text` and
    `html` are the same bodies for showing, with LF.
    """

    envelope_from: str
    envelope_to: str
    raw: bytes
    message_id: str
    subject: str
    text: str
    html: str
    needs_smtputf8: bool
