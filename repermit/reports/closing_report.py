"""The closing report of a list's latest campaign: counts only, which name nobody."""

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

# --- The content of the closing report, as plain values. ------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions under which a campaign ran. Those of the launch are empty without its entry.

    - `launched_by`: an actor of the evidence.
    - `downtime`: in seconds.
    - `attest`: the attestation given at launch.
    - `told`, `told_in`: the text that the admin read before it, and its language.
    - `accepted`: problems found by the check, with the reasons for launching despite them.
    - `excluded`, `left_out`: people not asked, by reason.
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
    """A frozen wording; `digest` is the SHA-256 of `content`, which includes subject and text."""

    kind: MailKind
    language: str
    revision: int
    digest: str
    subject: str
    text: str
    content: str


@dataclass(frozen=True, kw_only=True)
class ImportedFile:
    """A file that was imported into the list; `fates` add up to `rows`."""

    file: str
    digest: str
    at: datetime
    undone_at: datetime | None
    rows: int
    fates: Mapping[Fate, int]


@dataclass(frozen=True, kw_only=True)
class DayCounts:
    """The number of outcomes of each kind on a day in the organisation's time zone."""

    day: str
    counts: Mapping[Outcome, int]


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """A pause, resumption, end or change of a campaign; `event` is the entry's.

    - `note`: the reason for moving the deadline, "" if none was given.
    """

    event: str
    at: datetime
    actor: str
    detail: str
    note: str


@dataclass(frozen=True, kw_only=True)
class HandoverStep:
    """A step of the handover to a newsletter tool that was ticked."""

    tool: str
    step: str
    at: datetime
    actor: str


@dataclass(frozen=True, kw_only=True)
class ExportedFile:
    """An export that was made."""

    at: datetime
    what: str
    format: str
    tool: str
    rows: int
    actor: str


@dataclass(frozen=True, kw_only=True)
class ClosingReport:
    """The results of a campaign.

    - `people`: each person counts once.
    - `turns`: the outcomes of all days; a person who changed their mind counts twice.
    - `is_whole`: False while entries are still to be counted.
    - `may_be_mailed`: everybody on the list who may be mailed.
    - `mailed_unasked`: those of them without an ask of the campaign.
    - `counted_at`: when these two and `people` were counted.
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
    """Return the results of the list's latest campaign so far; raises NotFound if it has none."""
    campaign = latest_campaign(mailing_list)
    if campaign is None:
        raise NotFound("there was no campaign on %(list)s yet to report on", list=mailing_list.slug)
    acts = read_acts(mailing_list.slug, _EVENTS)
    campaign_acts = [act for act in acts if act.campaign == campaign.id]
    counts, is_whole = read_tallies(mailing_list.slug, campaign.id, zone=settings.zone)
    by_day: dict[str, dict[Outcome, int]] = {}
    for key, count in counts.items():
        if key.day and count:
            by_day.setdefault(key.day, dict.fromkeys(Outcome, 0))[key.what] = count
    imports = _list_imports(mailing_list)
    people_count = read_people(campaign, now=now)
    return ClosingReport(
        list=mailing_list.slug,
        name=mailing_list.name,
        purpose=mailing_list.purpose,
        language=mailing_list.language,
        made_at=now,
        counted_at=people_count.at,
        campaign=_make_conditions(campaign, campaign_acts),
        people=people_count.people,
        turns={what: sum(day[what] for day in by_day.values()) for what in Outcome},
        days=tuple(DayCounts(day=day, counts=by_day[day]) for day in sorted(by_day)),
        is_whole=is_whole,
        mails=_count_mails(campaign),
        late_reminders=contacts_counts.count_late_reminders(campaign),
        bounces=_count_bounces(campaign),
        imports=imports,
        fates={
            fate: sum(file.fates[fate] for file in imports if file.undone_at is None)
            for fate in Fate
        },
        interruptions=tuple(_iter_interruptions(campaign_acts)),
        handed_over=_list_handover_steps(campaign),
        exports=tuple(_iter_exports(acts, since=campaign.launched_at)),
        still_mailed=_count_still_mailed(mailing_list),
        may_be_mailed=people_count.may_be_mailed,
        mailed_unasked=people_count.mailed_unasked,
        wordings=_list_wordings(campaign),
        checkpoint=signed_checkpoint.make_signed_checkpoint(settings),
    )


