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

# Mail that is wanted after all; a filter's finding; a failed signature (RFC 6591). An unknown type
# counts as a complaint (RFC 5965 §7.3).
_NO_COMPLAINT = ("not-spam", "virus", "auth-failure")


def read_report(message: Message, *, is_machine: bool) -> BounceVerdict | None:
    """Return the verdict of a report; None if the message is no report.

    - A report has the content type of one (RFC 6522).
    - `is_machine`: a program sent the message. Then a report's part is enough, since some gateways
      put it into a multipart/mixed.
    """
    if _is_outlooks_complaint(message):
        return BounceVerdict(MessageKind.COMPLAINT)
    notification = read_sns_notification(message)
    if notification:
        return _read_notification(notification)
    if not is_machine and message.get_content_type() != "multipart/report":
        return None
    texts: list[str] = []
    for part in iter_own_parts(message):
        kind = part.get_content_type()
        if kind in _DELIVERY:
            own_addresses = {
                address.lower()
                for name in _RECIPIENT_HEADERS
                for address in read_addresses(message, name)
            }
            blocks = _add_dates(read_report_fields(part), read_header(message, "Date"))
            verdict = _read_delivery_status(
                blocks, strip_returned_mail("\n\n".join(texts)), own_addresses
            )
            if verdict.kind is MessageKind.NOTHING and not any(map(_is_through, blocks)):
                # A report in which nothing can be read is of a failure.
                return BounceVerdict(MessageKind.SOFT)
            return verdict
        if kind in _FEEDBACK:
            return _read_complaint(read_report_fields(part))
        if kind in _RECEIPT:
            return _read_receipt(read_report_fields(part))
        if kind == "text/plain":
            texts.append(decode_text(part))
    return None


def _read_receipt(blocks: list[dict[str, str]]) -> BounceVerdict:
    """Return the verdict of a receipt; a server's, of a mail that it deleted, is a rejection.

    So Sieve's `reject` tells it (RFC 5429 §2.2, RFC 8098 §3.2.6).
    """
    dispositions = ["".join(block.get("disposition", "").lower().split()) for block in blocks]
    is_rejected = any(map(_REJECTION.match, dispositions))
    return BounceVerdict(MessageKind.SOFT if is_rejected else MessageKind.AUTO_REPLY)


_REJECTION = re.compile(r"automatic-action/[\w-]*;deleted\b")


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
    """Return the blocks of a report, each with the dates of arrival at the relay and last attempt.

    The arrival date is in the first block (RFC 3464 §2.2.5). A recipient's block without a last
    attempt (§2.3.7) gets the date of the report.
    """
    first_block = blocks[0] if blocks else {}
    shared = {"last-attempt-date": written, "arrival-date": first_block.get("arrival-date", "")}
    return [{**shared, **block} for block in blocks]


# Each of our mails has one recipient, perhaps an alias of a few. A report on more removes nobody.
_MAX_RECIPIENTS = 20


def _read_delivery_status(
    blocks: list[dict[str, str]], text: str, own_addresses: Collection[str]
) -> BounceVerdict:
    """Return the verdict of a report on all its recipients; of several failures the mildest.

    - `text`: the text for people above the report.
    - `own_addresses`: the addresses that the report was sent to.
    """
    blocks = [block for block in blocks if "action" in block or "status" in block]
    if len(blocks) > _MAX_RECIPIENTS:
        return BounceVerdict(MessageKind.SOFT)
    reported = {name for block in blocks for name in _read_recipient_forms(block)} | set(
        own_addresses
    )
    verdicts = [_read_recipient(block, text, own_addresses, reported) for block in blocks]
    failed = tuple(name for verdict in verdicts for name in verdict.failed)
    for kind in (MessageKind.SOFT, MessageKind.HARD):
        deciding = next((verdict for verdict in verdicts if verdict.kind is kind), None)
        if deciding:
            reached = any(verdict.kind is MessageKind.NOTHING for verdict in verdicts)
            return BounceVerdict(MessageKind.SOFT if reached else kind, deciding.status, failed)
    return BounceVerdict(MessageKind.NOTHING)


def _is_through(block: dict[str, str]) -> bool:
    """Return whether a recipient's block says that the mail is delivered or goes on elsewhere."""
    action, status = block.get("action", "").lower(), find_status(block.get("status", ""))
    return action.startswith(("deliver", "relay", "expand")) or (not action and status[:1] == "2")


def _read_recipient(
    block: dict[str, str], text: str, own_addresses: Collection[str], reported: Collection[str]
) -> BounceVerdict:
    """Return the verdict of a report on one recipient.

    - `reported`: all addresses in the fields of the report.
    - The actions `expanded` and `relayed` mean that another server has the mail, `delayed` that a
      server still tries.
    """
    action = re.match(r"[a-z]*", block.get("action", "").lower())
    status = find_status(block.get("status", ""))
    outcome = action[0] if action else ""
    if outcome == "delayed":
        return BounceVerdict(MessageKind.SOFT, status, _read_recipient_forms(block))
    # OpenSMTPD writes "error", and some servers leave the action out.
    if outcome in {"failed", "fail", "error"} or (not outcome and status[:1] in {"4", "5"}):
        judged = _judge_reported_failure(block, status, text, own_addresses, reported)
        return BounceVerdict(judged.kind, judged.status, _read_recipient_forms(block))
    return BounceVerdict(MessageKind.NOTHING)


