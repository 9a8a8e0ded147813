"""Composing one contact's mail from a draft, down to its bytes.

The same draft and values give the same bytes, so that every attempt at a mail is the same mail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime

from markupsafe import escape

from repermit import email_address
from repermit.emails.frozen_draft import Draft, fill_fields, to_one_line
from repermit.emails.greeting_name import fits_greeting
from repermit.emails.mail_types import (
    AskValues,
    ConfirmValues,
    Mail,
    NoticeValues,
    ReceiptValues,
    Values,
)
from repermit.emails.mime_encoding import (
    Encoding,
    choose_encoding,
    encode_body,
    fold_header,
    quote_printable,
    split_mailbox,
    split_phrase,
    split_text,
)
from repermit.emails.receipt_attachment import attach_checkpoint
from repermit.emails.sender_identity import (
    choose_reply_address,
    choose_sender_name,
    clean_greeted_name,
    read_sender_address,
)
from repermit.i18n.dates import format_local_date


def compose_mail(draft: Draft, values: Values) -> Mail:
    """Return the mail of one contact.

    - `values`: of the class that belongs to the draft's kind.
    - Raises ValueError if a link or a Message-ID contains a character that a header cannot have.
    """
    fields = _make_fields(draft, values)
    text = fill_fields(draft.text, fields)
    html = fill_fields(draft.html, escape_fields(fields))
    addresses = (values.address, values.return_path, *find_sender_addresses(draft))
    opening, between, closing = (part.encode() for part in make_body_frame(draft))
    if isinstance(values, ReceiptValues) and values.checkpoint:
        opening, closing = attach_checkpoint(values.checkpoint, draft, opening, closing)
    headers = "".join(make_headers(draft, values)).encode()
    return Mail(
        envelope_from=values.return_path,
        envelope_to=values.address,
        raw=b"".join(
            (
                headers,
                opening,
                encode_body(text, choose_encoding(draft.text)),
                between,
                quote_printable(html),
                closing,
            )
        ),
        message_id=values.message_id,
        subject=draft.subject,
        text=text,
        html=html,
        needs_smtputf8=not "".join(addresses).isascii(),
    )


def _make_fields(draft: Draft, values: Values) -> dict[str, str]:
    shared = {"address": mask_address(values.address)}
    if isinstance(values, NoticeValues):
        return shared
    if isinstance(values, ConfirmValues):
        return shared | {"confirm_url": values.confirm_url}
    if isinstance(values, ReceiptValues):
        link_fields = {"yes_url": values.yes_url, "no_url": values.no_url, "me_url": values.me_url}
        return shared | link_fields | {"receipt_url": values.receipt_url}
    return shared | {
        "greeting": make_greeting(draft, values.name),
        "reason": make_reason(draft, source=values.source, since=values.since),
        "yes_url": values.yes_url,
        "no_url": values.no_url,
        "me_url": values.me_url,
    }


def escape_fields(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the values of fields, escaped for HTML."""
    return {name: str(escape(value)) for name, value in fields.items()}


def mask_address(address: str) -> str:
    """Return a contact's masked address, as its own mail shows it, on one line."""
    return to_one_line(email_address.mask_address(address))


def make_greeting(draft: Draft, name: str) -> str:
    """Return the greeting line of an ask for a contact's name."""
    return format_greeting(draft, clean_greeted_name(name))


def format_greeting(draft: Draft, name: str) -> str:
    """Return the greeting line of an ask.

    - `name`: from `clean_greeted_name`. "", or a name that is too long, gives a nameless greeting.
    """
    is_named = name and fits_greeting(name)
    phrase = draft.phrases["greeting_named" if is_named else "greeting_nameless"]
    return fill_fields(phrase, {"name": name})


