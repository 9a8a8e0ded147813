"""Standard reports: delivery status (RFC 3464, RFC 6533), complaints (RFC 5965), and receipts.

A message attached to a mail is never taken for its own report, so a person may forward a bounce.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import timedelta
from email.message import Message

from repermit.bounces.bounce_results import BounceVerdict, MessageKind
from repermit.bounces.hard_or_soft_bounce import (
    FailureVerdict,
    find_paragraphs_about,
    find_quoted_replies,
    has_refusal_code,
    judge_failure,
    judge_text,
    names_another_address,
    pick_mildest,
    split_paragraphs,
    strip_returned_mail,
)
from repermit.bounces.message_parts import (
    decode_text,
    iter_own_parts,
    list_subparts,
    parse_date,
    read_addresses,
    read_header,
    read_report_fields,
)
from repermit.bounces.nonstandard_bounces import SnsNotification, read_sns_notification
from repermit.smtp.reply_codes import find_status

_DELIVERY = ("message/delivery-status", "message/global-delivery-status")
_FEEDBACK = ("message/feedback-report",)
_RECEIPT = ("message/disposition-notification", "message/global-disposition-notification")

# Mail that somebody wants after all; a filter's finding, a signature that failed (RFC 6591). What
# is not known counts as a complaint (RFC 5965 §7.3).
_NO_COMPLAINT = ("not-spam", "virus", "auth-failure")


def read_report(message: Message, *, is_machine: bool) -> BounceVerdict | None:
    """Return what a message that is a report says; None if it is none.

    A report is what it calls itself (RFC 6522), or such a part in what a program sent
    (`is_machine`): some gateways pack it into a multipart/mixed.
    """
    if _is_outlooks_complaint(message):
        return BounceVerdict(MessageKind.COMPLAINT)
    notification = read_sns_notification(message)
    if notification:
        return _read_notification(notification)
    if not is_machine and message.get_content_type() != "multipart/report":
        return None
    said: list[str] = []
    for part in iter_own_parts(message):
        kind = part.get_content_type()
        if kind in _DELIVERY:
            own = {one.lower() for name in _OWN for one in read_addresses(message, name)}
            blocks = _add_dates(read_report_fields(part), read_header(message, "Date"))
            return _read_delivery_status(blocks, strip_returned_mail("\n\n".join(said)), own)
        if kind in _FEEDBACK:
            return _read_complaint(read_report_fields(part))
        if kind in _RECEIPT:
            return BounceVerdict(MessageKind.AUTO_REPLY)
        if kind == "text/plain":
            said.append(decode_text(part))
    return None


def find_feedback_senders(message: Message) -> list[str]:
    """Return the envelope senders of the mails that a complaint is about (RFC 5965 §3.2)."""
    return [
        block["original-mail-from"].strip("<>")
        for part in iter_own_parts(message)
        if part.get_content_type() in _FEEDBACK
        for block in read_report_fields(part)
        if "original-mail-from" in block
    ]


def _read_notification(notification: SnsNotification) -> BounceVerdict:
    if notification.kind == "Complaint":
        return BounceVerdict(MessageKind.COMPLAINT)
    if notification.kind != "Bounce":
        return BounceVerdict(MessageKind.NOTHING)
    return _read_delivery_status(notification.recipients, "", ())


def _add_dates(blocks: list[dict[str, str]], written: str) -> list[dict[str, str]]:
    """Return the blocks of a report, each with the dates from which its relay tried and till when.

    The first block has the former (RFC 3464 §2.2.5). Where a recipient's has none of the latter
    (§2.3.7), that is when the report was written.
    """
    first = blocks[0] if blocks else {}
    shared = {"last-attempt-date": written, "arrival-date": first.get("arrival-date", "")}
    return [{**shared, **block} for block in blocks]


# Each mail of ours has one recipient, who may be an alias of a few; nobody is removed for a report
# on more.
_MOST_RECIPIENTS = 20


def _read_delivery_status(
    blocks: list[dict[str, str]], text: str, own: Collection[str]
) -> BounceVerdict:
    """Return what a report says of all its recipients: a failure counts as the mildest of them.

    `text` is what stands for people above the report, `own` whom it was sent to.
    """
    blocks = [block for block in blocks if "action" in block or "status" in block]
    if len(blocks) > _MOST_RECIPIENTS:
        return BounceVerdict(MessageKind.SOFT)
    reported = {name for block in blocks for name in _read_recipient_forms(block)} | set(own)
    found = [_read_recipient(block, text, own, reported) for block in blocks]
    failed = tuple(name for one in found for name in one.failed)
    for kind in (MessageKind.SOFT, MessageKind.HARD):
        first = next((one for one in found if one.kind is kind), None)
        if first:
            reached = any(one.kind is MessageKind.NOTHING for one in found)
            return BounceVerdict(MessageKind.SOFT if reached else kind, first.status, failed)
    return BounceVerdict(MessageKind.NOTHING)


def _read_recipient(
    block: dict[str, str], text: str, own: Collection[str], reported: Collection[str]
) -> BounceVerdict:
    """Return what a report says of one recipient; `reported` are all addresses of its fields.

    `expanded` and `relayed` mean that another server has it, `delayed` that one goes on trying.
    """
    action = re.match(r"[a-z]*", block.get("action", "").lower())
    status = find_status(block.get("status", ""))
    said = action[0] if action else ""
    if said == "delayed":
        return BounceVerdict(MessageKind.SOFT, status, _read_recipient_forms(block))
    # OpenSMTPD writes "error"; and some leave the word out.
    if said in {"failed", "fail", "error"} or (not said and status[:1] in {"4", "5"}):
        judged = _judge_reported_failure(block, status, text, own, reported)
        return BounceVerdict(judged.kind, judged.status, _read_recipient_forms(block))
    return BounceVerdict(MessageKind.NOTHING)


def _judge_reported_failure(
    block: dict[str, str],
    status: str,
    text: str,
    own: Collection[str],
    reported: Collection[str],
) -> FailureVerdict:
    """Return what a failure means, by the fields of its report and by the text above them.

    Who says "user unknown" of the address that the report was sent to means the sender.

    The text is asked where the fields leave it open, and where it quotes another server: what
    that server said outranks a report that somebody else is unknown.
    """
    is_lasting = _has_given_up(block)
    names = _read_recipient_forms(block)
    address = names[0] if names else ""
    comment = _comment(block)
    found = _DIAGNOSTIC.fullmatch(block.get("diagnostic-code", ""))
    kind, given = (found["kind"] or "", found["words"]) if found else ("", "")
    around = "\n".join(find_paragraphs_about(address, text)[:1])
    quoted = (
        [given]
        if given
        else find_quoted_replies(text) or ([around] if has_refusal_code(around) else [])
    )
    judged = pick_mildest(
        judge_failure(
            words,
            status=status,
            is_quoted=bool(quoted) and kind.lower() in {"", "smtp"},
            address=address,
            around=around,
            is_lasting=is_lasting,
        )
        for words in quoted or [comment]
    )
    if any(one in words.lower() for words in quoted for one in own):
        return FailureVerdict(MessageKind.SOFT, judged.status)
    # Whoever was written to has got it where another's copy failed, as of somebody who forwards.
    if any(names_another_address(words, names) for words in quoted):
        return FailureVerdict(MessageKind.SOFT, judged.status)
    if not given and names_another_address(around or text, reported if names else ()):
        return FailureVerdict(MessageKind.SOFT, judged.status)
    by_text = None if judged.is_clear else judge_text(text, address=address)
    if by_text:
        judged = by_text._replace(status=judged.status or by_text.status)
    if judged.kind is MessageKind.SOFT:
        return judged
    return pick_mildest([judged, *_find_objections(given, comment, text, is_lasting=is_lasting)])


def _has_given_up(block: dict[str, str]) -> bool:
    """Say whether a report is of a relay that has tried for days and goes on no more."""
    arrived, tried = (
        parse_date(block.get(f"{name}-date", "")) for name in ("arrival", "last-attempt")
    )
    is_failure = block.get("action", "").lower().startswith(("fail", "error"))
    return is_failure and bool(arrived and tried and tried - arrived >= _LONG)


# More than a weekend, and less than any relay goes on (RFC 5321 §4.5.4.1: four or five days).
_LONG = timedelta(days=3)


def _find_objections(
    words: str, comment: str, text: str, *, is_lasting: bool
) -> Iterator[FailureVerdict]:
    """Yield what is said against a report that somebody is unknown, if it says why.

    That stands in the comment on the status, in the whole of a reply of several lines whose code
    the report gives, or where the report itself has no words, anywhere in the text.
    """
    replies = (
        one
        for one in find_quoted_replies(text)
        if not one[:3].isdigit() or one[:3] == words[:3] or not words
    )
    paragraphs = split_paragraphs(text) if not words else []
    for one in (comment, *replies, *paragraphs):
        judged = judge_failure(one, is_lasting=is_lasting)
        if judged.kind is MessageKind.SOFT and judged.is_clear:
            yield judged


_OWN = ("To", "Delivered-To", "X-Original-To", "Envelope-To")

_DIAGNOSTIC = re.compile(
    r"(?:(?P<kind>[a-z][\w.-]*)\s*;)?\s*(?P<words>.*)", re.IGNORECASE | re.DOTALL
)


def _comment(block: dict[str, str]) -> str:
    """Return the comment in brackets after a status (RFC 3464 §2.3.4 with RFC 5322 §3.2.2)."""
    return block.get("status", "").partition("(")[2].strip(") ")


def _read_recipient_forms(block: dict[str, str]) -> tuple[str, ...]:
    """Return the recipient of a block, in each form in which the address may be decoded.

    This is the final recipient (RFC 3464 §2.3.2), or the address that Sendmail made of it. The
    original recipient is not used: it is the address we wrote to, even if its copy has arrived and
    only a forwarded one failed, and Postfix adds it unasked.
    """
    recipients = (block.get(name, "") for name in ("x-actual-recipient", "final-recipient"))
    address = next((one.rpartition(";")[2].strip("<> ") for one in recipients if "@" in one), "")
    if address.startswith("@"):
        # Sendmail names a host alone where it has none for a domain.
        return ()
    return (
        tuple(
            dict.fromkeys(decode(address) for decode in (str, _decode_xtext, _decode_utf8_address))
        )
        if address
        else ()
    )


def _decode_xtext(text: str) -> str:
    """Decode an address in xtext (RFC 3461 §4), which some servers leave encoded."""
    return re.sub(r"\+([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), text)


def _decode_utf8_address(text: str) -> str:
    """Decode the non-ASCII characters of an address (RFC 6533 §3)."""
    return re.sub(
        r"\\x\{(10[0-9A-F]{4}|[0-9A-F]{2,5})\}", lambda match: chr(int(match[1], 16)), text
    )


def _read_complaint(blocks: list[dict[str, str]]) -> BounceVerdict:
    kinds = [block["feedback-type"].lower() for block in blocks if "feedback-type" in block]
    return BounceVerdict(
        MessageKind.NOTHING if not kinds or kinds[0] in _NO_COMPLAINT else MessageKind.COMPLAINT
    )


def _is_outlooks_complaint(message: Message) -> bool:
    """Return whether this is a complaint in Outlook.com's own format."""
    sender = read_addresses(message, "From")
    return sender == ["staff@hotmail.com"] and any(
        read_header(child, "X-HmXmrOriginalRecipient")
        for part in iter_own_parts(message)
        if part.get_content_type() == "message/rfc822"
        for child in list_subparts(part)
    )
