"""The admin's acts on a campaign: pause, resume, extend, cancel, resolve, decide on replies."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from flask import Blueprint, Response, abort, request

from repermit.answers import record_answer
from repermit.bounces import poll
from repermit.bounces.poll import ReplyExcerpt
from repermit.campaigns import add_reminder, lifecycle, progress
from repermit.campaigns.lifecycle import ExtendResult
from repermit.clock import parse_when
from repermit.contacts import human_replies
from repermit.contacts.human_replies import DecidedReply, WaitingReply
from repermit.db.models.campaigns import find_live_campaign
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import Refused, RepermitError
from repermit.expiry import forecast, sweep
from repermit.expiry.downtime import must_delay_expiry
from repermit.rules.consent import Answer
from repermit.sending import in_doubt
from repermit.web.admin.audit_log import parse_number
from repermit.web.admin.campaign_page import render_campaign
from repermit.web.admin.current_user import get_actor, record_access
from repermit.web.admin.rendering import (
    flash_message,
    format_time,
    gettext,
    ngettext,
    redirect_to,
    render_page,
)
from repermit.web.admin.result_text import make_sentence
from repermit.web.public.answer import make_unanswered_wording
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

# This many mails are dropped, released or resolved while the page waits; the others follow within
# seconds.
_MAX_MAILS_AT_ONCE = 5000
_DAYS = re.compile(r"[1-9][0-9]?|[12][0-9]{2}|3[0-5][0-9]|36[0-5]")

pages = Blueprint("campaign_actions", __name__, url_prefix="/admin/lists/<slug>")


@pages.post("/pause")
def pause_campaign(slug: str) -> AnyResponse:
    """Pause the campaign."""

    def act(mailing_list: MailingList) -> str:
        lifecycle.pause_campaign(
            get_services().database, mailing_list, now=get_arrival(), actor=get_actor()
        )
        return gettext("Paused. Nobody is asked, reminded or removed; answers still count.")

    return _run_act(slug, act)


@pages.post("/resume")
def resume_campaign(slug: str) -> AnyResponse:
    """Resume the campaign."""

    def act(mailing_list: MailingList) -> str:
        services = get_services()
        result = lifecycle.resume_campaign(
            services.database,
            mailing_list,
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
            max_rows=_MAX_MAILS_AT_ONCE,
        )
        if not result.let_go:
            return gettext("The campaign goes on.")
        return ngettext(
            "The pilot is over: one more mail may leave now.",
            "The pilot is over: %(count)s more mails may leave now.",
            result.let_go,
        )

    return _run_act(slug, act)


@pages.post("/cancel")
def cancel_campaign(slug: str) -> AnyResponse:
    """Cancel the campaign, if the box was ticked."""

    def act(mailing_list: MailingList) -> str:
        _require_confirmation()
        lifecycle.cancel_campaign(
            get_services().database,
            mailing_list,
            now=get_arrival(),
            actor=get_actor(),
            max_rows=_MAX_MAILS_AT_ONCE,
        )
        return gettext(
            "Cancelled. Nobody is removed for silence, and links in mails that were sent still "
            "answer."
        )

    return _run_act(slug, act)


@pages.post("/count-silence")
def accept_silence(slug: str) -> AnyResponse:
    """Let expiry proceed although the pages were down, if the box was ticked."""

    def act(mailing_list: MailingList) -> str:
        _require_confirmation()
        sweep.override_downtime(
            get_services().database, mailing_list, now=get_arrival(), actor=get_actor()
        )
        return gettext("Decided. Whoever did not answer is taken off within seconds.")

    return _run_act(slug, act)


@pages.post("/resolve")
def resolve_in_doubt(slug: str) -> AnyResponse:
    """Decide on the mails in doubt."""
    decision, shown = request.form.get("decision"), request.form.get("shown", type=int)
    if decision not in {"resend", "leave"} or shown is None:
        abort(400)
    resend = decision == "resend"

    def act(mailing_list: MailingList) -> str:
        count = in_doubt.resolve_in_doubt(
            get_services().database,
            mailing_list,
            resend=resend,
            shown=shown,
            now=get_arrival(),
            actor=get_actor(),
            max_mails=_MAX_MAILS_AT_ONCE,
        )
        if resend:
            return ngettext("One mail is sent again.", "%(count)s mails are sent again.", count)
        return ngettext(
            "One mail counts as failed; its reader as not asked.",
            "%(count)s mails count as failed; their readers as not asked.",
            count,
        )

    return _run_act(slug, act)


@pages.post("/extend")
def extend_campaign(slug: str) -> AnyResponse:
    """Move the deadline; if that is refused, show the page with what was typed."""
    mailing_list = find_list(slug)
    until, time, note = (request.form.get(name, "").strip() for name in ("until", "at", "note"))
    services = get_services()
    try:
        result = lifecycle.extend_campaign(
            services.database,
            mailing_list,
            deadline=parse_when(f"{until}T{time}" if time else until, services.settings.zone),
            note=note,
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
            make_page_wording=partial(
                make_unanswered_wording, settings=services.settings, now=get_arrival()
            ),
        )
    except Refused as error:
        typed = {"until": until, "at": time, "note": note}
        return render_campaign(mailing_list, status=422, **typed, wrong=make_sentence(error.said))
    flash_message(_describe_extension(result))
    return redirect_to("campaign_page.show", slug=slug)


def _describe_extension(result: ExtendResult) -> str:
    text = gettext(
        "Answers count until %(deadline)s. Mails that are still to leave name that moment.",
        deadline=format_time(result.deadline),
    )
    if result.sent:
        text += " " + ngettext(
            "One mail that was sent names the earlier one.",
            "%(count)s mails that were sent name the earlier one.",
            result.sent,
        )
    if result.reminder_at and result.reminder_at > get_arrival():
        text += " " + gettext("The reminder has moved with it.")
    return text


@pages.post("/remind")
def remind_silent(slug: str) -> AnyResponse:
    """Add a reminder; if that is refused, show the page with what was typed."""
    mailing_list, services = find_list(slug), get_services()
    typed = request.form.get("days", "").strip()
    try:
        reminder_at = add_reminder.add_reminder(
            services.database,
            mailing_list,
            days=_read_days(typed),
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
            not_promised="not_promised" in request.form,
        )
    except Refused as error:
        wrong = make_sentence(error.said)
        return render_campaign(mailing_list, status=422, days=typed, reminder_wrong=wrong)
    flash_message(
        gettext("Whoever has not answered is reminded on %(at)s.", at=format_time(reminder_at))
    )
    return redirect_to("campaign_page.show", slug=slug)


def _read_days(typed: str) -> int:
    if not _DAYS.fullmatch(typed):
        raise Refused("give a number of days from 1 to 365")
    return int(typed)


def _require_confirmation() -> None:
    if not request.form.get("sure"):
        raise Refused("Nothing was changed: tick that you are sure, then press.")


def _run_act(
    slug: str, act: Callable[[MailingList], str], *, page: str = "campaign_page.show"
) -> AnyResponse:
    """Run an act on a list's campaign, and flash its result or the reason against it."""
    try:
        flash_message(act(find_list(slug)))
    except Refused as error:
        flash_message(make_sentence(error.said), kind="problem")
    return redirect_to(page, slug=slug)


