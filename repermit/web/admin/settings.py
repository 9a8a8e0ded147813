"""The settings at one glance, what stands in the file alone, the mail server tried, and `check`.

Nothing is changed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, request
from flask_login import current_user

from repermit.bounces import poll
from repermit.campaigns import preview
from repermit.campaigns.frequency import says_how_often
from repermit.checks import run
from repermit.checks.findings import Report
from repermit.db.tables import find_list
from repermit.errors import NotFound, OutcomeUnknown, RepermitError
from repermit.smtp import mail_server
from repermit.web.admin.check_findings import findings_by_area
from repermit.web.admin.current_user import actor
from repermit.web.admin.edit_settings import PATIENCE
from repermit.web.admin.page_permissions import takes_up_to
from repermit.web.admin.rendering import flash_message, gettext, redirect_to, render_page
from repermit.web.admin.result_text import in_words
from repermit.web.admin.setting_groups import GROUPS, summary_of
from repermit.web.admin.setting_text import group_in_words, values_of_the_file
from repermit.web.request_context import arrival, current_site

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("settings", __name__, url_prefix="/admin/settings")

# A mail of this product's own is a fraction of it; one with pictures may come close.
_LARGEST_MAIL = 2 * 1024 * 1024


@pages.get("/")
def show() -> Response:
    """Show what each group of settings says in a line or two; no key and no password."""
    settings = current_site().settings
    return render_page(
        "settings/show.html",
        groups=[(one, group_in_words(one)) for one in GROUPS],
        summaries={one: list(summary_of(settings, one)) for one in GROUPS},
        url=settings.public_url,
    )


@pages.get("/installation")
def installation() -> Response:
    """Show what stands in the file alone, and why it does."""
    settings = current_site().settings
    return render_page(
        "settings/installation.html",
        groups=[(one, group_in_words(one)) for one in GROUPS],
        file=settings.path,
        rows=list(values_of_the_file(settings)),
    )


@pages.post("/mail-server")
def try_mail_server() -> Response:
    """Log in to the mail server and leave again; nothing is sent."""
    return show_report(run.check_mail_server(current_site().settings.mail.hurried(PATIENCE)))


@pages.post("/test-mail")
def send_test_mail() -> AnyResponse:
    """Send whoever has logged in the mail that people on a list would get."""
    site = current_site()
    try:
        mailing_list = find_list(request.form.get("list", ""))
        mail = preview.preview(
            mailing_list,
            settings=site.settings,
            now=arrival(),
            to=current_user.email,
        )
        mail_server.send_one(site.settings.mail.hurried(PATIENCE), mail)
    except NotFound:
        flash_message(gettext("Choose a list first."), kind="problem")
    except OutcomeUnknown as error:
        flash_message(
            gettext("It may have gone, or not: %(reason)s.", reason=in_words(error.said)),
            kind="warning",
        )
    except RepermitError as error:
        flash_message(
            gettext("It was not sent: %(reason)s.", reason=in_words(error.said)), kind="problem"
        )
    else:
        preview.note_test_mail(site.database, mailing_list, now=arrival(), actor=actor())
        said = gettext("Sent to %(email)s. Its links belong to nobody.", email=current_user.email)
        flash_message(said)
    return redirect_to("changing.show", group="mail")


@pages.post("/check")
@takes_up_to(_LARGEST_MAIL)
def check() -> Response:
    """Say whether a campaign would work. Sends nothing and changes nothing, and takes seconds."""
    site, file = current_site(), request.files.get("mail")
    report = run.check(
        site.settings,
        database=site.database,
        now=arrival(),
        says_how_often=says_how_often,
        log_in=poll.log_in,
        config_path=site.settings.path,
        mail=file.read() if file and file.filename else None,
    )
    return show_report(report, is_whole=True)


def show_report(report: Report, *, is_whole: bool = False) -> Response:
    """Return the page of what was found; `is_whole` if everything was looked at."""
    return render_page(
        "settings/checked.html",
        counts=report.counts,
        works=report.works,
        is_whole=is_whole,
        areas=list(findings_by_area(report)),
    )
