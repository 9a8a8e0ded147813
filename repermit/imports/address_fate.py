"""Resolving the fate of each address of an import against contacts and suppressions.

Only temporary tables are changed, so this runs before the merge and once more within it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

from peewee import Case, Value, fn

from repermit import email_address
from repermit.contacts import counts
from repermit.db.connection import Database, chunks, is_postgresql, iter_pages, proxy, run_sql
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.imports.staging import Picked
from repermit.rules.consent import OWN_YES, Basis, Fate, Status, is_better_basis

NEW = (Fate.ASK, Fate.ROLE, Fate.CONFIRMED, Fate.CUSTOMER)
"""The fates that put an address onto the list."""

_SAID_YES_SINCE = Contact.basis.in_(OWN_YES) & (Contact.basis_at > Picked.mark_at)
_ID = 32
_BATCH = 500
_CHUNK = 5_000
_CHUNK_OF_LOST = 500


def resolve_fates(list_id: int, *, key: bytes | None = None) -> int:
    """Mark the staged addresses that are already on the list or are suppressed.

    Returns the number of addresses marked; a second run looks only at the others.

    - `key`: adds missing fingerprints to addresses that were read before the list's first
      suppression; needs a transaction.
    """
    count = _match(list_id)
    if counts.has_suppressions(list_id):
        if key is not None:
            _fill_in_fingerprints(proxy.obj, key)
        count += _find_suppressed(list_id)
    return count


def count_strangers(list_id: int) -> int:
    """Count the addresses that are not on the list and have not signed up for it."""
    signed_up = SignUp.select(Value(1)).where(
        SignUp.list == list_id, SignUp.address_key == Picked.key
    )
    return int(Picked.select().where(Picked.contact.is_null(), ~fn.EXISTS(signed_up)).count())


def _find_suppressed(list_id: int) -> int:
    # A Yes for this list overrides a suppression for all lists.
    said_yes = Contact.select(Value(1)).where(
        Contact.id == Picked.contact,
        Contact.list == list_id,
        Contact.status == Status.CONFIRMED,
        Contact.basis.in_(OWN_YES),
    )
    suppressed = Suppression.select(Value(1)).where(
        Suppression.fingerprint == Picked.fingerprint,
        (Suppression.list == list_id) | Suppression.list.is_null(),
    )
    query = Picked.update(fate=Fate.SUPPRESSED).where(
        Picked.fate != Fate.SUPPRESSED, fn.EXISTS(suppressed), ~fn.EXISTS(said_yes)
    )
    return int(query.execute())


def mark_as_suppressed(fingerprints: Sequence[str]) -> int:
    """Mark addresses as suppressed that only the journal still knows as such; return how many."""
    count = 0
    for batch in chunks(fingerprints, _CHUNK_OF_LOST):
        query = Picked.update(fate=Fate.SUPPRESSED).where(
            Picked.fate != Fate.SUPPRESSED, Picked.fingerprint.in_(list(batch))
        )
        count += int(query.execute())
    return count


def _match(list_id: int) -> int:
    """Match addresses with existing contacts; removed contacts count as suppressed.

    An opt-out mark in the file does not undo a later Yes that the person gave here.
    """
    database = proxy.obj
    statement, values = _make_match_sql(list_id, is_postgresql(database))
    return int(run_sql(database, statement, *values).rowcount)


@lru_cache(maxsize=8)
def _make_match_sql(list_id: int, _on_postgresql: bool, /) -> tuple[str, list[Any]]:  # noqa: FBT001
    """Return the UPDATE of `_match`, cached, as building it costs as hundreds of rows."""
    fate = Case(
        None,
        (
            (Contact.status == Status.REMOVED, Fate.SUPPRESSED),
            ((Picked.said == Fate.OPTED_OUT) & ~_SAID_YES_SINCE, Fate.OPTED_OUT),
        ),
        Fate.DUPLICATE,
    )
    query = Picked.update(contact=Contact.id, fate=fate).from_(Contact)
    same = (Contact.list == list_id, Contact.address_key == Picked.key)
    statement: tuple[str, list[Any]] = query.where(Picked.contact.is_null(), *same).sql()
    return statement


def _fill_in_fingerprints(database: Database, key: bytes) -> None:
    incomplete: Any = Picked.select(Picked.id, Picked.key).where(Picked.fingerprint.is_null())
    cursor = database.cursor()  # type: ignore[no-untyped-call]
    placeholder = database.param
    while batch := list(incomplete.limit(_CHUNK).tuples()):
        cursor.executemany(
            f"UPDATE picked SET fingerprint = {placeholder} WHERE id = {placeholder}",  # noqa: S608
            [
                (email_address.fingerprint(key, address_key), number)
                for number, address_key in batch
            ],
        )


def select_better_bases(fate: Fate, basis: Basis) -> Any:
    """Return a query for the contacts to which the file gives a better basis than they have.

    - `fate`: the fate in the contact's row of the file.
    """
    worse = ["", *(old for old in Basis if is_better_basis(old, basis))]
    return _select_staged_contacts(Contact.id == Picked.contact).where(
        Picked.said == fate,
        Picked.fate == Fate.DUPLICATE,
        Contact.status != Status.REMOVED,
        Contact.basis.in_(worse),
    )


def select_opted_out() -> Any:
    """Return a query for the contacts that the file's opt-out marks remove."""
    return _select_staged_contacts(Contact.id == Picked.contact).where(
        Picked.fate == Fate.OPTED_OUT, Contact.status != Status.REMOVED, ~_SAID_YES_SINCE
    )


def select_newly_added() -> Any:
    """Return a query for the contacts that were added with a proof or as customers."""
    return _select_staged_contacts(Contact.uid == make_uid_sql(Picked.ids)).where(
        Picked.fate.in_((Fate.CONFIRMED, Fate.CUSTOMER)), Picked.contact.is_null()
    )


def iter_batches(query: Any) -> Iterator[list[Any]]:
    """Yield the rows of one of these queries in batches; changes between batches are safe.

    Besides their own fields, the contacts have `picked`, `said`, `mark`, `proof` and `claimed_at`
    of their row in the file.
    """
    return iter_pages(query.objects(), Picked.id, size=_BATCH, read_key=attrgetter("picked"))


def _select_staged_contacts(on: Any) -> Any:
    return (
        Contact.select(
            Contact,
            Picked.id.alias("picked"),
            Picked.said.alias("said"),
            Picked.mark.alias("mark"),
            Picked.proof.alias("proof"),
            Picked.basis_at.alias("claimed_at"),
        )
        .join(Picked, on=on)
        .order_by(Picked.id)
    )


def make_uid_sql(ids: Any) -> Any:
    """Return SQL for the `uid` in the `ids` of an address, see `StagedRow`."""
    return fn.SUBSTR(ids, 1, _ID)


def make_subject_sql(ids: Any) -> Any:
    """Return SQL for the `subject` in the `ids` of an address, see `StagedRow`."""
    return fn.SUBSTR(ids, _ID + 1)
