"""The reports of a list: record of processing, closing report, breach report, and the archive.

Viewing a report changes nothing; downloading one is recorded in the evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from flask import Blueprint, Response, abort, request

from repermit.archives import make_archive
from repermit.contacts import counts as contacts_counts
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import Refused
from repermit.reports import make_report
from repermit.reports.make_report import Report, ReportKind
from repermit.rules.consent import Status
from repermit.web.admin.campaign_dates import parse_time
from repermit.web.admin.current_user import get_actor
from repermit.web.admin.rendering import (
    flash_message,
    get_page_language,
    gettext,
    redirect_to,
    render_page,
    stream_output,
)
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("reports", __name__, url_prefix="/admin/lists/<slug>/papers")

_CONTACTS_PER_MINUTE = 300 * 60
_TYPES = {"html": "text/html; charset=utf-8", "json": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """The time at which a breach was noticed, as typed, and parsed; `wrong` is the error."""

    day: str
    time: str
    at: datetime | None
    wrong: str


@pages.get("/")
def show(slug: str) -> Response:
    """Show the reports, and how many notes the record of processing still lacks."""
    mailing_list = find_list(slug)
    record = _make_report(mailing_list, ReportKind.REGISTER)
    return render_page(
        "reports/show.html",
        mailing_list=mailing_list,
        missing=len(record.gaps),
        has_campaign=latest_campaign(mailing_list) is not None,
        may_archive=_may_archive(mailing_list),
        minutes=_estimate_minutes(mailing_list),
        lost=make_archive.list_lost_functions(get_page_language()),
        duties=make_archive.list_duties(
            mailing_list, settings=get_services().settings, language=get_page_language()
        ),
    )


def _may_archive(mailing_list: MailingList) -> bool:
    with suppress(Refused):
        make_archive.require_archivable(mailing_list)
        return True
    return False


def _estimate_minutes(mailing_list: MailingList) -> int:
    """Estimate how many minutes an archive takes; 0 for less than one."""
    counts = contacts_counts.count_contacts(mailing_list).items()
    people = sum(count for (status, _), count in counts if status != Status.REMOVED)
    return people // _CONTACTS_PER_MINUTE


@pages.post("/archive")
def download_archive(slug: str) -> AnyResponse:
    """Send the archive of a list while it is made, and record that."""
    mailing_list, services = find_list(slug), get_services()
    if not _may_archive(mailing_list):
        flash_message(
            gettext("A campaign is under way: there is an archive once it is over."), kind="problem"
        )
        return redirect_to("reports.show", slug=slug)
    write = partial(
        make_archive.archive,
        mailing_list,
        database=services.database,
        settings=services.settings,
        now=get_arrival(),
        actor=get_actor(),
    )
    return Response(
        stream_output(lambda out: write(out=out), database=services.database),
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{slug}.zip"'},
    )


@pages.get("/register")
def show_register(slug: str) -> Response:
    """Show the record of processing activities."""
    return _show_report(find_list(slug), ReportKind.REGISTER)


@pages.get("/report")
def show_report(slug: str) -> Response:
    """Show the report of the latest campaign."""
    return _show_report(find_list(slug), ReportKind.REPORT)


@pages.get("/breach")
def show_breach(slug: str) -> Response:
    """Show the breach report; `day` and `time` in the query are when it was noticed."""
    return _show_report(find_list(slug), ReportKind.BREACH)


@pages.post("/register")
def download_register(slug: str) -> Response:
    """Send the record of processing as a file."""
    return _send_report(find_list(slug), ReportKind.REGISTER)


@pages.post("/report")
def download_report(slug: str) -> Response:
    """Send the closing report as a file."""
    return _send_report(find_list(slug), ReportKind.REPORT)


@pages.post("/breach")
def download_breach(slug: str) -> Response:
    """Send the breach report as a file."""
    return _send_report(find_list(slug), ReportKind.BREACH)


def _show_report(mailing_list: MailingList, kind: ReportKind) -> Response:
    discovery = _read_discovery(request.args)
    report = _make_report(mailing_list, kind, discovered=discovery.at)
    return render_page(
        "reports/paper.html",
        status=422 if discovery.wrong else 200,
        mailing_list=mailing_list,
        kind=kind,
        title=report.title,
        discovery=discovery,
        body=make_report.render_article(report),
    )


def _send_report(mailing_list: MailingList, kind: ReportKind) -> Response:
    """Send a report as a file, and record that."""
    file_format = request.form.get("format", "")
    if file_format not in _TYPES:
        abort(400)
    report = _make_report(mailing_list, kind, discovered=_read_discovery(request.form).at)
    content = (
        make_report.render_page(report)
        if file_format == "html"
        else make_report.render_json(report)
    )
    make_report.record_report(
        get_services().database,
        mailing_list,
        report,
        content=content,
        file_format=file_format,
        now=get_arrival(),
        actor=get_actor(),
    )
    response = Response(content, content_type=_TYPES[file_format])
    name = f"{mailing_list.slug}-{kind}.{file_format}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _make_report(
    mailing_list: MailingList, kind: ReportKind, *, discovered: datetime | None = None
) -> Report:
    return make_report.make_report(
        mailing_list,
        kind,
        settings=get_services().settings,
        now=get_arrival(),
        language=get_page_language(),
        discovered=discovered,
    )


def _read_discovery(fields: Mapping[str, str]) -> Discovery:
    """Parse the time at which a breach was noticed, which must be past; a day means its start."""
    day, time = fields.get("day", "").strip(), fields.get("time", "").strip()
    discovered_at, wrong = None, ""
    if day:
        try:
            discovered_at = parse_time(f"{day}T{time or '00:00'}")
        except Refused:
            wrong = gettext("This is no day and time that there was.")
        if discovered_at and discovered_at > get_arrival():
            discovered_at, wrong = None, gettext("This has not come yet.")
    return Discovery(day=day, time=time, at=discovered_at, wrong=wrong)
