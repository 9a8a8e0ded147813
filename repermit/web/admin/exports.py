"""The handover pages: files for the newsletter tool, the steps there, and the comparison."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from babel import Locale
from flask import Blueprint, Response, abort, request

from repermit.contacts import counts as contacts_counts
from repermit.contacts import lookup
from repermit.db import background_tasks
from repermit.db.models.campaigns import Campaign, latest_campaign
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import ListFileError, Refused
from repermit.exports import evidence_export, export_rows, handover_steps, reconcile
from repermit.exports import export as exports_export
from repermit.exports.export import Layout
from repermit.exports.export_rows import ExportKind, FileFormat, Tool
from repermit.exports.reconcile import ReconcileResult
from repermit.i18n.lazy_text import N_
from repermit.imports import uploads
from repermit.rules.consent import Basis, CampaignState, Reason, Status
from repermit.temporary_files import make_temporary_files
from repermit.web.admin import import_preview
from repermit.web.admin.campaign_page import list_due_erasures
from repermit.web.admin.current_user import get_actor, record_access
from repermit.web.admin.page_permissions import takes_up_to
from repermit.web.admin.rendering import (
    get_code_label,
    get_csv_delimiter,
    get_page_language,
    gettext,
    redirect_to,
    render_page,
    stream_output,
)
from repermit.web.admin.result_text import make_sentence, translate_said
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("exports", __name__, url_prefix="/admin/lists/<slug>/handover")

_MAX_FILE_SIZE = 100 * 1024 * 1024
_FINDINGS = ("should_not_be_there", "not_yet", "unknown", "opted_out_there", "missing", "invalid")
# The most findings of a kind that a page shows.
_MAX_SHOWN = 200
_TYPES = {
    FileFormat.CSV: "text/csv; charset=utf-8",
    FileFormat.JSON: "application/json",
    FileFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@pages.get("/")
def show(slug: str) -> Response:
    """Show the files and the handover steps, for one tool or for none."""
    return _show_page(find_list(slug), request.args.get("tool", ""))


def _show_page(
    mailing_list: MailingList, tool_name: str, *, status: int = 200, wrong: str = ""
) -> Response:
    tool = Tool(tool_name) if tool_name in tuple(Tool) else None
    campaign = _find_ended_campaign(mailing_list)
    counts = _count_rows(mailing_list)
    files = [
        {**_make_export_fields(mailing_list, campaign, kind, tool), "count": counts[kind]}
        for kind in ExportKind
    ]
    if any(file["by_hand"] for file in files):
        record_access("by_hand", mailing_list=mailing_list)
    return render_page(
        "exports/show.html",
        status=status,
        mailing_list=mailing_list,
        tool=tool,
        tools=list(Tool),
        files=files,
        campaign=campaign,
        due=list_due_erasures(mailing_list),
        whole=_make_whole_step(campaign),
        is_handed_over=campaign is not None
        and handover_steps.find_pending_handover(mailing_list) is None,
        wrong=wrong,
    )


def _list_plain_formats(kind: ExportKind) -> list[FileFormat]:
    """Return the formats of an export for no tool: Excel first, for the evidence JSON."""
    first = FileFormat.JSON if kind is ExportKind.EVIDENCE else FileFormat.XLSX
    return sorted(FileFormat, key=lambda file_format: file_format is not first)


def _count_rows(mailing_list: MailingList) -> dict[ExportKind, int | None]:
    """Return the number of rows of each export; None where there may be too many to count now."""
    counts = contacts_counts.count_by_status(mailing_list)
    return {
        ExportKind.KEEP: counts[Status.CONFIRMED] + counts[Status.CUSTOMER],
        ExportKind.REMOVED: counts[Status.REMOVED] - contacts_counts.count_erased(mailing_list),
        ExportKind.UNASKED: lookup.count_unasked(mailing_list),
        ExportKind.EVIDENCE: evidence_export.count_rows(mailing_list),
    }


def _make_layout() -> Layout:
    """Return the layout of a table in the page's language, with a delimiter for its Excel."""
    return Layout(
        headings={name: gettext(title) for name, title in _HEADINGS.items()},
        words={
            "language": Locale(get_page_language()).languages,
            "basis": {basis: get_code_label("basis", basis) for basis in Basis},
            "reason": {
                reason: get_code_label("reason", reason)
                for reason in (*Reason, *lookup.UNASKED_REASONS)
            },
        },
        delimiter=get_csv_delimiter(),
    )


_HEADINGS = {
    "address": N_("E-mail address"),
    "name": N_("Name"),
    "language": N_("Language"),
    "basis": N_("Ground"),
    "since": N_("Since"),
    "reason": N_("Reason"),
    "removed_at": N_("Taken off on"),
    "unsubscribe_url": N_("Link to unsubscribe"),
}


def _find_ended_campaign(mailing_list: MailingList) -> Campaign | None:
    """Return the latest campaign if it is over; a step ticked earlier would not cover all."""
    campaign = latest_campaign(mailing_list)
    return None if campaign is None or CampaignState(campaign.state).is_live else campaign


