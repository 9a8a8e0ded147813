"""Filling in a draft for many contacts, fast enough for a million of them.

The parts that all contacts share are encoded once. A property test checks that every mail has the
same bytes as `compose_mail` makes of the same values.
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

# Many contacts of a list share their source or a large provider, and some share their name.
_CACHE_SIZE = 1024


class SignedLinks(Protocol):
    """The methods of `repermit.signed_links.Links` that a mail needs."""

    def base(self, kind: Literal["yes", "no", "me"]) -> str:
        """Return the URL of a page up to its token."""
        ...

    def tokens(self, uid: str) -> tuple[bytes, bytes, bytes]:
        """Return a contact's tokens for Yes, No and the data page, each of the same length."""
        ...


class _FieldLines(NamedTuple):
    """A field's value for one contact, and the encoded lines that contain it.

    - `text`: the value.
    - `lines`: the lines that contain no other field.
    - `dots`: how many of their dots are doubled.
    """

    text: str
    lines: list[bytes]
    dots: int


class DraftFiller:
    """Makes the asks and reminders of one draft; several threads may use it at once.

    - `list_label`: names the list in headers.
    - `key`: the newest secret key.
    - `return_path`, `return_domain`: as in the settings.
    - Raises AddressError if the sender cannot be used, ValueError if a header cannot be written.
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

        - `uid`: the contact's, for its links and marks.
        - `address`, `name`, `source`, `since`, `date`: as in AskValues.
        - `message_id`: that of an earlier attempt, "" if there was none.
        - Raises ValueError as `compose_mail` does, and for an invalid `uid`.
        """
        marks = self._marker.make_marks(mail_id, uid)
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
        """Return the start of the To header ("" without a name), and the lines of the greeting."""
        greeted_name = clean_greeted_name(name)
        to = start_header("To", split_phrase(greeted_name)) if greeted_name else ""
        return to, self._fill_lines("greeting", format_greeting(self._draft, greeted_name))

    def _make_address(self, masked_address: str) -> _FieldLines:
        return self._fill_lines("address", to_one_line(masked_address))

    def _make_reason(self, source: str, since: datetime | None) -> _FieldLines:
        return self._fill_lines("reason", make_reason(self._draft, source=source, since=since))

    def _fill_lines(self, field: str, text: str) -> _FieldLines:
        plain_text, html = text.encode(), escape(text).encode()
        lines = [line.encode(plain_text, html) for line in self._layout.single_lines[field]]
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
    """Return a field's lines with each leading dot doubled."""
    if b"." not in b"".join(lines):
        return _FieldLines(text, lines, 0)
    stuffed_lines = list(map(stuff_dots, lines))
    return _FieldLines(text, stuffed_lines, sum(map(len, stuffed_lines)) - sum(map(len, lines)))


@lru_cache(maxsize=64)
def _make_date_line(timestamp: float, zone: tzinfo | None) -> bytes:
    date = datetime.fromtimestamp(timestamp, zone)
    return fold_header("Date", *format_datetime(date).split()).encode()


def _make_to_line(header_start: str, address: str) -> bytes:
    if not address.isprintable():
        # Raises ValueError for a character that could end the line.
        fold_header("To", address)
    line = append_word(header_start, f"<{address}>") if header_start else f"To: {address}"
    return f"{line}\r\n".encode()


# --- The layout of a draft's mails: shared bytes, and gaps for each contact's values. -------------


HeaderName = Literal["Date", "To", "Message-ID"]

_HEADERS: dict[str, HeaderName] = {"Date": "Date", "To": "To", "Message-ID": "Message-ID"}

URL_FIELDS = ("yes_url", "no_url", "me_url")
_TOKEN_LENGTH = 66
_DOT_POSITION = 22


@dataclass(frozen=True)
class VariableLine:
    """A line of a body with fields of varying length.

    For a body in base64, whose lines end elsewhere, it is the whole body.
    """

    template: str
    is_html: bool
    encoding: Encoding = "quoted-printable"

    @property
    def fields(self) -> list[str]:
        """Return the line's fields in order, with repetitions."""
        return list_fields(self.template)

    def encode(self, fields: Mapping[str, str]) -> bytes:
        """Return the encoded line with these values, before dots are doubled."""
        filled = fill_fields(self.template, escape_fields(fields) if self.is_html else fields)
        return encode_body(filled, self.encoding)


class SingleFieldLine:
    """A line of a body with one field, once; the bytes around the field are prepared."""

    def __init__(self, line: VariableLine, field: str) -> None:
        before, after = line.template.split(mark_field(field))
        self._before, self._after = to_octets(f"\n{before}"), to_octets(after)
        self._is_html = line.is_html

    def encode(self, text: bytes, html: bytes) -> bytes:
        """Return the encoded line with the field's value, as `VariableLine.encode` does.

        - `text`, `html`: the value for each kind of body.
        """
        value = html if self._is_html else text
        return quote_octets(b"%b%b%b" % (self._before, value, self._after))


