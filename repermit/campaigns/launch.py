"""Launching a campaign: its wording and audience are frozen, and its asks enqueued."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from repermit.campaigns.audience import count_asks
from repermit.campaigns.campaign_draft import check_attestation
from repermit.campaigns.enqueue_asks import (
    enqueue_asks,
    find_audience_range,
    read_enqueue_progress,
    start_launch_task,
)
from repermit.campaigns.launch_refusals import is_reason, plan_launch, read_launch_state
from repermit.campaigns.mailing_lists import read_texts
from repermit.campaigns.preview import (
    draft_wording,
    freeze_wording,
    make_page_wordings,
    store_page_wordings,
)
from repermit.campaigns.result_types import LaunchProblem, LaunchResult, Plan
from repermit.clock import format_timestamp
from repermit.contacts import lookup
from repermit.db.background_tasks import TaskKind, foreground_lock
from repermit.db.connection import Database, read_snapshot
from repermit.db.models.campaigns import Campaign
from repermit.db.models.lists import MailingList, lock_list
from repermit.emails.frozen_draft import Draft
from repermit.errors import LaunchRefused
from repermit.evidence import chain
from repermit.i18n.lazy_text import LazyText
from repermit.rules.consent import CampaignState, MailKind
from repermit.rules.legal_grounds import NO_GROUNDS, Grounds
from repermit.settings.definitions import Settings
from repermit.suppression import suppressions


def launch(
    database: Database,
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    deadline: datetime,
    attest: str,
    grounds: Grounds = NO_GROUNDS,
    actor: str,
    starts_at: datetime | None = None,
    include_thin: bool = False,
    pilot: int = 0,
    reminder: int = 0,
    plan: Plan | None = None,
    expected: int | None = None,
    max_rows: int | None = None,
    problems: Sequence[LaunchProblem] = (),
    accepted: Mapping[str, str] = MappingProxyType({}),
    statements: Mapping[str, str] = MappingProxyType({}),
    make_page_wording: Callable[[Draft], str] | None = None,
    format_note: Callable[[LazyText], str] = str,
    note_language: str = "en",
) -> LaunchResult:
    """Launch a campaign that asks until `deadline`.

    1. Plan the launch and draft the mails, without a lock. Raise LaunchRefused with all reasons.
    2. In one transaction store the campaign, its wordings and its audience. If the state that the
       plan was computed from has changed, start again; raise LaunchRefused if the list has changed
       since `plan`.
    3. Enqueue the asks in steps, due at `starts_at` (now if None or past). With a pilot, only its
       asks are due, and the others wait for `resume`.
    4. In the last step append the entry `launched` and start the campaign; nothing is sent before.

    - `attest`, `grounds`: the attestation, and the legal grounds; stored as evidence.
    - `reminder`: how many days before the deadline contacts are reminded, 0 for never.
    - `problems`: what the check found wrong; the launch is refused unless `accepted` has a reason
      for each, by code. The reasons are stored as evidence.
    - `statements`: the texts of the list's privacy statements that could be read, by URL; stored
      with the wordings.
    - `make_page_wording`: returns the text of the page behind an ask's links, which is stored as
      evidence about contacts who do not answer.
    - `format_note`, `note_language`: how the admin read the plan's notes, and in which language;
      stored too.
    - `plan`: the result of `plan_launch` for these arguments, if the admin has seen one.
    - `expected`: how many contacts the admin expects to ask; any other number is refused.
    - `max_rows`: stop after about so many asks; `finish_launches` enqueues the others, also after a
      kill. Until then the campaign is scheduled, and can only be cancelled.
    """
    suppressions.restore_lost_suppressions(database, settings=settings, now=now)
    digests = {url: chain.digest_wording(text) for url, text in statements.items()}
    locked_list, shown_plan = mailing_list, plan
    drafted_for: tuple[Any, ...] = ()
    drafts: list[Draft] = []
    pages: dict[str, str] = {}
    while True:
        with read_snapshot(database):
            plan = plan or plan_launch(
                locked_list,
                settings=settings,
                now=now,
                deadline=deadline,
                starts_at=starts_at,
                grounds=grounds,
                include_thin=include_thin,
                reminder=reminder,
            )
            _refuse_launch(plan, attest, expected, _list_unaccepted(problems, accepted))
            audience = find_audience_range(mailing_list)
            # An answer meanwhile changes the counts only, and drafting takes longer than planning.
            draft_input = (read_texts(locked_list), {*plan.languages}, plan.reminder_at)
            if drafted_for != draft_input:
                drafted_for = draft_input
                drafts = _draft_wordings(
                    locked_list,
                    plan,
                    settings=settings,
                    deadline=deadline,
                    grounds=grounds,
                    privacy_wordings=digests.items(),
                )
                pages = make_page_wordings(drafts, make_page_wording)
        with database.atomic():
            locked_list = lock_list(mailing_list)
            launch_state = read_launch_state(locked_list)
            if shown_plan and shown_plan.launch_state.texts != launch_state.texts:
                raise LaunchRefused(
                    (LazyText("Something has changed meanwhile: please look again."),)
                )
            if plan.launch_state != launch_state:
                plan = None
                continue
            is_in_doubt = locked_list.lost_launch_at is not None
            suppressions.note_launch(locked_list, now)
            campaign = Campaign.create(
                list=locked_list,
                state=CampaignState.SCHEDULED,
                deadline=deadline,
                launched_at=now,
                starts_at=max(now, starts_at or now),
                include_thin=include_thin,
                minimum_days=settings.campaign.minimum_days,
                # A pilot of everybody is no pilot, and none is sent while all asks are in doubt.
                pilot=pilot if pilot < plan.asked and not is_in_doubt else 0,
                reminder_at=plan.reminder_at,
            )
            wordings = _freeze_wordings(campaign, drafts)
            content = _make_facts(campaign, plan, wordings, attest=attest, format_note=format_note)
            content |= vars(grounds)
            for text in statements.values():
                chain.store_wording(text)
            content |= {"privacy_wordings": digests} if digests else {}
            content |= store_page_wordings(pages)
            content["told_in"] = note_language
            content["accepted"] = _describe_accepted(problems, accepted)
            start_launch_task(campaign, audience, content, actor=actor)
        break
    with foreground_lock(database, TaskKind.LAUNCH):
        enqueue_asks(database, campaign.id, settings=settings, now=now, max_rows=max_rows)
    return _make_result(campaign.id, plan, is_in_doubt=is_in_doubt)


def _draft_wordings(
    mailing_list: MailingList,
    plan: Plan,
    *,
    settings: Settings,
    deadline: datetime,
    grounds: Grounds,
    privacy_wordings: Iterable[tuple[str, str]],
) -> list[Draft]:
    """Return the drafts of the mails of each kind, in each language of the audience."""
    kinds = (MailKind.ASK, *((MailKind.REMINDER,) if plan.reminder_at else ()))
    return [
        draft_wording(
            mailing_list,
            settings=settings,
            deadline=deadline,
            language=language,
            has_reminder=plan.reminder_at is not None,
            kind=kind,
            grounds=grounds,
            privacy_wordings=tuple(sorted(privacy_wordings)),
        )
        for kind in kinds
        for language in sorted({mailing_list.language, *plan.languages})
    ]


def _make_result(campaign_id: int, plan: Plan, *, is_in_doubt: bool) -> LaunchResult:
    """Return the result of a launch; somebody may have answered since its plan."""
    campaign: Campaign = Campaign.get_by_id(campaign_id)
    is_whole = read_enqueue_progress(campaign) is None
    return LaunchResult(
        campaign=campaign_id,
        state=CampaignState(campaign.state),
        plan=replace(plan, asked=count_asks(campaign)) if is_whole else plan,
        pilot=campaign.pilot,
        is_whole=is_whole,
        is_in_doubt=is_in_doubt,
    )


def _list_unaccepted(
    problems: Sequence[LaunchProblem], accepted: Mapping[str, str]
) -> Iterator[LazyText]:
    """Yield the problems of the check that are not accepted with a reason."""
    for problem in problems:
        if not is_reason(accepted.get(problem.code, "")):
            yield LazyText(
                "the check found something wrong: %(found)s",
                cli=" Mend it, or say why it may be so: --accept %(name)s=REASON",
                found=problem.found,
                name=problem.code,
            )


def _describe_accepted(
    problems: Sequence[LaunchProblem], accepted: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return the accepted problems with their reasons, for the evidence."""
    return [
        {"code": problem.code, "found": problem.found, "reason": accepted[problem.code].strip()}
        for problem in problems
    ]


