"""Whether a failed delivery is a hard or a soft bounce, by a server's words and codes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from repermit.bounces.bounce_results import MessageKind
from repermit.smtp.refusal_words import (
    Cause,
    normalize_reply_text,
    reports_foreign_domain,
    reports_unknown_user,
)
from repermit.smtp.reply_codes import (
    Reply,
    cause_of,
    deciding_status,
    find_status,
    is_vague,
    quoted_reply,
)

_CODE = re.compile(r"(?<![\d.])([45]\d\d)(?=[ \-:#']|$)")

# A mailbox that is full, and a mail that is too big.
_OF_SIZE = re.compile(r"5\.(2\.[23]|3\.4)")

_FAILED = 550
_NO_MAILBOX_FOR_NOW = "450"
_LONGEST = 4000


class FailureVerdict(NamedTuple):
    """What a refusal means: its kind and the status that decided.

    `is_clear` is False where nothing in it says why, so that more of the bounce may be asked.
    """

    kind: MessageKind
    status: str
    is_clear: bool = True


def has_refusal_code(text: str) -> bool:
    """Say whether a server's refusal stands in a text, as a status or as a code of three digits."""
    return bool(re.search(r"[45]", find_status(text)[:1]) or _CODE.search(text))


def judge_failure(
    words: str,
    *,
    status: str = "",
    is_quoted: bool = False,
    address: str = "",
    around: str = "",
    is_lasting: bool = False,
) -> FailureVerdict:
    """Return hard or soft for a failure, and the status that decided.

    - `words` are the server's and `status` is what the reporter made of them. What the server gave
      itself comes first: a relay often puts a 5.1.1 or a 5.0.0 over whatever it was told.
    - `is_quoted` says that the reporter only quotes another server's words. Then its own status
      says of a mailbox no more than the words do.
    - `address` is whom the bounce is about, "" if it does not say.
    - `around` is what the reporter writes about it besides, such as to which command it was the
      answer.
    - `is_lasting` says that a relay has tried for days and given up. Then also a mailbox that is
      not there for now is gone.
    """
    words = quoted_reply(" ".join(words.split()))[:_LONGEST]
    own = deciding_status(words)
    given = [one for one in (own, status) if one]
    telling = next((one for one in given if not is_vague(one)), "")
    shown = telling or next(iter(given), "")
    code = _CODE.search(words)
    is_for_now = shown[:1] in {"2", "4"} or bool(code and code[1].startswith("4"))
    if is_for_now and not (is_lasting and _is_unknown_for_now(code, own, words)):
        return FailureVerdict(MessageKind.SOFT, shown)
    if is_quoted and telling != own and _says_anything(words) and not _OF_SIZE.fullmatch(telling):
        # Then the words alone count where they say it, and where the status alone would.
        by_words = _cause(code, "", words)
        if Cause.GONE in {by_words, _cause(code, telling, words)}:
            shown, telling = own, ""
    cause = _cause(code, telling or own, words)
    if cause is not Cause.GONE:
        return FailureVerdict(
            MessageKind.SOFT, shown, is_clear=cause is not Cause.UNCLEAR or bool(telling)
        )
    is_believed = bool(own and not is_vague(own) and not is_for_now) or bool(
        _NO_ACCOUNT.search(words)
    )
    is_wrong = reports_foreign_domain(words, address) or _is_at_another_step(
        f"{words} {around}", is_believed=is_believed
    )
    return FailureVerdict(MessageKind.SOFT if is_wrong else MessageKind.HARD, shown)


def _is_unknown_for_now(code: re.Match[str] | None, status: str, words: str) -> bool:
    """Say whether a server answers that it knows nobody of that name, with a code for now.

    Postfix does so with `soft_bounce`, and for an address that another server has refused to it.
    """
    is_of_a_mailbox = bool(code and code[1] == _NO_MAILBOX_FOR_NOW) and status in {"", "4.1.1"}
    return is_of_a_mailbox and reports_unknown_user(normalize_reply_text(words))


def _cause(code: re.Match[str] | None, status: str, words: str) -> Cause:
    return cause_of(Reply(int(code[1]) if code else _FAILED, status), normalize_reply_text(words))


