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
    make_step_fields,
    name_language,
    ngettext,
    redirect_to,
    render_page,
)
from repermit.web.admin.result_text import make_sentence
from repermit.web.public.answer import make_unanswered_wording
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("launch", __name__, url_prefix="/admin/lists/<slug>/launch")

# Asks for this many contacts are enqueued while the page waits, the others in the background.
_MAX_ASKS_AT_ONCE = 5_000
_ACCEPT = "accept-"
_SEPARATORS = str.maketrans("", "", "., \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}'’")


@pages.get("", endpoint="show")
def show_launch(slug: str) -> Response:
    """Show what a launch would do, or that a campaign is running."""
    return _show_page(find_list(slug))


@pages.post("", endpoint="launch")
def launch_campaign(slug: str) -> AnyResponse:
    """Launch the campaign as shown, if the typed number of people is right."""
    mailing_list = find_list(slug)
    outlook, typed = _make_outlook(mailing_list), request.form.get("confirm", "").strip()
    if outlook.deadline is None:
        return _show_page(mailing_list, status=422, outlook=outlook, typed=typed)
    _save_typed_reasons(mailing_list)
    problems, _ = _find_problems(mailing_list, outlook)
    accepted = _read_accepted(mailing_list, problems or ())
    wrong = ""
    if typed.translate(_SEPARATORS) != str(outlook.plan.asked):
        wrong = gettext("Type how many people will be asked, as it stands above.")
    elif (
        outlook.against
        or problems is None
        or request.form.get("version") != _make_version(mailing_list, outlook.conditions, problems)
    ):
        wrong = _make_changed_text()
    if wrong or problems is None or not all(map(launch_refusals.is_reason, accepted.values())):
        return _show_page(
            mailing_list, status=422, outlook=outlook, typed=typed, wrong=wrong, asks_why=True
        )
    services, conditions = get_services(), outlook.conditions
    statements = read_statements(mailing_list)
    try:
        result = campaigns_launch.launch(
            services.database,
            mailing_list,
            settings=services.settings,
            now=get_arrival(),
            deadline=outlook.deadline,
            starts_at=outlook.starts_at,
            attest=conditions.attest,
            grounds=conditions.grounds,
            include_thin=conditions.include_thin,
            pilot=conditions.pilot,
            reminder=conditions.reminder,
            actor=get_actor(),
            plan=outlook.plan,
            expected=outlook.plan.asked,
            max_rows=_MAX_ASKS_AT_ONCE,
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
        # Something has changed since this request began.
        return _show_page(mailing_list, status=422, typed=typed, wrong=_make_changed_text())
    campaign_draft.delete_conditions(services.database, mailing_list)
    forget_check(mailing_list)
    save_reasons(mailing_list, get_actor(), {})
    flash_message(_describe_launch(result))
    for url in lookup.read_list_facts(mailing_list).privacy_urls:
        if url not in statements:
            flash_message(
                gettext(
                    "%(url)s could not be read: the record has the address of the privacy "
                    "statement, not its text."
                )
                % {"url": url},
                kind="warning",
            )
    return redirect_to("campaign_page.show", slug=slug)


@pages.post("/check")
def check_again(slug: str) -> AnyResponse:
    """Run the check again, after something was corrected elsewhere."""
    mailing_list = find_list(slug)
    _save_typed_reasons(mailing_list)
    forget_check(mailing_list)
    return redirect_to("launch.show", slug=slug)


@pages.get("/check.json")
@in_the_background
def check_state(slug: str) -> Response:
    """Return whether the check is running, for the page that waits for it."""
    return jsonify(is_busy=is_checking(find_list(slug)))


def _find_problems(
    mailing_list: MailingList, outlook: Outlook
) -> tuple[tuple[Finding, ...] | None, tuple[Finding, ...]]:
    """Return the problems of the check, and its other findings; none if there are other obstacles.

    The problems are None while the check is running.
    """
    findings = () if outlook.against else find_launch_findings(mailing_list)
    return (None, ()) if findings is None else checks_run.split_problems(findings)


def _save_typed_reasons(mailing_list: MailingList) -> None:
    """Save the reasons in the form, since the page has no form while a check is running."""
    reasons = {
        name.removeprefix(_ACCEPT): text.strip()
        for name, text in request.form.items()
        if name.startswith(_ACCEPT)
    }
    save_reasons(mailing_list, get_actor(), reasons)


def _read_accepted(mailing_list: MailingList, problems: tuple[Finding, ...]) -> dict[str, str]:
    reasons = read_reasons(mailing_list, get_actor())
    return {problem.code: reasons.get(problem.code, "") for problem in problems}


def _make_changed_text() -> str:
    return gettext("Something has changed meanwhile: please look again.")


def _make_version(
    mailing_list: MailingList, conditions: Conditions, problems: tuple[Finding, ...] | None
) -> str:
    """Return a digest of the conditions, of all that people read, and of the problems.

    People read the list's texts in each language, who asks, and where the answers go. The problems
    count since each of them is accepted separately.
    """
    settings = get_services().settings
    asks = (settings.organisation, settings.public_url, settings.timezone)
    problem_keys = sorted((problem.code, problem.found) for problem in problems or ())
    digested = (
        mailing_list.id,
        conditions,
        mailing_lists.make_list_facts(mailing_list),
        *asks,
        problem_keys,
    )
    return sha256(repr(digested).encode()).hexdigest()


def _make_outlook(mailing_list: MailingList) -> Outlook:
    return make_outlook(mailing_list, campaign_draft.read_conditions(mailing_list) or Conditions())


def _show_page(
    mailing_list: MailingList,
    *,
    status: int = 200,
    outlook: Outlook | None = None,
    typed: str = "",
    wrong: str = "",
    asks_why: bool = False,
) -> Response:
    outlook = outlook or _make_outlook(mailing_list)
    campaign = find_live_campaign(mailing_list)
    deadline = campaign.deadline if campaign else outlook.deadline
    problems, other_findings = ((), ()) if campaign else _find_problems(mailing_list, outlook)
    accepted = _read_accepted(mailing_list, problems or ())
    return render_page(
        "launch/show.html",
        status=status,
        **make_step_fields(mailing_list),
        outlook=outlook,
        grounds=list_grounds(outlook.conditions.asking_ground, outlook.conditions.special_ground),
        deadline_in_words=describe_deadline,
        told=[make_sentence(note) for note in outlook.plan.notes],
        not_asked=_list_not_asked(outlook.plan),
        typed=typed,
        wrong=wrong,
        version=_make_version(mailing_list, outlook.conditions, problems),
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
        others=describe_findings(other_findings),
        in_words=describe_findings,
        announcements=list_announcements(mailing_list, outlook.plan.languages, deadline=deadline),
    )


def _list_not_asked(plan: Plan) -> list[tuple[str, str, int]]:
    """Return the groups that will not be asked, each as title, reason and number of people."""
    text_by_exclusion = {
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
            gettext(
                "They said No, did not answer in time, had no mailbox, or left otherwise, and are "
                "never asked again."
            ),
        ),
        Exclusion.SUPPRESSED: (
            gettext("Suppressed"),
            gettext("They were taken off before, here or everywhere, and are never asked again."),
        ),
        Exclusion.ASKED_BEFORE: (
            gettext("Asked before"),
            gettext("An earlier campaign has asked them. Asking anew would be pressing them."),
        ),
    }
    text_by_fate = {
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
        *((*text_by_exclusion[exclusion], count) for exclusion, count in plan.excluded.items()),
        *((*text_by_fate[fate], count) for fate, count in plan.left_out.items()),
    ]
    return [row for row in rows if row[2]]


