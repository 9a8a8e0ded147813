"""The results of the use cases of campaigns, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from repermit.clock import format_timestamp
from repermit.evidence.entries import Checkpoint
from repermit.i18n.lazy_text import LazyText
from repermit.rules.consent import (
    CampaignState,
    Exclusion,
    Fate,
    MailKind,
    MailState,
    Reason,
    Status,
)


@dataclass(frozen=True, kw_only=True)
class ListDetails:
    """The details of a list; the `own_` texts are "" if the default wording is used.

    - `texts`: its texts in further languages, by language and then by field.
    """

    slug: str
    name: str
    purpose: str
    frequency: str
    privacy_url: str
    language: str
    sender: str
    sensitive: bool
    receipts: bool
    own_subject: str
    own_text: str
    own_html: str
    texts: Mapping[str, Mapping[str, str]]

    def to_json(self) -> dict[str, Any]:
        """Return the facts as one JSON object."""
        return dict(vars(self))


class LaunchState(NamedTuple):
    """The state that a plan is computed from; `texts` are the list's, in each language."""

    texts: list[dict[str, Any]]
    contacts: Any
    campaign: tuple[int, str] | None
    tasks: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a launch would do: how many contacts it asks, why not the others, and its problems.

    - `languages`: the contacts to ask, by the language of their mail.
    - `left_out`: the rows of imports that never became contacts, by fate.
    - `last_ask_at`: when the last ask is sent at the configured rates, if nothing delays it.
    - `reminder_at`: when contacts are reminded; None for never.
    - `refusals`: why the launch is refused; `notes`: what the admin must have read before.
    - `launch_state`: what the plan was computed from; a launch plans again if counts have changed,
      and is refused if the list has changed since the admin saw the plan.
    """

    asked: int
    excluded: Mapping[Exclusion, int]
    left_out: Mapping[Fate, int]
    languages: Mapping[str, int]
    last_ask_at: datetime
    reminder_at: datetime | None
    refusals: tuple[LazyText, ...]
    notes: tuple[LazyText, ...]
    launch_state: LaunchState = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as one JSON object."""
        return {
            "asked": self.asked,
            "excluded": {str(reason): count for reason, count in self.excluded.items()},
            "left_out": {str(fate): count for fate, count in self.left_out.items()},
            "languages": dict(self.languages),
            "last_ask_at": format_timestamp(self.last_ask_at),
            "reminder_at": self.reminder_at and format_timestamp(self.reminder_at),
            "refusals": list(self.refusals),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, kw_only=True)
class LaunchProblem:
    """A problem that a check found before a launch: its code, and a text of what was found."""

    code: str
    found: str


@dataclass(frozen=True, kw_only=True)
class LaunchResult:
    """A campaign that has been launched: its number, its state, and its plan.

    - `pilot`: how many contacts are asked first; 0 without a pilot.
    - `is_whole`: False while its asks are still being enqueued.
    - `is_in_doubt`: no ask is sent before an admin has decided, since a campaign that the restored
      database does not know may have asked the same people.
    """

    campaign: int
    state: CampaignState
    plan: Plan
    pilot: int
    is_whole: bool
    is_in_doubt: bool


@dataclass(frozen=True, kw_only=True)
class CampaignDetails:
    """The details of a campaign; times are aware UTC, `downtime` is in whole seconds.

    - `asked`: the size of its audience.
    - `latest_ask`: until when an ask may still be accepted.
    - `pause_reason`: "" unless it was paused automatically.
    - `pilot`: the size of the pilot; 0 once it is over.
    - `late_reminders`: reminders not sent because too little time was left to answer.
    """

    number: int
    state: CampaignState
    pause_reason: str
    deadline: datetime
    latest_ask: datetime
    launched_at: datetime
    starts_at: datetime
    opened_at: datetime | None
    closed_at: datetime | None
    asked: int
    languages: tuple[str, ...]
    pilot: int
    reminder_at: datetime | None
    late_reminders: int
    minimum_days: int
    include_thin: bool
    downtime: int

    def to_json(self) -> dict[str, Any]:
        """Return the facts as one JSON object, times in RFC 3339."""
        values = {
            name: format_timestamp(value) if isinstance(value, datetime) else value
            for name, value in vars(self).items()
        }
        return {**values, "state": str(self.state), "languages": list(self.languages)}


@dataclass(frozen=True, kw_only=True)
class CampaignProgress:
    """The number of a campaign's asks and reminders together, by state; every state has a key."""

    state: CampaignState
    mails: Mapping[MailState, int]


@dataclass(frozen=True, kw_only=True)
class InDoubtMail:
    """A mail that the server may or may not have accepted; an admin must decide.

    - `address`: "" for a notice to the admin, and after an erasure.
    - `is_restored`: in doubt because the database was restored to its state at `started_at`.
    """

    mail: int
    kind: MailKind
    address: str
    started_at: datetime
    attempts: int
    is_restored: bool


@dataclass(frozen=True, kw_only=True)
class CampaignStatus:
    """The status of a list and its latest campaign; every key of every enumeration is present.

    - `mails`: those of the latest campaign, and those of the list without a campaign.
    - `held`: unconfirmed contacts whose Yes may be a program's and waits for a second press.
    - `unasked_in_doubt`: contacts of `unasked` that may have been asked after all.
    - `still_mailed`: unsubscribes by erased people from another tool's mails.
    - `in_doubt`: all mails of the list that `resolve` decides on, of any kind and campaign.
    - `checkpoint`: the checkpoint of the whole evidence chain, to be stored elsewhere.
    - `lost_launch_at`: when a campaign was, or may have been, launched that the restored database
      does not know.
    """

    list: str
    campaign: CampaignDetails | None
    contacts: Mapping[Status, int]
    removed: Mapping[Reason, int]
    mails: Mapping[MailKind, Mapping[MailState, int]]
    unasked: int
    held: int
    unasked_in_doubt: int
    still_mailed: int
    in_doubt: tuple[InDoubtMail, ...]
    checkpoint: Checkpoint
    lost_launch_at: datetime | None

    def to_json(self) -> dict[str, Any]:
        """Return the output of `status --json`, which contains no address."""
        return {
            "list": self.list,
            "campaign": self.campaign.to_json() if self.campaign else None,
            "contacts": {str(status): count for status, count in self.contacts.items()},
            "removed": {str(reason): count for reason, count in self.removed.items()},
            "mails": {
                str(kind): {str(state): count for state, count in states.items()}
                for kind, states in self.mails.items()
            },
            "unasked": self.unasked,
            "held": self.held,
            "checkpoint": self.checkpoint.to_json(),
        }
