"""The settings at one glance, what stands in the file alone, the mail server tried, and `check`.

May import preflight, campaigns, mailer, bounces and what the admin's pages share. Nothing is
changed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, request
from flask_login import current_user

from repermit import bounces, campaigns, mailer, preflight
from repermit.campaigns.frequency import says_how_often
from repermit.errors import NotFound, OutcomeUnknown, RepermitError
from repermit.models import find_list
from repermit.web.admin.changing import PATIENCE
from repermit.web.admin.findings import findings_by_area
from repermit.web.admin.marks import takes_up_to
from repermit.web.admin.setting_groups import GROUPS
from repermit.web.admin.setting_summaries import summary_of
from repermit.web.admin.setting_words import group_in_words, values_of_the_file
from repermit.web.admin.showing import gettext, go, say
from repermit.web.admin.showing import show as show_page
from repermit.web.admin.telling import in_words
from repermit.web.admin.visiting import actor
from repermit.web.site import arrival, current_site

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.wrappers import Response as AnyResponse

    from repermit.preflight import Report

pages = Blueprint("settings", __name__, url_prefix="/admin/settings")

# A mail of this product's own is a fraction of it; one with pictures may come close.
_LARGEST_MAIL = 2 * 1024 * 1024


@pages.get("/")
def show() -> Response:
    """Show what each group of settings says in a line or two; no key and no password."""
    settings = current_site().settings
    return show_page(
        "settings/show.html",
        groups=[(one, group_in_words(one)) for one in GROUPS],
        summaries={one: list(summary_of(settings, one)) for one in GROUPS},
        url=settings.public_url,
    )


@pages.get("/installation")
def installation() -> Response:
    """Show what stands in the file alone, and why it does."""
    settings = current_site().settings
    return show_page(
        "settings/installation.html",
        groups=[(one, group_in_words(one)) for one in GROUPS],
        file=settings.path,
        rows=list(values_of_the_file(settings)),
    )


@pages.post("/mail-server")
def try_mail_server() -> Response:
    """Log in to the mail server and leave again; nothing is sent."""
    return show_report(preflight.check_mail_server(current_site().settings.mail.hurried(PATIENCE)))


@pages.post("/test-mail")
def send_test_mail() -> AnyResponse:
    """Send whoever has logged in the mail that people on a list would get."""
    site = current_site()
    try:
        mailing_list = find_list(request.form.get("list", ""))
        mail = campaigns.preview(
            mailing_list,
            settings=site.settings,
            now=arrival(),
            to=current_user.email,
        )
        mailer.send_one(site.settings.mail.hurried(PATIENCE), mail)
    except NotFound:
        say(gettext("Choose a list first."), kind="problem")
    except OutcomeUnknown as error:
        say(
            gettext("It may have gone, or not: %(reason)s.", reason=in_words(error.said)),
            kind="warning",
        )
    except RepermitError as error:
        say(gettext("It was not sent: %(reason)s.", reason=in_words(error.said)), kind="problem")
    else:
        campaigns.note_test_mail(site.database, mailing_list, now=arrival(), actor=actor())
        said = gettext("Sent to %(email)s. Its links belong to nobody.", email=current_user.email)
        say(said)
    return go("changing.show", group="mail")


@pages.post("/check")
@takes_up_to(_LARGEST_MAIL)
def check() -> Response:
    """Say whether a campaign would work. Sends nothing and changes nothing, and takes seconds."""
    site, file = current_site(), request.files.get("mail")
    report = preflight.check(
        site.settings,
        database=site.database,
        now=arrival(),
        says_how_often=says_how_often,
        log_in=bounces.log_in,
        config_path=site.settings.path,
        mail=file.read() if file and file.filename else None,
    )
    return show_report(report, is_whole=True)


def show_report(report: Report, *, is_whole: bool = False) -> Response:
    """Return the page of what was found; `is_whole` if everything was looked at."""
    return show_page(
        "settings/checked.html",
        counts=report.counts,
        works=report.works,
        is_whole=is_whole,
        areas=list(findings_by_area(report)),
    )
