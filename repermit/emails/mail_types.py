"""What goes into a mail, what a notice to the admin tells, and the mail that comes out.

All times are aware UTC.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode

from repermit.i18n.catalogues import choose_language


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
    its own first; none if there is no other. `asking_ground` and `special_ground` are what was
    attested at launch (rules.legal_grounds), "" for nothing. `privacy_wordings` are the addresses
    of privacy statements, each with the digest of what it said at launch, as far as it was read.
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
    asking_ground: str = ""
    special_ground: str = ""
    privacy_wordings: tuple[tuple[str, str], ...] = ()

    @property
    def privacy_urls(self) -> tuple[str, ...]:
        """Return the addresses of its privacy statements, in whatever language, each once."""
        urls = (self.privacy_url, *(text.privacy_url for text in self.texts))
        return tuple(dict.fromkeys(filter(None, urls)))

    @property
    def privacy_wording(self) -> str:
        """Return the digest of what the privacy statement said at launch, "" if it was not read."""
        return dict(self.privacy_wordings).get(self.privacy_url, "")

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the languages in which a reader is told everything, the list's own first."""
        return tuple(text.language for text in self.texts) or (self.language,)

    def pick_language(self, requested: str) -> str:
        """Return `requested` ("pl", "pl-PL") as one of these languages, or else the list's own.

        Nobody gets half a translation: mails and pages in a language around a purpose in another.
        """
        language = choose_language(requested, default=self.language)
        return language if language in self.languages else self.language

    def in_language(self, language: str) -> MailingListFacts:
        """Return the list in the words of one of these languages; in another, in its own.

        Purpose and frequency have no full stop: they stand within sentences, which end themselves.
        """
        words = next((text for text in self.texts if text.language == language), self)
        return replace(
            self,
            name=words.name,
            purpose=words.purpose.rstrip(" ."),
            frequency=words.frequency.rstrip(" ."),
            privacy_url=words.privacy_url,
        )


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
    as `make_list_label` makes it. `date` is the Date header: the first attempt's,
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
    """What differs in the receipt of an answer; as in a confirmation there is no name.

    `checkpoint` is the signed one behind a Yes, as JSON, which is attached; "" for none.
    """

    address: str
    yes_url: str
    no_url: str
    me_url: str
    receipt_url: str
    checkpoint: str = ""
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


# --- What came of a campaign that has closed, as the mail to the admin tells it. ------------------


_CLOSING_TOPIC = "closing"
_DIGESTS = ("hash", "root")


@dataclass(frozen=True, kw_only=True)
class ClosingSummary:
    """How many people there were and what became of them, and the evidence's checkpoint then.

    `asked` is the sum of the next five: `others` were taken off for another reason than their No
    or silence, or were confirmed otherwise. `seq`, `hash` and `root` (hex) are the checkpoint.
    """

    asked: int
    yes: int
    no: int
    no_response: int
    others: int
    unasked: int
    seq: int
    hash: str
    root: str

    @property
    def topic(self) -> str:
        """Return the news as the topic of a mail, of 255 characters at most."""
        # A digest in 43 signs instead of 64, so that there is room for the rest.
        query_fields = {
            field.name: _encode_digest(getattr(self, field.name))
            if field.name in _DIGESTS
            else getattr(self, field.name)
            for field in fields(self)
        }
        return f"{_CLOSING_TOPIC}?{urlencode(query_fields)}"


def parse_closing_summary(topic: str) -> ClosingSummary | None:
    """Return the news that a mail's topic holds; None if it is about something else."""
    kind, _, query = topic.partition("?")
    if kind != _CLOSING_TOPIC:
        return None
    values_by_name = {name: values[0] for name, values in parse_qs(query).items()}
    values: dict[str, Any] = {
        name: _decode_digest(text) if name in _DIGESTS else int(text)
        for name, text in values_by_name.items()
    }
    return ClosingSummary(**values)


def _encode_digest(digest: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(digest)).decode().rstrip("=")


def _decode_digest(text: str) -> str:
    return base64.urlsafe_b64decode(f"{text}=").hex()


# --- What a day has brought, as the admin's daily mail tells it. ----------------------------------


_DAILY_TOPIC = "daily"


@dataclass(frozen=True, kw_only=True)
class DailySummary:
    """How many said or were what since `since` (aware UTC), and how all of them stand now.

    `withdrawn` had said Yes before, or were customers; `others` were taken off for another reason
    than their own No: a bounce, a complaint, a request, or no answer. `seq` is how many entries the
    record had, 0 where that is not known.
    """

    since: datetime
    yes: int
    no: int
    withdrawn: int
    others: int
    asked: int
    all_yes: int
    all_no: int
    silent: int
    seq: int = 0

    @property
    def removed(self) -> int:
        """Return how many were taken off."""
        return self.no + self.withdrawn + self.others

    @property
    def topic(self) -> str:
        """Return the news as the topic of a mail, of 200 characters at most."""
        query_fields = {field.name: getattr(self, field.name) for field in fields(self)}
        return f"{_DAILY_TOPIC}?{urlencode({**query_fields, 'since': int(self.since.timestamp())})}"


def parse_daily_summary(topic: str) -> DailySummary | None:
    """Return the news that a mail's topic holds; None if it is about something else."""
    kind, _, query = topic.partition("?")
    if kind != _DAILY_TOPIC:
        return None
    values_by_name = {name: int(values[0]) for name, values in parse_qs(query).items()}
    since = datetime.fromtimestamp(values_by_name.pop("since"), UTC)
    return DailySummary(since=since, **values_by_name)
