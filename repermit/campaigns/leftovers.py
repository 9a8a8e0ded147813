"""Whom a list's imports left out, so that no campaign has them among those it does not ask.

May import contacts, consent and models.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from repermit import contacts
from repermit.consent import Fate, Reason
from repermit.models import Import, TaskKind, targets_of

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
    # Those who were on the list before are contacts that were removed, and told as such: their
    # suppression has the reason of a removal, and not the mark that stood in the file.
    counts = contacts.count_suppressions(mailing_list)
    return sum(
        count
        for (reason, is_imported), count in counts.items()
        if is_imported and reason not in set(Reason)
    )


def _invalid(mailing_list: MailingList) -> int:
    rows: Any = (
        Import.select(Import.digest, Import.counts)
        .where(
            Import.list == mailing_list,
            Import.undone_at.is_null(),
            Import.id.not_in(targets_of(TaskKind.IMPORT)),
        )
        .order_by(Import.id)
        .tuples()
    )
    newest: dict[str, str] = dict(rows)
    return sum(json.loads(counts)["fates"][Fate.INVALID] for counts in newest.values())
