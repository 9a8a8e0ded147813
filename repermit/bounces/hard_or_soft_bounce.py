"""Classifying a failed delivery as a hard or a soft bounce, by a server's text and codes.

The words are data: `repermit/data/bounce_phrases.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from repermit.bounces.bounce_results import MessageKind
from repermit.expressions import Expressions
from repermit.smtp.refusal_words import (
    Cause,
    normalize_reply_text,
    reports_foreign_domain,
    reports_unknown_user,
)
from repermit.smtp.reply_codes import (
    Reply,
    extract_quoted_reply,
    find_cause,
    find_deciding_status,
    find_status,
    is_vague,
)

_PHRASES = Expressions("bounce_phrases.toml", "refusals", "copies")

_CODE = re.compile(r"(?<![\d.])([45]\d\d)(?=[ \-:#']|$)")

# A mailbox that is full, and a mail that is too big.
_ABOUT_SIZE = re.compile(r"5\.(2\.[23]|3\.4)")

_DEFAULT_CODE = 550
_NO_MAILBOX_FOR_NOW = "450"
_MAX_TEXT_LENGTH = 4000


class FailureVerdict(NamedTuple):
    """The meaning of a refusal: its kind, and the status that decided.

    `is_clear`: False if it has no cause, so that other parts of the bounce may decide.
    """

    kind: MessageKind
    status: str
    is_clear: bool = True


def _compile(phrase: str) -> re.Pattern[str]:
    return _PHRASES.compile(phrase, re.IGNORECASE | re.MULTILINE)


def _says(phrase: str, text: str) -> bool:
    return bool(_compile(phrase).search(text))


def has_refusal_code(text: str) -> bool:
    """Return whether a text contains a refusal, as a status or a code of three digits."""
    return bool(re.search(r"[45]", find_status(text)[:1]) or _CODE.search(text))


def judge_failure(
    reply_text: str,
    *,
    status: str = "",
    is_quoted: bool = False,
    address: str = "",
    context: str = "",
    is_lasting: bool = False,
) -> FailureVerdict:
    """Return whether a failure is hard or soft, and the status that decided.

    - `reply_text`: the server's text.
    - `status`: the reporter's. A status in the server's text comes first, since a relay often gives
      5.1.1 or 5.0.0 for any reply.
    - `is_quoted`: the reporter only quotes another server's text. Then the reporter's own status
      says no more about a mailbox than the text.
    - `address`: the failed address, "" if the bounce does not name one.
    - `context`: other text of the reporter about the failure, such as the command that failed.
    - `is_lasting`: a relay has given up after days of trying. Then a temporary "no such mailbox" is
      permanent.
    """
    reply_text = extract_quoted_reply(" ".join(reply_text.split()))[:_MAX_TEXT_LENGTH]
    own_status = find_deciding_status(reply_text)
    statuses = [candidate for candidate in (own_status, status) if candidate]
    precise_status = next((candidate for candidate in statuses if not is_vague(candidate)), "")
    deciding_status = precise_status or next(iter(statuses), "")
    code = _CODE.search(reply_text)
    is_for_now = deciding_status[:1] in {"2", "4"} or bool(code and code[1].startswith("4"))
    if is_for_now and not (is_lasting and _is_unknown_for_now(code, own_status, reply_text)):
        return FailureVerdict(MessageKind.SOFT, deciding_status)
    if (
        is_quoted
        and precise_status != own_status
        and _says_anything(reply_text)
        and not _ABOUT_SIZE.fullmatch(precise_status)
    ):
        # Then only the text counts, if it says that the mailbox is gone or only the status does.
        by_words = _find_cause(code, "", reply_text)
        if Cause.GONE in {by_words, _find_cause(code, precise_status, reply_text)}:
            deciding_status, precise_status = own_status, ""
    cause = _find_cause(code, precise_status or own_status, reply_text)
    if cause is not Cause.GONE:
        return FailureVerdict(
            MessageKind.SOFT,
            deciding_status,
            is_clear=cause is not Cause.UNCLEAR or bool(precise_status),
        )
    is_believed = bool(own_status and not is_vague(own_status) and not is_for_now) or _says(
        "no_account", reply_text
    )
    is_wrong = reports_foreign_domain(reply_text, address) or _is_at_another_step(
        f"{reply_text} {context}", is_believed=is_believed
    )
    return FailureVerdict(MessageKind.SOFT if is_wrong else MessageKind.HARD, deciding_status)


def _is_unknown_for_now(code: re.Match[str] | None, status: str, reply_text: str) -> bool:
    """Return whether a server reports an unknown user with a temporary code.

    Postfix does so with `soft_bounce`, and for an address that another server has refused.
    """
    is_of_a_mailbox = bool(code and code[1] == _NO_MAILBOX_FOR_NOW) and status in {"", "4.1.1"}
    return is_of_a_mailbox and reports_unknown_user(normalize_reply_text(reply_text))


def _find_cause(code: re.Match[str] | None, status: str, reply_text: str) -> Cause:
    return find_cause(
        Reply(int(code[1]) if code else _DEFAULT_CODE, status), normalize_reply_text(reply_text)
    )


def _says_anything(reply_text: str) -> bool:
    """Return whether a text has more than codes and polite words."""
    return bool(
        re.search(r"[^\W\d_]", _compile("politeness").sub("", normalize_reply_text(reply_text)))
    )


def names_another_address(text: str, names: Collection[str]) -> bool:
    """Return whether a text names an address that is not in `names`: a copy was forwarded there.

    Service addresses, such as a postmaster's, do not count.
    """
    known_addresses = {name.lower() for name in names}
    written_addresses = {address.lower().strip(".") for address in WRITTEN_ADDRESS.findall(text)}
    return bool(known_addresses) and any(
        not SERVICE_ADDRESS.match(address) for address in written_addresses - known_addresses
    )


WRITTEN_ADDRESS = re.compile(
    r"(?<![^\s<>(\[\"':;,=])([^\s<>()\[\]\"':;,@=]{1,64}@[\w-]+(?:\.[\w-]+)+)"
)
SERVICE_ADDRESS = re.compile(r"postmaster|mailer-daemon|abuse|support", re.IGNORECASE)


def _is_at_another_step(text: str, *, is_believed: bool) -> bool:
    """Return whether a refusal came before the recipient was named, or after it was accepted.

    A server that refuses our greeting or our sender knows nothing about a mailbox. A server that
    has accepted the recipient and then says "unknown user" hides its reason, as some telephone
    companies do.

    - `is_believed`: a status or Yahoo's full sentence confirms it; then the latter does not count.
    """
    text = " ".join(text.split())
    return _says("before_recipient", text) or (not is_believed and _says("after_message", text))


# --- The text that a mail server writes for people. -----------------------------------------------


# The text about one mail is far shorter; the rest is not read.
_MAX_READ_LENGTH = 32_000
_MAX_PARAGRAPHS = 100


def strip_returned_mail(text: str) -> str:
    """Return a bounce's text up to the copy of the returned mail."""
    return _compile("copy").split(text, maxsplit=1)[0]


