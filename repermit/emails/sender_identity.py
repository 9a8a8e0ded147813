"""The sender of a mail, and the name in its greeting.

The mails of a sensitive list show no name where others could read it.
"""

from __future__ import annotations

import hmac
import re
import unicodedata

from repermit import email_address
from repermit.emails.frozen_draft import to_one_line
from repermit.emails.mail_types import MailingListFacts
from repermit.settings.definitions import Organisation
from repermit.unicode_limits import normalize

# --- Finding a name in a text, regardless of spelling. --------------------------------------------


_MIN_SUBSTRING_LENGTH = 4
"""A shorter name must be a whole word: "ms" is also a part of "items"."""


def split_plain_words(text: str) -> list[str]:
    """Return the words of a text in lower case, without accents and punctuation."""
    folded = normalize("NFKD", text.casefold())
    plain_text = "".join(character for character in folded if not unicodedata.combining(character))
    return re.findall(r"[^\W_]+", plain_text)


def contains_name(text: str, name: str) -> bool:
    """Return whether a text contains a name, ignoring hyphens, blanks, accents and case."""
    name_words, text_words = split_plain_words(name), split_plain_words(text)
    joined_name = "".join(name_words)
    if len(joined_name) < _MIN_SUBSTRING_LENGTH:
        return bool(joined_name) and f" {' '.join(name_words)} " in f" {' '.join(text_words)} "
    return joined_name in "".join(text_words)


# --- The sender of a mail, and the name in its greeting. ------------------------------------------


_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]+)>")
_MAX_NAME_LENGTH = 70
# What exports have in an empty cell.
_PLACEHOLDER = r"(?:null|none|nan|undefined|unknown)\Z"
# UTF-8 that was read as Latin-1 or Windows-1252: "Ã©" for "é", "Å¼" for "ż".
_MISREAD = (
    "(?-i:[ÂÃÄÅ]"
    r"[\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013\u2014"
    r"\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122])"
)
# Nearly all names match, and stay as they are. A property test compares this path with the other.
_PLAIN_NAME = re.compile(
    rf"(?!.*(?:  | \Z|www\.|{_MISREAD}))(?!{_PLACEHOLDER})(?=.*[^\W\d_])"
    rf"\w[\w .'-]{{0,{_MAX_NAME_LENGTH - 1}}}",
    re.IGNORECASE,
).fullmatch
# A comma is in "Jansen, Jan", and "?" stands for letters that an export could not write.
_NOT_A_NAME = re.compile(
    rf"[@/\\<>{{}}|#?,;\ufffd]|www\.|https?:|{_MISREAD}|\A{_PLACEHOLDER}|\A[\W\d_]*\Z",
    re.IGNORECASE,
)


def read_address(sender: str) -> str:
    """Return the address in "Name <address>", or the whole text; it is not checked.

    The name may have commas without quotes, as names of organisations do.
    """
    match = _NAMED.fullmatch(sender.strip())
    return match["address"] if match else sender


def split_sender(sender: str) -> tuple[str, str]:
    """Return the name and the address of a sender, "" for a missing one."""
    match = _NAMED.fullmatch(sender.strip())
    return (match["name"].strip(' "'), match["address"].strip()) if match else ("", sender.strip())


def join_sender(name: str, address: str) -> str:
    """Return "Name <address>", or the one that is not empty."""
    return f"{name} <{address}>" if name and address else name or address


def read_sender_address(mailing_list: MailingListFacts) -> str:
    """Return the bare address of a list's sender, with its domain as an A-label.

    Raises AddressError if it cannot be used.
    """
    return email_address.parse(read_address(mailing_list.sender)).sending


def choose_sender_name(mailing_list: MailingListFacts, organisation: Organisation) -> str:
    """Return the display name for From: the sender's own, else the organisation's.

    It is "" for a sensitive list, since the name alone may reveal the list's subject.
    """
    if mailing_list.sensitive:
        return ""
    match = _NAMED.fullmatch(mailing_list.sender.strip())
    name = to_one_line(match["name"]).strip('" ') if match else ""
    return name or to_one_line(organisation.name)


def choose_reply_address(mailing_list: MailingListFacts, organisation: Organisation) -> str:
    """Return the address for replies: the organisation's if it has one, else the sender's.

    Raises AddressError if it cannot be used.
    """
    if organisation.email:
        return email_address.parse(organisation.email).sending
    return read_sender_address(mailing_list)


def make_list_label(mailing_list: MailingListFacts, *, key: bytes) -> str:
    """Return the list's label for headers: its slug, or a code for a sensitive list.

    The code is made with `key`, since a guessed slug could be compared with a plain digest.
    """
    if mailing_list.sensitive:
        code = hmac.digest(key, b"list\0" + mailing_list.slug.encode(), "sha256")
        return code.hex()[:16]
    return re.sub("[^a-z0-9-]+", "-", mailing_list.slug.lower()).strip("-")


def clean_greeted_name(name: str) -> str:
    """Return a contact's name for a greeting, or "" if it is no name.

    Exports have addresses, links, placeholders and whole sentences in place of names, names with
    the last name first, and letters that were lost on the way.
    """
    return name if _PLAIN_NAME(name) else _check_name(name)


def _check_name(name: str) -> str:
    # Before control characters become blanks: half of a misread letter may be one.
    is_misread = _NOT_A_NAME.search(name) is not None
    name = to_one_line(name)
    if is_misread or len(name) > _MAX_NAME_LENGTH or _NOT_A_NAME.search(name):
        return ""
    return name