def _refuse_launch(
    plan: Plan, attest: str, expected: int | None, problems: Iterable[LazyText]
) -> None:
    reasons = [*plan.refusals, *problems]
    if missing := check_attestation(attest):
        reasons.append(missing)
    if expected is not None and expected != plan.asked:
        reasons.append(
            LazyText(
                "%(before)s were to be asked, and now there are %(now)s",
                before=expected,
                now=plan.asked,
            )
        )
    if reasons:
        raise LaunchRefused(tuple(reasons))


def _freeze_wordings(campaign: Campaign, drafts: Iterable[Draft]) -> dict[str, dict[str, str]]:
    """Store the wordings of the mails; return their digests, as the evidence names them."""
    wordings: dict[str, dict[str, str]] = {}
    for draft in drafts:
        name = "wordings" if MailKind(draft.kind) is MailKind.ASK else "reminder_wordings"
        wordings.setdefault(name, {})[draft.language] = freeze_wording(campaign, draft)
    return wordings


def _make_facts(
    campaign: Campaign,
    plan: Plan,
    wordings: dict[str, Any],
    *,
    attest: str,
    format_note: Callable[[LazyText], str],
) -> dict[str, Any]:
    """Return the content of the launch's entry in the evidence."""
    mailing_list = campaign.list
    return {
        "attest": attest.strip(),
        "told": chain.store_wording("\n\n".join(map(format_note, plan.notes))),
        "asked": plan.asked,
        "excluded": {str(reason): count for reason, count in plan.excluded.items()},
        "left_out": {str(fate): count for fate, count in plan.left_out.items()},
        "deadline": format_timestamp(campaign.deadline),
        "starts_at": format_timestamp(campaign.starts_at),
        "minimum_days": campaign.minimum_days,
        "include_thin": campaign.include_thin,
        "pilot": campaign.pilot,
        "reminder_at": format_timestamp(campaign.reminder_at) if campaign.reminder_at else "",
        "purpose": mailing_list.purpose,
        "frequency": mailing_list.frequency,
        "privacy_url": mailing_list.privacy_url,
        "texts": [asdict(text) for text in lookup.read_list_facts(mailing_list).texts[1:]],
        **wordings,
    }