Gap = slice | HeaderName | VariableLine
"""A slice of the three joined tokens (Yes, No, data page), a header, or a line."""

_FIELDS = ("greeting", "address", "reason")


class Layout:
    """The bytes of a draft's mails, with leading dots doubled and gaps for each contact's values.

    - `bases`: the URLs of the pages up to their tokens, by field.
    - `single_lines`: the lines with one field, once, by that field.
    - `mixed_lines`: the lines with more fields than that.
    - `dots`: how many dots are doubled outside of these lines.
    """

    def __init__(self, draft: Draft, *, list_label: str, bases: Mapping[str, str]) -> None:
        literals, gaps = _split_pieces(_iter_pieces(draft, list_label, bases))
        slices = [gap for gap in gaps if isinstance(gap, slice)]
        lines = [gap for gap in gaps if isinstance(gap, VariableLine)]
        quoted = [line for line in lines if line.encoding == "quoted-printable"]
        lines_by_field = {
            name: [line for line in quoted if line.fields == [name]] for name in _FIELDS
        }
        self.single_lines = {
            name: [SingleFieldLine(line, name) for line in lines]
            for name, lines in lines_by_field.items()
        }
        self.mixed_lines = [line for line in lines if line not in chain(*lines_by_field.values())]
        # The empty slice is there because itemgetter returns no tuple for a single item.
        slices.append(slice(0))
        filling = [*slices, *_HEADERS, *chain(*lines_by_field.values()), *self.mixed_lines]
        self._slice_tokens = itemgetter(*slices)
        self._order_values = itemgetter(*map(filling.index, gaps))
        # Literals at even positions, gaps at odd ones.
        self._parts = [b"x"] * (2 * len(gaps) + 1)
        self._parts[0::2] = literals
        self._parts[1::2] = [b"x" if isinstance(gap, slice) else b"x\r\n" for gap in gaps]
        self.dots = b"".join(self._parts).count(b"\r\n..")

    def fill(self, tokens: bytes, headers: tuple[bytes, ...], lines: Iterable[bytes]) -> bytes:
        """Return the bytes of a mail.

        - `tokens`: the three tokens, joined.
        - `headers`: the lines Date, To and Message-ID.
        - `lines`: the lines of greeting, address and reason, then the mixed ones.
        """
        parts = self._parts.copy()
        parts[1::2] = self._order_values((*self._slice_tokens(tokens), *headers, *lines))
        return b"".join(parts)


def _split_pieces(pieces: Iterable[bytes | Gap]) -> tuple[list[bytes], list[Gap]]:
    """Return the literals and the gaps between them; there is one gap fewer."""
    literals: list[bytes] = [b""]
    gaps: list[Gap] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            literals[-1] += piece
        else:
            gaps.append(piece)
            literals.append(b"")
    return literals, gaps


def _iter_pieces(draft: Draft, list_label: str, bases: Mapping[str, str]) -> Iterator[bytes | Gap]:
    """Yield the literals and gaps of a draft's mails, in order.

    A token is 22 letters, a dot and 43 letters, which quoted-printable does not change. So its
    letters have the same positions in every mail, even if a line is broken inside a token.
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
    """Return the values of a sample mail, with tokens of one repeated letter each."""
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
        yield VariableLine(body, is_html, "base64")
        return
    lines = (VariableLine(line, is_html) for line in re.findall(r"[^\n]*\n|[^\n]+", body))
    for is_even, group in groupby(lines, lambda line: set(URL_FIELDS).issuperset(line.fields)):
        if is_even:
            block = VariableLine("".join(line.template for line in group), is_html)
            first, second = (
                stuff_dots(block.encode({field: getattr(sample, field) for field in URL_FIELDS}))
                for sample in samples
            )
            yield from _split_at_tokens(first, second)
        else:
            yield from group


def _split_at_tokens(first: bytes, second: bytes) -> Iterator[bytes | slice]:
    """Yield the bytes that two samples share, and slices of the joined tokens for the rest."""
    letters = bytes(
        new if old != new or new == _DOT else 0 for old, new in zip(first, second, strict=True)
    )
    position = 0
    offsets = dict.fromkeys(_LETTERS, 0)
    for run in _RUN.finditer(letters):
        yield first[position : run.start()]
        position = run.end()
        start = offsets[run[1]]
        # A token's dot at the end or the start of a line is in no run, and stays a literal.
        start += start == _DOT_POSITION
        stop = start + len(run[0])
        offsets[run[1]] = stop % _TOKEN_LENGTH
        token_start = _LETTERS.index(run[1]) * _TOKEN_LENGTH
        yield slice(token_start + start, token_start + stop)
    yield first[position:]


_DOT = ord(".")
_LETTERS = (b"B", b"C", b"D")
_RUN = re.compile(rb"([BCD])(?:[.]?\1)*")
