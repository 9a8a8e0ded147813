"""Reports made for programs: of delivery (RFC 3464, RFC 6533), complaints (RFC 5965), and receipts.

May import mailer through `judging`. A message attached to a mail is never taken for its own report,
so a person may forward a bounce.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from repermit.bounces.facts import Kind
from repermit.bounces.judging import find_status, judge
from repermit.bounces.parsing import addresses_in, children, header, own_parts, report_fields

if TYPE_CHECKING:
    from email.message import Message

_DELIVERY = ("message/delivery-status", "message/global-delivery-status")
_FEEDBACK = ("message/feedback-report",)
_RECEIPT = ("message/disposition-notification", "message/global-disposition-notification")

# Mail that somebody wants after all; a filter's finding, a signature that failed (RFC 6591). What
# is not known counts as a complaint (RFC 5965 §7.3).
_NO_COMPLAINT = ("not-spam", "virus", "auth-failure")


def find_report(message: Message, *, is_machine: bool) -> tuple[Kind, str] | None:
    """Return what a message that is a report says, and its status; None if it is none.

    A report is what it calls itself (RFC 6522), or such a part in what a program sent
    (`is_machine`): some gateways pack it into a multipart/mixed.
    """
    if _is_outlooks_complaint(message):
        return Kind.COMPLAINT, ""
    if not is_machine and message.get_content_type() != "multipart/report":
        return None
    for part in own_parts(message):
        kind = part.get_content_type()
        if kind in _DELIVERY:
            return _delivery(report_fields(part))
        if kind in _FEEDBACK:
            return _complaint(report_fields(part))
        if kind in _RECEIPT:
            return Kind.AUTO_REPLY, ""
    return None


def feedback_senders(message: Message) -> list[str]:
    """Return the envelope senders of the mails that a complaint is about (RFC 5965 §3.2)."""
    return [
        block["original-mail-from"].strip("<>")
        for part in own_parts(message)
        if part.get_content_type() in _FEEDBACK
        for block in report_fields(part)
        if "original-mail-from" in block
    ]


def _delivery(blocks: list[dict[str, str]]) -> tuple[Kind, str]:
    """Return what a report says of all its recipients: a failure counts as the mildest of them."""
    found = [_recipient(block) for block in blocks if "action" in block or "status" in block]
    for kind in (Kind.SOFT, Kind.HARD):
        first = next((one for one in found if one[0] is kind), None)
        if first:
            reached = any(one[0] is Kind.NOTHING for one in found)
            return (Kind.SOFT if reached else kind), first[1]
    return Kind.NOTHING, ""


def _recipient(block: dict[str, str]) -> tuple[Kind, str]:
    """Return what a report says of one recipient.

    `expanded` and `relayed` mean that another server has it, `delayed` that one goes on trying.
    """
    action = re.match(r"[a-z]*", block.get("action", "").lower())
    status = find_status(block.get("status", ""))
    said = action[0] if action else ""
    if said == "delayed":
        return Kind.SOFT, status
    # OpenSMTPD writes "error"; and some leave the word out.
    if said in {"failed", "fail", "error"} or (not said and status[:1] in {"4", "5"}):
        _, _, words = block.get("diagnostic-code", "").partition(";")
        return judge(words, status=status)
    return Kind.NOTHING, ""


def _complaint(blocks: list[dict[str, str]]) -> tuple[Kind, str]:
    kinds = [block["feedback-type"].lower() for block in blocks if "feedback-type" in block]
    return (Kind.NOTHING if not kinds or kinds[0] in _NO_COMPLAINT else Kind.COMPLAINT), ""


def _is_outlooks_complaint(message: Message) -> bool:
    """Say whether this is a complaint as Outlook.com sends it, which follows no standard."""
    sender = addresses_in(message, "From")
    return sender == ["staff@hotmail.com"] and any(
        header(child, "X-HmXmrOriginalRecipient")
        for part in own_parts(message)
        if part.get_content_type() == "message/rfc822"
        for child in children(part)
    )