# --- The open questions of a campaign: replies, mails in doubt, silent contacts. ------------------


open_question_pages = Blueprint("open_questions", __name__, url_prefix="/admin/lists/<slug>")

_PAGE = 50
# Few, since the page waits for their excerpts.
_MAX_REPLIES = 50
_MAILBOX_SECONDS = 5
_MAX_DECIDED = 20
_NO_ANSWER = "none"
_REPLIES = "open_questions.show_replies"


@open_question_pages.get("/replies")
def show_replies(slug: str) -> Response:
    """Show the oldest replies that wait for a decision.

    With `read` in the query, also show sender and first line, read from the mailbox.
    """
    mailing_list = find_list(slug)
    record_access("replies", mailing_list=mailing_list)
    waiting = human_replies.list_waiting_replies(mailing_list, limit=_MAX_REPLIES)
    account = get_services().settings.bounces
    is_read = "read" in request.args and poll.can_read(account)
    excerpts: Mapping[str, ReplyExcerpt] = {}
    wrong = ""
    if is_read:
        try:
            excerpts = poll.read_excerpts(
                account,
                {reply.digest: reply.at for reply in waiting},
                now=get_arrival(),
                seconds=_MAILBOX_SECONDS,
            )
        except RepermitError as error:
            wrong = make_sentence(error.said)
    return render_page(
        "campaign_page/replies.html",
        mailing_list=mailing_list,
        replies=waiting,
        more=human_replies.count_waiting_replies(mailing_list) - len(waiting),
        excerpts=excerpts,
        is_read=is_read,
        can_read=poll.can_read(account),
        decided=human_replies.list_decided_replies(mailing_list, limit=_MAX_DECIDED),
        wrong=wrong,
    )


