"""The values that fill in a mail, the summaries in notices to the admin, and the finished mail.

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
    """The texts that describe a list in one language."""

    language: str
    name: str
    purpose: str
    frequency: str
    privacy_url: str


@dataclass(frozen=True, kw_only=True)
class MailingListFacts:
    """The facts about a list that its readers are told.

    - `sender`: "Name <address>" or an address.
    - `language`: the list's own.
    - `texts`: its texts in each of its languages, its own first; empty if there is only one.
    - `asking_ground`, `special_ground`: attested at launch (rules.legal_grounds), "" for none.
    - `privacy_wordings`: URLs of privacy statements, each with the digest of its text at launch, as
      far as it could be read.
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
        """Return the URLs of its privacy statements in all languages, each once."""
        urls = (self.privacy_url, *(text.privacy_url for text in self.texts))
        return tuple(dict.fromkeys(filter(None, urls)))

    @property
    def privacy_wording(self) -> str:
        """Return the digest of the privacy statement's text at launch, "" if it was not read."""
        return dict(self.privacy_wordings).get(self.privacy_url, "")

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the languages in which the list is fully described, its own first."""
        return tuple(text.language for text in self.texts) or (self.language,)

    def pick_language(self, requested: str) -> str:
        """Return the one of these languages that fits `requested` ("pl-PL"), or the list's own.

        So no mail or page is in one language with a purpose in another.
        """
        language = choose_language(requested, default=self.language)
        return language if language in self.languages else self.language

    def in_language(self, language: str) -> MailingListFacts:
        """Return the facts with the texts of a language, or with the list's own if there are none.

        Purpose and frequency lose their full stop, since they are part of a sentence.
        """
        list_words = next((text for text in self.texts if text.language == language), self)
        return replace(
            self,
            name=list_words.name,
            purpose=list_words.purpose.rstrip(" ."),
            frequency=list_words.frequency.rstrip(" ."),
            privacy_url=list_words.privacy_url,
        )


@dataclass(frozen=True, kw_only=True)
class OwnWording:
    """The admin's own templates for an ask; "" keeps repermit's own.

    Without HTML, the HTML is made from the text.
    """

    subject: str = ""
    text: str = ""
    html: str = ""


@dataclass(frozen=True, kw_only=True)
class AskValues:
    """The values of one contact's ask or reminder.

    - `yes_url`, `no_url`, `me_url`: ASCII, from `Links.url`.
    - `source`, `since`: why and since when the address is on the list; "" and None if unknown.
    - `list_label`: names the list in headers, from `make_list_label`.
    - `date`: the Date header of the first attempt, so that every attempt is the same mail.
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
    """The values of a mail that confirms a sign-up.

    There is no name: anybody can fill in the form, and abusers would use the name for their text.
    """

    address: str
    confirm_url: str
    list_label: str
    message_id: str
    return_path: str
    date: datetime


@dataclass(frozen=True, kw_only=True)
class ReceiptValues:
    """The values of the receipt of an answer; there is no name, as in a confirmation.

    - `checkpoint`: the signed checkpoint after a Yes, as JSON to attach; "" for none.
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
    """The values of a notice to the admin."""

    address: str
    list_label: str
    message_id: str
    return_path: str
    date: datetime


Values = AskValues | ConfirmValues | ReceiptValues | NoticeValues
"""The values that fill in a draft; the class depends on the draft's kind."""


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One mail that is ready to be sent.

    - `raw`: its bytes, with CRLF and lines of at most 998 octets.
    - `needs_smtputf8`: an address has a local part outside ASCII (RFC 6531); otherwise `raw` is
      pure ASCII.
    - `text`, `html`: the same bodies for display, with LF.
    """

    envelope_from: str
    envelope_to: str
    raw: bytes
    message_id: str
    subject: str
    text: str
    html: str
    needs_smtputf8: bool


# --- The outcome of a closed campaign, for the mail to the admin. ---------------------------------


_CLOSING_TOPIC = "closing"
_DIGESTS = ("hash", "root")


@dataclass(frozen=True, kw_only=True)
class ClosingSummary:
    """The numbers of people by outcome in a closed campaign, and the evidence's checkpoint then.

    - `asked`: the sum of the next five.
    - `others`: removed for another reason than a No or silence, or confirmed in another way.
    - `seq`, `hash`, `root` (hexadecimal): the checkpoint.
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
        """Return the summary as the topic of a mail, at most 255 characters long."""
        # A digest in 43 characters instead of 64, so that everything fits.
        query_fields = {
            field.name: _encode_digest(getattr(self, field.name))
            if field.name in _DIGESTS
            else getattr(self, field.name)
            for field in fields(self)
        }
        return f"{_CLOSING_TOPIC}?{urlencode(query_fields)}"


def parse_closing_summary(topic: str) -> ClosingSummary | None:
    """Parse the summary in a mail's topic; None for a topic of another kind."""
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


# --- The events of a day, for the admin's daily mail. ---------------------------------------------


_DAILY_TOPIC = "daily"


@dataclass(frozen=True, kw_only=True)
class DailySummary:
    """The numbers of people by outcome since `since` (aware UTC), and in the whole campaign.

    - `withdrawn`: said No after a Yes, or as a customer.
    - `others`: removed for another reason than a No: a bounce, a complaint, a request, no answer.
    - `asked`: of the whole campaign, the sum of the next six; 0 for a list without one.
    - `waiting`, `unasked`, `otherwise`: 0 in a mail enqueued before such mails had them.
    - `erased`: deleted their own data since `since`, so that no file names them.
    - `replies`: the replies by mail that wait for the admin's decision.
    - `seq`: how many entries the evidence had, 0 if unknown.
    """

    since: datetime
    yes: int
    no: int
    withdrawn: int
    others: int
    asked: int = 0
    all_yes: int = 0
    all_no: int = 0
    silent: int = 0
    waiting: int = 0
    unasked: int = 0
    otherwise: int = 0
    erased: int = 0
    replies: int = 0
    seq: int = 0

    @property
    def is_any_gone(self) -> bool:
        """Say whether anybody was removed or erased since `since`."""
        return bool(self.no or self.withdrawn or self.others or self.erased)

    @property
    def topic(self) -> str:
        """Return the summary as the topic of a mail, at most 255 characters long."""
        query_fields = {field.name: getattr(self, field.name) for field in fields(self)}
        return f"{_DAILY_TOPIC}?{urlencode({**query_fields, 'since': int(self.since.timestamp())})}"


def parse_daily_summary(topic: str) -> DailySummary | None:
    """Parse the summary in a mail's topic; None for a topic of another kind."""
    kind, _, query = topic.partition("?")
    if kind != _DAILY_TOPIC:
        return None
    values_by_name = {name: int(values[0]) for name, values in parse_qs(query).items()}
    since = datetime.fromtimestamp(values_by_name.pop("since"), UTC)
    return DailySummary(since=since, **values_by_name)
