"""What the closing report holds, as plain values; it counts people and names nobody on the list.

May import evidence, consent and this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from repermit.consent import BounceKind, CampaignState, Exclusion, Fate, MailKind, MailState
    from repermit.evidence import Checkpoint
    from repermit.reports.papers.people import People
    from repermit.reports.turns import Turn


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Under which conditions it ran; `downtime` is in seconds, `launched_by` as evidence has it.

    `attest` is what was attested at launch, `told` what was said before it, in the language
    `told_in`; `accepted` is what a check had found wrong, with the reason for launching all the
    same; `excluded` and `left_out` are who was not asked, by why. All are empty where no entry
    tells.
    """

    number: int
    state: CampaignState
    is_over: bool
    launched_at: datetime
    launched_by: str
    starts_at: datetime
    opened_at: datetime | None
    closed_at: datetime | None
    deadline: datetime
    minimum_days: int
    include_thin: bool
    pilot: int
    reminder_at: datetime | None
    downtime: int
    attest: str
    told: str
    told_in: str
    accepted: Sequence[Mapping[str, str]]
    excluded: Mapping[Exclusion, int]
    left_out: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class UsedWording:
    """A frozen wording; `digest` is the SHA-256 of `content`, of which subject and text are."""

    kind: MailKind
    language: str
    revision: int
    digest: str
    subject: str
    text: str
    content: str


@dataclass(frozen=True, kw_only=True)
class TakenIn:
    """A file that came onto the list; `fates` add up to `rows`."""

    file: str
    digest: str
    at: datetime
    undone_at: datetime | None
    rows: int
    fates: Mapping[Fate, int]


@dataclass(frozen=True, kw_only=True)
class DayTurns:
    """What was recorded on a day of the organisation's zone, by what."""

    day: str
    counts: Mapping[Turn, int]


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """That it was paused, went on, was extended or ended: `event` is the entry's."""

    event: str
    at: datetime
    actor: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of handing over that was ticked."""

    tool: str
    step: str
    at: datetime
    actor: str


@dataclass(frozen=True, kw_only=True)
class Export:
    """A file that was made."""

    at: datetime
    what: str
    format: str
    tool: str
    rows: int
    actor: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What came of a campaign. `turns` are all days together; `is_whole` is false while counting.

    Whoever changed their mind is in two `turns`, and in `people` once, who are counted at
    `counted_at`.
    """

    list: str
    name: str
    purpose: str
    language: str
    made_at: datetime
    counted_at: datetime
    campaign: Conditions
    people: People
    turns: Mapping[Turn, int]
    days: tuple[DayTurns, ...]
    is_whole: bool
    mails: Mapping[MailKind, Mapping[MailState, int]]
    bounces: Mapping[BounceKind, int]
    imports: tuple[TakenIn, ...]
    fates: Mapping[Fate, int]
    interruptions: tuple[Interruption, ...]
    handed_over: tuple[Step, ...]
    exports: tuple[Export, ...]
    still_mailed: int
    wordings: tuple[UsedWording, ...]
    checkpoint: Checkpoint
