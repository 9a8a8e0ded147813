"""Bounces that follow no standard: which addresses failed (by flufl.bounce), and why.

Only for what a mail server itself has sent.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection
from email.message import Message
from typing import Any, NamedTuple

from flufl.bounce import all_failures

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
    read_header,
    read_texts,
    text_without_parts,
)

# It writes what it stumbles over into the log, addresses among it.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)


# What stands below is the copy; and flufl.bounce goes through it once for each of its patterns,
# some of which take a time that grows with the square of a line's length.
_SCANNED = 32_000
_LONGEST_LINE = 2000


def read_nonstandard_bounce(message: Message, raw: bytes) -> BounceVerdict:
    """Return what a mail server's own words say; soft where it only says that it failed."""
    whole = strip_returned_mail("\n\n".join(read_texts(message)) or text_without_parts(message))
    said = _MADE_FROM.sub("", whole)
    temporary, permanent = _find_failed_addresses(parse(raw[:_SCANNED]))
    is_child = said != whole
    if permanent and not temporary:
        listed = sorted(one.decode("utf-8", "replace") for one in permanent)
        names = tuple(name for name in listed if name.lower() in said.lower())
        # Only a header has them, which names whoever was written to where Exim hides the rest.
        found = pick_mildest(_judge_address(name, said) for name in names or listed)
        is_unsure = (is_child and not names) or _is_about_another_address(said, listed, message)
        return BounceVerdict(
            _downgrade_if_unsure(is_unsure, found), found.status, names or (*listed,)
        )
    has_failed = UNDELIVERED.search(read_header(message, "Subject"))
    if has_refusal_code(said) or (has_failed and not temporary):
        names = _find_addresses(said, message)
        found = judge_text(strip_repeated_fields(said), address="") or FailureVerdict(
            MessageKind.SOFT, ""
        )
        is_unsure = (
            bool(temporary) or (is_child and not names) or _is_some_address_unclear(names, said)
        )
        return BounceVerdict(
            _downgrade_if_unsure(is_unsure, found), "" if temporary else found.status, names
        )
    return BounceVerdict(MessageKind.SOFT if temporary or has_failed else MessageKind.NOTHING)


def _downgrade_if_unsure(is_unsure: bool, found: FailureVerdict) -> MessageKind:  # noqa: FBT001
    return MessageKind.SOFT if is_unsure else found.kind


# What an alias has made of an address, as Exim, Postfix and Sendmail tell it: the copy of whoever
# was written to may have arrived.
_MADE_FROM = re.compile(r"\((?:generated|expanded) from:?\s[^()]{1,500}\)")


def _find_addresses(said: str, message: Message) -> tuple[str, ...]:
    """Return the addresses that a text names, without those of the bounce itself."""
    own = {one.lower() for one in _list_own_addresses(message)}
    found = dict.fromkeys(WRITTEN_ADDRESS.findall(said[:_SCANNED]))
    return tuple(one for one in found if one.lower() not in own and not SERVICE_ADDRESS.match(one))


def _list_own_addresses(message: Message) -> list[str]:
    return [one for name in _OWN for one in read_addresses(message, name)]


_OWN = ("From", "To", "Delivered-To", "X-Original-To", "Envelope-To", "Return-Path", "Reply-To")


def _is_some_address_unclear(names: Collection[str], said: str) -> bool:
    """Say whether of several addresses one has no line that alone says that it is gone.

    A text that names two tells as likely of one and of where its mail is passed on to.
    """
    lines = _SENDER_FIELD.sub("", said[:_SCANNED]).splitlines()
    about_each = [[line for line in lines if name in line] for name in names]
    about_each = [some for some in about_each if some]
    return len(about_each) > 1 and not all(
        any(judge_failure(line).kind is MessageKind.HARD for line in some) for some in about_each
    )


def _is_about_another_address(said: str, failed: Collection[str], message: Message) -> bool:
    """Say whether what stands about failed addresses names another, to which a copy went."""
    known = {*failed, *_list_own_addresses(message)}
    text = _SENDER_FIELD.sub("", said)
    return any(
        names_another_address(one, known)
        for name in failed
        for one in find_paragraphs_about(name, text)
    )


