"""Making one contact's mail from a draft, down to its bytes.

The same draft and values give the same bytes: every attempt at a mail is the same mail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime

from markupsafe import escape

from repermit import email_address
from repermit.emails.frozen_draft import Draft, fill, one_line
from repermit.emails.mail_values import (
    AskValues,
    ConfirmValues,
    Mail,
    NoticeValues,
    ReceiptValues,
    Values,
)
from repermit.emails.mime_encoding import header, mailbox_words, phrase_words, quoted, text_words
from repermit.emails.sender_identity import greeted_name, reply_address, sender_address, sender_name
from repermit.i18n.dates import day_in_words


def compose(draft: Draft, values: Values) -> Mail:
    """Return the mail of one contact; with the values that its kind takes.

    Raises ValueError if a link or a Message-ID holds what may not stand in a header line.
    """
    fields = _fields(draft, values)
    text = fill(draft.text, fields)
    html = fill(draft.html, escaped(fields))
    involved = (values.address, values.return_path, *own_addresses(draft))
    opening, between, closing = (part.encode() for part in body_frame(draft))
    headers = "".join(header_lines(draft, values)).encode()
    return Mail(
        envelope_from=values.return_path,
        envelope_to=values.address,
        raw=b"".join((headers, opening, quoted(text), between, quoted(html), closing)),
        message_id=values.message_id,
        subject=draft.subject,
        text=text,
        html=html,
        needs_smtputf8=not "".join(involved).isascii(),
    )


def _fields(draft: Draft, values: Values) -> dict[str, str]:
    shared = {"address": shown_address(values.address)}
    if isinstance(values, NoticeValues):
        return shared
    if isinstance(values, ConfirmValues):
        return shared | {"confirm_url": values.confirm_url}
    if isinstance(values, ReceiptValues):
        own = {"yes_url": values.yes_url, "no_url": values.no_url, "me_url": values.me_url}
        return shared | own | {"receipt_url": values.receipt_url}
    return shared | {
        "greeting": greeting(draft, values.name),
        "reason": reason(draft, source=values.source, since=values.since),
        "yes_url": values.yes_url,
        "no_url": values.no_url,
        "me_url": values.me_url,
    }


def escaped(fields: Mapping[str, str]) -> dict[str, str]:
    """Return fields as they stand in HTML."""
    return {name: str(escape(value)) for name, value in fields.items()}


def shown_address(address: str) -> str:
    """Return an address as its own mail shows it."""
    return one_line(email_address.in_part(address))


def greeting(draft: Draft, name: str) -> str:
    """Return how an ask greets a contact of this name."""
    return greeting_by(draft, greeted_name(name))


def greeting_by(draft: Draft, name: str) -> str:
    """Return how an ask greets by a name that `greeted_name` has made, "" for namelessly."""
    phrase = draft.phrases["greeting_named" if name else "greeting_nameless"]
    return fill(phrase, {"name": name})


def reason(draft: Draft, *, source: str, since: datetime | None) -> str:
    """Return why a contact is on the list and since when (GDPR art. 14(2)(f)), in a sentence."""
    source = one_line(source).rstrip(".")
    known = [name for name, value in (("source", source), ("since", since)) if value]
    day = day_in_words(since, language=draft.language, zone=draft.zone_info) if since else ""
    phrase = draft.phrases["_".join(["reason", *known]) if known else "reason_unknown"]
    return fill(phrase, {"source": source, "since": day})


def own_addresses(draft: Draft) -> tuple[str, str]:
    """Return the addresses of the sender and for replies; raises AddressError."""
    return (
        sender_address(draft.mailing_list),
        reply_address(draft.mailing_list, draft.organisation),
    )


def header_lines(draft: Draft, values: Values) -> list[str]:
    """Return all headers but Content-Type, each with its CRLF."""
    mailing_list = draft.mailing_list
    sender, reply_to = own_addresses(draft)
    name = greeted_name(values.name) if isinstance(values, AskValues) else ""
    return [
        header("Date", *format_datetime(values.date).split()),
        header("From", *mailbox_words(sender_name(mailing_list, draft.organisation), sender)),
        header("To", *mailbox_words(name, values.address)),
        header("Reply-To", reply_to),
        header("Subject", *text_words(draft.subject)),
        header("Message-ID", values.message_id),
        *(_list_headers(draft, values, sender) if isinstance(values, _LISTED) else ()),
        # RFC 3834 §5, and what Exchange heeds instead of it ([MS-OXCMAIL] 2.2.3.2.14).
        header("Auto-Submitted", "auto-generated"),
        header("X-Auto-Response-Suppress", "OOF,", "AutoReply"),
        header("Feedback-ID", _feedback_id(draft, values.list_label, sender)),
        # RFC 3282, for whoever has mail read aloud or translated.
        header("Content-Language", draft.language),
        header("MIME-Version", "1.0"),
    ]


_LISTED = (AskValues, ReceiptValues)


def _list_headers(
    draft: Draft, values: AskValues | ReceiptValues, sender: str
) -> tuple[str, str, str]:
    """Return List-Id (RFC 2919) and the two headers of a one-click No (RFC 2369, RFC 8058)."""
    mailing_list = draft.mailing_list
    name = () if mailing_list.sensitive else phrase_words(mailing_list.name)
    domain = sender.rpartition("@")[2]
    return (
        header("List-Id", *name, f"<{values.list_label}.{domain}>"),
        header("List-Unsubscribe", f"<{values.no_url}>"),
        header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    )


def _feedback_id(draft: Draft, label: str, sender: str) -> str:
    """Return campaign, list, kind and sender, for Gmail's and Yahoo's complaint figures.

    Nothing of the contact; the sender comes last and stays the same over all campaigns.
    """
    domain = sender.rpartition("@")[2]
    sender_id = hashlib.sha256(f"sender\0{domain}".encode()).hexdigest()[:12]
    return f"{draft.digest[:12]}:{label}:{draft.kind}:{sender_id}"


def body_frame(draft: Draft) -> tuple[str, str, str]:
    """Return what stands before the text, between text and HTML, and behind the HTML.

    The best alternative comes last (RFC 2046 §5.1.4).
    """
    # "=_" cannot occur in quoted-printable, so the boundary is in no body (RFC 2045 §6.7).
    boundary = f"=_{draft.digest[:32]}"
    content_type = header("Content-Type", "multipart/alternative;", f'boundary="{boundary}"')
    return (
        f"{content_type}\r\n--{boundary}\r\n{_part_headers('plain')}",
        f"\r\n--{boundary}\r\n{_part_headers('html')}",
        f"\r\n--{boundary}--\r\n",
    )


def _part_headers(subtype: str) -> str:
    return (
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
