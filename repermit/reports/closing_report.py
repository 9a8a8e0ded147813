"""What the closing report of a list's latest campaign holds: counts, which name nobody."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from repermit.contacts import counts as contacts_counts
from repermit.db.models.campaigns import (
    Campaign,
    CampaignWording,
    HandedOver,
    Wording,
    latest_campaign,
)
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.emails import frozen_draft
from repermit.errors import NotFound
from repermit.evidence import signed_checkpoint
from repermit.evidence.entries import Checkpoint
from repermit.reports.outcomes_per_day import AdminAct, Outcome, read_acts, read_tallies
from repermit.reports.statistics import People, read_people
from repermit.rules.consent import (
    ASKING_KINDS,
    BounceKind,
    CampaignState,
    Exclusion,
    Fate,
    MailKind,
    MailState,
)
from repermit.settings.definitions import Settings

# --- What the closing report holds, as plain values. ----------------------------------------------


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
    asking_ground: str
    special_ground: str
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
class ImportedFile:
    """A file that came onto the list; `fates` add up to `rows`."""

    file: str
    digest: str
    at: datetime
    undone_at: datetime | None
    rows: int
    fates: Mapping[Fate, int]


@dataclass(frozen=True, kw_only=True)
class DayCounts:
    """What was recorded on a day of the organisation's zone, by what."""

    day: str
    counts: Mapping[Outcome, int]


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """That it was paused, went on, ended or was changed: `event` is the entry's.

    - `note`: why the deadline was moved, "" where nobody said so.
    """

    event: str
    at: datetime
    actor: str
    detail: str
    note: str


@dataclass(frozen=True, kw_only=True)
class HandoverStep:
    """A step of handing over that was ticked."""

    tool: str
    step: str
    at: datetime
    actor: str


@dataclass(frozen=True, kw_only=True)
class ExportedFile:
    """A file that was made."""

    at: datetime
    what: str
    format: str
    tool: str
    rows: int
    actor: str


@dataclass(frozen=True, kw_only=True)
class ClosingReport:
    """What came of a campaign. `turns` are all days together; `is_whole` is false while counting.

    Whoever changed their mind is in two `turns`, and in `people` once. `may_be_mailed` are all on
    the list who may be, and `mailed_unasked` those of them for whom the campaign has no ask. These
    and `people` are counted at `counted_at`.
    """

    list: str
    name: str
    purpose: str
    language: str
    made_at: datetime
    counted_at: datetime
    campaign: Conditions
    people: People
    turns: Mapping[Outcome, int]
    days: tuple[DayCounts, ...]
    is_whole: bool
    mails: Mapping[MailKind, Mapping[MailState, int]]
    late_reminders: int
    bounces: Mapping[BounceKind, int]
    imports: tuple[ImportedFile, ...]
    fates: Mapping[Fate, int]
    interruptions: tuple[Interruption, ...]
    handed_over: tuple[HandoverStep, ...]
    exports: tuple[ExportedFile, ...]
    still_mailed: int
    may_be_mailed: int
    mailed_unasked: int
    wordings: tuple[UsedWording, ...]
    checkpoint: Checkpoint


# --- The closing report of a list's latest campaign. ----------------------------------------------


_PAUSES = ("paused", "resumed", "cancelled", "closed")
_CHANGES = ("extended", "reminder_added", "expired_despite_downtime")
_EVENTS = ("launched", "imported", "import_undone", "exported", *_CHANGES, *_PAUSES)


def gather_closing_report(
    mailing_list: MailingList, *, settings: Settings, now: datetime
) -> ClosingReport:
    """Return what came of the list's latest campaign, up to now; raises NotFound if it has none."""
    campaign = latest_campaign(mailing_list)
    if campaign is None:
        raise NotFound("there was no campaign on %(list)s yet to report on", list=mailing_list.slug)
    acts = read_acts(mailing_list.slug, _EVENTS)
    own = [one for one in acts if one.campaign == campaign.id]
    counts, is_whole = read_tallies(mailing_list.slug, campaign.id, zone=settings.zone)
    by_day: dict[str, dict[Outcome, int]] = {}
    for key, count in counts.items():
        if key.day and count:
            by_day.setdefault(key.day, dict.fromkeys(Outcome, 0))[key.what] = count
    imports = _imports(mailing_list)
    counted = read_people(campaign, now=now)
    return ClosingReport(
        list=mailing_list.slug,
        name=mailing_list.name,
        purpose=mailing_list.purpose,
        language=mailing_list.language,
        made_at=now,
        counted_at=counted.at,
        campaign=_make_conditions(campaign, own),
        people=counted.people,
        turns={what: sum(day[what] for day in by_day.values()) for what in Outcome},
        days=tuple(DayCounts(day=day, counts=by_day[day]) for day in sorted(by_day)),
        is_whole=is_whole,
        mails=_mails(campaign),
        late_reminders=contacts_counts.count_late_reminders(campaign),
        bounces=_bounces(campaign),
        imports=imports,
        fates={
            fate: sum(one.fates[fate] for one in imports if one.undone_at is None) for fate in Fate
        },
        interruptions=tuple(_interruptions(own)),
        handed_over=_handover_steps(campaign),
        exports=tuple(_exports(acts, since=campaign.launched_at)),
        still_mailed=_still_mailed(mailing_list),
        may_be_mailed=counted.may_be_mailed,
        mailed_unasked=counted.mailed_unasked,
        wordings=_wordings(campaign),
        checkpoint=signed_checkpoint.make_signed_checkpoint(settings),
    )