def _says_anything(words: str) -> bool:
    """Say whether there is more to words than codes and politeness."""
    return bool(re.search(r"[^\W\d_]", _POLITENESS.sub("", normalize_reply_text(words))))


_POLITENESS = re.compile(r"\b(sorry|error|smtp)\b")


def names_another_address(words: str, names: Collection[str]) -> bool:
    """Say whether words name an address that is none of `names`, to which a copy was passed on.

    Where `words` name no address but a postmaster's, they are about whoever the report names.
    """
    known = {name.lower() for name in names}
    written = {one.lower().strip(".") for one in WRITTEN_ADDRESS.findall(words)}
    return bool(known) and any(not SERVICE_ADDRESS.match(one) for one in written - known)


WRITTEN_ADDRESS = re.compile(
    r"(?<![^\s<>(\[\"':;,=])([^\s<>()\[\]\"':;,@=]{1,64}@[\w-]+(?:\.[\w-]+)+)"
)
SERVICE_ADDRESS = re.compile(r"postmaster|mailer-daemon|abuse|support", re.IGNORECASE)


def _is_at_another_step(text: str, *, is_believed: bool) -> bool:
    """Say whether a refusal came before a recipient was named, or after one was accepted.

    Who refuses our greeting or our sender knows nothing of a mailbox. A server that has accepted
    the recipient and says "unknown user" of the mail itself hides why it does not want it, as some
    telephone companies do; only a status or Yahoo's whole sentence is believed then.
    """
    text = " ".join(text.lower().split())
    return bool(_BEFORE_RECIPIENT.search(text)) or (
        not is_believed and bool(_AFTER_MAIL.search(text))
    )


# Postfix; Exim; qmail.
_BEFORE_RECIPIENT = re.compile(
    r"in reply to (?:helo|ehlo|lhlo|mail from|initial|connection)|"
    r"remote mail server after (?:initial|pipelined mail|mail from|helo|ehlo|lhlo)|"
    r"but (?:my name was rejected|sender was rejected|greeting failed)"
)
_AFTER_MAIL = re.compile(
    r"in reply to (?:end of )?data|remote mail server after (?:end of )?data|"
    r"failed after i sent the message|"
    # Sendmail, whose transcript goes on with a complaint of DATA where a recipient was refused.
    r"<<< 55\d[ -].{1,1000} 55\d (?:5\.0\.0 )?service unavailable(?! <<<)"
)
_NO_ACCOUNT = re.compile(r"\b(?:doesn't|does not) have an? \S+ account\b", re.IGNORECASE)


# --- What a mail server writes for people. --------------------------------------------------------


# What a server writes of one mail is far smaller; the rest is not looked at.
_READ = 32_000
_MOST_PARAGRAPHS = 100


def strip_returned_mail(text: str) -> str:
    """Return a bounce's text up to the copy of the mail that it is about."""
    return _COPY.split(text, maxsplit=1)[0]


def split_paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, which empty lines divide."""
    return _EMPTY_LINE.split(text[:_READ], maxsplit=_MOST_PARAGRAPHS)[:_MOST_PARAGRAPHS]


_EMPTY_LINE = re.compile(r"\n[ \t]*\n")


_COPY = re.compile(
    r"^(?:-+ ?(?:this is a copy|below (?:this|the next) line|the header of the original|"
    r"(?:start of )?(?:original|returned|unsent) message|forwarded message|transcript ends)"
    r"|.*\b(?:original message|message text) follows?\b|.*original message headers?"
    r"|[ \t]*below is a copy of the original message|original message:|message headers? follow|"
    r"return-path: |received: (?:from|by) |(?:message-id|mime-version): ?\S|"
    # Three fields at the beginning of their lines, as hardly a program's own text has them.
    r"(?:(?:from|to|cc|subject|date|sender|reply-to): ?\S.*\n){3})",
    re.IGNORECASE | re.MULTILINE,
)


def is_returned_envelope(text: str, *, to: Collection[str]) -> bool:
    """Say whether a text gives a mail back to its envelope's sender, and says nothing else.

    - It names both sides of the envelope (RFC 5321 §4.1.1) and a server's refusal, and all of its
      lines are fields, headings or that reply, as no person writes them. Apache James does
      (`AbstractNotify`), and telephone companies whose gateway it is.
    - `to` is whom it was sent to, which is where a mail is returned to.
    """
    lines = [line.strip() for line in text[:_READ].split("\n") if line.strip()]
    said = "\n".join(lines)
    sender = _ENVELOPE_SENDER.search(said)
    return (
        len(text) <= _READ
        and sender is not None
        and sender[1].lower() in {one.lower() for one in to}
        and bool(_ENVELOPE_RECIPIENT.search(said) and _REFUSAL.search(said))
        and all(map(_FIELD_OR_REPLY.match, lines))
    )


def strip_repeated_fields(text: str) -> str:
    """Return a text without the subject and the envelope's sender that it repeats of the mail."""
    return _SUBJECT.sub("", _ENVELOPE_SENDER.sub("", text))


