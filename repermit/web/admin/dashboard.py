"""The dashboard: every list with its state, and the pending decisions.

Counts only; a viewer sees it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flask import Blueprint, Response
from flask_login import current_user
from peewee import fn

from repermit.accounts.user_info import Role
from repermit.contacts import counts as contacts_counts
from repermit.contacts import human_replies
from repermit.db.models.campaigns import Campaign, Draft, latest_campaign
from repermit.db.models.imports import Upload
from repermit.db.models.lists import MailingList
from repermit.expiry.downtime import must_delay_expiry
from repermit.exports.handover_steps import find_pending_handover
from repermit.reports import statistics
from repermit.reports.statistics import Figures
from repermit.rules.consent import (
    CampaignState,
    PauseReason,
    Status,
)
from repermit.sending import in_doubt, server_faults
from repermit.web.admin.campaign_page import describe_state, format_time_left
from repermit.web.admin.page_permissions import for_viewers
from repermit.web.admin.rendering import gettext, ngettext, render_page
from repermit.web.admin.result_text import translate_said
from repermit.web.admin.setup_steps import list_setup_steps
from repermit.web.admin.to_take_off_elsewhere_text import ask_to_hand_over
from repermit.web.request_context import get_arrival, get_services

pages = Blueprint("dashboard", __name__, url_prefix="/admin")


@dataclass(frozen=True, kw_only=True)
class ListSummary:
    """The state of a list: `counts` of contacts by status, `time_left` until the deadline."""

    mailing_list: MailingList
    campaign: Campaign | None
    found: Figures | None
    counts: Mapping[Status, int]
    state: str
    time_left: str
    is_prepared: bool

    @property
    def total(self) -> int:
        """Return the total of the counts."""
        return sum(self.counts.values())

    @property
    def is_live(self) -> bool:
        """Return whether a campaign is running."""
        return self.campaign is not None and CampaignState(self.campaign.state).is_live


@dataclass(frozen=True, kw_only=True)
class PendingDecision:
    """A decision that only an admin can take, and the endpoint of its page."""

    mailing_list: MailingList
    text: str
    endpoint: str


@pages.get("/")
@for_viewers
def show() -> Response:
    """Show all lists, those with a running campaign first."""
    list_summaries = sorted(
        map(_summarise_list, _list_mailing_lists()), key=lambda summary: not summary.is_live
    )
    return render_page(
        "dashboard/show.html",
        standings=list_summaries,
        waiting=[
            summary for list_summary in list_summaries for summary in _list_pending(list_summary)
        ],
        setup=list_setup_steps() if current_user.role == Role.ADMIN else [],
        in_words=translate_said,
        fault=server_faults.read_last_fault()
        if any(summary.is_live for summary in list_summaries)
        else None,
    )


def _list_mailing_lists() -> list[MailingList]:
    return list(MailingList.select().order_by(fn.LOWER(MailingList.name), MailingList.id))


def _summarise_list(mailing_list: MailingList) -> ListSummary:
    campaign = latest_campaign(mailing_list)
    is_live = campaign is not None and CampaignState(campaign.state).is_live
    return ListSummary(
        mailing_list=mailing_list,
        campaign=campaign,
        found=statistics.read_figures(
            mailing_list, zone=get_services().settings.zone, now=get_arrival()
        ),
        # A campaign's own numbers say more while it lasts.
        counts={} if is_live else contacts_counts.count_by_status(mailing_list),
        state=describe_state(campaign) if campaign else "",
        time_left=format_time_left(campaign.deadline) if campaign and is_live else "",
        is_prepared=Draft.select().where(Draft.list == mailing_list).exists(),
    )


def _list_pending(list_summary: ListSummary) -> Iterator[PendingDecision]:
    """Yield the pending decisions of one list, the most urgent first."""
    pending = [
        *_list_standstills(list_summary),
        *_list_open_questions(list_summary),
        *_list_unfinished(list_summary),
    ]
    for text, endpoint in pending:
        yield PendingDecision(mailing_list=list_summary.mailing_list, text=text, endpoint=endpoint)


def _list_standstills(list_summary: ListSummary) -> Iterator[tuple[str, str]]:
    """Yield the reasons why a campaign waits for a decision."""
    campaign = list_summary.campaign
    if campaign is None or not list_summary.is_live:
        return
    if campaign.pause_reason:
        yield _explain_pause(PauseReason(campaign.pause_reason)), "campaign_page.show"
    elif campaign.state == CampaignState.PAUSED and not list_summary.time_left:
        yield (
            gettext("It is paused, and its deadline has passed: extend or cancel it."),
            "campaign_page.show",
        )
    if must_delay_expiry(campaign, get_arrival()):
        yield (
            gettext("The answer pages were down for long, so nobody is removed until you decide."),
            "campaign_page.show",
        )


def _explain_pause(reason: PauseReason) -> str:
    return {
        PauseReason.PILOT: gettext("The pilot has been asked; the others wait for you."),
        PauseReason.BOUNCES: gettext("It paused by itself: too many mails came back."),
        PauseReason.COMPLAINT: gettext("It paused by itself: a mail was reported as unwanted."),
        PauseReason.RESTORED: gettext(
            "It was paused when the database was restored: answers since the backup are lost."
        ),
    }[reason]


def _list_open_questions(list_summary: ListSummary) -> Iterator[tuple[str, str]]:
    """Yield the replies to decide, and the mails in doubt."""
    replies = human_replies.count_waiting_replies(list_summary.mailing_list)
    is_decided = in_doubt.find_resolution(list_summary.mailing_list) is not None
    doubts = 0 if is_decided else in_doubt.count_in_doubt(list_summary.mailing_list)
    if replies:
        text = ngettext("One reply to decide.", "%(count)s replies to decide.", replies)
        yield text, "open_questions.show_replies"
    if doubts:
        text = ngettext("One mail in doubt.", "%(count)s mails in doubt.", doubts)
        yield text, "open_questions.show_in_doubt"


def _list_unfinished(list_summary: ListSummary) -> Iterator[tuple[str, str]]:
    """Yield the work on a list that was begun and not finished."""
    if handover := find_pending_handover(list_summary.mailing_list):
        yield ask_to_hand_over(handover), "exports.show"
    files = Upload.select().where(Upload.list == list_summary.mailing_list).count()
    if files:
        yield gettext("A file was handed in and not taken in yet."), "imports.show"
    if list_summary.is_prepared and not list_summary.is_live:
        yield gettext("A campaign is prepared and not launched yet."), "campaign_dates.show"
    elif list_summary.campaign is None and not files:
        yield _describe_preparation(list_summary)


def _describe_preparation(list_summary: ListSummary) -> tuple[str, str]:
    people = list_summary.counts[Status.UNCONFIRMED]
    if not list_summary.total:
        return gettext("Nobody is on it yet: hand in a file."), "imports.show"
    if not people:
        return gettext(
            "Everybody on it may be mailed: there is nobody to ask."
        ), "contact_pages.show"
    text = ngettext(
        "One person has still to be asked: go on with the mail.",
        "%(count)s people have still to be asked: go on with the mail.",
        people,
    )
    return text, "mail_wording.show"