def read_conditions(campaign: Campaign) -> Conditions:
    """Return the conditions of a campaign, frozen at its launch, with who launched it."""
    acts = read_acts(campaign.list.slug, ("launched",))
    return _make_conditions(campaign, [one for one in acts if one.campaign == campaign.id])


def _make_conditions(campaign: Campaign, acts: Sequence[AdminAct]) -> Conditions:
    launch = next((one for one in acts if one.event == "launched"), None)
    said: Mapping[str, Any] = launch.said if launch else {}
    told = Wording.get_or_none(Wording.digest == said.get("told", ""))
    state = CampaignState(campaign.state)
    return Conditions(
        number=campaign.id,
        state=state,
        is_over=not state.is_live,
        launched_at=campaign.launched_at,
        launched_by=launch.actor if launch else "",
        starts_at=campaign.starts_at,
        opened_at=campaign.opened_at,
        closed_at=campaign.closed_at,
        deadline=campaign.deadline,
        minimum_days=campaign.minimum_days,
        include_thin=campaign.include_thin,
        pilot=said.get("pilot", campaign.pilot),
        reminder_at=campaign.reminder_at,
        # The database counts anew once somebody has decided that silence counts all the same.
        downtime=max(campaign.downtime, *(one.said.get("downtime", 0) for one in acts), 0),
        attest=said.get("attest", ""),
        asking_ground=said.get("asking_ground", ""),
        special_ground=said.get("special_ground", ""),
        told=told.content if told else "",
        # Before it was kept, everybody was told in English.
        told_in=said.get("told_in", "en") if told else "",
        accepted=said.get("accepted", []),
        excluded={why: said.get("excluded", {}).get(why, 0) for why in Exclusion},
        left_out=said.get("left_out", {}),
    )


def _wordings(campaign: Campaign) -> tuple[UsedWording, ...]:
    rows = (
        CampaignWording.select(CampaignWording, Wording)
        .join(Wording)
        .where(CampaignWording.campaign == campaign)
        .order_by(CampaignWording.kind, CampaignWording.language, CampaignWording.revision)
    )
    return tuple(map(_wording, rows))


def _wording(row: CampaignWording) -> UsedWording:
    draft = frozen_draft.read_draft(row.wording.content)
    return UsedWording(
        kind=MailKind(row.kind),
        language=row.language,
        revision=row.revision,
        digest=row.wording_id,
        subject=draft.subject.strip(),
        text=draft.text,
        content=row.wording.content,
    )


def _imports(mailing_list: MailingList) -> tuple[ImportedFile, ...]:
    # Not how the contacts were that they changed, which may be many megabytes.
    columns = (Import.file, Import.digest, Import.counts, Import.at, Import.undone_at)
    rows = Import.select(*columns).where(Import.list == mailing_list).order_by(Import.id)
    return tuple(map(_imported_file, rows))


def _imported_file(row: Import) -> ImportedFile:
    counts = json.loads(row.counts)
    return ImportedFile(
        file=row.file,
        digest=row.digest,
        at=row.at,
        undone_at=row.undone_at,
        rows=counts["rows"],
        fates={fate: counts["fates"].get(fate, 0) for fate in Fate},
    )


def _mails(campaign: Campaign) -> dict[MailKind, dict[MailState, int]]:
    counts = {kind: dict.fromkeys(MailState, 0) for kind in ASKING_KINDS}
    for mails, number in contacts_counts.count_mails(campaign=campaign).items():
        if mails.kind in counts:
            counts[mails.kind][mails.state] += number
    return counts


def _bounces(campaign: Campaign) -> dict[BounceKind, int]:
    found = dict.fromkeys(BounceKind, 0)
    for mails, number in contacts_counts.count_mails(campaign=campaign).items():
        if mails.bounce:
            found[BounceKind(mails.bounce)] += number
    return found


_DETAILS = ("to", "reminder_at", "reason")


def _interruptions(acts: Iterable[AdminAct]) -> Iterable[Interruption]:
    for one in acts:
        if one.event in {*_PAUSES, *_CHANGES}:
            detail = next((one.said[name] for name in _DETAILS if one.said.get(name)), "")
            note = one.said.get("note", "")
            yield Interruption(
                event=one.event, at=one.at, actor=one.actor, detail=detail, note=note
            )


def _handover_steps(campaign: Campaign) -> tuple[HandoverStep, ...]:
    rows = HandedOver.select().where(HandedOver.campaign == campaign)
    return tuple(
        HandoverStep(tool=row.tool, step=row.step, at=row.at, actor=row.by)
        for row in rows.order_by(HandedOver.at, HandedOver.id)
    )


def _exports(acts: Iterable[AdminAct], *, since: datetime) -> Iterable[ExportedFile]:
    for one in acts:
        if one.event == "exported" and one.at >= since:
            said = one.said
            yield ExportedFile(
                at=one.at,
                what=said["what"],
                format=said["format"],
                tool=said["tool"],
                rows=said["rows"],
                actor=one.actor,
            )


def _still_mailed(mailing_list: MailingList) -> int:
    own = Evidence.select().where(
        Evidence.event == "still_mailed", Evidence.list == mailing_list.slug
    )
    return int(own.count())
