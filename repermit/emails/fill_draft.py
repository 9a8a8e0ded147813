"""Filling in a draft for one contact after the other, a million times if need be.

What is the same for all contacts is encoded once; a property test holds every mail equal, octet for
octet, to what `compose_mail` makes of the same values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from email.utils import format_datetime
from functools import lru_cache
from itertools import chain, groupby
from operator import itemgetter
from typing import Literal, NamedTuple, Protocol

from markupsafe import escape

from repermit import email_address
from repermit.emails.compose_mail import (
    escape_fields,
    find_sender_addresses,
    format_greeting,
    make_body_frame,
    make_headers,
    make_reason,
)
from repermit.emails.frozen_draft import Draft, fill_fields, list_fields, mark_field, to_one_line
from repermit.emails.mail_types import AskValues
from repermit.emails.message_id import MailMarker, ReturnPath
from repermit.emails.mime_encoding import (
    EncodedMail,
    Encoding,
    append_word,
    choose_encoding,
    encode_body,
    fold_header,
    quote_octets,
    split_phrase,
    start_header,
    stuff_dots,
    to_octets,
)
from repermit.emails.sender_identity import clean_greeted_name

# A list has many contacts of one source or of one large provider, and some of one name.
_CACHE_SIZE = 1024


class SignedLinks(Protocol):
    """What a mail needs of `repermit.signed_links.Links`."""

    def base(self, kind: Literal["yes", "no", "me"]) -> str:
        """Return what stands before a token in the address of a page."""
        ...

    def tokens(self, uid: str) -> tuple[bytes, bytes, bytes]:
        """Return a contact's tokens for Yes, No and what is held, each of the same length."""
        ...


class _FieldLines(NamedTuple):
    """What one thing that is known of a contact comes to.

    `text` is the field's, `lines` are those in which nothing else of a contact stands, `dots` how
    many of their dots are doubled.
    """

    text: str
    lines: list[bytes]
    dots: int


