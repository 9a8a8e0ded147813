"""The settings: an overview, a form for each page of them, tests of the mail server, the check.

A form is saved as a whole or not at all. A mail server or mailbox can be tested before saving.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request
from flask_login import current_user

from repermit.bounces import poll
from repermit.campaigns import preview
from repermit.checks import run
from repermit.checks.database import has_bounces
from repermit.checks.findings import Report
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import (
    ChangedMeanwhile,
    ChoiceRefused,
    NotFound,
    OutcomeUnknown,
    RepermitError,
)
from repermit.setting_overrides import change_settings
from repermit.setting_overrides.current_settings import SETTINGS_VERSION_KEY, read_versions
from repermit.settings.definitions import PAGES, SETTINGS, Settings
from repermit.settings.smtp_presets import PRESETS
from repermit.smtp import mail_server
from repermit.web.admin.check_findings import check_everything, group_findings, make_finding_texts
from repermit.web.admin.current_user import get_actor
from repermit.web.admin.page_permissions import takes_up_to
from repermit.web.admin.rendering import (
    flash_message,
    gettext,
    make_help_url,
    redirect_to,
    render_page,
)
from repermit.web.admin.result_text import translate_said
from repermit.web.admin.setting_fields import (
    SettingsForm,
    describe_value,
    fill_form,
    make_form,
    read_form,
)
from repermit.web.admin.setup_steps import find_next_step, list_setup_steps
from repermit.web.request_context import get_arrival, get_file_settings, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("settings", __name__, url_prefix="/admin/settings")

# In seconds; short, since a page waits for it.
_CHECK_TIMEOUT = 20
# A mail of repermit is much smaller; one with pictures may come close.
_MAX_MAIL_SIZE = 2 * 1024 * 1024

# --- The overview. --------------------------------------------------------------------------------


@pages.get("/")
def show() -> Response:
    """Show a summary of each page of settings, without keys and passwords."""
    settings = get_services().settings
    chosen = {
        key: describe_value(SETTINGS[key], SETTINGS[key].get_value(settings))
        for key in ("mail.preset", "bounces.protocol")
    }
    return render_page(
        "settings/show.html",
        groups=_list_titles(),
        settings=settings,
        chosen=chosen,
        has_returned=has_bounces(),
    )


@pages.get("/installation")
def show_installation() -> Response:
    """Show the settings that only config.toml can set, and why."""
    settings = get_services().settings
    return render_page(
        "settings/installation.html",
        groups=_list_titles(),
        settings=settings,
        values=[
            (setting, describe_value(setting, setting.get_value(settings)))
            for setting in SETTINGS.values()
            if not setting.section
        ],
        pages=PAGES,
    )


def _list_titles() -> list[tuple[str, str]]:
    """Return the pages of settings with their titles."""
    return [(page, gettext(title)) for page, title in PAGES.items()]


# --- A form for each page. ------------------------------------------------------------------------

_ADDRESS = f"/<any({', '.join(PAGES)}):group>"


@pages.get(_ADDRESS)
def show_group(group: str) -> Response:
    """Show a page of settings; that of the mail server may be filled in from a preset."""
    preset = request.args.get("preset") if group == "mail" else None
    is_known = preset == "" or preset in PRESETS
    return _render_form(_make_form(group, preset if is_known else None), is_filled_in=is_known)


@pages.post(_ADDRESS)
def save_group(group: str) -> AnyResponse:
    """Save a page of settings if it is valid and, when tested, the server accepts the login."""
    file = get_file_settings()
    typed = read_form(group, request.form, file)
    report = None
    try:
        if request.form.get("act") == "test":
            report = _try_login(group, change_settings.propose_settings(file, typed).settings)
        if report and not report.works:
            return _render_form(
                fill_form(_make_form(group), request.form), status=422, report=report
            )
        saved = change_settings.save_settings(
            get_services().database,
            file,
            typed,
            since=request.form.get("version", ""),
            now=get_arrival(),
            actor=get_actor(),
        )
    except ChoiceRefused as refused:
        form = replace(fill_form(_make_form(group), request.form), errors=refused.errors)
        return _render_form(form, status=422)
    except ChangedMeanwhile:
        flash_message(
            gettext(
                "Somebody else has changed the settings meanwhile, so nothing was saved: these "
                "are theirs."
            ),
            kind="problem",
        )
        return redirect_to("settings.show_group", group=group)
    _flash_outcome(saved.changed, report)
    return redirect_to("settings.show_group", group=group)


def _make_form(group: str, preset: str | None = None) -> SettingsForm:
    return make_form(group, get_services().settings, get_file_settings(), preset)


def _render_form(
    form: SettingsForm,
    *,
    status: int = 200,
    report: Report | None = None,
    is_filled_in: bool = False,
) -> Response:
    is_mail = form.page == "mail"
    return render_page(
        "settings/group.html",
        status=status,
        group=form.page,
        title=gettext(PAGES[form.page]),
        groups=_list_titles(),
        form=form,
        help_url=make_help_url(next(iter(form.sections)).topic),
        preset=SETTINGS["mail.preset"] if is_mail else None,
        is_filled_in=is_filled_in,
        version=request.form.get("version", read_versions()[SETTINGS_VERSION_KEY]),
        areas=list(group_findings(report)) if report else [],
        next_step=None if form.errors or report else find_next_step(list_setup_steps(), form.page),
        has_test=form.page in {"mail", "bounces"},
        lists=list(MailingList.select().order_by(MailingList.name)) if is_mail else [],
    )


def _flash_outcome(changed: tuple[str, ...], report: Report | None) -> None:
    if changed:
        flash_message(gettext("Saved. It holds from now on, without a restart."))
    elif report is None:
        flash_message(gettext("Nothing was to be changed."))
    for finding in report.findings if report else ():
        found_text, remedy = make_finding_texts(finding)
        message = f"{found_text} {remedy}".strip().replace("`", "")
        flash_message(message, kind="done" if finding.verdict == "ok" else "warning")


def _try_login(group: str, settings: Settings) -> Report:
    if group == "mail":
        return run.check_mail_server(settings.mail.with_timeout(_CHECK_TIMEOUT))
    return run.check_mailbox(
        settings, has_returned=has_bounces(), log_in=poll.log_in, now=get_arrival()
    )


# --- Tests with the present settings. -------------------------------------------------------------


@pages.post("/mail-server")
def try_mail_server() -> Response:
    """Log in to the mail server and leave again; nothing is sent."""
    return show_report(
        run.check_mail_server(get_services().settings.mail.with_timeout(_CHECK_TIMEOUT))
    )


@pages.post("/test-mail")
def send_test_mail() -> AnyResponse:
    """Send the logged-in user the mail that people on a list would get."""
    services = get_services()
    try:
        mailing_list = find_list(request.form.get("list", ""))
        mail = preview.preview_mail(
            mailing_list, settings=services.settings, now=get_arrival(), to=current_user.email
        )
        mail_server.send_one(services.settings.mail.with_timeout(_CHECK_TIMEOUT), mail)
    except NotFound:
        flash_message(gettext("Choose a list first."), kind="problem")
    except OutcomeUnknown as error:
        flash_message(
            gettext("It may have gone, or not: %(reason)s.", reason=translate_said(error.said)),
            kind="warning",
        )
    except RepermitError as error:
        flash_message(
            gettext("It was not sent: %(reason)s.", reason=translate_said(error.said)),
            kind="problem",
        )
    else:
        preview.record_test_mail(
            services.database, mailing_list, now=get_arrival(), actor=get_actor()
        )
        sentence = gettext(
            "Sent to %(email)s. Its links belong to nobody.", email=current_user.email
        )
        flash_message(sentence)
    return redirect_to("settings.show_group", group="mail")


@pages.post("/check")
@takes_up_to(_MAX_MAIL_SIZE)
def run_checks() -> Response:
    """Show whether a campaign would work; sends and changes nothing, and takes seconds."""
    file = request.files.get("mail")
    mail = file.read() if file and file.filename else None
    return show_report(check_everything(mail), is_whole=True)


def show_report(report: Report, *, is_whole: bool = False) -> Response:
    """Return the page with the findings; `is_whole` if everything was checked."""
    return render_page(
        "settings/check_result.html",
        counts=report.counts,
        works=report.works,
        is_whole=is_whole,
        areas=list(group_findings(report)),
    )
