"""Step 2 of a campaign: uploading a file, its preview, and the import."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from flask import (
    Blueprint,
    Response,
    abort,
    get_flashed_messages,
    jsonify,
    request,
    stream_with_context,
)
from flask_login import current_user

from repermit.contacts import counts as contacts_counts
from repermit.db import background_tasks
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import RepermitError
from repermit.exports import export
from repermit.exports.file_writers import escape_formula
from repermit.i18n.lazy_text import N_
from repermit.imports import read_upload, row_preview, uploads
from repermit.imports import undo as imports_undo
from repermit.imports.import_report import UndoResult
from repermit.imports.row_preview import PreviewRow
from repermit.imports.uploads import Choices, StoredUpload
from repermit.rules.consent import Fate, Status
from repermit.web.admin import import_preview, row_fate_text
from repermit.web.admin.current_user import get_actor, record_access
from repermit.web.admin.page_permissions import in_the_background, takes_up_to
from repermit.web.admin.rendering import (
    flash_message,
    format_number,
    get_csv_delimiter,
    gettext,
    make_step_fields,
    redirect_to,
    render_page,
)
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("imports", __name__, url_prefix="/admin/lists/<slug>/file")

_FORM_OVERHEAD = 64 * 1024
_REFUSED = (Fate.INVALID, Fate.OPTED_OUT, Fate.SUPPRESSED, Fate.DUPLICATE)
_REFUSED_HEADINGS = (
    N_("Part of the file"),
    N_("Line"),
    N_("E-mail address"),
    N_("Name"),
    N_("What becomes of it"),
    N_("Reason"),
)
_MAX_ROWS_AT_ONCE = 500
# An import of up to this many rows is undone while the page waits, a larger one in the background.
_MAX_UNDONE_AT_ONCE = 2000


@pages.get("", endpoint="show")
def show_import(slug: str) -> Response:
    """Show the upload form, or the preview of the file that waits for import."""
    mailing_list = find_list(slug)
    stored_upload = uploads.find_upload(mailing_list, settings=get_services().settings)
    return (
        _show_page(mailing_list)
        if stored_upload is None
        else _show_waiting_file(mailing_list, stored_upload)
    )


@pages.get("/state.json")
@in_the_background
def show_state(slug: str) -> Response:
    """Return whether a file is being processed, for the page that waits for it."""
    mailing_list = find_list(slug)
    stored_upload = uploads.find_upload(mailing_list, settings=get_services().settings)
    is_busy = stored_upload is not None and stored_upload.task.is_busy
    is_import_running = background_tasks.describe_running_import(mailing_list) is not None
    return jsonify(is_busy=is_busy or is_import_running)


@pages.post("/upload")
@takes_up_to(uploads.MAX_SIZE + _FORM_OVERHEAD)
def upload_file(slug: str) -> AnyResponse:
    """Store a file, and start its preview."""
    mailing_list, services, file = find_list(slug), get_services(), request.files.get("file")
    if file is None or not file.filename:
        return _show_page(mailing_list, status=422, wrong=gettext("Choose a file first."))
    try:
        uploads.keep_upload(
            services.database,
            mailing_list,
            file.stream,
            name=file.filename,
            user_id=current_user.id,
            settings=services.settings,
            now=get_arrival(),
        )
    except RepermitError as refusal:
        return _show_page(mailing_list, status=422, wrong=import_preview.describe_refusal(refusal))
    uploads.note_upload(
        services.database, mailing_list, "handed_in", now=get_arrival(), actor=get_actor()
    )
    return _start_reading(mailing_list, uploads.Choices())


@pages.post("/look")
def save_reading(slug: str) -> AnyResponse:
    """Preview the file again, with the choices of the form."""
    mailing_list, stored_upload = _find_shown(slug)
    form = import_preview.ReadingForm(request.form)
    choices, errors = import_preview.read_choices(form, stored_upload)
    if errors:
        return _show_waiting_file(mailing_list, stored_upload, status=422, form=form, wrong=errors)
    return _start_reading(mailing_list, choices)


@pages.post("/ticks")
def keep_choices(slug: str) -> AnyResponse:
    """Save the choices so far, before the script follows a link to other rows."""
    _, stored_upload = _find_shown(slug)
    choices, errors = import_preview.read_choices(
        import_preview.ReadingForm(request.form), stored_upload
    )
    if not errors:
        with get_services().database.atomic():
            stored_upload.save_choices(choices)
    return Response(status=204)


@pages.post("/take-in")
def import_file(slug: str) -> AnyResponse:
    """Import the file; preview it first if that is missing or does not cover the choices."""
    mailing_list, stored_upload = _find_shown(slug)
    outcome, form = stored_upload.task.result, import_preview.ReadingForm(request.form)
    choices, errors = import_preview.read_choices(form, stored_upload)
    if outcome is None or "refused" in outcome:
        return (
            _start_reading(mailing_list, choices)
            if not errors
            else redirect_to("imports.show", slug=slug)
        )
    if errors or not import_preview.validate_choices(form, choices, stored_upload, mailing_list):
        return _show_waiting_file(mailing_list, stored_upload, status=422, form=form, wrong=errors)
    if not choices.is_covered_by(read_upload.choices_of(outcome)):
        flash_message(
            gettext("You changed how the file is read. Look at what becomes of it now."),
            kind="warning",
        )
        return _start_reading(mailing_list, choices)
    return _start_reading(mailing_list, choices, takes_in=True)


@pages.post("/give-up")
def discard_file(slug: str) -> AnyResponse:
    """Delete the file that waits for import."""
    mailing_list, stored_upload = _find_shown(slug)
    database = get_services().database
    try:
        uploads.discard_upload(database, stored_upload)
    except RepermitError:
        flash_message(
            gettext("The file is being worked with. Try again in a minute."), kind="problem"
        )
    else:
        uploads.note_upload(
            database, mailing_list, "given_up", now=get_arrival(), actor=get_actor()
        )
        flash_message(gettext("The file is deleted; nothing of it was taken in."))
    return redirect_to("imports.show", slug=slug)


@pages.post("/undo")
def undo_import(slug: str) -> AnyResponse:
    """Undo the last import."""
    mailing_list, services = find_list(slug), get_services()
    try:
        result = imports_undo.undo_import(
            services.database,
            mailing_list,
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
            max_rows=_MAX_UNDONE_AT_ONCE,
        )
    except RepermitError as refusal:
        return _show_page(mailing_list, status=422, wrong=import_preview.describe_refusal(refusal))
    if result.is_whole:
        flash_message(_describe_undo(result))
    return redirect_to("imports.show", slug=slug)


@pages.post("/refused.csv")
def download_refused(slug: str) -> Response:
    """Return the rows that would not be imported, with their reasons, as CSV.

    A POST, since it appends an entry to the evidence; any website could make a browser send a GET.
    """
    mailing_list, stored_upload = _find_waiting(slug)
    if not stored_upload.rows.exists():
        abort(404)
    record_access("exported", mailing_list=mailing_list)
    count = row_preview.count(stored_upload.rows, _REFUSED)
    with get_services().database.atomic():
        export.record_refused_rows(
            mailing_list,
            count,
            now=get_arrival(),
            actor=get_actor(),
        )
    rows = row_preview.read_all(stored_upload.rows, _REFUSED)
    return Response(
        stream_with_context(_iter_csv(rows, stored_upload.choices)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="refused-{slug}.csv"'},
    )


def _iter_csv(rows: Iterable[PreviewRow], choices: Choices) -> Iterator[str]:
    """Yield a table in pieces, in the page's language.

    It has a byte order mark, without which Excel misreads its characters.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=get_csv_delimiter())
    buffer.write("\ufeff")
    writer.writerow(map(gettext, _REFUSED_HEADINGS))
    for row in rows:
        reason = row_fate_text.explain_row(row, choices)
        fate = row_fate_text.make_fate_text(Fate(row.fate))
        cells = (row.part, str(row.line), row.address, row.name, fate, reason)
        writer.writerow(map(escape_formula, cells))
        if buffer.tell() > _MAX_ROWS_AT_ONCE * 100:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _describe_undo(result: UndoResult) -> str:
    return gettext(
        "Took back %(file)s. Contacts taken back: %(contacts)s; put back as they were: "
        "%(restored)s; suppressions taken back: %(suppressions)s.",
        file=result.file,
        contacts=format_number(result.contacts_taken_back),
        restored=format_number(result.restored),
        suppressions=format_number(result.suppressions_taken_back),
    )