class DraftFiller:
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
        self._marker = MailMarker(key)
        addresses = find_sender_addresses(draft)
        self._sender = addresses[0]
        self._domain = self._sender.rpartition("@")[2]
        self._is_verp = return_path == "verp"
        self._return_domain = return_domain or self._domain
        self._is_ascii = "".join(
            (*addresses, self._return_domain if self._is_verp else "")
        ).isascii()
        self._bases = tuple(links.base(kind) for kind in ("yes", "no", "me"))
        bases = dict(zip(URL_FIELDS, self._bases, strict=True))
        self._layout = Layout(draft, list_label=list_label, bases=bases)
        self._cached_greeting = lru_cache(_CACHE_SIZE)(self._make_greeting)
        self._cached_address = lru_cache(_CACHE_SIZE)(self._make_address)
        self._cached_reason = lru_cache(_CACHE_SIZE)(self._make_reason)

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
    ) -> EncodedMail:
        """Return the mail of one contact.

        `uid` is the contact's, for its links; `address`, `name`, `source`, `since` and `date` are
        as in AskValues. `message_id` is that of an earlier attempt, "" if there was none. Raises
        ValueError as `compose_mail` does, and for a `uid` that is none.
        """
        marks = self._marker.make_marks(mail_id)
        tokens = self._tokens(uid)
        to, greeting_lines = self._cached_greeting(name)
        address_lines = self._cached_address(email_address.mask_address(address))
        reason_lines = self._cached_reason(source, since)
        mixed_lines = self._fill_mixed_lines(
            tokens, greeting_lines.text, address_lines.text, reason_lines.text
        )
        if message_id:
            message_id_line = fold_header("Message-ID", message_id)
        else:
            message_id = marks.message_id(self._domain)
            message_id_line = f"Message-ID: {message_id}\r\n"
        wire = self._layout.fill(
            b"".join(tokens),
            (
                _make_date_line(date.timestamp() // 1, date.tzinfo),
                _make_to_line(to, address),
                message_id_line.encode(),
            ),
            (*greeting_lines.lines, *address_lines.lines, *reason_lines.lines, *mixed_lines.lines),
        )
        dots = (
            self._layout.dots
            + greeting_lines.dots
            + address_lines.dots
            + reason_lines.dots
            + mixed_lines.dots
        )
        return EncodedMail(
            marks.return_path(self._return_domain) if self._is_verp else self._sender,
            address,
            wire,
            len(wire) - dots,
            message_id,
            not (self._is_ascii and address.isascii()),
        )

    def _make_greeting(self, name: str) -> tuple[str, _FieldLines]:
        """Return the beginning of the To of a contact of this name too, "" without a name."""
        written = clean_greeted_name(name)
        to = start_header("To", split_phrase(written)) if written else ""
        return to, self._fill_lines("greeting", format_greeting(self._draft, written))

    def _make_address(self, address_in_part: str) -> _FieldLines:
        return self._fill_lines("address", to_one_line(address_in_part))

    def _make_reason(self, source: str, since: datetime | None) -> _FieldLines:
        return self._fill_lines("reason", make_reason(self._draft, source=source, since=since))

    def _fill_lines(self, field: str, text: str) -> _FieldLines:
        plain, html = text.encode(), escape(text).encode()
        lines = [line.encode(plain, html) for line in self._layout.single_lines[field]]
        return _stuff_lines(text, lines)

    def _fill_mixed_lines(
        self, tokens: tuple[bytes, ...], greeting: str, address: str, reason: str
    ) -> _FieldLines:
        if not self._layout.mixed_lines:
            return _NO_LINES
        urls = (base + token.decode() for base, token in zip(self._bases, tokens, strict=True))
        fields = {"greeting": greeting, "address": address, "reason": reason}
        fields |= dict(zip(URL_FIELDS, urls, strict=True))
        return _stuff_lines("", [line.encode(fields) for line in self._layout.mixed_lines])


_NO_LINES = _FieldLines("", [], 0)


def _stuff_lines(text: str, lines: list[bytes]) -> _FieldLines:
    """Return lines with their dots doubled."""
    if b"." not in b"".join(lines):
        return _FieldLines(text, lines, 0)
    stuffed_lines = list(map(stuff_dots, lines))
    return _FieldLines(text, stuffed_lines, sum(map(len, stuffed_lines)) - sum(map(len, lines)))


@lru_cache(maxsize=64)
def _make_date_line(second: float, zone: tzinfo | None) -> bytes:
    date = datetime.fromtimestamp(second, zone)
    return fold_header("Date", *format_datetime(date).split()).encode()


def _make_to_line(beginning: str, address: str) -> bytes:
    if not address.isprintable():
        # Refuses what could end the line.
        fold_header("To", address)
    return (
        f"{append_word(beginning, f'<{address}>') if beginning else f'To: {address}'}\r\n".encode()
    )


# --- Where in the octets of a draft's mails stands what differs from contact to contact. ----------


HeaderName = Literal["Date", "To", "Message-ID"]

_HEADERS: dict[str, HeaderName] = {"Date": "Date", "To": "To", "Message-ID": "Message-ID"}

URL_FIELDS = ("yes_url", "no_url", "me_url")
_TOKEN_LENGTH = 66
_DOT_PLACE = 22


@dataclass(frozen=True)
class Line:
    """A line of a body in which something stands that is longer in one mail than in another.

    Of a body in base64, whose lines end elsewhere, it is all lines at once.
    """

    template: str
    is_html: bool
    encoding: Encoding = "quoted-printable"

    @property
    def fields(self) -> list[str]:
        """Return the line's fields in order, with repetitions."""
        return list_fields(self.template)

    def encode(self, fields: Mapping[str, str]) -> bytes:
        """Return it filled in, before dots are doubled."""
        filled = fill_fields(self.template, escape_fields(fields) if self.is_html else fields)
        return encode_body(filled, self.encoding)


class SingleFieldLine:
    """A line of a body in which one field stands, once; its octets around the field prepared."""

    def __init__(self, line: Line, field: str) -> None:
        before, after = line.template.split(mark_field(field))
        self._before, self._after = to_octets(f"\n{before}"), to_octets(after)
        self._is_html = line.is_html

    def encode(self, text: bytes, html: bytes) -> bytes:
        """Return it with the field's value, given for text and for HTML; as `Line.encode` does."""
        value = html if self._is_html else text
        return quote_octets(b"%b%b%b" % (self._before, value, self._after))


Gap = slice | HeaderName | Line
"""A part of the three tokens (Yes, No, what is held) behind each other, a header, or a line."""

_FIELDS = ("greeting", "address", "reason")


class Layout:
    """The mails of a draft in octets, dots doubled, with holes for what differs.

    `bases` are the addresses of the pages up to their tokens, by URL field. `single_lines` has
    the lines that hold one field once, by that field; `mixed_lines` has those that hold more than
    that; `dots` is how many dots are doubled outside of them.
    """

    def __init__(self, draft: Draft, *, list_label: str, bases: Mapping[str, str]) -> None:
        literals, holes = _split_pieces(_iter_pieces(draft, list_label, bases))
        slices = [hole for hole in holes if isinstance(hole, slice)]
        lines = [hole for hole in holes if isinstance(hole, Line)]
        quoted = [line for line in lines if line.encoding == "quoted-printable"]
        of_one = {name: [line for line in quoted if line.fields == [name]] for name in _FIELDS}
        self.single_lines = {
            name: [SingleFieldLine(line, name) for line in lines] for name, lines in of_one.items()
        }
        self.mixed_lines = [line for line in lines if line not in chain(*of_one.values())]
        # The empty slice is there because itemgetter returns no tuple for a single one.
        slices.append(slice(0))
        filling = [*slices, *_HEADERS, *chain(*of_one.values()), *self.mixed_lines]
        self._cut = itemgetter(*slices)
        self._in_order = itemgetter(*map(filling.index, holes))
        # What stays at even places, holes at odd ones.
        self._parts = [b"x"] * (2 * len(holes) + 1)
        self._parts[0::2] = literals
        self._parts[1::2] = [b"x" if isinstance(hole, slice) else b"x\r\n" for hole in holes]
        self.dots = b"".join(self._parts).count(b"\r\n..")

    def fill(self, tokens: bytes, headers: tuple[bytes, ...], lines: Iterable[bytes]) -> bytes:
        """Return a mail.

        `tokens` are the three behind each other, `headers` the lines Date, To and Message-ID,
        `lines` those of one greeting, address and reason, and then the mixed ones.
        """
        parts = self._parts.copy()
        parts[1::2] = self._in_order((*self._cut(tokens), *headers, *lines))
        return b"".join(parts)


def _split_pieces(pieces: Iterable[bytes | Gap]) -> tuple[list[bytes], list[Gap]]:
    """Return the literals and the gaps between them, of which there is one fewer."""
    literals: list[bytes] = [b""]
    holes: list[Gap] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            literals[-1] += piece
        else:
            holes.append(piece)
            literals.append(b"")
    return literals, holes


def _iter_pieces(draft: Draft, list_label: str, bases: Mapping[str, str]) -> Iterator[bytes | Gap]:
    """Yield a draft's mails from beginning to end.

    All tokens are 22 letters, a dot and 43 letters, which quoted-printable leaves as they are. So
    their letters stand on the same places in every mail, also where a line is broken inside one.
    """
    samples = [_make_sample(list_label, bases, letters) for letters in ("AAA", "BCD")]
    opening, between, closing = make_body_frame(draft)
    for pair in zip(*(make_headers(draft, sample) for sample in samples), strict=True):
        yield from _split_header(*pair)
    yield opening.encode()
    yield from _split_body(draft.text, samples, is_html=False)
    yield between.encode()
    yield from _split_body(draft.html, samples, is_html=True)
    yield closing.encode()


def _make_sample(list_label: str, bases: Mapping[str, str], letters: str) -> AskValues:
    """Return the values of a mail in which every token has one letter alone."""
    yes_url, no_url, me_url = (
        f"{bases[field]}{letter * 22}.{letter * 43}"
        for field, letter in zip(URL_FIELDS, letters, strict=True)
    )
    return AskValues(
        address="",
        yes_url=yes_url,
        no_url=no_url,
        me_url=me_url,
        list_label=list_label,
        message_id="",
        return_path="",
        date=datetime.fromtimestamp(0, UTC),
    )


def _split_header(first: str, second: str) -> Iterator[bytes | Gap]:
    name = _HEADERS.get(first.partition(":")[0])
    if name is None:
        yield from _split_at_tokens(first.encode(), second.encode())
    else:
        yield name


def _split_body(body: str, samples: list[AskValues], *, is_html: bool) -> Iterator[bytes | Gap]:
    if not is_html and choose_encoding(body) == "base64":
        yield Line(body, is_html, "base64")
        return
    lines = (Line(line, is_html) for line in re.findall(r"[^\n]*\n|[^\n]+", body))
    for is_even, group in groupby(lines, lambda line: set(URL_FIELDS).issuperset(line.fields)):
        if is_even:
            whole = Line("".join(line.template for line in group), is_html)
            first, second = (
                stuff_dots(whole.encode({field: getattr(sample, field) for field in URL_FIELDS}))
                for sample in samples
            )
            yield from _split_at_tokens(first, second)
        else:
            yield from group


def _split_at_tokens(first: bytes, second: bytes) -> Iterator[bytes | slice]:
    """Yield what two samples have in common, and where in the three tokens the rest stands."""
    letters = bytes(
        new if old != new or new == _DOT else 0 for old, new in zip(first, second, strict=True)
    )
    position = 0
    places = dict.fromkeys(_LETTERS, 0)
    for run in _RUN.finditer(letters):
        yield first[position : run.start()]
        position = run.end()
        start = places[run[1]]
        # A token's own dot at the end or the beginning of a line is in no run; it stays.
        start += start == _DOT_PLACE
        stop = start + len(run[0])
        places[run[1]] = stop % _TOKEN_LENGTH
        before = _LETTERS.index(run[1]) * _TOKEN_LENGTH
        yield slice(before + start, before + stop)
    yield first[position:]


_DOT = ord(".")
_LETTERS = (b"B", b"C", b"D")
_RUN = re.compile(rb"([BCD])(?:[.]?\1)*")
