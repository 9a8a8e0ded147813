"""What is kept of how a contact's links were opened and pressed, to know a person by.

It is used for nothing else (GDPR art. 5(1)(b)), goes `trace_days` later or with the person, and
stands in no log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from peewee import SQL

from repermit.db.connection import make_id_list
from repermit.db.models.base import PreparedQuery
from repermit.db.models.contacts import Contact, Opening
from repermit.db.models.lists import MailingList
from repermit.rules.bot_detection import LINKS, Opened, Openings, Past, Sign
from repermit.rules.consent import REFUSALS, Status

_LINK_COLUMNS = ("gets", "heads", "first_at", "last_at")
_PAST_COLUMNS = ("yes_at", "no_at", "disowned_at", "doubted_at", "is_contradicted", "settled_at")


def find_opening(contact: Contact) -> Opening | None:
    """Return the row that is kept of what the links of a contact have been through, if any is."""
    opening: Opening | None = Opening.get_or_none(Opening.contact == contact)
    return opening


def read_openings(contacts: Iterable[Contact]) -> dict[int, Opening]:
    """Return these rows of several contacts, by their ids."""
    rows = Opening.select().where(Opening.contact.in_([contact.id for contact in contacts]))
    return {row.contact_id: row for row in rows}


def read_past(contact: Contact, opening: Opening | None) -> Past:
    """Return what the links of a contact have been through, by its row."""
    past = Past() if opening is None else make_past(opening)
    # What a file says against them counts for as long as they are off by it, and no longer.
    is_off = contact.status == Status.REMOVED and contact.reason in REFUSALS
    return replace(past, has_refused=contact.has_refused or is_off)


def save_past(
    contact: Contact, opening: Opening | None, past: Past, **more_columns: Any
) -> Opening | None:
    """Write down what the links of a contact have been through, and return its row then.

    The contact is locked; `opening` is its row, and `more_columns` are other columns of that. Of
    links that nothing has happened to nothing is kept.
    """
    values = _make_columns(past)
    moments = [value for value in values.values() if isinstance(value, datetime)]
    if not moments:
        return opening
    row = opening or Opening(contact=contact, list=contact.list_id, began_at=min(moments))
    for name, value in {**values, **more_columns}.items():
        setattr(row, name, value)
    row.began_at = min(row.began_at, *moments)
    row_values = [field.db_value(row.__data__.get(field.name)) for field in _FIELDS]
    Opening.insert_rows(_FIELDS, [row_values], unique=(Opening.contact,), replace=_FIELDS)
    return row


_FIELDS = Opening._meta.sorted_fields  # noqa: SLF001  peewee's own way


def release_held_yes(ids: Sequence[int]) -> None:
    """Hold no Yes of these contacts any more: it counts now, or something else does."""
    if len(ids) == 1:
        _RELEASE_ONE.execute(*ids)
    else:
        _make_release(Opening.contact.in_(make_id_list(ids))).execute()


def _make_release(of_contacts: Any) -> Any:
    # Written out, so that the index for just these is used.
    return Opening.update(held_at=None).where(of_contacts, SQL("held_at IS NOT NULL"))


_RELEASE_ONE = PreparedQuery(lambda contact: _make_release(Opening.contact == contact), 1)


def read_signs(opening: Opening | None) -> tuple[Sign, ...]:
    """Return why a contact's last press was suspect, nothing if it was not."""
    return tuple(map(Sign, filter(None, opening.signs.split(",")))) if opening else ()


def count_yes_held(mailing_list: MailingList) -> int:
    """Count whose Yes waits for a further press; at the deadline they count as silent.

    Consent must be shown to be a person's own act (GDPR art. 4(11), 7(1)), and that is not.
    """
    held = Opening.select().where(Opening.list == mailing_list, SQL("held_at IS NOT NULL"))
    return int(held.count())


def count_opened(mailing_list: MailingList) -> int:
    """Count of how many contacts of a list it is kept how their links were opened."""
    return int(Opening.select().where(Opening.list == mailing_list).count())


def describe_openings(openings: Openings) -> dict[str, dict[str, Any]]:
    """Return how links were opened as JSON has it; a link that never was is left out."""
    return {
        link: _describe_opened(openings.of(link)) for link in LINKS if openings.of(link).last_at
    }


def make_past(row: Opening) -> Past:
    """Return the past that a row tells."""
    yes, no = (
        Opened(**{name: getattr(row, f"{link}_{name}") for name in _LINK_COLUMNS}) for link in LINKS
    )
    past_values = {name: getattr(row, name) for name in _PAST_COLUMNS}
    return Past(openings=Openings(yes=yes, no=no, together_at=row.together_at), **past_values)


def _describe_opened(opened: Opened) -> dict[str, Any]:
    first, last = opened.first_at, opened.last_at
    return {
        "get": opened.gets,
        "head": opened.heads,
        "first_at": first.isoformat() if first else "",
        "last_at": last.isoformat() if last else "",
    }


def _make_columns(past: Past) -> dict[str, Any]:
    return {
        **{
            f"{link}_{name}": getattr(past.openings.of(link), name)
            for link in LINKS
            for name in _LINK_COLUMNS
        },
        "together_at": past.openings.together_at,
        **{name: getattr(past, name) for name in _PAST_COLUMNS},
    }