def _find_waiting(slug: str) -> tuple[MailingList, StoredUpload]:
    mailing_list = find_list(slug)
    stored_upload = uploads.find_upload(mailing_list, settings=get_services().settings)
    if stored_upload is None:
        abort(404)
    return mailing_list, stored_upload


def _find_shown(slug: str) -> tuple[MailingList, StoredUpload]:
    """Return the file that waits; redirect to the page if the form was about an earlier file."""
    mailing_list, stored_upload = _find_waiting(slug)
    if request.form.get("upload") != stored_upload.upload.token:
        flash_message(
            gettext("Another file was handed in meanwhile. Nothing was done: look at it first."),
            kind="warning",
        )
        abort(redirect_to("imports.show", slug=slug))
    return mailing_list, stored_upload


def _start_reading(
    mailing_list: MailingList, choices: Choices, *, takes_in: bool = False
) -> AnyResponse:
    """Start the preview, or with `takes_in` the import, and redirect to the page that waits."""
    services = get_services()
    read_upload.start_reading(
        services.database,
        mailing_list,
        choices=choices,
        settings=services.settings,
        now=get_arrival(),
        actor=get_actor(),
        takes_in=takes_in,
    )
    return redirect_to("imports.show", slug=mailing_list.slug)


def _count_on_list(mailing_list: MailingList) -> int:
    counts = contacts_counts.count_contact_groups(mailing_list)
    return sum(count for group, count in counts.items() if group.status is not Status.REMOVED)


