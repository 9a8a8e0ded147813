"""To which files and programs a person's address went, as far as the record knows.

May import models and this room. Nothing here writes (GDPR art. 15(1)(c), 19).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from repermit.consent import MailKind, MailState
from repermit.models import Delivery, Webhook, chunks
from repermit.rights.beyond import files_with, rows_of
from repermit.rights.facts import HandedOn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from repermit.models import Contact
    from repermit.rights.facts import Entry, Letter

_CHUNK = 500


def handed_on(
    contact: Contact, entries: Sequence[Entry], letters: Sequence[Letter]
) -> tuple[HandedOn, ...]:
    """Return the files that had a contact's address in them, and the programs that were told of it.

    By how the contact stood at that moment, as its entries tell. A file of who could not be asked
    is left out only of who surely was asked by then.
    """
    found = (*_files(contact, entries, letters), *_told(entries))
    return tuple(sorted(found, key=lambda one: one.at))


def _files(
    contact: Contact, entries: Sequence[Entry], letters: Sequence[Letter]
) -> Iterator[HandedOn]:
    turns = [(entry.at, entry.seq, entry.event) for entry in entries]
    asked = [one.at for one in letters if _was_asked(one)]
    for taken in files_with(rows_of(contact), turns, asked):
        yield HandedOn(at=taken.at, what=taken.what, to=taken.tool)


def _was_asked(one: Letter) -> bool:
    return one.kind == MailKind.ASK and one.state == MailState.SENT and not one.bounce


def _told(entries: Sequence[Entry]) -> Iterator[HandedOn]:
    """Yield which programs were told of answers and removals, also those that are told no more."""
    for some in chunks([entry.seq for entry in entries], _CHUNK):
        rows: Any = (
            Delivery.select(Delivery.at, Webhook.url)
            .join(Webhook)
            .where(Delivery.seq.in_(some), Delivery.state == "delivered")
            .tuples()
        )
        for at, url in rows:
            yield HandedOn(at=at, what="told", to=urlsplit(url).hostname or "")
