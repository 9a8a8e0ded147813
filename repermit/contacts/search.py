"""Finding contacts of a list, a page at a time, as quickly at the end of a million as at the start.

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
"""How many contacts stand on a page."""

# Up to so many contacts, all of them are looked through for a part of an address or name.
_FEW = 50_000
# Up to so many of a status and reason, these are looked through for a beginning.
_FEW_ALIKE = 20_000
# Characters that are searched for; SQLite refuses a pattern of more than 50,000 bytes.
_MAX_LENGTH = 1_000
_DIGITS = 18
_PUNYCODE_PREFIX = "xn--"
# No letter comes after it.
_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, kw_only=True)
class ContactPage:
    """A page of contacts; `after` asks for the next one, "" if there is none.

    `by_part` says whether any part of an address or name was searched for, or its beginning alone.
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
    """Return the contacts that match, those of a status by reason and all others by address.

    A whole address finds itself. Anything else finds what has it in address or name; in a large
    list, what begins with it. A reason is one for which people were taken off. `after` is what the
    page before gave; anything else counts as "".
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
    """How many contacts a list has, and how many of them are of the status and reason wanted."""

    all: int
    alike: int


def _count_matching(mailing_list: MailingList, status: str, reason: str) -> _Counts:
    counts = count_contacts(mailing_list)
    alike = (
        number
        for (contact_status, contact_reason), number in counts.items()
        if status in {"", contact_status} and reason in {"", contact_reason}
    )
    return _Counts(counts.total(), sum(alike))


def _search(query: Any, typed: str, after: str, page: int, *, counts: _Counts) -> ContactPage:
    key, text = Contact.address_key, email_address.fold_case(typed)
    try:
        whole = email_address.parse(text).key
    except AddressError:
        pass
    else:
        return _page_by_address(query.where(key == whole), key, after, page)
    if counts.all <= _FEW:
        part = reduce(or_, map(Contact.name.contains, _list_spellings(typed)), key.contains(text))
        if readable_matches := _find_readable_matches(query, text):
            part |= key.in_(readable_matches)
        return _page_by_address(query.where(part), key, after, page)
    # By the index of addresses a few of a kind would be looked for among all others; what is joined
    # to the address keeps it out of use.
    letters: Any = key if counts.alike > _FEW_ALIKE else key.concat("")
    first = _encode_beginning(text)
    below = query.where(letters < first + _LAST_CHARACTER)
    return replace(_page_by_address(below, letters, after, page, first=first), by_part=False)


def _find_readable_matches(query: Any, text: str) -> list[str]:
    """Return the addresses in which people read a text though their domain is kept otherwise.

    That is bücher.example, of which xn--bcher-kva.example is kept.
    """
    key: Any = Contact.address_key
    encoded_keys = query.select(key).where(key.contains(_PUNYCODE_PREFIX)).tuples()
    address_parts = (key_text.rpartition("@") for (key_text,) in encoded_keys.iterator())
    candidates = ((f"{local}@{domain}", local, domain) for local, _, domain in address_parts)
    return [
        address
        for address, local, domain in candidates
        if text in f"{local}@{email_address.to_unicode_domain(domain)}"
    ]


def _encode_beginning(text: str) -> str:
    """Return with what an address begins, as it is kept, that people would begin to write so."""
    local, at, domain = text.partition("@")
    if domain.isascii():
        return text
    labels = itertools.takewhile(str.isascii, domain.split("."))
    return local + at + ".".join([*labels, _PUNYCODE_PREFIX])


def _list_spellings(typed: str) -> set[str]:
    """Return what a name may look like: SQLite knows capitals of A to Z alone, not Ö and ö."""
    return {typed, typed.lower(), typed.title(), typed.upper()}


def _page_by_reason(query: Any, after: str, page: int) -> ContactPage:
    reason, dot, number = after.rpartition(".")
    contacts: list[Contact] = []
    for rows in (
        _iter_following(query, reason, int(number)) if dot and _is_number(number) else (query,)
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
    """Say whether a text is a number that a database can hold."""
    return text.isdecimal() and len(text) <= _DIGITS


def _iter_following(query: Any, reason: str, number: int) -> Iterator[Any]:
    """Yield what comes after a contact: the rest of its reason, then the others.

    In two queries, each of which an index leads to; in one, SQLite begins at the first of all.
    """
    yield query.where(Contact.reason == reason, Contact.id > number)
    yield query.where(Contact.reason > reason)


def _page_by_address(
    query: Any, key: Any, after: str, page: int, *, first: str = ""
) -> ContactPage:
    """Return the contacts in the order of `key`, none below `first`."""
    # By its number, so that no address stands in a link.
    last = Contact.get_or_none(Contact.id == int(after)) if _is_number(after) else None
    if last is not None and last.address_key >= first:
        query = query.where(key > last.address_key)
    elif first:
        query = query.where(key >= first)
    rows = list(query.order_by(key).limit(page + 1))
    next_after = str(rows[page - 1].id) if len(rows) > page else ""
    return ContactPage(contacts=tuple(rows[:page]), after=next_after, by_part=True)
