"""The conditions of a list's next campaign, as far as they have been given, until it is launched.

May import evidence, models and what lies below.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from repermit import evidence
from repermit.evidence import Entry
from repermit.models import Draft, MailingList, lock_rows

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.models import Database


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """On what terms a list is to be asked; what has not been given yet is "" or 0.

    `deadline` and `starts` are WHEN as the command line takes it, since a day says more than a
    moment does: another zone in the settings gives it another end. A day of `starts` begins in the
    morning. `reminder` is in days before the deadline, `pilot` in people.
    """

    deadline: str = ""
    starts: str = ""
    reminder: int = 0
    pilot: int = 0
    include_thin: bool = False
    attest: str = ""


def conditions_of(mailing_list: MailingList) -> Conditions | None:
    """Return what has been kept of a list's next campaign, None if nothing has."""
    kept = Draft.get_or_none(Draft.list == mailing_list)
    if kept is None:
        return None
    answers = json.loads(kept.answers)
    known = {field.name for field in fields(Conditions)}
    return Conditions(**{name: value for name, value in answers.items() if name in known})


def keep_conditions(
    database: Database,
    mailing_list: MailingList,
    conditions: Conditions,
    *,
    now: datetime,
    actor: str,
) -> None:
    """Keep the conditions in place of those that were kept before; nothing begins by that.

    What is another than it was is kept as evidence, with who wrote it: whoever launches may be
    somebody else, and the attestation is the word of whoever gave it.
    """
    answers = json.dumps(vars(conditions), ensure_ascii=False)
    with database.atomic():
        # Two who save at once do so one after the other, each with what the other left.
        found: MailingList = lock_rows(
            MailingList.select().where(MailingList.id == mailing_list.id)
        ).get()
        before = vars(conditions_of(found) or Conditions())
        Draft.insert(list=found, answers=answers, updated_at=now).on_conflict(
            conflict_target=[Draft.list],
            update={Draft.answers: answers, Draft.updated_at: now},
        ).execute()
        changed = {name: one for name, one in vars(conditions).items() if one != before[name]}
        if changed:
            evidence.append(
                Entry(
                    event="conditions_changed",
                    at=now,
                    actor=actor,
                    list=found.slug,
                    consent={"fields": changed},
                )
            )


def drop_conditions(database: Database, mailing_list: MailingList) -> None:
    """Keep them no longer: the next campaign is decided on anew."""
    with database.atomic():
        Draft.delete().where(Draft.list == mailing_list).execute()
