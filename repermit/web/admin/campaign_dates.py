"""Step 4 of a campaign: until when, how quickly, on whose decision, and whether it would work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from repermit.bounces import poll
from repermit.campaigns import draft_conditions
from repermit.campaigns.draft_conditions import Conditions
from repermit.campaigns.mailing_lists import says_how_often
from repermit.checks import run
from repermit.checks.findings import Report
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.lists import MailingList, find_list
from repermit.rules.consent import CampaignState
from repermit.web.admin.campaign_form import ConditionsForm, form_of, given
from repermit.web.admin.check_findings import findings_of
from repermit.web.admin.current_user import actor
from repermit.web.admin.plan_preview import deadline_in_words, outlook, suggested
from repermit.web.admin.progress_steps import steps_reached
from repermit.web.admin.rendering import flash_message, gettext, redirect_to, render_page
from repermit.web.admin.result_text import sentence
from repermit.web.request_context import arrival, current_site

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("conditions", __name__, url_prefix="/admin/lists/<slug>/conditions")


@pages.get("", endpoint="show")
def show_step(slug: str) -> Response:
    """Show the conditions as they are kept; those of a new campaign with what is usual."""
    mailing_list = find_list(slug)
    kept = draft_conditions.conditions_of(mailing_list) or suggested()
    return _show(mailing_list, form_of(kept), kept)


@pages.post("", endpoint="save")
def save(slug: str) -> AnyResponse:
    """Keep the conditions; nothing begins by that."""
    mailing_list, form = find_list(slug), ConditionsForm(request.form)
    if not form.validate():
        return _show(mailing_list, form, None, status=422)
    conditions = given(form)
    draft_conditions.keep_conditions(
        current_site().database, mailing_list, conditions, now=arrival(), actor=actor()
    )
    flash_message(gettext("Saved."))
    if "look" in request.form:
        return redirect_to("conditions.show", slug=slug, _anchor="outlook")
    return redirect_to("launching.show", slug=slug)


@pages.post("/check")
def check(slug: str) -> AnyResponse:
    """Look whether a campaign would work, and show it beside the form as it was typed."""
    mailing_list, site, form = find_list(slug), current_site(), ConditionsForm(request.form)
    is_good = form.validate()
    report = run.check(
        site.settings,
        database=site.database,
        now=arrival(),
        says_how_often=says_how_often,
        log_in=poll.log_in,
        config_path=site.settings.path,
    )
    return _show(mailing_list, form, given(form) if is_good else None, report=report)


def _show(
    mailing_list: MailingList,
    form: ConditionsForm,
    conditions: Conditions | None,
    *,
    status: int = 200,
    report: Report | None = None,
) -> Response:
    """Return the page; `conditions` is None where what was typed makes none."""
    settings = current_site().settings
    seen = outlook(mailing_list, conditions or Conditions())
    campaign = latest_campaign(mailing_list)
    return render_page(
        "campaign_dates/show.html",
        status=status,
        mailing_list=mailing_list,
        reached=steps_reached(mailing_list),
        form=form,
        zone=settings.zone.key.replace("_", " "),
        minimum_days=settings.campaign.minimum_days,
        is_limited=bool(settings.mail.interval or settings.mail.domain_interval),
        is_live=campaign is not None and CampaignState(campaign.state).is_live,
        outlook=seen if conditions and seen.deadline else None,
        deadline_in_words=deadline_in_words,
        lacks=[one.text for one in seen.against if one.endpoint == "conditions.show"]
        if conditions
        else [],
        told=[sentence(note) for note in seen.plan.notes],
        findings=report and findings_of(report, mailing_list.slug),
    )
