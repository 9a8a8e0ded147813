"""Bounces that follow no standard: which addresses failed (by flufl.bounce), and why.

Only for messages that a mail server itself has sent.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection
from email.message import Message
from typing import Any, NamedTuple

from flufl.bounce import all_failures

from repermit.bounces.automatic_messages import has_bounce_subject
from repermit.bounces.bounce_results import BounceVerdict, MessageKind
from repermit.bounces.hard_or_soft_bounce import (
    SERVICE_ADDRESS,
    WRITTEN_ADDRESS,
    FailureVerdict,
    find_paragraphs_about,
    has_refusal_code,
    judge_failure,
    judge_text,
    names_another_address,
    pick_mildest,
    strip_repeated_fields,
    strip_returned_mail,
)
from repermit.bounces.message_parts import (
    decode_text,
    parse,
    read_addresses,
    read_texts,
    read_unsplit_text,
    returns_mail,
)

# It logs lines that it cannot parse, including addresses.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)


# Below this the returned mail follows. flufl.bounce scans the text once for each of its patterns,
# some of which take time quadratic in the length of a line.
_MAX_SCANNED_LENGTH = 32_000
_MAX_LINE_LENGTH = 2000


def read_nonstandard_bounce(message: Message, raw: bytes) -> BounceVerdict:
    """Return the verdict of a mail server's own text.

    Soft if it only says that the mail failed, or returns it in words of any language.
    """
    whole_text = "\n\n".join(read_texts(message)) or read_unsplit_text(message)
    full_text = strip_returned_mail(whole_text)
    text = _MADE_FROM.sub("", full_text)
    temporary, permanent = _find_failed_addresses(parse(raw[:_MAX_SCANNED_LENGTH]))
    is_child = text != full_text
    if permanent and not temporary:
        failed_addresses = sorted(address.decode("utf-8", "replace") for address in permanent)
        names = tuple(name for name in failed_addresses if name.lower() in text.lower())
        # Addresses that only a header names, as where Exim hides those that failed.
        verdict = pick_mildest(_judge_address(name, text) for name in names or failed_addresses)
        is_unsure = (is_child and not names) or _is_about_another_address(
            text, failed_addresses, message
        )
        return BounceVerdict(
            _downgrade_if_unsure(is_unsure, verdict), verdict.status, names or (*failed_addresses,)
        )
    has_failed = has_bounce_subject(message) or returns_mail(message) or full_text != whole_text
    if has_refusal_code(text) or (has_failed and not temporary):
        names = _find_addresses(text, message)
        verdict = judge_text(strip_repeated_fields(text), address="") or FailureVerdict(
            MessageKind.SOFT, ""
        )
        is_unsure = (
            bool(temporary) or (is_child and not names) or _is_some_address_unclear(names, text)
        )
        return BounceVerdict(
            _downgrade_if_unsure(is_unsure, verdict), "" if temporary else verdict.status, names
        )
    return BounceVerdict(MessageKind.SOFT if temporary or has_failed else MessageKind.NOTHING)


def _downgrade_if_unsure(is_unsure: bool, verdict: FailureVerdict) -> MessageKind:  # noqa: FBT001
    return MessageKind.SOFT if is_unsure else verdict.kind


# An address that an alias was expanded to, as Exim, Postfix and Sendmail report it: the mail may
# have arrived at the alias's own mailbox.
_MADE_FROM = re.compile(r"\((?:generated|expanded) from:?\s[^()]{1,500}\)")


def _find_addresses(text: str, message: Message) -> tuple[str, ...]:
    """Return the addresses in a text, without those in the bounce's own headers."""
    own_addresses = {address.lower() for address in _list_own_addresses(message)}
    addresses = dict.fromkeys(WRITTEN_ADDRESS.findall(text[:_MAX_SCANNED_LENGTH]))
    return tuple(
        address
        for address in addresses
        if address.lower() not in own_addresses and not SERVICE_ADDRESS.match(address)
    )


def _list_own_addresses(message: Message) -> list[str]:
    return [address for name in _OWN_ADDRESS_HEADERS for address in read_addresses(message, name)]


_OWN_ADDRESS_HEADERS = (
    "From",
    "To",
    "Delivered-To",
    "X-Original-To",
    "Envelope-To",
    "Return-Path",
    "Reply-To",
)