def _judge_reported_failure(
    block: dict[str, str],
    status: str,
    text: str,
    own_addresses: Collection[str],
    reported: Collection[str],
) -> FailureVerdict:
    """Return what a failure means, by the fields of its report and the text above them.

    - "User unknown" about an address that the report was sent to means the sender.
    - The text decides if the fields do not.
    - A server's reply that the text quotes outranks a report that the recipient is unknown.
    """
    is_lasting = _has_given_up(block)
    names = _read_recipient_forms(block)
    address = names[0] if names else ""
    comment = _read_comment(block)
    diagnostic = _DIAGNOSTIC.fullmatch(block.get("diagnostic-code", ""))
    kind, diagnostic_text = (
        (diagnostic["kind"] or "", diagnostic["words"]) if diagnostic else ("", "")
    )
    paragraph = "\n".join(find_paragraphs_about(address, text)[:1])
    quoted = (
        [diagnostic_text]
        if diagnostic_text
        else find_quoted_replies(text) or ([paragraph] if has_refusal_code(paragraph) else [])
    )
    judged = pick_mildest(
        judge_failure(
            reply_text,
            status=status,
            is_quoted=bool(quoted) and kind.lower() in {"", "smtp"},
            address=address,
            context=paragraph,
            is_lasting=is_lasting,
        )
        for reply_text in quoted or [comment]
    )
    if any(
        own_address in reply_text.lower() for reply_text in quoted for own_address in own_addresses
    ):
        return FailureVerdict(MessageKind.SOFT, judged.status)
    # If the copy to another address failed, as after forwarding, the recipient has the mail.
    if any(names_another_address(reply_text, names) for reply_text in quoted):
        return FailureVerdict(MessageKind.SOFT, judged.status)
    if not diagnostic_text and names_another_address(paragraph or text, reported if names else ()):
        return FailureVerdict(MessageKind.SOFT, judged.status)
    by_text = None if judged.is_clear else judge_text(text, address=address)
    if by_text:
        judged = by_text._replace(status=judged.status or by_text.status)
    if judged.kind is MessageKind.SOFT:
        return judged
    return pick_mildest(
        [judged, *_find_objections(diagnostic_text, comment, text, is_lasting=is_lasting)]
    )


def _has_given_up(block: dict[str, str]) -> bool:
    """Return whether a report comes from a relay that has given up after days of trying."""
    arrived, tried = (
        parse_date(block.get(f"{name}-date", "")) for name in ("arrival", "last-attempt")
    )
    is_failure = block.get("action", "").lower().startswith(("fail", "error"))
    return is_failure and bool(arrived and tried and tried - arrived >= _GIVE_UP_AFTER)


# More than a weekend, and less than any relay tries (RFC 5321 §4.5.4.1: four or five days).
_GIVE_UP_AFTER = timedelta(days=3)


def _find_objections(
    diagnostic_text: str, comment: str, text: str, *, is_lasting: bool
) -> Iterator[FailureVerdict]:
    """Yield the verdicts with another cause than the "user unknown" of a report.

    They come from the comment on the status, from the full reply of several lines whose code the
    report gives, and from any paragraph of the text if the report itself has no diagnostic text.
    """
    quoted_replies = (
        reply
        for reply in find_quoted_replies(text)
        if not reply[:3].isdigit() or reply[:3] == diagnostic_text[:3] or not diagnostic_text
    )
    paragraphs = split_paragraphs(text) if not diagnostic_text else []
    for explanation in (comment, *quoted_replies, *paragraphs):
        judged = judge_failure(explanation, is_lasting=is_lasting)
        if judged.kind is MessageKind.SOFT and judged.is_clear:
            yield judged


_RECIPIENT_HEADERS = ("To", "Delivered-To", "X-Original-To", "Envelope-To")

_DIAGNOSTIC = re.compile(
    r"(?:(?P<kind>[a-z][\w.-]*)\s*;)?\s*(?P<words>.*)", re.IGNORECASE | re.DOTALL
)


def _read_comment(block: dict[str, str]) -> str:
    """Return the comment in brackets after a status (RFC 3464 §2.3.4 with RFC 5322 §3.2.2)."""
    return block.get("status", "").partition("(")[2].strip(") ")


def _read_recipient_forms(block: dict[str, str]) -> tuple[str, ...]:
    """Return the recipient of a block, in each form in which the address can be decoded.

    This is the final recipient (RFC 3464 §2.3.2), or the address that Sendmail made of it. The
    original recipient is not used: it is the address we wrote to, even if its copy has arrived and
    only a forwarded one failed, and Postfix adds it unasked.
    """
    recipients = (block.get(name, "") for name in ("x-actual-recipient", "final-recipient"))
    address = next(
        (recipient.rpartition(";")[2].strip("<> ") for recipient in recipients if "@" in recipient),
        "",
    )
    if address.startswith("@"):
        # Sendmail gives only the host if it has no host for the domain.
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