def _describe_launch(result: LaunchResult) -> str:
    if result.is_in_doubt:
        return gettext(
            "Launched, but no mail leaves yet: all are in doubt until you have decided on them."
        )
    if not result.is_whole:
        return gettext("Launched. You may close this page: it goes on by itself.")
    text = ngettext(
        "Launched: one person will be asked.",
        "Launched: %(count)s people will be asked.",
        result.plan.asked,
    )
    if result.pilot:
        text += " " + ngettext(
            "One of them is asked first; then the others wait until you let the campaign go on.",
            "%(count)s of them are asked first; then the others wait until you let the campaign "
            "go on.",
            result.pilot,
        )
    return text


# --- The check before a launch, in a thread: mail server and DNS take seconds. --------------------


_CHECK_VALIDITY = timedelta(minutes=15)
_CHECK_WAIT = 1.0
"""How many seconds a page waits for the check to finish."""

_check_lock = threading.Lock()


class _Check(threading.Thread):
    """One check of a list.

    - `checked`: the settings and list that it checks; the check is outdated once they differ.
    - `at`: when it began.
    """

    def __init__(
        self,
        run_checks: Callable[[], tuple[tuple[Finding, ...], Mapping[str, str]]],
        checked: Any,
        at: datetime,
    ) -> None:
        super().__init__(daemon=True, name="check before a launch")
        self._run_checks, self.checked, self.at = run_checks, checked, at
        self.findings: tuple[Finding, ...] | None = None
        self.statements: Mapping[str, str] = {}
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.findings, self.statements = self._run_checks()
        except BaseException as error:  # noqa: BLE001  raised again in find_launch_findings
            self.error = error