_SUBJECT = re.compile(r"^[ \t]*subject:.*$", re.IGNORECASE | re.MULTILINE)
_ENVELOPE_SENDER = re.compile(
    r"^[ \t]*mail from: ?<?([^\s<>]{1,254})>?[ \t]*$", re.IGNORECASE | re.MULTILINE
)
_ENVELOPE_RECIPIENT = re.compile(
    r"^rcpt to: ?<?[^\s<>@]{1,64}@[^\s<>@]{1,254}>?$", re.IGNORECASE | re.MULTILINE
)
_REFUSAL = re.compile(r"^5\d\d[ -]", re.MULTILINE)
# Beside the lines that stand between parts (RFC 2046 §5.1.1) which cannot be told from each other.
_FIELD_OR_REPLY = re.compile(
    r"[45]\d\d[ -]|[A-Za-z][\w()-]*(?: [\w()-]+){0,2} ?:|--\S+$|boundary=\S+$"
)


def find_paragraphs_about(address: str, text: str) -> list[str]:
    """Return what is said about an address: each paragraph that names it and the one below.

    The last comes first. Around them mail servers write about "your message" and "the sender",
    which says nothing.
    """
    paragraphs = split_paragraphs(text)
    named = [n for n, one in enumerate(paragraphs) if address and address.lower() in one.lower()]
    return ["\n".join(paragraphs[n : n + 2]) for n in reversed(named)]


def find_quoted_replies(text: str) -> list[str]:
    """Return the replies of other servers that stand in a transcript, one text each.

    - Sendmail writes "<<<" before each line of a reply; what it makes of them stands below.
    - Dovecot writes why a mailbox took nothing behind a sentence of its own.
    """
    text = text[:_READ]
    replies: list[str] = []
    is_open = False
    for is_more, words in _HEARD.findall(text):
        if is_open:
            replies[-1] += f" {words}"
        else:
            replies.append(words)
        is_open = bool(is_more)
    answers = [one for one in replies if one[0] in "45" and not _NOBODY_LEFT.search(one)]
    return answers + _REJECTED.findall(text)


_HEARD = re.compile(r"^[ \t]*<<<[ \t]*(?=\d{3}(-?))(.{1,2000})", re.MULTILINE)

# It goes on with DATA after the last recipient was refused.
_NOBODY_LEFT = re.compile(r"^503\b|\bneed rcpt\b|\bno valid recipients\b", re.IGNORECASE)

_REJECTED = re.compile(r"\bwas automatically rejected:\s*\n?(.{1,500})", re.IGNORECASE)


def judge_text(text: str, *, address: str, status: str = "") -> FailureVerdict | None:
    """Return what a server's own text says of an address; None if it says nothing.

    Other servers' replies in it outrank what the writer made of them; of several the mildest
    counts.
    """
    replies = find_quoted_replies(text)
    if replies:
        return pick_mildest(judge_failure(one, address=address) for one in replies)
    paragraphs = find_paragraphs_about(address, text) if address else [text]
    found = [
        judge_failure(one, status=status, address=address) for one in paragraphs if one.strip()
    ]
    return next((one for one in found if one.is_clear), next(iter(found), None))


def pick_mildest(judgements: Iterable[FailureVerdict]) -> FailureVerdict:
    """Return the first that is soft and says why, or that is soft, or the first of all."""
    found = list(judgements)
    soft = [one for one in found if one.kind is MessageKind.SOFT]
    return next((one for one in soft if one.is_clear), next(iter(soft), found[0]))
