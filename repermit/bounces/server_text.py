"""What a mail server writes for people: its own text, and the words in it about one address.

Only for what a mail server itself has sent.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from repermit.bounces.bounce_results import Kind
from repermit.bounces.classify import Judgement, judge

# What a server writes of one mail is far smaller; the rest is not looked at.
_READ = 32_000
_MOST_PARAGRAPHS = 100


def without_copy(text: str) -> str:
    """Return a bounce's text up to the copy of the mail that it is about."""
    return _COPY.split(text, maxsplit=1)[0]


def paragraphs_of(text: str) -> list[str]:
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


def returns_an_envelope(text: str, *, to: Collection[str]) -> bool:
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


def without_repeated_fields(text: str) -> str:
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


def about(address: str, text: str) -> list[str]:
    """Return what is said about an address: each paragraph that names it and the one below.

    The last comes first. Around them mail servers write about "your message" and "the sender",
    which says nothing.
    """
    paragraphs = paragraphs_of(text)
    named = [n for n, one in enumerate(paragraphs) if address and address.lower() in one.lower()]
    return ["\n".join(paragraphs[n : n + 2]) for n in reversed(named)]


def replies_in(text: str) -> list[str]:
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


def judge_text(text: str, *, address: str, status: str = "") -> Judgement | None:
    """Return what a server's own text says of an address; None if it says nothing.

    Other servers' replies in it outrank what the writer made of them; of several the mildest
    counts.
    """
    replies = replies_in(text)
    if replies:
        return mildest(judge(one, address=address) for one in replies)
    told = about(address, text) if address else [text]
    found = [judge(one, status=status, address=address) for one in told if one.strip()]
    return next((one for one in found if one.is_clear), next(iter(found), None))


def mildest(judgements: Iterable[Judgement]) -> Judgement:
    """Return the first that is soft and says why, or that is soft, or the first of all."""
    found = list(judgements)
    soft = [one for one in found if one.kind is Kind.SOFT]
    return next((one for one in soft if one.is_clear), next(iter(soft), found[0]))
