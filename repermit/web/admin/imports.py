"""Step 2 of a campaign: the file, what would become of its rows, and taking it in."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator
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

from repermit.db import background_tasks
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import RepermitError
from repermit.exports import export
from repermit.exports.file_formats import guard
from repermit.imports import read_upload, row_preview, uploads
from repermit.imports import undo as imports_undo
from repermit.imports.import_report import UndoResult
from repermit.imports.row_preview import Sight
from repermit.imports.uploads import Choices, Kept
from repermit.rules.consent import Fate
from repermit.web.admin import import_preview
from repermit.web.admin.current_user import actor, note_look
from repermit.web.admin.rendering import (
    flash_message,
    gettext,
    ngettext,
    number_in_words,
    redirect_to,
    render_page,
    steps_reached,
)
from repermit.web.admin.require_permission import in_the_background, takes_up_to
from repermit.web.request_context import get_arrival, get_site

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("imports", __name__, url_prefix="/admin/lists/<slug>/file")

_AROUND_A_FILE = 64 * 1024
_REFUSED = (Fate.INVALID, Fate.OPTED_OUT, Fate.SUPPRESSED, Fate.DUPLICATE)
_ROWS_AT_ONCE = 500
# A file of so many rows is taken back while somebody waits for the page, a larger one beside it.
_TAKEN_BACK_AT_ONCE = 2000


@pages.get("", endpoint="show")
def show_step(slug: str) -> Response:
    """Show the form for a file, or what would become of the rows of the one that waits."""
    mailing_list = find_list(slug)
    kept = uploads.find_upload(mailing_list, settings=get_site().settings)
    return _show(mailing_list) if kept is None else _show_kept(mailing_list, kept)


@pages.get("/state.json")
@in_the_background
def state(slug: str) -> Response:
    """Say whether a file is being worked with, for the page that waits for it."""
    mailing_list = find_list(slug)
    kept = uploads.find_upload(mailing_list, settings=get_site().settings)
    is_busy = kept is not None and kept.task.is_busy
    is_under_way = background_tasks.unfinished_file(mailing_list) is not None
    return jsonify(is_busy=is_busy or is_under_way)


@pages.post("/upload")
@takes_up_to(uploads.LARGEST + _AROUND_A_FILE)
def upload(slug: str) -> AnyResponse:
    """Keep a file, and look at it."""
    mailing_list, site, file = find_list(slug), get_site(), request.files.get("file")
    if file is None or not file.filename:
        return _show(mailing_list, status=422, wrong=gettext("Choose a file first."))
    try:
        uploads.keep_upload(
            site.database,
            mailing_list,
            file.stream,
            name=file.filename,
            user_id=import_preview.user_id(),
            settings=site.settings,
            now=get_arrival(),
        )
    except RepermitError as refusal:
        return _show(mailing_list, status=422, wrong=import_preview.refusal_in_words(refusal))
    uploads.note_upload(site.database, mailing_list, "handed_in", now=get_arrival(), actor=actor())
    return _look(mailing_list, uploads.Choices())


@pages.post("/look")
def save(slug: str) -> AnyResponse:
    """Look at the file again, read as the form says."""
    mailing_list, kept = _shown(slug)
    form = import_preview.ReadingForm(request.form)
    choices, wrong = import_preview.choices_in(form, kept)
    if wrong:
        return _show_kept(mailing_list, kept, status=422, form=form, wrong=wrong)
    return _look(mailing_list, choices)


@pages.post("/take-in")
def take_in(slug: str) -> AnyResponse:
    """Take the file in, if what would become of its rows has been shown as it will be."""
    mailing_list, kept = _shown(slug)
    outcome, form = kept.task.result, import_preview.ReadingForm(request.form)
    choices, wrong = import_preview.choices_in(form, kept)
    if outcome is None or "refused" in outcome:
        return _look(mailing_list, choices) if not wrong else redirect_to("imports.show", slug=slug)
    if wrong or not import_preview.is_complete(form, choices, kept, mailing_list):
        return _show_kept(mailing_list, kept, status=422, form=form, wrong=wrong)
    if not choices.reads_as(read_upload.choices_of(outcome)):
        flash_message(
            gettext("You changed how the file is read. Look at what becomes of it now."),
            kind="warning",
        )
        return _look(mailing_list, choices)
    return _take(mailing_list, kept, choices)


@pages.post("/give-up")
def give_up(slug: str) -> AnyResponse:
    """Delete the file that waits."""
    mailing_list, kept = _shown(slug)
    database = get_site().database
    try:
        uploads.give_up(database, kept)
    except RepermitError:
        flash_message(
            gettext("The file is being worked with. Try again in a minute."), kind="problem"
        )
    else:
        uploads.note_upload(database, mailing_list, "given_up", now=get_arrival(), actor=actor())
        flash_message(gettext("The file is deleted; nothing of it was taken in."))
    return redirect_to("imports.show", slug=slug)


@pages.post("/undo")
def undo(slug: str) -> AnyResponse:
    """Take the last file back."""
    mailing_list, site = find_list(slug), get_site()
    try:
        done = imports_undo.undo_import(
            site.database,
            mailing_list,
            settings=site.settings,
            now=get_arrival(),
            actor=actor(),
            most=_TAKEN_BACK_AT_ONCE,
        )
    except RepermitError as refusal:
        return _show(mailing_list, status=422, wrong=import_preview.refusal_in_words(refusal))
    if done.is_whole:
        flash_message(_taken_back_in_words(done))
    return redirect_to("imports.show", slug=slug)


@pages.post("/refused.csv")
def refused(slug: str) -> Response:
    """Return the rows that are not taken in, each with the reason, as CSV.

    That is an entry of the evidence, and so no GET, which any website could have a browser do.
    """
    mailing_list, kept = _waiting(slug)
    if not kept.rows.exists():
        abort(404)
    note_look("exported", mailing_list=mailing_list)
    count = row_preview.count(kept.rows, _REFUSED)
    with get_site().database.atomic():
        export.note_refused(
            mailing_list,
            count,
            now=get_arrival(),
            actor=actor(),
        )
    rows = row_preview.read_all(kept.rows, _REFUSED)
    return Response(
        stream_with_context(_csv(rows, kept.choices.opted_out)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="refused-{slug}.csv"'},
    )


def _csv(rows: Iterable[Sight], decided: Collection[str]) -> Iterator[str]:
    """Yield a table in pieces; without a byte order mark Excel would take it for another code."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow(("part", "line", "address", "name", "fate", "reason"))
    for row in rows:
        reason = import_preview.why(row, decided)
        cells = (row.part, str(row.line), row.address, row.name, row.fate, reason)
        writer.writerow(map(guard, cells))
        if buffer.tell() > _ROWS_AT_ONCE * 100:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _taken_back_in_words(done: UndoResult) -> str:
    return gettext(
        "Took back %(file)s. Contacts taken back: %(contacts)s; put back as they were: "
        "%(restored)s; suppressions taken back: %(suppressions)s.",
        file=done.file,
        contacts=number_in_words(done.contacts_taken_back),
        restored=number_in_words(done.restored),
        suppressions=number_in_words(done.suppressions_taken_back),
    )