def _show_page(mailing_list: MailingList, *, status: int = 200, wrong: str = "") -> Response:
    return render_page(
        "imports/upload.html",
        status=status,
        **make_step_fields(mailing_list),
        wrong=wrong,
        imports=imports_undo.past_imports(mailing_list),
        on_list=_count_on_list(mailing_list),
        taking_back=imports_undo.undo_progress(mailing_list),
        taking_in=imports_undo.find_unfinished_import(mailing_list),
        bars=import_preview.make_bar_taken_in,
        largest=uploads.MAX_SIZE // 1_000_000,
    )


def _show_waiting_file(
    mailing_list: MailingList,
    stored_upload: StoredUpload,
    *,
    status: int = 200,
    form: import_preview.ReadingForm | None = None,
    wrong: Iterable[str] = (),
) -> Response:
    is_busy, outcome = stored_upload.task.is_busy, stored_upload.task.result
    decided = (
        vars(stored_upload.choices)
        if form is None
        else import_preview.read_decisions(stored_upload)
    )
    shared_fields: dict[str, Any] = {
        **make_step_fields(mailing_list),
        "file": stored_upload.upload.name,
        "token": stored_upload.upload.token,
        "wrong": list(wrong),
    }
    if outcome is None:
        return render_page(
            "imports/progress.html",
            is_busy=is_busy,
            takes_in=(stored_upload.task.progress or {}).get("takes_in", False),
            notes=_list_notes(),
            **shared_fields,
        )
    record_access("looked", mailing_list=mailing_list)
    fields = import_preview.make_form_fields(stored_upload, form)
    if "refused" in outcome:
        reason = import_preview.describe_place(outcome)
        return render_page(
            "imports/refused.html", status=status, reason=reason, **fields, **shared_fields
        )
    preview_fields = import_preview.make_preview_fields(
        mailing_list.slug, stored_upload, outcome, decided=decided
    )
    return render_page(
        "imports/preview.html",
        status=status,
        refused=row_preview.count(stored_upload.rows, _REFUSED),
        **preview_fields,
        **fields,
        **shared_fields,
    )


def _list_notes() -> list[tuple[str, str]]:
    """Return the notes for a page that waits for a file; keep warnings for the next page."""
    notes: Any = get_flashed_messages(with_categories=True)
    for kind, text in notes:
        if kind == "warning":
            flash_message(text, kind=kind)
    return [(kind, text) for kind, text in notes if kind != "warning"]
