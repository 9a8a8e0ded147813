"""Finding contacts of a list, a page at a time, equally fast anywhere among a million.

Nothing here writes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from repermit import email_address
from repermit.contacts.counts import count_contacts
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.errors import AddressError
from repermit.rules.consent import Status

PAGE = 50
"""The number of contacts on a page."""

# Up to this many contacts are scanned for a part of an address or name.
_MAX_SCANNED = 50_000
# Up to this many contacts of a status and reason are scanned for the beginning of an address.
_MAX_MATCHING_SCANNED = 20_000
# The longest text that is searched for; SQLite refuses a pattern of more than 50,000 bytes.
_MAX_LENGTH = 1_000
_DIGITS = 18
_PUNYCODE_PREFIX = "xn--"
# It sorts after every letter.
_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, kw_only=True)
class ContactPage:
    """A page of contacts.

    - `after`: the argument for the next page, "" if there is none.
    - `by_part`: whether any part of an address or name was searched, or only its beginning.
    """

    contacts: tuple[Contact, ...]
    after: str
    by_part: bool


def find_contacts(
    mailing_list: MailingList,
    *,
    search: str = "",
    status: str = "",
    reason: str = "",
    after: str = "",
    page: int = PAGE,
) -> ContactPage:
    """Return the contacts that match, ordered by reason for a status, otherwise by address.

    - `search`: a whole address finds that contact only. Another text finds addresses and names that
      contain it; on a large list, addresses that begin with it.
    - `reason`: of a removal.
    - `after`: from the page before; an invalid value counts as "".
    """
    text = search.strip()[:_MAX_LENGTH]
    status = status or (Status.REMOVED if reason else "")
    query = Contact.select().where(Contact.list == mailing_list)
    if status:
        query = query.where(Contact.status == status)
    if reason:
        query = query.where(Contact.reason == reason)
    if text:
        return _search(
            query, text, after, page, counts=_count_matching(mailing_list, status, reason)
        )
    if status:
        return _page_by_reason(query, after, page)
    return _page_by_address(query, Contact.address_key, after, page)


class _Counts(NamedTuple):
    """How many contacts a list has, and how many of them have the requested status and reason."""

    all: int
    matching: int


def _count_matching(mailing_list: MailingList, status: str, reason: str) -> _Counts:
    counts = count_contacts(mailing_list)
    matching_counts = (
        count
        for (contact_status, contact_reason), count in counts.items()
        if status in {"", contact_status} and reason in {"", contact_reason}
    )
    return _Counts(counts.total(), sum(matching_counts))


def _search(query: Any, typed: str, after: str, page: int, *, counts: _Counts) -> ContactPage:
    key, text = Contact.address_key, email_address.fold_case(typed)
    try:
        exact_key = email_address.parse(text).key
    except AddressError:
        pass
    else:
        return _page_by_address(query.where(key == exact_key), key, after, page)
    if counts.all <= _MAX_SCANNED:
        part = reduce(or_, map(Contact.name.contains, _list_spellings(typed)), key.contains(text))
        if readable_matches := _find_readable_matches(query, text):
            part |= key.in_(readable_matches)
        return _page_by_address(query.where(part), key, after, page)
    # With the index of addresses, few matching contacts would be searched among all others. The
    # concatenation keeps that index from being used.
    search_key: Any = key if counts.matching > _MAX_MATCHING_SCANNED else key.concat("")
    first = _encode_beginning(text)
    matching = query.where(search_key < first + _LAST_CHARACTER)
    return replace(_page_by_address(matching, search_key, after, page, first=first), by_part=False)


def _find_readable_matches(query: Any, text: str) -> list[str]:
    """Return the addresses that contain a text in their Unicode form.

    For example bücher.example, which is stored as xn--bcher-kva.example.
    """
    key: Any = Contact.address_key
    encoded_keys = query.select(key).where(key.contains(_PUNYCODE_PREFIX)).tuples()
    address_parts = (key_text.rpartition("@") for (key_text,) in encoded_keys.iterator())
    candidates = (
        (f"{local_part}@{domain}", local_part, domain) for local_part, _, domain in address_parts
    )
    return [
        address
        for address, local_part, domain in candidates
        if text in f"{local_part}@{email_address.to_unicode_domain(domain)}"
    ]


def _encode_beginning(text: str) -> str:
    """Return the stored beginning of addresses whose Unicode form begins with a text."""
    local_part, at_sign, domain = text.partition("@")
    if domain.isascii():
        return text
    labels = itertools.takewhile(str.isascii, domain.split("."))
    return local_part + at_sign + ".".join([*labels, _PUNYCODE_PREFIX])


def _list_spellings(typed: str) -> set[str]:
    """Return a name in several cases, since SQLite ignores case for A to Z only, not for Ö."""
    return {typed, typed.lower(), typed.title(), typed.upper()}


def _page_by_reason(query: Any, after: str, page: int) -> ContactPage:
    reason, separator, contact_id = after.rpartition(".")
    contacts: list[Contact] = []
    for rows in (
        _iter_following(query, reason, int(contact_id))
        if separator and _is_number(contact_id)
        else (query,)
    ):
        in_order = rows.order_by(Contact.reason, Contact.id)
        contacts.extend(in_order.limit(page + 1 - len(contacts)))
    last = contacts[page - 1] if len(contacts) > page else None
    return ContactPage(
        contacts=tuple(contacts[:page]),
        after=f"{last.reason}.{last.id}" if last else "",
        by_part=True,
    )


def _is_number(text: str) -> bool:
    """Return whether a text is a number that a database column can hold."""
    return text.isdecimal() and len(text) <= _DIGITS


def _iter_following(query: Any, reason: str, contact_id: int) -> Iterator[Any]:
    """Yield the queries for the contacts after one: first of the same reason, then of others.

    Two queries, so that each uses the index; with one, SQLite would start at the first contact.
    """
    yield query.where(Contact.reason == reason, Contact.id > contact_id)
    yield query.where(Contact.reason > reason)


def _page_by_address(
    query: Any, key: Any, after: str, page: int, *, first: str = ""
) -> ContactPage:
    """Return the contacts in the order of `key`, none below `first`."""
    # By the contact's id, so that no URL contains an address.
    last = Contact.get_or_none(Contact.id == int(after)) if _is_number(after) else None
    if last is not None and last.address_key >= first:
        query = query.where(key > last.address_key)
    elif first:
        query = query.where(key >= first)
    rows = list(query.order_by(key).limit(page + 1))
    next_after = str(rows[page - 1].id) if len(rows) > page else ""
    return ContactPage(contacts=tuple(rows[:page]), after=next_after, by_part=True)