@open_question_pages.post("/replies/<int:number>")
def decide_reply(slug: str, number: int) -> AnyResponse:
    """Record a reply as a Yes, as a No, or as no answer."""
    mailing_list = find_list(slug)
    decision = request.form.get("decision", "")
    if decision not in {*Answer, _NO_ANSWER}:
        abort(400)
    reply = human_replies.find_waiting_reply(mailing_list, number)
    if reply is None:
        flash_message(gettext("Somebody has decided on that reply already."), kind="warning")
        return redirect_to(_REPLIES, slug=slug)
    act = partial(_apply_decision, reply=reply, decision=decision)
    return _run_act(slug, act, page=_REPLIES)


@open_question_pages.post("/replies/<int:number>/undo")
def undo_decision(slug: str, number: int) -> AnyResponse:
    """Undo a decision on a reply: a reply set aside waits again, a Yes becomes a No.

    The evidence keeps the first entry and adds another one.
    """
    mailing_list = find_list(slug)
    decision = request.form.get("decision", "")
    reply = next(
        (
            reply
            for reply in human_replies.list_decided_replies(mailing_list, limit=_MAX_DECIDED)
            if (reply.number, reply.decision) == (number, decision)
        ),
        None,
    )
    if reply is None:
        flash_message(gettext("Something has come of that reply since."), kind="warning")
        return redirect_to(_REPLIES, slug=slug)
    return _run_act(slug, partial(_undo_decision, reply=reply), page=_REPLIES)


def _undo_decision(mailing_list: MailingList, reply: DecidedReply) -> str:
    services = get_services()
    if reply.decision == _NO_ANSWER:
        human_replies.reopen_reply(
            services.database, mailing_list, reply.number, now=get_arrival(), actor=get_actor()
        )
        return gettext("The reply waits for your decision again.")
    with services.database.atomic():
        human_replies.mark_reply_undecided(mailing_list, reply.number)
        opposite = Answer.NO if reply.decision == Answer.YES else Answer.YES
        return _apply_decision(mailing_list, reply, opposite)


def _apply_decision(
    mailing_list: MailingList, reply: WaitingReply | DecidedReply, decision: str
) -> str:
    services = get_services()
    if decision == _NO_ANSWER:
        human_replies.set_reply_aside(
            services.database, mailing_list, reply.number, now=get_arrival(), actor=get_actor()
        )
        return gettext("Set aside: it is no answer.")
    note = gettext("a reply by mail of %(moment)s", moment=format_time(reply.at))
    record_answer.record_reported_answer(
        services.database,
        mailing_list,
        reply.address,
        Answer(decision),
        note=note,
        settings=services.settings,
        now=get_arrival(),
        actor=get_actor(),
        reply_at=reply.at,
    )
    yes, no = gettext("Recorded as a Yes."), gettext("Recorded as a No.")
    return yes if decision == Answer.YES else no


@open_question_pages.get("/doubts")
def show_in_doubt(slug: str) -> Response:
    """Show the mails in doubt."""
    mailing_list = find_list(slug)
    record_access("doubts", mailing_list=mailing_list)
    doubts = progress.list_doubts(mailing_list)
    return render_page(
        "campaign_page/in_doubt.html",
        mailing_list=mailing_list,
        doubts=doubts,
        resolving=in_doubt.find_resolution(mailing_list),
    )


@open_question_pages.get("/silent")
def show_silent(slug: str) -> Response:
    """Show the contacts that would be removed without further answers."""
    mailing_list = find_list(slug)
    campaign = find_live_campaign(mailing_list)
    after = parse_number(request.args.get("after", ""))
    silent_page, was_down = forecast.SilentPage((), 0), False
    if campaign is not None:
        was_down = must_delay_expiry(campaign, get_arrival())
        silent_page = forecast.list_silent(campaign, after=after, limit=_PAGE)
    record_access("silent", mailing_list=mailing_list)
    return render_page(
        "campaign_page/not_answered.html",
        mailing_list=mailing_list,
        campaign=campaign,
        was_down=was_down,
        replies=human_replies.count_waiting_replies(mailing_list),
        contacts=silent_page.contacts,
        after=after,
        next_after=silent_page.after,
    )
