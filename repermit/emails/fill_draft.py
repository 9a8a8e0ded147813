"""Filling in a draft for one contact after the other, a million times if need be.

What is the same for all contacts is encoded once; a property test holds every mail equal, octet for
octet, to what `compose` makes of the same values.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from email.utils import format_datetime
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

from markupsafe import escape

from repermit import email_address
from repermit.emails.compose_mail import greeting_by, own_addresses, reason
from repermit.emails.draft_layout import URL_FIELDS, Layout
from repermit.emails.frozen_draft import Draft, one_line
from repermit.emails.message_id import Marker, ReturnPath
from repermit.emails.mime_encoding import (
    Letter,
    header,
    phrase_words,
    stuffed,
    unfinished,
    with_word,
)
from repermit.emails.sender_identity import greeted_name

# A list has many contacts of one source or of one large provider, and some of one name.
_REMEMBERED = 1024


class SignedLinks(Protocol):
    """What a mail needs of `repermit.links.Links`."""

    def base(self, kind: Literal["yes", "no", "me"]) -> str:
        """Return what stands before a token in the address of a page."""
        ...

    def tokens(self, uid: str) -> tuple[bytes, bytes, bytes]:
        """Return a contact's tokens for Yes, No and what is held, each of the same length."""
        ...


class _Known(NamedTuple):
    """What one thing that is known of a contact comes to.

    `text` is the field's, `lines` are those in which nothing else of a contact stands, `dots` how
    many of their dots are doubled.
    """

    text: str
    lines: list[bytes]
    dots: int


class Filler:
    """Makes the asks and reminders of one draft; may be used by several threads at once.

    `list_label` stands for the list in headers; `key` is the newest secret key; `return_path` and
    `return_domain` are as in the settings. Raises AddressError if the sender cannot be used and
    ValueError if a header cannot be written.
    """

    def __init__(
        self,
        draft: Draft,
        *,
        list_label: str,
        links: SignedLinks,
        key: bytes,
        return_path: ReturnPath = "fixed",
        return_domain: str = "",
    ) -> None:
        self._draft = draft
        self._tokens = links.tokens
        self._marker = Marker(key)
        own = own_addresses(draft)
        self._sender = own[0]
        self._domain = self._sender.rpartition("@")[2]
        self._is_verp = return_path == "verp"
        self._return_domain = return_domain or self._domain
        self._is_ascii = "".join((*own, self._return_domain if self._is_verp else "")).isascii()
        self._bases = tuple(links.base(kind) for kind in ("yes", "no", "me"))
        bases = dict(zip(URL_FIELDS, self._bases, strict=True))
        self._layout = Layout(draft, list_label=list_label, bases=bases)
        self._greeted = lru_cache(_REMEMBERED)(self._greet)
        self._shown = lru_cache(_REMEMBERED)(self._show)
        self._explained = lru_cache(_REMEMBERED)(self._explain)

    def fill(
        self,
        *,
        mail_id: int,
        uid: str,
        address: str,
        name: str = "",
        source: str = "",
        since: datetime | None = None,
        date: datetime,
        message_id: str = "",
    ) -> Letter:
        """Return the mail of one contact.

        `uid` is the contact's, for its links; `address`, `name`, `source`, `since` and `date` are
        as in AskValues. `message_id` is that of an earlier attempt, "" if there was none. Raises
        ValueError as `compose` does, and for a `uid` that is none.
        """
        marks = self._marker.marks(mail_id)
        tokens = self._tokens(uid)
        to, greeted = self._greeted(name)
        shown = self._shown(email_address.in_part(address))
        explained = self._explained(source, since)
        mixed = self._mixed(tokens, greeted.text, shown.text, explained.text)
        if message_id:
            message_id_line = header("Message-ID", message_id)
        else:
            message_id = marks.message_id(self._domain)
            message_id_line = f"Message-ID: {message_id}\r\n"
        wire = self._layout.filled(
            b"".join(tokens),
            (
                _date_line(date.timestamp() // 1, date.tzinfo),
                _to_line(to, address),
                message_id_line.encode(),
            ),
            (*greeted.lines, *shown.lines, *explained.lines, *mixed.lines),
        )
        dots = self._layout.dots + greeted.dots + shown.dots + explained.dots + mixed.dots
        return Letter(
            marks.return_path(self._return_domain) if self._is_verp else self._sender,
            address,
            wire,
            len(wire) - dots,
            message_id,
            not (self._is_ascii and address.isascii()),
        )

    def _greet(self, name: str) -> tuple[str, _Known]:
        """Return the beginning of the To of a contact of this name too, "" without a name."""
        written = greeted_name(name)
        to = unfinished("To", phrase_words(written)) if written else ""
        return to, self._known("greeting", greeting_by(self._draft, written))

    def _show(self, address_in_part: str) -> _Known:
        return self._known("address", one_line(address_in_part))

    def _explain(self, source: str, since: datetime | None) -> _Known:
        return self._known("reason", reason(self._draft, source=source, since=since))

    def _known(self, field: str, text: str) -> _Known:
        plain, html = text.encode(), escape(text).encode()
        lines = [line.encoded(plain, html) for line in self._layout.of_one[field]]
        return _doubled(text, lines)

    def _mixed(self, tokens: tuple[bytes, ...], greeting: str, address: str, reason: str) -> _Known:
        if not self._layout.mixed:
            return _NOTHING
        urls = (base + token.decode() for base, token in zip(self._bases, tokens, strict=True))
        known = {"greeting": greeting, "address": address, "reason": reason}
        known |= dict(zip(URL_FIELDS, urls, strict=True))
        return _doubled("", [line.encoded(known) for line in self._layout.mixed])


_NOTHING = _Known("", [], 0)


def _doubled(text: str, lines: list[bytes]) -> _Known:
    """Return lines with their dots doubled."""
    if b"." not in b"".join(lines):
        return _Known(text, lines, 0)
    doubled = list(map(stuffed, lines))
    return _Known(text, doubled, sum(map(len, doubled)) - sum(map(len, lines)))


@lru_cache(maxsize=64)
def _date_line(second: float, zone: tzinfo | None) -> bytes:
    date = datetime.fromtimestamp(second, zone)
    return header("Date", *format_datetime(date).split()).encode()


def _to_line(beginning: str, address: str) -> bytes:
    if not address.isprintable():
        # Refuses what could end the line.
        header("To", address)
    return f"{with_word(beginning, f'<{address}>') if beginning else f'To: {address}'}\r\n".encode()
