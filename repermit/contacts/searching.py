"""Finding contacts of a list, a page at a time, as quickly at the end of a million as at the start.

May import models and what lies below. Nothing here writes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from peewee import fn

from repermit import addresses
from repermit.consent import Status
from repermit.errors import AddressError
from repermit.models import Contact, is_postgresql
from repermit.models.database import proxy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from repermit.models import MailingList

PAGE = 50
"""How many contacts stand on a page."""

# Up to so many contacts, all of them are looked through for a part of an address or name.
_FEW = 50_000
# No letter comes after it.
_LAST = "\U0010ffff"


@dataclass(frozen=True, kw_only=True)
class Found:
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
) -> Found:
    """Return the contacts that match, those of a status by reason and all others by address.

    A whole address finds itself. Anything else finds what has it in address or name; in a large
    list, what begins with it. `after` is what the page before gave; anything else counts as "".
    """
    text = search.strip().lower()
    query = Contact.select().where(Contact.list == mailing_list)
    if status:
        query = query.where(Contact.status == status)
    if reason:
        query = query.where(Contact.reason == reason)
    if text:
        return _search(mailing_list, query, text, after, page)
    if status:
        return _by_reason(query, after, page)
    return _by_address(query, Contact.address_key, after, page)


def count_contacts(mailing_list: MailingList) -> Mapping[tuple[str, str], int]:
    """Count the list's contacts by status and reason, read from one index."""
    rows: Any = (
        Contact.select(Contact.status, Contact.reason, fn.COUNT(Contact.id))
        .where(Contact.list == mailing_list)
        .group_by(Contact.status, Contact.reason)
        .tuples()
    )
    return {(Status(status), reason): count for status, reason, count in rows}


def _has_many(mailing_list: MailingList) -> bool:
    rows = Contact.select(Contact.id).where(Contact.list == mailing_list)
    return bool(rows.limit(1).offset(_FEW).tuples())


def _search(mailing_list: MailingList, query: Any, text: str, after: str, page: int) -> Found:
    key = Contact.address_key
    try:
        whole = addresses.parse(text).key
    except AddressError:
        pass
    else:
        return _by_address(query.where(key == whole), key, after, page)
    if not _has_many(mailing_list):
        part = key.contains(text) | Contact.name.contains(text)
        return _by_address(query.where(part), key, after, page)
    letters = by_letter()
    begins = (letters >= text) & (letters < text + _LAST)
    return replace(_by_address(query.where(begins), letters, after, page), by_part=False)


def by_letter() -> Any:
    """Return the address as it is compared letter by letter, whatever the database's language."""
    key = Contact.address_key
    return key.collate('"C"') if is_postgresql(proxy.obj) else key


def _by_reason(query: Any, after: str, page: int) -> Found:
    reason, dot, number = after.rpartition(".")
    if dot and number.isdecimal():
        later = (Contact.reason == reason) & (Contact.id > int(number))
        query = query.where((Contact.reason > reason) | later)
    rows = list(query.order_by(Contact.reason, Contact.id).limit(page + 1))
    last = rows[page - 1] if len(rows) > page else None
    return Found(
        contacts=tuple(rows[:page]),
        after=f"{last.reason}.{last.id}" if last else "",
        by_part=True,
    )


def _by_address(query: Any, key: Any, after: str, page: int) -> Found:
    # By its number, so that no address stands in a link.
    last = Contact.get_or_none(Contact.id == int(after)) if after.isdecimal() else None
    if last is not None:
        query = query.where(key > last.address_key)
    rows = list(query.order_by(key).limit(page + 1))
    more = str(rows[page - 1].id) if len(rows) > page else ""
    return Found(contacts=tuple(rows[:page]), after=more, by_part=True)
