"""Whom a list's imports left out, so that no campaign has them among those it does not ask.

May import consent and models.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from repermit.consent import Fate
from repermit.models import Contact, Import, Suppression

if TYPE_CHECKING:
    from collections.abc import Mapping

    from repermit.models import MailingList


def count_leftovers(mailing_list: MailingList) -> Mapping[Fate, int]:
    """Count the rows of imports that stand which never became contacts, by their fate.

    Opted-out addresses count once. Of what is invalid nothing is kept: it counts once for a file
    that came in several times, and once for each of different files.
    """
    return {Fate.OPTED_OUT: _opted_out(mailing_list), Fate.INVALID: _invalid(mailing_list)}


def _opted_out(mailing_list: MailingList) -> int:
    # Those who were on the list before are contacts that were removed, and told as such.
    known = Contact.select(Contact.subject).where(Contact.list == mailing_list)
    query = Suppression.select().where(
        Suppression.list == mailing_list,
        ~Suppression.imported_by.is_null(),
        Suppression.subject.not_in(known),
    )
    return int(query.count())


def _invalid(mailing_list: MailingList) -> int:
    rows: Any = (
        Import.select(Import.digest, Import.counts)
        .where(Import.list == mailing_list, Import.undone_at.is_null())
        .order_by(Import.id)
        .tuples()
    )
    newest: dict[str, str] = dict(rows)
    return sum(json.loads(counts)["fates"][Fate.INVALID] for counts in newest.values())
