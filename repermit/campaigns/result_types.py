"""What the use cases of campaigns return, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

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
    """What is known of a list; the `own_` texts are "" where repermit's own wording is used.

    `texts` is what is said of it in further languages, by language and then by field.
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


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a launch would do: how many it asks, why not the others, and what stands against it.

    `languages` counts the asked by the language of their mail; `left_out` the rows of imports
    that never became contacts. `last_ask_at` is when the rates let the last mail out, if nothing
    holds it up, and `reminder_at` when who has not answered is reminded, None for never. `notes`
    are what the admin must have read before deciding. `rests_on` is what must not have changed when
    it is launched.
    """

    asked: int
    excluded: Mapping[Exclusion, int]
    left_out: Mapping[Fate, int]
    languages: Mapping[str, int]
    last_ask_at: datetime
    reminder_at: datetime | None
    refusals: tuple[LazyText, ...]
    notes: tuple[LazyText, ...]
    rests_on: tuple[Any, ...] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as one JSON object."""
        return {
            "asked": self.asked,
            "excluded": {str(why): count for why, count in self.excluded.items()},
            "left_out": {str(fate): count for fate, count in self.left_out.items()},
            "languages": dict(self.languages),
            "last_ask_at": _format_time(self.last_ask_at),
            "reminder_at": _format_time(self.reminder_at),
            "refusals": list(self.refusals),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, kw_only=True)
class LaunchProblem:
    """What a check found wrong before a launch: its code, and in words what was seen."""

    code: str
    found: str


@dataclass(frozen=True, kw_only=True)
class LaunchResult:
    """A campaign that has been launched: its number, its state, and the plan it followed.

    `pilot` is how many are asked first, 0 if nobody waits for them. `is_whole` is false while its
    asks are still being made. With `is_in_doubt` none of them leaves before somebody has decided,
    since a campaign of which the restored database knows nothing may have asked the same people.
    """

    campaign: int
    state: CampaignState
    plan: Plan
    pilot: int
    is_whole: bool
    is_in_doubt: bool


@dataclass(frozen=True, kw_only=True)
class CampaignDetails:
    """What is known of a campaign; times are aware UTC, `downtime` is in whole seconds.

    `asked` is the size of its audience; `latest_ask` is when the last ask may be accepted.
    `pause_reason` is "" unless it paused by itself; `pilot` is 0 once the others have been let go.
    `late_reminders` are those that did not leave, as people had too little time left.
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
        moments = (
            "deadline",
            "latest_ask",
            "launched_at",
            "starts_at",
            "opened_at",
            "closed_at",
            "reminder_at",
        )
        return {
            **vars(self),
            "state": str(self.state),
            "languages": list(self.languages),
            **{name: _format_time(getattr(self, name)) for name in moments},
        }


@dataclass(frozen=True, kw_only=True)
class CampaignProgress:
    """How far a campaign's asks and reminders are, counted together; every state is there."""

    state: CampaignState
    mails: Mapping[MailState, int]


@dataclass(frozen=True, kw_only=True)
class InDoubtMail:
    """A mail that the server may or may not have accepted; a person must decide.

    `address` is "" for a notice to the admin, and for who has been erased. With `is_restored` it
    is the database that does not know: it was put back to what it was at `started_at`.
    """

    mail: int
    kind: MailKind
    address: str
    started_at: datetime
    attempts: int
    is_restored: bool


@dataclass(frozen=True, kw_only=True)
class CampaignStatus:
    """How a list and its latest campaign stand; every key of every enumeration is there.

    `mails` counts those of the latest campaign and those of the list that belong to none;
    `still_mailed` how often somebody of whom nothing is held got rid of a mail from elsewhere.
    `unasked_in_doubt` are those of `unasked` who may have been asked all the same; `in_doubt` are
    all mails of the list that `resolve` decides on, of whatever kind and campaign. `held` are those
    whose Yes may be a program's and waits for one press more; they are unconfirmed. `checkpoint` is
    that of the whole chain of evidence, to be kept elsewhere. At `lost_launch_at` a campaign was
    launched, or may have been, of which the restored database knows nothing.
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
        """Return what `status --json` prints: no address stands in it."""
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


def _format_time(moment: datetime | None) -> str | None:
    return format_timestamp(moment) if moment else None