# What some repeat of the mail that came back.
_SENDER_FIELD = re.compile(
    r"^[> \t]*(?:from|sender|reply-to|return-path|mail from):.*", re.IGNORECASE | re.MULTILINE
)


def _judge_address(address: str, said: str) -> FailureVerdict:
    return judge_text(said, address=address) or judge_failure("")


def _find_failed_addresses(beginning: Message) -> tuple[Collection[bytes], Collection[bytes]]:
    """Return the addresses that are named as failing for now and for good."""
    try:
        return ((), ()) if _has_long_lines(beginning) else all_failures(beginning)
    except Exception:  # noqa: BLE001  it stumbles over a mail without a sender, for instance
        return (), ()


def _has_long_lines(message: Message) -> bool:
    texts_in_it = (part for part in message.walk() if part.get_content_maintype() == "text")
    lines = (f"{part.get_payload()}\n{decode_text(part)}".split("\n") for part in texts_in_it)
    return any(len(line) > _LONGEST_LINE for some in lines for line in some)


UNDELIVERED = re.compile(
    r"^(undeliver|returned mail|mail delivery|delivery (status|fail|delay|incomplete)|"
    r"failure notice|warning: (could not|message)|mail (delivery )?(failed|failure|system error)|"
    r"message (delayed|undeliver|not delivered)|delayed mail|nondeliverable|"
    r"(automatisch )?onbestelbaar|niet bezorgd|unzustellbar|nicht zustellbar|"
    r"zustellung|non remis|non distribu|échec)",
    re.IGNORECASE,
)
"""What stands at the beginning of the subject of a bounce."""


# --- Amazon SES's notification by mail that a mail came back, which SNS sends as JSON. ------------


class SnsNotification(NamedTuple):
    """What a notification says.

    - `kind` is "Bounce", "Complaint", "Delivery" or "" for another one.
    - `recipients` are the failed ones, as blocks of a report by lower-case name (RFC 3464 §2.3).
    - `source` is the envelope sender of the mail, and `message_id` what its header said.
    """

    kind: str
    recipients: list[dict[str, str]]
    source: str
    message_id: str


def read_sns_notification(message: Message) -> SnsNotification | None:
    """Return a notification; None for any other mail."""
    if read_addresses(message, "From") != ["no-reply@sns.amazonaws.com"]:
        return None
    # Sendmail breaks long lines with "!".
    text = "\n".join(read_texts(message)).replace("!\n ", "").lstrip()
    said = _decoded(text)
    # Where the topic is read as JSON, the notification is a text in it.
    if said and isinstance(said.get("Message"), str):
        said = _decoded(said["Message"])
    return _read(said) if said else None


def _decoded(text: str) -> dict[str, Any]:
    try:
        said, _ = json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _read(said: dict[str, Any]) -> SnsNotification:
    mail = _mapping(said, "mail")
    failed = _mapping(said, "bounce").get("bouncedRecipients")
    recipients = (
        [one for one in failed if isinstance(one, dict)] if isinstance(failed, list) else []
    )
    headers = mail.get("headers")
    ids = [
        _text(one, "value")
        for one in (headers if isinstance(headers, list) else [])
        if isinstance(one, dict) and _text(one, "name").lower() == "message-id"
    ]
    return SnsNotification(
        kind=_text(said, "notificationType"),
        recipients=[_block(one) for one in recipients],
        source=_text(mail, "source"),
        message_id=next(iter(ids), ""),
    )


def _block(recipient: dict[str, Any]) -> dict[str, str]:
    fields = {
        "final-recipient": _text(recipient, "emailAddress"),
        "action": _text(recipient, "action"),
        "status": _text(recipient, "status"),
        "diagnostic-code": _text(recipient, "diagnosticCode"),
    }
    return {name: re.sub(r"\s+", " ", value) for name, value in fields.items() if value}


def _mapping(said: dict[str, Any], name: str) -> dict[str, Any]:
    value = said.get(name)
    return value if isinstance(value, dict) else {}


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""
