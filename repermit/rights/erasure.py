"""The transaction in which a person is erased at their wish, or at an admin's.

May import contacts, models and what lies below.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from repermit import contacts
from repermit.models import forget_staged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from repermit.contacts import Act, Erased
    from repermit.models import Contact, Database


@contextmanager
def erasure(
    database: Database,
    list_ids: Sequence[int],
    address_key: str,
    *,
    act: Act,
    fingerprint_key: bytes,
) -> Iterator[Callable[[Contact], Erased]]:
    """Begin a transaction, and yield what erases in it whoever has an address on these lists.

    Files that are half taken in lose the address before: a step of theirs locks its task before
    contacts, and must not bring the address back afterwards.
    """
    for list_id in list_ids:
        forget_staged(database, list_id, address_key)
    with database.atomic():
        yield partial(contacts.erase, act=act, fingerprint_key=fingerprint_key)