def make_reason(draft: Draft, *, source: str, since: datetime | None) -> str:
    """Return the sentence that says where the address comes from, and since when it is listed.

    GDPR art. 14(2)(f) requires the source.
    """
    source = to_one_line(source).rstrip(".")
    known_names = [name for name, value in (("source", source), ("since", since)) if value]
    day = format_local_date(since, language=draft.language, zone=draft.zone_info) if since else ""
    phrase = draft.phrases["_".join(["reason", *known_names]) if known_names else "reason_unknown"]
    return fill_fields(phrase, {"source": source, "since": day})


def find_sender_addresses(draft: Draft) -> tuple[str, str]:
    """Return the sender's address and the address for replies; raises AddressError."""
    return (
        read_sender_address(draft.mailing_list),
        choose_reply_address(draft.mailing_list, draft.organisation),
    )


def make_headers(draft: Draft, values: Values) -> list[str]:
    """Return all headers but Content-Type, each with its CRLF."""
    mailing_list = draft.mailing_list
    sender, reply_to = find_sender_addresses(draft)
    name = clean_greeted_name(values.name) if isinstance(values, AskValues) else ""
    return [
        fold_header("Date", *format_datetime(values.date).split()),
        fold_header(
            "From", *split_mailbox(choose_sender_name(mailing_list, draft.organisation), sender)
        ),
        fold_header("To", *split_mailbox(name, values.address)),
        fold_header("Reply-To", reply_to),
        fold_header("Subject", *split_text(draft.subject)),
        fold_header("Message-ID", values.message_id),
        *(_make_list_headers(draft, values, sender) if isinstance(values, _LISTED_KINDS) else ()),
        # RFC 3834 §5, and the header that Exchange reads instead ([MS-OXCMAIL] 2.2.3.2.14).
        fold_header("Auto-Submitted", "auto-generated"),
        fold_header("X-Auto-Response-Suppress", "OOF,", "AutoReply"),
        fold_header("Feedback-ID", _make_feedback_id(draft, values.list_label, sender)),
        # RFC 3282, for programs that read mail aloud or translate it.
        fold_header("Content-Language", draft.language),
        fold_header("MIME-Version", "1.0"),
    ]


_LISTED_KINDS = (AskValues, ReceiptValues)


def _make_list_headers(
    draft: Draft, values: AskValues | ReceiptValues, sender: str
) -> tuple[str, str, str]:
    """Return List-Id (RFC 2919) and the two headers of a one-click No (RFC 2369, RFC 8058)."""
    mailing_list = draft.mailing_list
    name = () if mailing_list.sensitive else split_phrase(mailing_list.name)
    domain = sender.rpartition("@")[2]
    return (
        fold_header("List-Id", *name, f"<{values.list_label}.{domain}>"),
        fold_header("List-Unsubscribe", f"<{values.no_url}>"),
        fold_header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    )


def _make_feedback_id(draft: Draft, label: str, sender: str) -> str:
    """Return campaign, list, kind and sender, for Gmail's and Yahoo's complaint statistics.

    It has nothing of the contact. The sender comes last and is the same in all campaigns.
    """
    domain = sender.rpartition("@")[2]
    sender_id = hashlib.sha256(f"sender\0{domain}".encode()).hexdigest()[:12]
    return f"{draft.digest[:12]}:{label}:{draft.kind}:{sender_id}"


def make_body_frame(draft: Draft) -> tuple[str, str, str]:
    """Return the MIME lines before the text, between text and HTML, and after the HTML.

    The best alternative comes last (RFC 2046 §5.1.4).
    """
    # "=_" occurs in neither encoding, so the boundary is in no body (RFC 2045 §6.7).
    boundary = f"=_{draft.digest[:32]}"
    content_type = fold_header("Content-Type", "multipart/alternative;", f'boundary="{boundary}"')
    text_headers = _make_part_headers("plain", choose_encoding(draft.text))
    return (
        f"{content_type}\r\n--{boundary}\r\n{text_headers}",
        f"\r\n--{boundary}\r\n{_make_part_headers('html')}",
        f"\r\n--{boundary}--\r\n",
    )


def _make_part_headers(subtype: str, encoding: Encoding = "quoted-printable") -> str:
    return (
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )
