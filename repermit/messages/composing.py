"""Making one contact's mail from a draft, down to its bytes.

May import addresses. The same draft and values give the same bytes: every attempt at a mail is
the same mail.
"""

from __future__ import annotations

import binascii
import hashlib
from email.utils import format_datetime
from typing import TYPE_CHECKING

from markupsafe import escape

from repermit import addresses
from repermit.messages.dates import day_in_words
from repermit.messages.fields import fill, one_line
from repermit.messages.headers import header, mailbox_words, phrase_words, text_words
from repermit.messages.identity import (
    greeted_name,
    reply_address,
    sender_address,
    sender_name,
)
from repermit.messages.values import AskValues, ConfirmValues, Mail

if TYPE_CHECKING:
    from repermit.messages.draft import Draft


def compose(draft: Draft, values: AskValues | ConfirmValues) -> Mail:
    """Return the mail of one contact; AskValues for an ask, ConfirmValues for a confirm.

    Raises ValueError if a link or a Message-ID holds what may not stand in a header line.
    """
    fields = _fields(draft, values)
    text = fill(draft.text, fields)
    html = fill(draft.html, {name: str(escape(value)) for name, value in fields.items()})
    involved = (values.address, values.return_path, *_own_addresses(draft))
    return Mail(
        envelope_from=values.return_path,
        envelope_to=values.address,
        raw=(_headers(draft, values) + _body(values.message_id, text, html)).encode(),
        message_id=values.message_id,
        subject=draft.subject,
        text=text,
        html=html,
        needs_smtputf8=not "".join(involved).isascii(),
    )


def _fields(draft: Draft, values: AskValues | ConfirmValues) -> dict[str, str]:
    shared = {"address": one_line(addresses.in_part(values.address))}
    if isinstance(values, ConfirmValues):
        return shared | {"confirm_url": values.confirm_url}
    return shared | {
        "greeting": greeting(draft, values.name),
        "reason": reason(draft, values),
        "yes_url": values.yes_url,
        "no_url": values.no_url,
        "me_url": values.me_url,
    }


def greeting(draft: Draft, name: str) -> str:
    """Return how an ask greets a contact of this name."""
    name = greeted_name(name)
    phrase = draft.phrases["greeting_named" if name else "greeting_nameless"]
    return fill(phrase, {"name": name})


def reason(draft: Draft, values: AskValues) -> str:
    """Return why a contact is on the list and since when (GDPR art. 14(2)(f)), in a sentence."""
    source = one_line(values.source).rstrip(".")
    known = [name for name, value in (("source", source), ("since", values.since)) if value]
    since = (
        day_in_words(values.since, language=draft.language, zone=draft.zone_info)
        if values.since
        else ""
    )
    phrase = draft.phrases["_".join(["reason", *known]) if known else "reason_unknown"]
    return fill(phrase, {"source": source, "since": since})


def _own_addresses(draft: Draft) -> tuple[str, str]:
    return (
        sender_address(draft.mailing_list),
        reply_address(draft.mailing_list, draft.organisation),
    )


def _headers(draft: Draft, values: AskValues | ConfirmValues) -> str:
    mailing_list = draft.mailing_list
    sender, reply_to = _own_addresses(draft)
    name = greeted_name(values.name) if isinstance(values, AskValues) else ""
    lines = [
        header("Date", *format_datetime(values.date).split()),
        header("From", *mailbox_words(sender_name(mailing_list, draft.organisation), sender)),
        header("To", *mailbox_words(name, values.address)),
        header("Reply-To", reply_to),
        header("Subject", *text_words(draft.subject)),
        header("Message-ID", values.message_id),
        *(_list_headers(draft, values, sender) if isinstance(values, AskValues) else ()),
        # RFC 3834 §5, and what Exchange heeds instead of it ([MS-OXCMAIL] 2.2.3.2.14).
        header("Auto-Submitted", "auto-generated"),
        header("X-Auto-Response-Suppress", "OOF,", "AutoReply"),
        header("Feedback-ID", _feedback_id(draft, values.list_label, sender)),
        header("MIME-Version", "1.0"),
    ]
    return "".join(lines)


def _list_headers(draft: Draft, values: AskValues, sender: str) -> tuple[str, str, str]:
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


def _body(message_id: str, text: str, html: str) -> str:
    """Return the two alternatives, the best last (RFC 2046 §5.1.4), and the blank line before."""
    # "=_" cannot occur in quoted-printable, so the boundary is in no body (RFC 2045 §6.7).
    boundary = "=_" + hashlib.sha256(message_id.encode()).hexdigest()[:32]
    content_type = header("Content-Type", "multipart/alternative;", f'boundary="{boundary}"')
    parts = _part("plain", text, boundary) + _part("html", html, boundary)
    return f"{content_type}\r\n{parts}--{boundary}--\r\n"


def _part(subtype: str, body: str, boundary: str) -> str:
    encoded = binascii.b2a_qp(body.replace("\n", "\r\n").encode(), istext=True).decode()
    return (
        f"--{boundary}\r\n"
        f'Content-Type: text/{subtype}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n"
        f"\r\n{encoded}\r\n"
    )
