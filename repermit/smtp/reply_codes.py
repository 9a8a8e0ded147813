"""The meaning of an SMTP server's replies. Their text is interpreted here and not stored.

Codes are those of RFC 5321 §4.2 and RFC 3463.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from repermit.errors import TransportError
from repermit.i18n.lazy_text import LazyText
from repermit.smtp.refusal_words import (
    Cause,
    find_cause_in_text,
    is_about_mailbox_for_now,
    is_about_our_limit,
    is_gone_by_status_and_words,
    normalize_reply_text,
    reports_foreign_domain,
    reports_other_cause,
    reports_our_fault_for_now,
    reports_unknown_user,
)

# --- Finding the status (RFC 3463) in a reply's text, and the one that decides. -------------------


# RFC 3463 §3.2, RFC 7505, and Exchange's 5.1.10 (no such recipient) and 5.1.351 (another server
# says so).
NO_SUCH_MAILBOX = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.1.351"})
"""The statuses of a mailbox or domain that does not exist."""

# Not an IP address (5.1.1.4), and not a program's version (4.94.2).
_ENHANCED_STATUS = re.compile(r"(?<![\d.])([245]\.[0-7]\.\d{1,3})(?!\.?\d)")

# These only say that it failed; Postfix also gives 5.4.4 for a domain that does not exist.
_VAGUE_STATUS = re.compile(r"5\.[013456]\.0|5\.4\.4")


def find_status(text: str) -> str:
    """Return the first status in a text; "" if there is none."""
    match = _ENHANCED_STATUS.search(text)
    return match[1] if match else ""


def is_vague(status: str) -> bool:
    """Return whether a status only says that the mail failed."""
    return bool(_VAGUE_STATUS.fullmatch(status))


def find_deciding_status(reply_text: str) -> str:
    """Return the status that decides in a reply's text; "" if there is none.

    If a server quotes another one, a status other than "no such mailbox" takes precedence.
    """
    statuses = [status for status in _ENHANCED_STATUS.findall(reply_text) if not is_vague(status)]
    other_statuses = [status for status in statuses if status not in NO_SUCH_MAILBOX]
    return next(iter(other_statuses or statuses), "") or find_status(reply_text)


def extract_quoted_reply(reply_text: str) -> str:
    """Return the other server's reply that a reply quotes after its own sentence; else all of it.

    IronPort and Amazon SES quote so, and Exchange Online, whose own sentence stays if the quoted
    reply has no status.
    """
    match = _BEHIND_SENTENCE.search(reply_text)
    if match:
        return match[1]
    _, arrow, reply = reply_text.partition("-> ")
    return reply if arrow and find_status(reply) else reply_text


_BEHIND_SENTENCE = re.compile(r"[245]\.\d{1,3}\.\d{1,3} - [A-Za-z ]{3,60}?[(' ]{1,4}([45]\d\d\b.*)")


# --- The meaning of a reply. ----------------------------------------------------------------------


ENDED = LazyText("the mail server has ended the connection")
SILENT = LazyText("the mail server has not answered in time")
GARBLED = LazyText("the mail server gave an answer that cannot be understood")
PERHAPS = LazyText("the mail server has not said whether it has accepted a mail")

_REFUSES = LazyText("the mail server refuses mails")

Stage = Literal["server", "recipient", "message"]
"""What a reply answers: a command before the recipient, RCPT, or the mail itself."""


class Reply(NamedTuple):
    """A reply without its text: a `code` of three digits, a `status` like "2.0.0", or ""."""

    code: int
    status: str


def read_reply(code: int, reply_text: bytes) -> Reply:
    """Return a reply without its text, which may quote addresses."""
    match = _STATUS.match(reply_text)
    status = match[1].decode() if match else ""
    # A status of another class contradicts the code; then the code counts.
    return Reply(code, status if status[:1] == str(code)[:1] else "")


_STATUS = re.compile(rb"#?([245]\.\d{1,3}\.\d{1,3})\b")


def make_refusal_error(
    code: int, reply_text: bytes, *, stage: Stage, recipient: str = ""
) -> TransportError:
    """Return the error for a reply that does not accept the mail.

    Only "no such mailbox or domain" is a permanent fault of the recipient. A refused limit, login
    or sender is a fault of our side, whether the code is temporary or permanent; a policy may be
    about our side or about the recipient.

    - `recipient`: the address in the envelope; only its own missing domain is the recipient's.
    """
    reply = read_reply(code, reply_text)
    deciding_text = extract_quoted_reply(reply_text.decode("utf-8", "replace"))
    status = (
        find_deciding_status(deciding_text) if reply.status in NO_SUCH_MAILBOX else reply.status
    )
    scope, permanent = _classify_refusal(
        Reply(code, status), normalize_reply_text(deciding_text), stage
    )
    if (scope, permanent) == _SCOPES[Cause.GONE] and reports_foreign_domain(
        deciding_text, recipient
    ):
        scope, permanent = _SCOPES[Cause.POLICY]
    reason = _REFUSES if scope in {"server", "policy"} else LazyText()
    return TransportError(reply.code, reply.status, scope=scope, permanent=permanent, reason=reason)


def _classify_refusal(reply: Reply, reply_text: str, stage: Stage) -> tuple[str, bool]:
    """Return the scope of the fault, and whether it is permanent."""
    if stage == "server" or reply.code in _SERVER_CODES or not _is_refusal(reply.code):
        return "server", False
    if reply.code < _PERMANENT:
        return ("server" if _is_our_temporary_fault(reply, reply_text) else stage), False
    return _SCOPES[find_cause(reply, reply_text)]


_SCOPES = {
    Cause.GONE: ("recipient", True),
    Cause.OURS: ("server", False),
    Cause.POLICY: ("policy", False),
    Cause.MAILBOX: ("message", True),
    Cause.UNCLEAR: ("message", True),
}


def find_cause(reply: Reply, reply_text: str) -> Cause:
    """Return why a mail is refused permanently, by the status and the normalized text.

    The text outranks the status: servers send a status for a missing mailbox with words about a
    full one, and "user unknown" with nearly every status.
    """
    cause_by_text = find_cause_in_text(reply_text)
    if reply.code in _SERVER_CODES:
        return Cause.OURS
    if reply.status in NO_SUCH_MAILBOX:
        return cause_by_text if reports_other_cause(reply_text) else Cause.GONE
    if is_about_our_limit(reply_text):
        return Cause.OURS
    if is_gone_by_status_and_words(f"{reply.status} {reply_text}"):
        return Cause.GONE
    if cause_by_text is Cause.GONE and not _may_say_gone(reply, reply_text):
        cause_by_text = Cause.UNCLEAR
    if cause_by_text is Cause.GONE or reply.status in _VAGUE_STATUSES:
        return cause_by_text
    return _find_cause_by_status(reply.status, cause_by_text)


def _may_say_gone(reply: Reply, reply_text: str) -> bool:
    """Return whether a status allows the text to say that a mailbox or domain does not exist.

    With a status for a policy, a missing domain may as well be the sender's.
    """
    if reply.code in _SYNTAX_CODES or _OUTRANKS.fullmatch(reply.status):
        return False
    return not reply.status.startswith("5.7.") or reports_unknown_user(reply_text)


def _find_cause_by_status(status: str, cause_by_text: Cause) -> Cause:
    if status.startswith("5.7."):
        return Cause.POLICY
    if status in _OUR_STATUSES:
        return Cause.OURS
    return Cause.MAILBOX if cause_by_text is Cause.MAILBOX else Cause.UNCLEAR


def _is_our_temporary_fault(reply: Reply, reply_text: str) -> bool:
    """Return whether a temporary refusal is about our side: our limits, our sender, a busy server.

    Greylisting is about one recipient, and so is a status for an address or a mailbox.
    """
    if is_about_mailbox_for_now(reply_text):
        return False
    if is_about_our_limit(reply_text) or _OUR_TEMPORARY_STATUS.fullmatch(reply.status):
        return True
    if reply.status.startswith(("4.1.", "4.2.")):
        return False
    return find_cause_in_text(reply_text) is Cause.OURS or reports_our_fault_for_now(reply_text)


def _is_refusal(code: int) -> bool:
    return 400 <= code < 600  # noqa: PLR2004  RFC 5321 §4.2.1


_PERMANENT = 500

# Closing down; login required, too weak or failed (RFC 4954 §6; Exchange gives 432 for too many
# connections of a sender); takes no mail at all (RFC 7504).
_SERVER_CODES = frozenset({421, 432, 454, 521, 530, 534, 535, 538})

# Commands that were not understood, such as a HELO with an "invalid domain" (RFC 5321 §4.2.2).
_SYNTAX_CODES = frozenset(range(500, 505))

# A full mailbox (5.2.2), a mail that is too big (5.2.3, 5.3.4), a sender or a limit of ours, and
# all of policy and security but the two that say nothing more (5.7.0, 5.7.1).
_OUTRANKS = re.compile(r"5\.(2\.[023]|2\.25\d|3\.[1-5]|1\.[78]|1\.90|4\.5|5\.3|7\.(?![01]$)\d+)")

# These say no more than the code.
_VAGUE_STATUSES = frozenset({"", "5.0.0", "5.1.0", "5.3.0", "5.4.0", "5.5.0", "5.6.0"})

# Bad sender (5.1.7, 5.1.8), Exchange's limits for a day (5.1.90, 5.2.0) and for those who go on
# after a refusal (5.2.251 to 5.2.255), the mail system itself (5.3.x, but 5.3.4 is the mail's
# size), congestion and Gmail's limit for a day (5.4.5), too many recipients (5.5.3).
_OUR_STATUSES = frozenset(
    "5.1.7 5.1.8 5.1.90 5.2.0 5.2.251 5.2.252 5.2.253 5.2.254 5.2.255 "
    "5.3.1 5.3.2 5.3.3 5.3.5 5.4.5 5.5.3".split()
)

# Bad sender (4.1.7, 4.1.8), the mail system itself (4.3.1, 4.3.2, 4.3.5), congestion (4.4.5), too
# many recipients (4.5.3), our name in the DNS (4.7.25), and Exchange Online for who sends too much
# (4.7.500 and above).
_OUR_TEMPORARY_STATUS = re.compile(r"4\.(1\.[78]|3\.[125]|4\.5|5\.3|7\.(25|[56]\d\d))")


def check_envelope(*addresses: str) -> None:
    """Raise TransportError for an address that could inject a command; no list has such a one."""
    if _UNSAFE.search("".join(addresses)):
        raise TransportError(0, _BAD_MAILBOX_SYNTAX, scope="message", permanent=True)


_UNSAFE = re.compile(r"[\s<>\x00-\x1f\x7f]")
_BAD_MAILBOX_SYNTAX = "5.1.7"