def split_paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, which are separated by empty lines."""
    return _EMPTY_LINE.split(text[:_MAX_READ_LENGTH], maxsplit=_MAX_PARAGRAPHS)[:_MAX_PARAGRAPHS]


_EMPTY_LINE = re.compile(r"\n[ \t]*\n")


def is_returned_envelope(text: str, *, to: Collection[str]) -> bool:
    """Return whether a text only returns a mail to its envelope sender.

    - It names sender and recipient of the envelope (RFC 5321 §4.1.1) and a refusal, and all its
      lines are fields, headings or that reply. Apache James writes so (`AbstractNotify`), and
      telephone companies that use it as a gateway.
    - `to`: the recipients of the message; the envelope sender must be one of them.
    """
    lines = [line.strip() for line in text[:_MAX_READ_LENGTH].split("\n") if line.strip()]
    content = "\n".join(lines)
    sender = _ENVELOPE_SENDER.search(content)
    return (
        len(text) <= _MAX_READ_LENGTH
        and sender is not None
        and sender[1].lower() in {address.lower() for address in to}
        and bool(_ENVELOPE_RECIPIENT.search(content) and _REFUSAL.search(content))
        and all(map(_FIELD_OR_REPLY.match, lines))
    )


def strip_repeated_fields(text: str) -> str:
    """Return a text without the lines that repeat the mail's subject and envelope sender."""
    return _SUBJECT.sub("", _ENVELOPE_SENDER.sub("", text))


