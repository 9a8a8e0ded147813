"""What goes into a mail, and the mail that comes out.

All times are aware UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from repermit.i18n.catalogues import pick_language


@dataclass(frozen=True, kw_only=True)
class ListWords:
    """What of a list stands in words, in one language."""

    language: str
    name: str
    purpose: str
    frequency: str
    privacy_url: str


@dataclass(frozen=True, kw_only=True)
class MailingListFacts:
    """What the reader is told about a list; `sender` is "Name <address>" or an address.

    `language` is the list's own, and `texts` are its words in each language that it can be told in,
    its own first; none if there is no other.
    """

    slug: str
    name: str
    purpose: str
    frequency: str = ""
    privacy_url: str
    language: str
    sender: str
    sensitive: bool = False
    texts: tuple[ListWords, ...] = ()

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the languages in which a reader is told everything, the list's own first."""
        return tuple(one.language for one in self.texts) or (self.language,)

    def pick(self, wanted: str) -> str:
        """Return `wanted` ("pl", "pl-PL") as one of these languages, or else the list's own.

        Nobody gets half a translation: mails and pages in a language around a purpose in another.
        """
        language = pick_language(wanted, otherwise=self.language)
        return language if language in self.languages else self.language

    def told_in(self, language: str) -> MailingListFacts:
        """Return the list in the words of one of these languages; in another, as it is."""
        for one in self.texts:
            if one.language == language:
                return replace(
                    self,
                    name=one.name,
                    purpose=one.purpose,
                    frequency=one.frequency,
                    privacy_url=one.privacy_url,
                )
        return self


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
class ReceiptValues:
    """What differs in the receipt of an answer; as in a confirmation there is no name."""

    address: str
    yes_url: str
    no_url: str
    me_url: str
    receipt_url: str
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


Values = AskValues | ConfirmValues | ReceiptValues | NoticeValues
"""What fills in a draft, by its kind."""


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