def find_launch_findings(mailing_list: MailingList) -> tuple[Finding, ...] | None:
    """Return the findings of a check, None while it runs; starts one if there is none."""
    services = get_services()
    checked = (services.settings, mailing_lists.make_list_facts(mailing_list))
    with _check_lock:
        check = _get_checks().get(mailing_list.slug)
        is_outdated = check and (
            check.checked != checked or get_arrival() - check.at > _CHECK_VALIDITY
        )
        if check is None or is_outdated:
            check = _start_check(mailing_list.slug, checked)
    check.join(_CHECK_WAIT)
    if check.error is not None:
        forget_check(mailing_list)
        raise check.error
    return check.findings


def read_statements(mailing_list: MailingList) -> Mapping[str, str]:
    """Return the texts of the list's privacy statements that the check has read, by URL."""
    check = _get_checks().get(mailing_list.slug)
    return check.statements if check else {}


def is_checking(mailing_list: MailingList) -> bool:
    """Return whether a check of a list is running."""
    check = _get_checks().get(mailing_list.slug)
    return check is not None and check.is_alive()


def forget_check(mailing_list: MailingList) -> None:
    """Make the next page run the checks again."""
    _get_checks().pop(mailing_list.slug, None)


def save_reasons(mailing_list: MailingList, actor: str, reasons: Mapping[str, str]) -> None:
    """Save the reasons for accepting problems, by code, for the page after a check."""
    _get_reasons()[mailing_list.slug, actor] = dict(reasons)


def read_reasons(mailing_list: MailingList, actor: str) -> Mapping[str, str]:
    """Return the last typed reasons for accepting problems, by code."""
    return _get_reasons().get((mailing_list.slug, actor), {})


def group_by_code(problems: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    """Group problems by their code, since one reason is given for each code."""
    codes = dict.fromkeys(problem.code for problem in problems)
    return [(code, [problem for problem in problems if problem.code == code]) for code in codes]


def _start_check(slug: str, checked: Any) -> _Check:
    services = get_services()
    settings, database, now = services.settings, services.database, get_arrival()

    urls = lookup.read_list_facts(find_list(slug)).privacy_urls

    def run_checks() -> tuple[tuple[Finding, ...], Mapping[str, str]]:
        findings = checks_run.list_launch_findings(
            settings,
            slug,
            database=database,
            now=now,
            mentions_frequency=mentions_frequency,
            preview_mail=preview_mail,
            log_in=poll.log_in,
            config_path=settings.path,
        )
        return findings, checks_run.read_privacy_statements(settings, urls)

    check = _get_checks()[slug] = _Check(run_checks, checked, now)
    check.start()
    return check


def _get_reasons() -> dict[tuple[str, str], dict[str, str]]:
    reasons: dict[tuple[str, str], dict[str, str]]
    reasons = current_app.extensions.setdefault("repermit.launch_reasons", {})
    return reasons


def _get_checks() -> dict[str, _Check]:
    checks: dict[str, _Check] = current_app.extensions.setdefault("repermit.launch_checks", {})
    return checks


# --- The notice for the sender's own website, in each language of the campaign. -------------------


def list_announcements(
    mailing_list: MailingList, languages: Iterable[str], *, deadline: datetime | None
) -> list[tuple[str, str, str]]:
    """Return the notices, each as language code, language name and text; the list's own first."""
    settings, list_language = get_services().settings, mailing_list.language
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
        for language in dict.fromkeys([list_language, *languages])
    ]
