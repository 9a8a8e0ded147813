"""What the replies of an SMTP server mean. Their words are read here and nowhere kept.

Codes are those of RFC 5321 §4.2 and RFC 3463.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from repermit.errors import TransportError
from repermit.i18n.lazy_text import LazyText
from repermit.smtp.refusal_words import (
    Cause,
    cause_of_words,
    is_about_our_limit,
    normalize_reply_text,
    reports_foreign_domain,
    reports_other_cause,
    reports_unknown_user,
)

# --- Finding the status (RFC 3463) in a mail server's words, and the one that decides. ------------


# RFC 3463 §3.2, RFC 7505, and Exchange's 5.1.10 (no such recipient) and 5.1.351 (another server
# says so).
NO_SUCH_MAILBOX = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.1.351"})
"""The statuses of a mailbox or domain that is not there."""

# Not an address of the network (5.1.1.4), and not a program's version (4.94.2).
_ENHANCED_STATUS = re.compile(r"(?<![\d.])([245]\.[0-7]\.\d{1,3})(?!\.?\d)")

# These say no more than that it failed, and Postfix gives 5.4.4 for a domain that does not exist.
_VAGUE_STATUS = re.compile(r"5\.[013456]\.0|5\.4\.4")


def find_status(text: str) -> str:
    """Return the first status in a text, "" if there is none."""
    found = _ENHANCED_STATUS.search(text)
    return found[1] if found else ""


def is_vague(status: str) -> bool:
    """Say whether a status says no more than that it failed."""
    return bool(_VAGUE_STATUS.fullmatch(status))


def deciding_status(words: str) -> str:
    """Return the status that decides in a server's words, "" if there is none.

    Where one server quotes another's, what is not "no such mailbox" counts.
    """
    found = [one for one in _ENHANCED_STATUS.findall(words) if not is_vague(one)]
    others = [one for one in found if one not in NO_SUCH_MAILBOX]
    return next(iter(others or found), "") or find_status(words)


def quoted_reply(words: str) -> str:
    """Return the reply of another server that a server quotes behind a sentence of its own.

    So do IronPort and Amazon SES, and so does Exchange Online, whose sentence is kept where the
    other gave no status.
    """
    found = _BEHIND_SENTENCE.search(words)
    if found:
        return found[1]
    _, arrow, reply = words.partition("-> ")
    return reply if arrow and find_status(reply) else words


_BEHIND_SENTENCE = re.compile(r"[245]\.\d{1,3}\.\d{1,3} - [A-Za-z ]{3,60}?[(' ]{1,4}([45]\d\d\b.*)")


# --- What the replies of an SMTP server mean. Their words are read here and nowhere kept. ---------


ENDED = LazyText("the mail server has ended the connection")
SILENT = LazyText("the mail server has not answered in time")
GARBLED = LazyText("the mail server gave an answer that cannot be understood")
PERHAPS = LazyText("the mail server has not said whether it has accepted a mail")

_REFUSES = LazyText("the mail server refuses mails")

Stage = Literal["server", "recipient", "message"]
"""What was being said: all that goes before a recipient, RCPT, or the mail itself."""


class Reply(NamedTuple):
    """A reply in numbers: `code` of three digits, `status` like "2.0.0", or "" if not given."""

    code: int
    status: str


def read_reply(code: int, words: bytes) -> Reply:
    """Return a reply without its words, which quote addresses."""
    found = _STATUS.match(words)
    status = found[1].decode() if found else ""
    # A status of another class than the code's contradicts it; then the code alone holds.
    return Reply(code, status if status[:1] == str(code)[:1] else "")


_STATUS = re.compile(rb"#?([245]\.\d{1,3}\.\d{1,3})\b")


def refusal(code: int, words: bytes, *, stage: Stage, recipient: str = "") -> TransportError:
    """Return what a reply that accepts nothing means.

    Only "no such mailbox or domain" is the recipient's, for good. A limit, a login or a sender
    that is refused is a fault of this side, whether the code says "for now" or "for ever"; a
    policy is one too, or the recipient's.

    - `recipient` is the address in the envelope; a domain that is not there has to be its own.
    """
    reply = read_reply(code, words)
    said = quoted_reply(words.decode("utf-8", "replace"))
    decides = deciding_status(said) if reply.status in NO_SUCH_MAILBOX else reply.status
    scope, permanent = _judge(Reply(code, decides), normalize_reply_text(said), stage)
    if (scope, permanent) == _SCOPES[Cause.GONE] and reports_foreign_domain(said, recipient):
        scope, permanent = _SCOPES[Cause.POLICY]
    reason = _REFUSES if scope in {"server", "policy"} else LazyText()
    return TransportError(reply.code, reply.status, scope=scope, permanent=permanent, reason=reason)


def _judge(reply: Reply, words: str, stage: Stage) -> tuple[str, bool]:
    """Return whose fault it is, and whether trying again cannot help."""
    if stage == "server" or reply.code in _OF_THE_SERVER or not _is_refusal(reply.code):
        return "server", False
    if reply.code < _PERMANENT:
        return ("server" if _is_ours_for_now(reply, words) else stage), False
    return _SCOPES[cause_of(reply, words)]


_SCOPES = {
    Cause.GONE: ("recipient", True),
    Cause.OURS: ("server", False),
    Cause.POLICY: ("policy", False),
    Cause.MAILBOX: ("message", True),
    Cause.UNCLEAR: ("message", True),
}


def cause_of(reply: Reply, words: str) -> Cause:
    """Return why a mail is refused for good, by the status and by plain words.

    Words outrank the status: a status for a mailbox that is not there counts for nothing beside
    words of a full one, and "user unknown" stands beside nearly every status there is.
    """
    said = cause_of_words(words)
    if reply.code in _OF_THE_SERVER:
        return Cause.OURS
    if reply.status in NO_SUCH_MAILBOX:
        return said if reports_other_cause(words) else Cause.GONE
    if is_about_our_limit(words):
        return Cause.OURS
    if _GONE_BY_STATUS_AND_WORDS.fullmatch(f"{reply.status} {words}"):
        return Cause.GONE
    if said is Cause.GONE and not _may_say_gone(reply, words):
        said = Cause.UNCLEAR
    if said is Cause.GONE or reply.status in _VAGUE:
        return said
    return _cause_of_status(reply.status, said)


def _may_say_gone(reply: Reply, words: str) -> bool:
    """Say whether a status leaves it to words that somebody or their domain is not there.

    Beside a status of policy a domain that is not there is as likely the sender's.
    """
    if reply.code in _SYNTAX or _OUTRANKS.fullmatch(reply.status):
        return False
    return not reply.status.startswith("5.7.") or reports_unknown_user(words)


def _cause_of_status(status: str, said: Cause) -> Cause:
    if status.startswith("5.7."):
        return Cause.POLICY
    if status in _FAULTS_OF_OURS:
        return Cause.OURS
    return Cause.MAILBOX if said is Cause.MAILBOX else Cause.UNCLEAR


def _is_ours_for_now(reply: Reply, words: str) -> bool:
    """Say whether a refusal for now is about this side: its limits, its sender, a busy server.

    Greylisting is about one recipient, and so is what the status says of an address or a mailbox.
    """
    if _OF_A_MAILBOX_FOR_NOW.search(words):
        return False
    if is_about_our_limit(words) or _OURS_FOR_NOW.fullmatch(reply.status):
        return True
    if reply.status.startswith(("4.1.", "4.2.")):
        return False
    return cause_of_words(words) is Cause.OURS or bool(_BUSY.search(words))


def _is_refusal(code: int) -> bool:
    return 400 <= code < 600  # noqa: PLR2004  RFC 5321 §4.2.1


_PERMANENT = 500

# Closing down; login wanted, too weak or failed for now or for ever (RFC 4954 §6; Exchange has 432
# for too many connections of a sender); takes no mail at all (RFC 7504).
_OF_THE_SERVER = frozenset({421, 432, 454, 521, 530, 534, 535, 538})

# What means it only in both together: Exchange Online takes mail for those in its directory alone,
# and Amazon SES finds no domain of that name.
_GONE_BY_STATUS_AND_WORDS = re.compile(
    r"5\.4\.1 .{0,10}recipient address rejected: access denied\b.*|"
    r"5\.4\.4 .{0,10}invalid domain\b.*"
)

# Commands that were not understood, among them a HELO with an "invalid domain" (RFC 5321 §4.2.2).
_SYNTAX = frozenset(range(500, 505))

# A full mailbox (5.2.2), a mail that is too big (5.2.3, 5.3.4), a sender or a limit of ours, and
# all of policy and security but the two that say nothing more (5.7.0, 5.7.1).
_OUTRANKS = re.compile(r"5\.(2\.[023]|2\.25\d|3\.[1-5]|1\.[78]|1\.90|4\.5|5\.3|7\.(?![01]$)\d+)")

# These say no more than the code does.
_VAGUE = frozenset({"", "5.0.0", "5.1.0", "5.3.0", "5.4.0", "5.5.0", "5.6.0"})

# Bad sender (5.1.7, 5.1.8), Exchange's limits for a day (5.1.90, 5.2.0) and for those who go on
# after a refusal (5.2.251 to 5.2.255), the mail system itself (5.3.x, but 5.3.4 is the mail's
# size), congestion and Gmail's limit for a day (5.4.5), too many recipients (5.5.3).
_FAULTS_OF_OURS = frozenset(
    "5.1.7 5.1.8 5.1.90 5.2.0 5.2.251 5.2.252 5.2.253 5.2.254 5.2.255 "
    "5.3.1 5.3.2 5.3.3 5.3.5 5.4.5 5.5.3".split()
)

# Postfix, Exchange Online and Gmail: a rate that somebody gets mail at is not ours.
_OF_A_MAILBOX_FOR_NOW = re.compile(r"gr[ae]y-?list|receiving mail")

# Bad sender (4.1.7, 4.1.8), the mail system itself (4.3.1, 4.3.2, 4.3.5), congestion (4.4.5), too
# many recipients (4.5.3), our name in the DNS (4.7.25), and Exchange Online for who sends too much
# (4.7.500 and above).
_OURS_FOR_NOW = re.compile(r"4\.(1\.[78]|3\.[125]|4\.5|5\.3|7\.(25|[56]\d\d))")

_BUSY = re.compile(
    r"\bbusy|overload|system (storage|resources)|client host|reputation|black ?list|block ?list|"
    r"\brbl\b|dnsbl|\brelay"
)


def check_envelope(*addresses: str) -> None:
    """Refuse what would say more to the server than an address; none such is on any list."""
    if _UNSAFE.search("".join(addresses)):
        raise TransportError(0, _BAD_MAILBOX_SYNTAX, scope="message", permanent=True)


_UNSAFE = re.compile(r"[\s<>\x00-\x1f\x7f]")
_BAD_MAILBOX_SYNTAX = "5.1.7"
