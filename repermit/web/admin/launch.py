"""Step 5 of a campaign: its audience, the obstacles to a launch, and the launch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, jsonify, request

from repermit.bounces import poll
from repermit.campaigns import campaign_draft, launch_refusals, mailing_lists
from repermit.campaigns import launch as campaigns_launch
from repermit.campaigns.campaign_draft import Conditions
from repermit.campaigns.mailing_lists import mentions_frequency
from repermit.campaigns.preview import preview_mail
from repermit.campaigns.result_types import LaunchProblem, LaunchResult, Plan
from repermit.checks import run as checks_run
from repermit.checks.findings import Finding
from repermit.contacts import lookup
from repermit.db.models.campaigns import find_live_campaign
from repermit.db.models.lists import MailingList, find_list
from repermit.emails import website_notice
from repermit.errors import Refused
from repermit.rules.consent import Exclusion, Fate
from repermit.web.admin.campaign_dates import Outlook, describe_deadline, list_grounds, make_outlook
from repermit.web.admin.check_findings import describe_findings, make_finding_texts
from repermit.web.admin.current_user import get_actor
from repermit.web.admin.page_permissions import in_the_background
from repermit.web.admin.rendering import (
    flash_message,
    get_page_language,
    gettext,
    has_page,
    make_step_fields,
    name_language,
    ngettext,
    redirect_home,
    redirect_to,
    render_page,
)
from repermit.web.admin.result_text import make_sentence
from repermit.web.public.answer import make_unanswered_wording
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("launch", __name__, url_prefix="/admin/lists/<slug>/launch")

# Asks for so many contacts are made while somebody waits for the page, the others beside it.
_MAX_ASKS_AT_ONCE = 5_000
_ACCEPT = "accept-"
_SEPARATORS = str.maketrans("", "", "., \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}'’")


@pages.get("", endpoint="show")
def show_launch(slug: str) -> Response:
    """Show what a launch would do; with a campaign under way, that it is."""
    return _show_page(find_list(slug))


@pages.post("", endpoint="launch")
def launch_campaign(slug: str) -> AnyResponse:
    """Launch what was seen, if the number of people that was typed is the one there is."""
    mailing_list = find_list(slug)
    seen, typed = _make_outlook(mailing_list), request.form.get("confirm", "").strip()
    if seen.deadline is None:
        return _show_page(mailing_list, status=422, seen=seen, typed=typed)
    _keep_reasons(mailing_list)
    problems, _ = _find_concerns(mailing_list, seen)
    accepted = _read_accepted(mailing_list, problems or ())
    wrong = ""
    if typed.translate(_SEPARATORS) != str(seen.plan.asked):
        wrong = gettext("Type how many people will be asked, as it stands above.")
    elif (
        seen.against
        or problems is None
        or request.form.get("version") != _make_version(mailing_list, seen.conditions, problems)
    ):
        wrong = _make_changed_text()
    if wrong or problems is None or not all(map(launch_refusals.is_reason, accepted.values())):
        return _show_page(
            mailing_list, status=422, seen=seen, typed=typed, wrong=wrong, asks_why=True
        )
    services, conditions = get_services(), seen.conditions
    statements = read_statements(mailing_list)
    try:
        launched = campaigns_launch.launch(
            services.database,
            mailing_list,
            settings=services.settings,
            now=get_arrival(),
            deadline=seen.deadline,
            starts_at=seen.starts_at,
            attest=conditions.attest,
            grounds=conditions.grounds,
            include_thin=conditions.include_thin,
            pilot=conditions.pilot,
            reminder=conditions.reminder,
            actor=get_actor(),
            plan=seen.plan,
            expected=seen.plan.asked,
            most=_MAX_ASKS_AT_ONCE,
            problems=[
                LaunchProblem(code=problem.code, found=make_finding_texts(problem)[0])
                for problem in problems
            ],
            accepted=accepted,
            statements=statements,
            make_page_wording=partial(
                make_unanswered_wording, settings=services.settings, now=get_arrival()
            ),
            format_note=make_sentence,
            note_language=get_page_language(),
        )
    except Refused:
        # Something has changed since the page was asked for.
        return _show_page(mailing_list, status=422, typed=typed, wrong=_make_changed_text())
    campaign_draft.drop_conditions(services.database, mailing_list)
    forget_check(mailing_list)
    keep_reasons(mailing_list, get_actor(), {})
    flash_message(_describe_launch(launched))
    for url in lookup.read_list_facts(mailing_list).privacy_urls:
        if url not in statements:
            flash_message(
                gettext(
                    "%(url)s could not be read: the record has the address of the privacy "
                    "statement, not its text."
                )
                % {"url": url}
            )
    return (
        redirect_to("campaign_page.show", slug=slug)
        if has_page("campaign_page.show")
        else redirect_home()
    )


@pages.post("/check")
def check_again(slug: str) -> AnyResponse:
    """Look once more whether a campaign would work, once something was mended elsewhere."""
    mailing_list = find_list(slug)
    _keep_reasons(mailing_list)
    forget_check(mailing_list)
    return redirect_to("launch.show", slug=slug)


@pages.get("/check.json")
@in_the_background
def check_state(slug: str) -> Response:
    """Say whether the check is under way, for the page that waits for it."""
    return jsonify(is_busy=is_checking(find_list(slug)))


def _find_concerns(
    mailing_list: MailingList, seen: Outlook
) -> tuple[tuple[Finding, ...] | None, tuple[Finding, ...]]:
    """Return the problems of a check and its other points; none where other obstacles stand.

    The problems are None while it runs.
    """
    concerns = () if seen.against else find_launch_concerns(mailing_list)
    return (None, ()) if concerns is None else checks_run.split_problems(concerns)


def _keep_reasons(mailing_list: MailingList) -> None:
    """Keep the reasons that the form gives, also while a check runs and the page has no form."""
    given = {
        name.removeprefix(_ACCEPT): text.strip()
        for name, text in request.form.items()
        if name.startswith(_ACCEPT)
    }
    keep_reasons(mailing_list, get_actor(), given)


def _read_accepted(mailing_list: MailingList, problems: tuple[Finding, ...]) -> dict[str, str]:
    given = read_reasons(mailing_list, get_actor())
    return {problem.code: given.get(problem.code, "") for problem in problems}


def _make_changed_text() -> str:
    return gettext("Something has changed meanwhile: please look again.")


def _make_version(
    mailing_list: MailingList, conditions: Conditions, problems: tuple[Finding, ...] | None
) -> str:
    """Return a digest that changes with the conditions and with all that people read.

    What they read is what the list says in each language, who asks, and where the answers go. What
    a check found wrong counts too, since each of it is accepted by itself.
    """
    settings = get_services().settings
    asks = (settings.organisation, settings.public_url, settings.timezone)
    problem_keys = sorted((problem.code, problem.found) for problem in problems or ())
    frozen = (
        mailing_list.id,
        conditions,
        mailing_lists.make_list_facts(mailing_list),
        *asks,
        problem_keys,
    )
    return sha256(repr(frozen).encode()).hexdigest()


def _make_outlook(mailing_list: MailingList) -> Outlook:
    return make_outlook(mailing_list, campaign_draft.read_conditions(mailing_list) or Conditions())


def _show_page(
    mailing_list: MailingList,
    *,
    status: int = 200,
    seen: Outlook | None = None,
    typed: str = "",
    wrong: str = "",
    asks_why: bool = False,
) -> Response:
    seen = seen or _make_outlook(mailing_list)
    campaign = find_live_campaign(mailing_list)
    deadline = campaign.deadline if campaign else seen.deadline
    problems, others = ((), ()) if campaign else _find_concerns(mailing_list, seen)
    accepted = _read_accepted(mailing_list, problems or ())
    return render_page(
        "launch/show.html",
        status=status,
        **make_step_fields(mailing_list),
        outlook=seen,
        grounds=list_grounds(seen.conditions.asking_ground, seen.conditions.special_ground),
        deadline_in_words=describe_deadline,
        told=[make_sentence(note) for note in seen.plan.notes],
        not_asked=_list_not_asked(seen.plan),
        typed=typed,
        wrong=wrong,
        version=_make_version(mailing_list, seen.conditions, problems),
        is_checking=problems is None,
        to_accept=[
            (
                code,
                group,
                accepted[code],
                asks_why and not launch_refusals.is_reason(accepted[code]),
            )
            for code, group in group_by_code(problems or ())
        ],
        others=describe_findings(others),
        in_words=describe_findings,
        announcements=list_announcements(mailing_list, seen.plan.languages, deadline=deadline),
    )


def _list_not_asked(plan: Plan) -> list[tuple[str, str, int]]:
    """Return who will not be asked: what they are called, why, how many; nobody is left out."""
    why = {
        Exclusion.CONFIRMED: (
            gettext("Confirmed"),
            gettext("Their opt-in is on record, so there is nothing to ask."),
        ),
        Exclusion.CUSTOMER: (
            gettext("Customers"),
            gettext("They may be mailed about similar products, with a way out in every mail."),
        ),
        Exclusion.REMOVED: (
            gettext("Taken off"),
            gettext("They said No, bounced or were taken off, and are never asked again."),
        ),
        Exclusion.SUPPRESSED: (
            gettext("Suppressed"),
            gettext("They were taken off before, here or everywhere, and are never asked again."),
        ),
        Exclusion.ASKED_BEFORE: (
            gettext("Asked before"),
            gettext("Nobody is asked twice; that would be pressing them."),
        ),
    }
    left_out = {
        Fate.OPTED_OUT: (
            gettext("Opted out in the file"),
            gettext("The file says that they want no mail. They never came onto the list."),
        ),
        Fate.INVALID: (
            gettext("Invalid in the file"),
            gettext("No mail can reach these addresses. They never came onto the list."),
        ),
    }
    rows = [
        *((*why[exclusion], count) for exclusion, count in plan.excluded.items()),
        *((*left_out[exclusion], count) for exclusion, count in plan.left_out.items()),
    ]
    return [row for row in rows if row[2]]


def _describe_launch(launched: LaunchResult) -> str:
    if launched.is_in_doubt:
        return gettext(
            "Launched, but no mail leaves yet: all are in doubt until you have decided on them."
        )
    if not launched.is_whole:
        return gettext("Launched. You may close this page: it goes on by itself.")
    said = ngettext(
        "Launched: one person will be asked.",
        "Launched: %(count)s people will be asked.",
        launched.plan.asked,
    )
    if launched.pilot:
        said += " " + ngettext(
            "One of them is asked first; then the others wait until you let the campaign go on.",
            "%(count)s of them are asked first; then the others wait until you let the campaign "
            "go on.",
            launched.pilot,
        )
    return said


# --- The check before a launch, run beside the pages: mail server and DNS take seconds. -----------


_CHECK_VALIDITY = timedelta(minutes=15)
_PATIENCE = 1.0
"""How many seconds a page waits for a check that is nearly done."""

_turn = threading.Lock()


class _Check(threading.Thread):
    """One check of a list; `about` is what it looked at, and `at` when it began."""

    def __init__(
        self,
        look: Callable[[], tuple[tuple[Finding, ...], Mapping[str, str]]],
        about: Any,
        at: datetime,
    ) -> None:
        super().__init__(daemon=True, name="check before a launch")
        self._look, self.about, self.at = look, about, at
        self.concerns: tuple[Finding, ...] | None = None
        self.statements: Mapping[str, str] = {}
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.concerns, self.statements = self._look()
        except BaseException as error:  # noqa: BLE001  raised again by who asks
            self.error = error


def find_launch_concerns(mailing_list: MailingList) -> tuple[Finding, ...] | None:
    """Return what a check finds not to be well, None while it runs; starts one if there is none."""
    services = get_services()
    about = (services.settings, mailing_lists.make_list_facts(mailing_list))
    with _turn:
        check = _get_checks().get(mailing_list.slug)
        if check is None or check.about != about or get_arrival() - check.at > _CHECK_VALIDITY:
            check = _start_check(mailing_list.slug, about)
    check.join(_PATIENCE)
    if check.error is not None:
        forget_check(mailing_list)
        raise check.error
    return check.concerns


def read_statements(mailing_list: MailingList) -> Mapping[str, str]:
    """Return what the check has read of the list's privacy statements, by their addresses."""
    check = _get_checks().get(mailing_list.slug)
    return check.statements if check else {}