_SUBJECT = re.compile(r"^[ \t]*subject:.*$", re.IGNORECASE | re.MULTILINE)
_ENVELOPE_SENDER = re.compile(
    r"^[ \t]*mail from: ?<?([^\s<>]{1,254})>?[ \t]*$", re.IGNORECASE | re.MULTILINE
)
_ENVELOPE_RECIPIENT = re.compile(
    r"^rcpt to: ?<?[^\s<>@]{1,64}@[^\s<>@]{1,254}>?$", re.IGNORECASE | re.MULTILINE
)
_REFUSAL = re.compile(r"^5\d\d[ -]", re.MULTILINE)
# Also the boundaries of parts that could not be split (RFC 2046 §5.1.1).
_FIELD_OR_REPLY = re.compile(
    r"[45]\d\d[ -]|[A-Za-z][\w()-]*(?: [\w()-]+){0,2} ?:|--\S+$|boundary=\S+$"
)


def find_paragraphs_about(address: str, text: str) -> list[str]:
    """Return each paragraph that names an address, joined with the next one; the last one first.

    All other paragraphs are about "your message" and "the sender", and say nothing.
    """
    paragraphs = split_paragraphs(text)
    indexes = [
        index
        for index, paragraph in enumerate(paragraphs)
        if address and address.lower() in paragraph.lower()
    ]
    return ["\n".join(paragraphs[index : index + 2]) for index in reversed(indexes)]


def find_quoted_replies(text: str) -> list[str]:
    """Return the replies of other servers that a text quotes, one text each.

    - Sendmail writes "<<<" before each line of a reply, and its own interpretation below.
    - Dovecot gives a mailbox's reason after a sentence of its own, and Gmail a server's reply.
    """
    text = text[:_MAX_READ_LENGTH]
    replies: list[str] = []
    is_open = False
    for is_more, line in _TRANSCRIPT_REPLY.findall(text):
        if is_open:
            replies[-1] += f" {line}"
        else:
            replies.append(line)
        is_open = bool(is_more)
    answers = [
        reply for reply in replies if reply[0] in "45" and not _says("no_recipient_left", reply)
    ]
    return [*answers, *_compile("rejected").findall(text), *_compile("response").findall(text)]


_TRANSCRIPT_REPLY = re.compile(r"^[ \t]*<<<[ \t]*(?=\d{3}(-?))(.{1,2000})", re.MULTILINE)


def judge_text(text: str, *, address: str) -> FailureVerdict | None:
    """Return the verdict of a server's own text on an address; None if it has none.

    Other servers' replies in the text outrank its own words; of several the mildest counts.
    """
    replies = find_quoted_replies(text)
    if replies:
        return pick_mildest(judge_failure(reply, address=address) for reply in replies)
    paragraphs = find_paragraphs_about(address, text) if address else [text]
    verdicts = [
        judge_failure(paragraph, address=address) for paragraph in paragraphs if paragraph.strip()
    ]
    return next((verdict for verdict in verdicts if verdict.is_clear), next(iter(verdicts), None))


def pick_mildest(judgements: Iterable[FailureVerdict]) -> FailureVerdict:
    """Return the first soft verdict with a cause, else the first soft one, else the first."""
    verdicts = list(judgements)
    soft = [verdict for verdict in verdicts if verdict.kind is MessageKind.SOFT]
    return next((verdict for verdict in soft if verdict.is_clear), next(iter(soft), verdicts[0]))