def _make_whole_step(campaign: Campaign | None) -> dict[str, Any]:
    """Return the step that stands for all removals; {} without an ended campaign."""
    if campaign is None:
        return {}
    step = handover_steps.ALL_REMOVED
    return {"step": step, "at": handover_steps.read_ticks(campaign, "").get(step)}


def _make_export_fields(
    mailing_list: MailingList, campaign: Campaign | None, kind: ExportKind, tool: Tool | None
) -> dict[str, Any]:
    """Return the template's fields for one export: its formats, and its steps with their ticks."""
    formats = export_rows.list_formats(kind, tool) if tool else ()
    done_at = handover_steps.read_ticks(campaign, tool or "") if campaign else {}
    steps = handover_steps.list_page_steps(tool, kind) if tool else ()
    is_for_csv = tool is not None and FileFormat.CSV in formats
    return {
        "what": kind,
        "formats": formats or _list_plain_formats(kind),
        "is_for_tool": bool(formats),
        "steps": [
            (f"{kind}-{number}", gettext(text), done_at.get(f"{kind}-{number}"))
            for number, text in enumerate(steps, start=1)
        ],
        "by_hand": export_rows.list_formula_addresses(mailing_list, kind) if is_for_csv else (),
    }


@pages.post("/export")
def download_export(slug: str) -> AnyResponse:
    """Send an export; it is recorded in the evidence, and as an access to personal data."""
    mailing_list, services, typed = find_list(slug), get_services(), request.form
    try:
        kind, file_format = ExportKind(typed.get("what", "")), FileFormat(typed.get("format", ""))
        tool = Tool(typed["tool"]) if typed.get("tool") else None
    except ValueError:
        abort(400)
    with_links = bool(typed.get("with_links"))
    try:
        background_tasks.require_no_running_import(mailing_list)
        exports_export.require_combination(kind, file_format, tool, with_links=with_links)
    except Refused as error:
        return _show_page(
            mailing_list, typed.get("tool", ""), status=422, wrong=make_sentence(error.said)
        )
    record_access(f"exported_{kind}", mailing_list=mailing_list)
    write = partial(
        exports_export.write_export,
        mailing_list,
        kind,
        database=services.database,
        settings=services.settings,
        now=get_arrival(),
        actor=get_actor(),
        format=file_format,
        tool=tool,
        with_links=with_links,
        layout=_make_layout(),
    )
    name = "-".join(filter(None, (slug, kind, tool))) + f".{file_format}"
    return Response(
        stream_output(lambda out: write(out=out), database=services.database),
        content_type=_TYPES[file_format],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@pages.post("/tick")
def mark_step_done(slug: str) -> AnyResponse:
    """Tick or untick a handover step."""
    mailing_list, typed = find_list(slug), request.form
    campaign, tool, step = (
        _find_ended_campaign(mailing_list),
        typed.get("tool", ""),
        typed.get("step", ""),
    )
    if campaign is None or step not in _list_step_names(tool):
        abort(400)
    handover_steps.set_tick(
        get_services().database,
        campaign,
        tool=tool,
        step=step,
        is_done=typed.get("done") == "yes",
        now=get_arrival(),
        actor=get_actor(),
    )
    return redirect_to("exports.show", slug=slug, tool=tool or None, _anchor=step)


def _list_step_names(tool: str) -> set[str]:
    """Return the steps of a tool, for "" the one for all removals; none for an unknown tool."""
    if tool not in tuple(Tool):
        return set() if tool else {handover_steps.ALL_REMOVED}
    return {
        f"{kind}-{number}"
        for kind in ExportKind
        for number in range(1, len(handover_steps.list_page_steps(tool, kind)) + 1)
    }


@pages.post("/compare")
@takes_up_to(_MAX_FILE_SIZE)
def compare_export(slug: str) -> Response:
    """Show how a tool's export differs from the contacts that may be mailed; changes nothing."""
    mailing_list, tool = find_list(slug), request.form.get("tool", "")
    file = request.files.get("file")
    if file is None or not file.filename:
        return _show_page(mailing_list, tool, status=422, wrong=gettext("Choose a file first."))
    record_access("compared", mailing_list=mailing_list)
    try:
        with make_temporary_files(get_services().settings).folder_for("upload") as folder:
            # Under its own name, whose ending tells the format, but without its folder.
            path = folder / uploads.plain_name(file.filename)
            file.save(path)
            result = reconcile.reconcile(mailing_list, path, settings=get_services().settings)
    except ListFileError as error:
        return _show_page(
            mailing_list, tool, status=422, wrong=import_preview.describe_refusal(error)
        )
    return _show_comparison(mailing_list, result, tool)


def _show_comparison(mailing_list: MailingList, result: ReconcileResult, tool: str) -> Response:
    return render_page(
        "exports/reconcile.html",
        mailing_list=mailing_list,
        result=result,
        tool=tool,
        findings=[(kind, getattr(result, kind)) for kind in _FINDINGS if getattr(result, kind)],
        most=_MAX_SHOWN,
        in_words=translate_said,
    )