def is_checking(mailing_list: MailingList) -> bool:
    """Say whether a check of a list is under way."""
    check = _get_checks().get(mailing_list.slug)
    return check is not None and check.is_alive()


def forget_check(mailing_list: MailingList) -> None:
    """Make the next page run the checks again."""
    _get_checks().pop(mailing_list.slug, None)


def keep_reasons(mailing_list: MailingList, actor: str, reasons: Mapping[str, str]) -> None:
    """Keep the reasons for accepting problems, by code, for the page after a check."""
    _get_reasons()[mailing_list.slug, actor] = dict(reasons)


def read_reasons(mailing_list: MailingList, actor: str) -> Mapping[str, str]:
    """Return the reasons for accepting problems, by code, as they were typed last."""
    return _get_reasons().get((mailing_list.slug, actor), {})


def group_by_code(problems: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    """Group problems by their code, since one reason is given for each code."""
    codes = dict.fromkeys(problem.code for problem in problems)
    return [(code, [problem for problem in problems if problem.code == code]) for code in codes]


def _start_check(slug: str, about: Any) -> _Check:
    services = get_services()
    settings, database, now = services.settings, services.database, get_arrival()

    urls = lookup.read_list_facts(find_list(slug)).privacy_urls

    def look() -> tuple[tuple[Finding, ...], Mapping[str, str]]:
        concerns = checks_run.list_launch_findings(
            settings,
            slug,
            database=database,
            now=now,
            mentions_frequency=mentions_frequency,
            preview_mail=preview_mail,
            log_in=poll.log_in,
            config_path=settings.path,
        )
        return concerns, checks_run.read_privacy_statements(settings, urls)

    check = _get_checks()[slug] = _Check(look, about, now)
    check.start()
    return check


def _get_reasons() -> dict[tuple[str, str], dict[str, str]]:
    reasons: dict[tuple[str, str], dict[str, str]]
    reasons = current_app.extensions.setdefault("repermit.launch_reasons", {})
    return reasons


def _get_checks() -> dict[str, _Check]:
    checks: dict[str, _Check] = current_app.extensions.setdefault("repermit.launch_checks", {})
    return checks


# --- The notice for the sender's own website, in each language that people are asked in. ----------


def list_announcements(
    mailing_list: MailingList, languages: Iterable[str], *, deadline: datetime | None
) -> list[tuple[str, str, str]]:
    """Return the notice as language, its name and the text; the list's own language first."""
    settings, own = get_services().settings, mailing_list.language
    return [
        (
            language,
            name_language(language),
            website_notice.make_website_notice(
                organisation=settings.organisation,
                mailing_list=lookup.read_list_facts(mailing_list),
                public_url=settings.public_url,
                deadline=deadline,
                zone=settings.zone,
                language=language,
            ),
        )
        for language in dict.fromkeys([own, *languages])
    ]