def _is_some_address_unclear(names: Collection[str], text: str) -> bool:
    """Return whether one of several addresses has no line of its own that says it does not exist.

    A text with two addresses may be about one and the address to which it forwards.
    """
    lines = _SENDER_FIELD.sub("", text[:_MAX_SCANNED_LENGTH]).splitlines()
    about_each = [[line for line in lines if name in line] for name in names]
    about_each = [lines_about for lines_about in about_each if lines_about]
    return len(about_each) > 1 and not all(
        any(judge_failure(line).kind is MessageKind.HARD for line in lines_about)
        for lines_about in about_each
    )


def _is_about_another_address(text: str, failed: Collection[str], message: Message) -> bool:
    """Return whether the text about failed addresses names another, to which a copy was sent."""
    known_addresses = {*failed, *_list_own_addresses(message)}
    text = _SENDER_FIELD.sub("", text)
    return any(
        names_another_address(paragraph, known_addresses)
        for name in failed
        for paragraph in find_paragraphs_about(name, text)
    )


# Headers of the returned mail that some servers repeat.
_SENDER_FIELD = re.compile(
    r"^[> \t]*(?:from|sender|reply-to|return-path|mail from):.*", re.IGNORECASE | re.MULTILINE
)


def _judge_address(address: str, text: str) -> FailureVerdict:
    return judge_text(text, address=address) or judge_failure("")


def _find_failed_addresses(message_start: Message) -> tuple[Collection[bytes], Collection[bytes]]:
    """Return the addresses that failed temporarily, and those that failed permanently."""
    try:
        return ((), ()) if _has_long_lines(message_start) else all_failures(message_start)
    except Exception:  # noqa: BLE001  it fails on a mail without a sender, for instance
        return (), ()


def _has_long_lines(message: Message) -> bool:
    text_parts = (part for part in message.walk() if part.get_content_maintype() == "text")
    lines = (f"{part.get_payload()}\n{decode_text(part)}".split("\n") for part in text_parts)
    return any(len(line) > _MAX_LINE_LENGTH for part_lines in lines for line in part_lines)


# --- Amazon SES's bounce notifications, which SNS sends as JSON by mail. --------------------------


class SnsNotification(NamedTuple):
    """The content of a notification.

    - `kind`: "Bounce", "Complaint", "Delivery", or "" for another one.
    - `recipients`: the failed ones, as blocks of a report by lower-case name (RFC 3464 §2.3).
    - `source`: the envelope sender of the mail; `message_id`: its Message-ID header.
    """

    kind: str
    recipients: list[dict[str, str]]
    source: str
    message_id: str


def read_sns_notification(message: Message) -> SnsNotification | None:
    """Parse an SNS notification; return None for any other mail."""
    if read_addresses(message, "From") != ["no-reply@sns.amazonaws.com"]:
        return None
    # Sendmail breaks long lines with "!".
    text = "\n".join(read_texts(message)).replace("!\n ", "").lstrip()
    notification = _decode_json(text)
    # If the topic sends JSON, the notification is a string inside it.
    if notification and isinstance(notification.get("Message"), str):
        notification = _decode_json(notification["Message"])
    return _parse_notification(notification) if notification else None


def _decode_json(text: str) -> dict[str, Any]:
    try:
        notification, _ = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        return {}
    return notification if isinstance(notification, dict) else {}


def _parse_notification(notification: dict[str, Any]) -> SnsNotification:
    mail = _get_mapping(notification, "mail")
    failed = _get_mapping(notification, "bounce").get("bouncedRecipients")
    recipients = (
        [item for item in failed if isinstance(item, dict)] if isinstance(failed, list) else []
    )
    headers = mail.get("headers")
    ids = [
        _get_text(item, "value")
        for item in (headers if isinstance(headers, list) else [])
        if isinstance(item, dict) and _get_text(item, "name").lower() == "message-id"
    ]
    return SnsNotification(
        kind=_get_text(notification, "notificationType"),
        recipients=[_make_report_block(item) for item in recipients],
        source=_get_text(mail, "source"),
        message_id=next(iter(ids), ""),
    )


def _make_report_block(recipient: dict[str, Any]) -> dict[str, str]:
    fields = {
        "final-recipient": _get_text(recipient, "emailAddress"),
        "action": _get_text(recipient, "action"),
        "status": _get_text(recipient, "status"),
        "diagnostic-code": _get_text(recipient, "diagnosticCode"),
    }
    return {name: re.sub(r"\s+", " ", value) for name, value in fields.items() if value}


def _get_mapping(notification: dict[str, Any], name: str) -> dict[str, Any]:
    value = notification.get(name)
    return value if isinstance(value, dict) else {}


def _get_text(notification: dict[str, Any], name: str) -> str:
    value = notification.get(name)
    return value if isinstance(value, str) else ""
