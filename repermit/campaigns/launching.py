"""Launching a campaign: wording and audience are frozen, and each ask is owed from then on.

May import messages, evidence, consent, models and what lies below.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from repermit import evidence
from repermit.campaigns.attesting import attestation_lacks
from repermit.campaigns.audience import count_audience, owe_asks
from repermit.campaigns.facts import Launched
from repermit.campaigns.planning import plan_for
from repermit.campaigns.wording import draft, freeze
from repermit.consent import CampaignState, MailKind
from repermit.errors import LaunchRefused
from repermit.evidence import Entry
from repermit.models import Campaign, MailingList, lock_rows, stored

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from repermit.campaigns.facts import Plan
    from repermit.config import Settings
    from repermit.models import Database


def launch(
    database: Database,
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    deadline: datetime,
    attest: str,
    actor: str,
    starts_at: datetime | None = None,
    include_thin: bool = False,
    pilot: int = 0,
    reminder: int = 0,
    expected: int | None = None,
) -> Launched:
    """Launch a campaign that asks until `deadline`; all of it in one transaction.

    1. Plan, under the list's lock; raise LaunchRefused with all reasons at once.
    2. Store the campaign and its wording in each language that is needed.
    3. Freeze the audience: an ask is owed to each from `starts_at` (now if None or past); with a
       `pilot`, to so many at first, and the others wait for `resume`.
    4. Keep who decided (`attest`), and what they had been told, as evidence.

    `reminder` is how many days before the deadline who has not answered is reminded, 0 for never.
    `expected` is how many the admin was told would be asked; another number is refused.
    """
    with database.atomic():
        found: MailingList = lock_rows(
            MailingList.select().where(MailingList.id == mailing_list.id)
        ).get()
        audience = count_audience(
            found, include_thin=include_thin, fingerprint_key=settings.fingerprint_key
        )
        planned = plan_for(
            found,
            audience,
            settings=settings,
            now=now,
            deadline=deadline,
            starts_at=starts_at,
            include_thin=include_thin,
            reminder=reminder,
        )
        _refuse(planned, attest, expected)
        campaign = Campaign.create(
            list=found,
            state=CampaignState.SCHEDULED
            if starts_at and starts_at > now
            else CampaignState.SENDING,
            deadline=deadline,
            launched_at=now,
            starts_at=max(now, starts_at or now),
            include_thin=include_thin,
            minimum_days=settings.campaign.minimum_days,
            # A pilot of everybody is none.
            pilot=pilot if pilot < audience.asked else 0,
            reminder_at=planned.reminder_at,
        )
        wordings = _freeze_wordings(campaign, {found.language, *planned.languages}, settings)
        # On PostgreSQL somebody may have answered meanwhile; what is owed is what counts.
        planned = replace(planned, asked=owe_asks(campaign, audience))
        evidence.append(_entry(campaign, planned, wordings, attest=attest, actor=actor))
    return Launched(
        campaign=campaign.id,
        state=CampaignState(campaign.state),
        plan=planned,
        pilot=campaign.pilot,
    )


def _refuse(planned: Plan, attest: str, expected: int | None) -> None:
    reasons = [*planned.refusals]
    if lacks := attestation_lacks(attest):
        reasons.append(lacks)
    if expected not in {None, planned.asked}:
        reasons.append(f"{expected:,} were to be asked, and now there are {planned.asked:,}")
    if reasons:
        raise LaunchRefused(tuple(reasons))


def _freeze_wordings(
    campaign: Campaign, languages: Iterable[str], settings: Settings
) -> dict[str, dict[str, str]]:
    """Store what the mails say in each language; return the digests, as the evidence has them."""
    wordings = {"wordings": _freeze(campaign, MailKind.ASK, languages, settings)}
    if campaign.reminder_at:
        reminders = _freeze(campaign, MailKind.REMINDER, languages, settings)
        wordings["reminder_wordings"] = reminders
    return wordings


def _freeze(
    campaign: Campaign, kind: MailKind, languages: Iterable[str], settings: Settings
) -> dict[str, str]:
    return {
        language: freeze(
            campaign,
            draft(
                campaign.list,
                settings=settings,
                deadline=campaign.deadline,
                language=language,
                kind=kind,
            ),
        )
        for language in sorted(languages)
    }


def _entry(
    campaign: Campaign, planned: Plan, wordings: dict[str, Any], *, attest: str, actor: str
) -> Entry:
    mailing_list = campaign.list
    return Entry(
        event="launched",
        at=campaign.launched_at,
        actor=actor,
        list=mailing_list.slug,
        campaign=campaign.id,
        consent={
            "attest": attest.strip(),
            "told": evidence.keep_wording("\n\n".join(planned.notes)),
            "asked": planned.asked,
            "excluded": {str(why): count for why, count in planned.excluded.items()},
            "left_out": {str(fate): count for fate, count in planned.left_out.items()},
            "deadline": stored(campaign.deadline),
            "starts_at": stored(campaign.starts_at),
            "minimum_days": campaign.minimum_days,
            "include_thin": campaign.include_thin,
            "pilot": campaign.pilot,
            "reminder_at": stored(campaign.reminder_at) if campaign.reminder_at else "",
            "purpose": mailing_list.purpose,
            "frequency": mailing_list.frequency,
            "privacy_url": mailing_list.privacy_url,
            **wordings,
        },
    )