def _waiting(slug: str) -> tuple[MailingList, Kept]:
    mailing_list = find_list(slug)
    kept = uploads.find_upload(mailing_list, settings=get_site().settings)
    if kept is None:
        abort(404)
    return mailing_list, kept


def _shown(slug: str) -> tuple[MailingList, Kept]:
    """Return the file that waits; if the form was about an earlier one, the page comes first."""
    mailing_list, kept = _waiting(slug)
    if request.form.get("upload") != kept.upload.token:
        flash_message(
            gettext("Another file was handed in meanwhile. Nothing was done: look at it first."),
            kind="warning",
        )
        abort(redirect_to("imports.show", slug=slug))
    return mailing_list, kept


def _look(mailing_list: MailingList, choices: Choices) -> AnyResponse:
    site = get_site()
    read_upload.look_at(
        site.database,
        mailing_list,
        choices=choices,
        settings=site.settings,
        now=get_arrival(),
        actor=actor(),
    )
    return redirect_to("imports.show", slug=mailing_list.slug)


def _take(mailing_list: MailingList, kept: Kept, choices: Choices) -> AnyResponse:
    site = get_site()
    read_upload.take_in(
        site.database,
        mailing_list,
        choices=choices,
        settings=site.settings,
        now=get_arrival(),
        actor=actor(),
    )
    is_staged = uploads.find_upload(mailing_list, settings=site.settings) is None
    if is_staged and background_tasks.unfinished_file(mailing_list) is None:
        rows = imports_undo.past_imports(mailing_list)[0].rows
        flash_message(
            ngettext(
                "%(file)s is taken in: %(count)s row.",
                "%(file)s is taken in: %(count)s rows.",
                rows,
                file=kept.upload.name,
            )
        )
    return redirect_to("imports.show", slug=mailing_list.slug)


def _show(mailing_list: MailingList, *, status: int = 200, wrong: str = "") -> Response:
    return render_page(
        "imports/upload.html",
        status=status,
        mailing_list=mailing_list,
        reached=steps_reached(mailing_list),
        wrong=wrong,
        imports=imports_undo.past_imports(mailing_list),
        taking_back=imports_undo.undo_progress(mailing_list),
        taking_in=imports_undo.unfinished_import(mailing_list),
        bars=import_preview.bar_of,
        largest=uploads.LARGEST // 1_000_000,
    )


def _show_kept(
    mailing_list: MailingList,
    kept: Kept,
    *,
    status: int = 200,
    form: import_preview.ReadingForm | None = None,
    wrong: Iterable[str] = (),
) -> Response:
    is_busy, outcome, decided = kept.task.is_busy, kept.task.result, kept.choices.opted_out
    if form is not None:
        decided = import_preview.decided_in_form(kept)
    shared: dict[str, Any] = {
        "mailing_list": mailing_list,
        "reached": steps_reached(mailing_list),
        "file": kept.upload.name,
        "token": kept.upload.token,
        "wrong": list(wrong),
    }
    if outcome is None:
        return render_page(
            "imports/progress.html", is_busy=is_busy, notes=_notes_meanwhile(), **shared
        )
    note_look("looked", mailing_list=mailing_list)
    fields = import_preview.reading_fields(kept, form)
    if "refused" in outcome:
        reason = import_preview.place_in_words(outcome)
        return render_page("imports/refused.html", status=status, reason=reason, **fields, **shared)
    seen = import_preview.seen_fields(mailing_list.slug, kept, outcome, decided=decided)
    return render_page("imports/preview.html", status=status, **seen, **fields, **shared)


def _notes_meanwhile() -> list[tuple[str, str]]:
    """Return what a page says that waits for a file; warnings are about the page after it."""
    notes: Any = get_flashed_messages(with_categories=True)
    for kind, text in notes:
        if kind == "warning":
            flash_message(text, kind=kind)
    return [(kind, text) for kind, text in notes if kind != "warning"]
