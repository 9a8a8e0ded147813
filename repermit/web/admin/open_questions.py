"""Whom a campaign's open questions are about: replies, mails in doubt, those who do not answer.

That addresses were looked at is noted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, abort, request

from repermit.answers import record_answer
from repermit.campaigns import progress
from repermit.contacts import human_replies
from repermit.contacts.human_replies import WaitingReply
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import Refused
from repermit.expiry import forecast
from repermit.rules.consent import Answer, CampaignState
from repermit.sending import in_doubt
from repermit.web.admin.current_user import actor, note_look
from repermit.web.admin.rendering import (
    flash_message,
    gettext,
    moment_in_words,
    redirect_to,
    render_page,
)
from repermit.web.admin.result_text import sentence
from repermit.web.request_context import arrival, current_site

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("deciding", __name__, url_prefix="/admin/lists/<slug>")

_PAGE = 50
_NO_ANSWER = "none"


@pages.get("/replies")
def show_replies(slug: str) -> Response:
    """Show what people wrote back, for somebody to decide what it says."""
    mailing_list = find_list(slug)
    note_look("replies", mailing_list=mailing_list)
    waiting = human_replies.waiting_replies(mailing_list)
    return render_page("campaign_page/replies.html", mailing_list=mailing_list, replies=waiting)


@pages.post("/replies/<int:number>")
def decide(slug: str, number: int) -> AnyResponse:
    """Take a reply for a Yes, for a No, or for no answer at all."""
    mailing_list = find_list(slug)
    decision = request.form.get("decision", "")
    if decision not in {*Answer, _NO_ANSWER}:
        abort(400)
    reply = next(
        (one for one in human_replies.waiting_replies(mailing_list) if one.number == number), None
    )
    if reply is None:
        flash_message(gettext("Somebody has decided on that reply already."), kind="warning")
        return redirect_to("deciding.show_replies", slug=slug)
    try:
        _carry_out(mailing_list, reply, decision)
    except Refused as error:
        flash_message(sentence(error.said), kind="problem")
    return redirect_to("deciding.show_replies", slug=slug)


def _carry_out(mailing_list: MailingList, reply: WaitingReply, decision: str) -> None:
    site = current_site()
    if decision == _NO_ANSWER:
        human_replies.set_aside(
            site.database, mailing_list, reply.number, now=arrival(), actor=actor()
        )
        flash_message(gettext("Set aside: it is no answer."))
        return
    note = gettext("a reply by mail of %(moment)s", moment=moment_in_words(reply.at))
    record_answer.answer_for(
        site.database,
        mailing_list,
        reply.address,
        Answer(decision),
        note=note,
        settings=site.settings,
        now=arrival(),
        actor=actor(),
    )
    yes, no = gettext("Recorded as a Yes."), gettext("Recorded as a No.")
    flash_message(yes if decision == Answer.YES else no)


@pages.get("/doubts")
def show_doubts(slug: str) -> Response:
    """Show which mails a server may or may not have taken."""
    mailing_list = find_list(slug)
    note_look("doubts", mailing_list=mailing_list)
    doubts = progress.doubts(mailing_list)
    return render_page(
        "campaign_page/doubts.html",
        mailing_list=mailing_list,
        doubts=doubts,
        resolving=in_doubt.being_resolved(mailing_list),
    )


@pages.get("/silent")
def show_silent(slug: str) -> Response:
    """Show who would be removed if nobody answered any more."""
    mailing_list = find_list(slug)
    campaign = latest_campaign(mailing_list)
    after = request.args.get("after", default=0, type=int)
    is_live = campaign is not None and CampaignState(campaign.state).is_live
    found = forecast.Silent((), 0)
    if campaign is not None and is_live:
        found = forecast.silent(campaign, after=after, most=_PAGE)
    note_look("silent", mailing_list=mailing_list)
    return render_page(
        "campaign_page/silent.html",
        mailing_list=mailing_list,
        campaign=campaign,
        is_live=is_live,
        contacts=found.contacts,
        after=after,
        next_after=found.after,
    )
