"""A list's next campaign until its launch: the conditions given so far, and the attestation."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime

from repermit.clock import parse_when
from repermit.db.connection import Database
from repermit.db.models.campaigns import Draft, find_live_campaign
from repermit.db.models.lists import MailingList, lock_list
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.i18n.lazy_text import LazyText
from repermit.rules.deadlines_and_reminders import suggest_period
from repermit.rules.legal_grounds import Grounds
from repermit.settings.definitions import Settings


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions of a list's next campaign; "" or 0 if not given yet.

    - `deadline`, `starts`: a time as the command line takes it. A day stays a day, since its end
      depends on the time zone of the settings; as `starts` it means the morning.
    - `reminder`: days before the deadline.
    - `pilot`: number of people.
    """

    deadline: str = ""
    starts: str = ""
    reminder: int = 0
    pilot: int = 0
    include_thin: bool = False
    attest: str = ""
    asking_ground: str = ""
    special_ground: str = ""

    @property
    def grounds(self) -> Grounds:
        """Return the legal grounds of the asking, as attested."""
        return Grounds(asking_ground=self.asking_ground, special_ground=self.special_ground)


def read_conditions(mailing_list: MailingList) -> Conditions | None:
    """Return the saved conditions of a list's next campaign, None if there are none."""
    row = Draft.get_or_none(Draft.list == mailing_list)
    if row is None:
        return None
    answers = json.loads(row.answers)
    field_names = {field.name for field in fields(Conditions)}
    return Conditions(**{name: value for name, value in answers.items() if name in field_names})


def suggest_conditions(settings: Settings, now: datetime) -> Conditions:
    """Return the default conditions: a deadline at the end of the suggested day."""
    return Conditions(deadline=suggest_deadline(settings, now).date().isoformat())


def suggest_deadline(settings: Settings, now: datetime) -> datetime:
    """Return the default deadline, in the organisation's time zone."""
    return (now + suggest_period(settings.campaign.minimum_days)).astimezone(settings.zone)


def read_deadline(conditions: Conditions, settings: Settings) -> datetime | None:
    """Return the chosen deadline, None if there is none or it cannot be parsed any more."""
    try:
        return parse_when(conditions.deadline, settings.zone) if conditions.deadline else None
    except Refused:  # In the present zone the clocks change: the time comes twice or never.
        return None


def find_mail_conditions(
    mailing_list: MailingList, *, settings: Settings, now: datetime
) -> tuple[datetime, bool]:
    """Return the deadline that a previewed mail names, and whether a reminder follows it.

    They are those of the running campaign, otherwise of the saved or default conditions.
    """
    if campaign := find_live_campaign(mailing_list):
        return campaign.deadline, campaign.reminder_at is not None
    conditions = read_conditions(mailing_list) or suggest_conditions(settings, now)
    deadline = read_deadline(conditions, settings) or suggest_deadline(settings, now)
    return deadline, bool(conditions.reminder)


def save_conditions(
    database: Database,
    mailing_list: MailingList,
    conditions: Conditions,
    *,
    now: datetime,
    actor: str,
) -> None:
    """Save the conditions in place of the former ones; this starts nothing.

    Changes are recorded as evidence with their author, since somebody else may launch, and the
    attestation is the statement of the person who wrote it.
    """
    answers = json.dumps(vars(conditions), ensure_ascii=False)
    with database.atomic():
        # Two admins who save at once are serialised, so that each change has the right author.
        locked_list = lock_list(mailing_list)
        previous = vars(read_conditions(locked_list) or Conditions())
        Draft.insert(list=locked_list, answers=answers, updated_at=now).on_conflict(
            conflict_target=[Draft.list], update={Draft.answers: answers, Draft.updated_at: now}
        ).execute()
        changed = {
            name: value for name, value in vars(conditions).items() if value != previous[name]
        }
        if changed:
            chain.append(
                Entry(
                    event="conditions_changed",
                    at=now,
                    actor=actor,
                    list=locked_list.slug,
                    consent={"fields": changed},
                )
            )


def delete_conditions(database: Database, mailing_list: MailingList) -> None:
    """Delete the saved conditions of a list's next campaign."""
    with database.atomic():
        Draft.delete().where(Draft.list == mailing_list).execute()


# --- The attestation of the admin who launches. ---------------------------------------------------


_MIN_CHARACTERS = 40
_MIN_WORDS = 6

_WANTED = LazyText(
    "say who decided to ask, on what ground, where the addresses came from, and that none of them "
    "opted out",
    code="attest",
    cli=" (--attest; it is kept as evidence)",
)
_EXAMPLE = (
    '"Decided by the board on 1 November: our members could sign up on paper only, and we cannot '
    'show who did. Addresses from our own forms since 2016. None of them opted out."'
)


def check_attestation(attest: str) -> LazyText:
    """Return the error of an attestation that says too little, or "".

    The four required statements need at least six different words.
    """
    words = attest.split()
    if not words:
        return _WANTED
    distinct = {word.casefold() for word in words if any(map(str.isalnum, word))}
    if len(" ".join(words)) < _MIN_CHARACTERS or len(distinct) < _MIN_WORDS:
        return LazyText(
            "this says too little: who decided to ask, on what ground, where did the addresses "
            "come from, and did none of them opt out?",
            code="attest_more",
            cli=" For example: --attest %(example)s",
            example=_EXAMPLE,
        )
    return LazyText()
