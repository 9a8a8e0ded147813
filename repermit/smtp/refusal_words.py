"""The causes of refusals, recognised by the words that mail servers really use.

The words are data: `repermit/data/refusal_words.toml`.

The same words serve for replies while sending and for replies quoted in a bounce. Words about our
side, a policy or a full mailbox outrank words that say that a recipient is unknown.
"""

from __future__ import annotations

import re
from enum import StrEnum

from repermit.expressions import Expressions

_WORDS = Expressions("refusal_words.toml", "words", "causes")


class Cause(StrEnum):
    """Why a mail is refused permanently.

    - `gone`: no such mailbox or domain, and nothing else.
    - `ours`: a limit, a login or a sender of our side.
    - `policy`: an objection to our name, our address or the mail.
    - `mailbox`: the mailbox exists and takes no mail now.
    - `unclear`: the words do not say.
    """

    GONE = "gone"
    OURS = "ours"
    POLICY = "policy"
    MAILBOX = "mailbox"
    UNCLEAR = ""


def normalize_reply_text(reply_text: str) -> str:
    """Return a reply's text in lower case on one line, without addresses, host names and codes.

    - An address may contain any word: limits@example.org says nothing about a limit.
    - So may a host name: spam.filter.example does not call anything spam.
    - The lines of a longer reply repeat its code (RFC 5321 §4.2.1), often amid a sentence.

    The other functions here take a text in this form, unless they say otherwise.
    """
    text = _ADDRESS.sub("", " ".join(reply_text.lower().replace("’", "'").split()))
    return " ".join(_HOST.sub("", _CODE.sub(" ", text)).split())


# It ends before a reason in the same word, as in Barracuda's "(jan@example.org:blocked)".
_ADDRESS = re.compile(
    r"<?(?<![^\s<>()\[\]:;,])[^\s<>()\[\]:;,]+@(?:\[[^\s<>\]]*\]|[^\s<>()\[\]:;,]+)>?"
)
_CODE = re.compile(r"(?<![\w.])[45]\d\d[ -]+(?:#?[245]\.\d{1,3}\.\d{1,3}\b)?")
# Three labels at least; Exchange's RESOLVER.ADR.… is a reason. A URL stays, since it is often all
# that a blocklist gives.
_HOST = re.compile(r"(?<![\w./@:-])(?!resolver\.)[a-z0-9-]+(?:\.[a-z0-9-]+){2,}(?![\w/])")


def _says(cause: str, reply_text: str) -> bool:
    return bool(_WORDS.compile(cause).search(reply_text))


def is_about_our_limit(reply_text: str) -> bool:
    """Return whether a reply is about the number of mails that our account may send."""
    return _says("our_limit", reply_text)


def reports_other_cause(reply_text: str) -> bool:
    """Return whether a reply is about anything but a mailbox or domain that does not exist.

    This counts even with a status for such a mailbox, since many relays make one up (Sendmail gives
    5.1.1 to every 550 without a status).
    """
    return _says("other_cause", reply_text)


def is_gone_by_status_and_words(status_and_text: str) -> bool:
    """Return whether a status, a blank and a reply's text mean a missing mailbox or domain."""
    return bool(_WORDS.compile("gone_with_status").fullmatch(status_and_text))


def is_about_mailbox_for_now(reply_text: str) -> bool:
    """Return whether a temporary reply is about one mailbox, such as greylisting."""
    return _says("mailbox_for_now", reply_text)


def reports_our_fault_for_now(reply_text: str) -> bool:
    """Return whether a temporary reply is about a busy server, or about our name or address."""
    return _says("our_side_for_now", reply_text)


def find_cause_in_text(reply_text: str) -> Cause:
    """Return the cause that a reply's words give by themselves, without a status.

    A limit comes first: "too many unknown recipients" is about us, not about this recipient.
    """
    if _says("no_room", reply_text):
        return Cause.MAILBOX
    if _says("our_side", reply_text):
        return Cause.OURS
    if _says("policy", reply_text):
        return Cause.POLICY
    if reports_other_cause(reply_text):
        return Cause.MAILBOX
    return (
        Cause.GONE
        if _says("no_such_user", reply_text) or _says("no_such_domain", reply_text)
        else Cause.UNCLEAR
    )


def reports_unknown_user(reply_text: str) -> bool:
    """Return whether a reply is about a user or mailbox that does not exist, and not a domain."""
    return _says("no_such_user", reply_text)


def reports_foreign_domain(reply_text: str, address: str) -> bool:
    """Return whether the missing domain in a reply is another than the address's.

    A relay may miss its own smarthost or a host named by the domain's MX, and a server may miss the
    sender's domain (Courier: "517 Domain does not exist: …").

    - `reply_text`: as the server wrote it.
    """
    domain = address.rpartition("@")[2].strip("<>. ").lower()
    text = " ".join(reply_text.lower().split())
    names = _WORDS.compile("looked_up").findall(text)
    # The text before the code names hosts on the way.
    reply = _CODE.split(text)[-1].replace(address.lower(), "") if domain else ""
    if not names and _says("no_such_domain", normalize_reply_text(reply)):
        names = _DOMAIN_NAME.findall(reply)
    return bool(domain and names) and domain not in {name.strip(".") for name in names}


_NAME = r"((?:[\w-]{1,63}\.)+[\w-]{1,63})"
# Not a version, an IP address, or a part of a URL.
_DOMAIN_NAME = re.compile(rf"(?<![\w./-])(?=[\w.-]*\.[a-z][\w-]+\.?(?![\w./-])){_NAME}")
