"""Amazon SES's notification by mail that a mail came back, which SNS sends as JSON.

https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html
"""

from __future__ import annotations

import json
import re
from email.message import Message
from typing import Any, NamedTuple

from repermit.bounces.parse import addresses_in, texts


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


def sns_notification(message: Message) -> SnsNotification | None:
    """Return a notification; None for any other mail."""
    if addresses_in(message, "From") != ["no-reply@sns.amazonaws.com"]:
        return None
    # Sendmail breaks long lines with "!".
    text = "\n".join(texts(message)).replace("!\n ", "").lstrip()
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