def read_conditions(campaign: Campaign) -> Conditions:
    """Return the conditions of a campaign, frozen at its launch, and the admin who launched it."""
    acts = read_acts(campaign.list.slug, ("launched",))
    return _make_conditions(campaign, [act for act in acts if act.campaign == campaign.id])


def _make_conditions(campaign: Campaign, acts: Sequence[AdminAct]) -> Conditions:
    launch = next((act for act in acts if act.event == "launched"), None)
    content: Mapping[str, Any] = launch.content if launch else {}
    told_wording = Wording.get_or_none(Wording.digest == content.get("told", ""))
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
        pilot=content.get("pilot", campaign.pilot),
        reminder_at=campaign.reminder_at,
        # The stored downtime starts again at 0 once an admin has overridden it.
        downtime=max(campaign.downtime, *(act.content.get("downtime", 0) for act in acts), 0),
        attest=content.get("attest", ""),
        asking_ground=content.get("asking_ground", ""),
        special_ground=content.get("special_ground", ""),
        told=told_wording.content if told_wording else "",
        # Entries without a language are older: the text was always English then.
        told_in=content.get("told_in", "en") if told_wording else "",
        accepted=content.get("accepted", []),
        excluded={why: content.get("excluded", {}).get(why, 0) for why in Exclusion},
        left_out=content.get("left_out", {}),
    )


def _list_wordings(campaign: Campaign) -> tuple[UsedWording, ...]:
    rows = (
        CampaignWording.select(CampaignWording, Wording)
        .join(Wording)
        .where(CampaignWording.campaign == campaign)
        .order_by(CampaignWording.kind, CampaignWording.language, CampaignWording.revision)
    )
    return tuple(map(_make_used_wording, rows))


def _make_used_wording(row: CampaignWording) -> UsedWording:
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


def _list_imports(mailing_list: MailingList) -> tuple[ImportedFile, ...]:
    # Without the stored former state of contacts, which may be many megabytes.
    columns = (Import.file, Import.digest, Import.counts, Import.at, Import.undone_at)
    rows = Import.select(*columns).where(Import.list == mailing_list).order_by(Import.id)
    return tuple(map(_make_imported_file, rows))


def _make_imported_file(row: Import) -> ImportedFile:
    counts = json.loads(row.counts)
    return ImportedFile(
        file=row.file,
        digest=row.digest,
        at=row.at,
        undone_at=row.undone_at,
        rows=counts["rows"],
        fates={fate: counts["fates"].get(fate, 0) for fate in Fate},
    )


def _count_mails(campaign: Campaign) -> dict[MailKind, dict[MailState, int]]:
    counts = {kind: dict.fromkeys(MailState, 0) for kind in ASKING_KINDS}
    for mails, number in contacts_counts.count_mails(campaign=campaign).items():
        if mails.kind in counts:
            counts[mails.kind][mails.state] += number
    return counts


def _count_bounces(campaign: Campaign) -> dict[BounceKind, int]:
    counts = dict.fromkeys(BounceKind, 0)
    for mails, number in contacts_counts.count_mails(campaign=campaign).items():
        if mails.bounce:
            counts[BounceKind(mails.bounce)] += number
    return counts


_DETAILS = ("to", "reminder_at", "reason")


def _iter_interruptions(acts: Iterable[AdminAct]) -> Iterable[Interruption]:
    for act in acts:
        if act.event in {*_PAUSES, *_CHANGES}:
            detail = next((act.content[name] for name in _DETAILS if act.content.get(name)), "")
            note = act.content.get("note", "")
            yield Interruption(
                event=act.event, at=act.at, actor=act.actor, detail=detail, note=note
            )


def _list_handover_steps(campaign: Campaign) -> tuple[HandoverStep, ...]:
    rows = HandedOver.select().where(HandedOver.campaign == campaign)
    return tuple(
        HandoverStep(tool=row.tool, step=row.step, at=row.at, actor=row.by)
        for row in rows.order_by(HandedOver.at, HandedOver.id)
    )


def _iter_exports(acts: Iterable[AdminAct], *, since: datetime) -> Iterable[ExportedFile]:
    for act in acts:
        if act.event == "exported" and act.at >= since:
            content = act.content
            yield ExportedFile(
                at=act.at,
                what=content["what"],
                format=content["format"],
                tool=content["tool"],
                rows=content["rows"],
                actor=act.actor,
            )


def _count_still_mailed(mailing_list: MailingList) -> int:
    entries = Evidence.select().where(
        Evidence.event == "still_mailed", Evidence.list == mailing_list.slug
    )
    return int(entries.count())
