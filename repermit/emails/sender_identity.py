"""Who a mail comes from, and how its reader is addressed.

A sensitive list shows no name where others could read it.
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

# --- Whether a text shows a name, however the two are written. ------------------------------------


_SHORT = 4
"""A name of fewer letters is looked for as words of its own: "ms" stands in "items" too."""


def split_plain_words(text: str) -> list[str]:
    """Return the words of a text in small letters, without accents and punctuation."""
    folded = normalize("NFKD", text.casefold())
    seen = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return re.findall(r"[^\W_]+", seen)


def contains_name(text: str, name: str) -> bool:
    """Say whether a name stands in a text, also with other hyphens, blanks, accents or capitals."""
    words, seen = split_plain_words(name), split_plain_words(text)
    bare = "".join(words)
    if len(bare) < _SHORT:
        return bool(bare) and f" {' '.join(words)} " in f" {' '.join(seen)} "
    return bare in "".join(seen)


# --- Who a mail comes from, and how its reader is addressed. --------------------------------------


_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]+)>")
_LONGEST_NAME = 70
# The great majority of names, which stay as they are. A property test holds this path to the other.
_PLAIN_NAME = re.compile(
    rf"(?!.*(?:  | \Z|www\.))\w[\w .'-]{{0,{_LONGEST_NAME - 1}}}", re.IGNORECASE
).fullmatch
_NOT_A_NAME = re.compile(r"[@/\\<>{}|]|www\.|https?:", re.IGNORECASE)


def read_address(sender: str) -> str:
    """Return the address in "Name <address>", or what there is; it is not checked.

    A name may have commas without quotes, as organisations' names do.
    """
    match = _NAMED.fullmatch(sender.strip())
    return match["address"] if match else sender


def split_sender(sender: str) -> tuple[str, str]:
    """Return name and address of a sender, each "" where there is none."""
    match = _NAMED.fullmatch(sender.strip())
    return (match["name"].strip(' "'), match["address"].strip()) if match else ("", sender.strip())


def join_sender(name: str, address: str) -> str:
    """Return "Name <address>", or what there is of the two."""
    return f"{name} <{address}>" if name and address else name or address


def read_sender_address(mailing_list: MailingListFacts) -> str:
    """Return the bare address that a list's mails come from, domain as an A-label.

    Raises AddressError if it cannot be used.
    """
    return email_address.parse(read_address(mailing_list.sender)).sending


def choose_sender_name(mailing_list: MailingListFacts, organisation: Organisation) -> str:
    """Return the display name for From: the sender's own, else the organisation's.

    It is "" for a sensitive list, where the name alone may tell what the list is about.
    """
    if mailing_list.sensitive:
        return ""
    match = _NAMED.fullmatch(mailing_list.sender.strip())
    name = to_one_line(match["name"]).strip('" ') if match else ""
    return name or to_one_line(organisation.name)


def choose_reply_address(mailing_list: MailingListFacts, organisation: Organisation) -> str:
    """Return where replies are read: the organisation's address if it gave one, else the sender's.

    Raises AddressError if it cannot be used.
    """
    if organisation.email:
        return email_address.parse(organisation.email).sending
    return read_sender_address(mailing_list)


def make_list_label(mailing_list: MailingListFacts, *, key: bytes) -> str:
    """Return the list's label for headers: its slug, or a code on a sensitive list.

    The code is made with `key`: whoever guessed a slug could check a mere digest of it.
    """
    if mailing_list.sensitive:
        code = hmac.digest(key, b"list\0" + mailing_list.slug.encode(), "sha256")
        return code.hex()[:16]
    return re.sub("[^a-z0-9-]+", "-", mailing_list.slug.lower()).strip("-")


def clean_greeted_name(name: str) -> str:
    """Return a contact's name as it can stand in a greeting, or "" to greet namelessly.

    Exports put addresses, links and whole sentences where a name should be.
    """
    return name if _PLAIN_NAME(name) else _check_name(name)


def _check_name(name: str) -> str:
    name = to_one_line(name)
    if len(name) > _LONGEST_NAME or _NOT_A_NAME.search(name):
        return ""
    return name
