"""Reports made for programs: of delivery (RFC 3464, RFC 6533), complaints (RFC 5965), and receipts.

May import mailer through `judging`. A message attached to a mail is never taken for its own report,
so a person may forward a bounce.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from repermit.bounces.facts import Kind, Verdict
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


def find_report(message: Message, *, is_machine: bool) -> Verdict | None:
    """Return what a message that is a report says; None if it is none.

    A report is what it calls itself (RFC 6522), or such a part in what a program sent
    (`is_machine`): some gateways pack it into a multipart/mixed.
    """
    if _is_outlooks_complaint(message):
        return Verdict(Kind.COMPLAINT)
    if not is_machine and message.get_content_type() != "multipart/report":
        return None
    for part in own_parts(message):
        kind = part.get_content_type()
        if kind in _DELIVERY:
            return _delivery(report_fields(part))
        if kind in _FEEDBACK:
            return _complaint(report_fields(part))
        if kind in _RECEIPT:
            return Verdict(Kind.AUTO_REPLY)
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


def _delivery(blocks: list[dict[str, str]]) -> Verdict:
    """Return what a report says of all its recipients: a failure counts as the mildest of them."""
    found = [_recipient(block) for block in blocks if "action" in block or "status" in block]
    failed = tuple(name for one in found for name in one.failed)
    for kind in (Kind.SOFT, Kind.HARD):
        first = next((one for one in found if one.kind is kind), None)
        if first:
            reached = any(one.kind is Kind.NOTHING for one in found)
            return Verdict(Kind.SOFT if reached else kind, first.status, failed)
    return Verdict(Kind.NOTHING)


def _recipient(block: dict[str, str]) -> Verdict:
    """Return what a report says of one recipient.

    `expanded` and `relayed` mean that another server has it, `delayed` that one goes on trying.
    """
    action = re.match(r"[a-z]*", block.get("action", "").lower())
    status = find_status(block.get("status", ""))
    said = action[0] if action else ""
    if said == "delayed":
        return Verdict(Kind.SOFT, status, _named(block))
    # OpenSMTPD writes "error"; and some leave the word out.
    if said in {"failed", "fail", "error"} or (not said and status[:1] in {"4", "5"}):
        _, _, words = block.get("diagnostic-code", "").partition(";")
        return Verdict(*judge(words, status=status), _named(block))
    return Verdict(Kind.NOTHING)


def _named(block: dict[str, str]) -> tuple[str, ...]:
    """Return who a block is about, in each way in which it may be meant.

    The original recipient is the one that the sender gave (ORCPT), where a server on the way has
    kept it (RFC 3464 §2.3.1).
    """
    given = (block.get(name, "") for name in ("original-recipient", "final-recipient"))
    plain = [one.rpartition(";")[2].strip("<> ") for one in given if "@" in one]
    return tuple(dict.fromkeys(way(one) for one in plain for way in (str, _of_xtext, _of_utf8)))


def _of_xtext(text: str) -> str:
    """Undo what RFC 3461 §4 does to an address; some leave it in."""
    return re.sub(r"\+([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), text)


def _of_utf8(text: str) -> str:
    """Undo what RFC 6533 §3 does to what is not ASCII in an address."""
    return re.sub(r"\\x\{(10[0-9A-F]{4}|[0-9A-F]{2,5})\}", lambda f: chr(int(f[1], 16)), text)


def _complaint(blocks: list[dict[str, str]]) -> Verdict:
    kinds = [block["feedback-type"].lower() for block in blocks if "feedback-type" in block]
    return Verdict(Kind.NOTHING if not kinds or kinds[0] in _NO_COMPLAINT else Kind.COMPLAINT)


def _is_outlooks_complaint(message: Message) -> bool:
    """Say whether this is a complaint as Outlook.com sends it, which follows no standard."""
    sender = addresses_in(message, "From")
    return sender == ["staff@hotmail.com"] and any(
        header(child, "X-HmXmrOriginalRecipient")
        for part in own_parts(message)
        if part.get_content_type() == "message/rfc822"
        for child in children(part)
    )
