"""The suppressions of a list: exporting them as fingerprints, and importing others.

No address is shown here.
"""

from __future__ import annotations

from typing import BinaryIO

from flask import Blueprint, Response, abort, request

from repermit.db import background_tasks
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import Refused, RepermitError
from repermit.i18n.lazy_text import N_
from repermit.imports import suppression_import, uploads
from repermit.imports.suppression_import import SuppressionImportResult
from repermit.suppression import fingerprint_files
from repermit.temporary_files import make_temporary_files
from repermit.web.admin import import_preview
from repermit.web.admin.current_user import get_actor
from repermit.web.admin.page_permissions import takes_up_to
from repermit.web.admin.rendering import gettext, render_page, stream_output
from repermit.web.admin.result_text import make_sentence
from repermit.web.request_context import get_arrival, get_services

pages = Blueprint("suppressions", __name__, url_prefix="/admin/lists/<slug>/suppressions")

MAX_FILE_SIZE = 5_000_000
"""The maximum size of a file in bytes; the page waits until all of it is imported."""

_FORM_OVERHEAD = 64 * 1024
_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
_COUNTS = {
    "added": N_("Not to be asked from now on"),
    "known": N_("Were not to be asked before"),
    "kept": N_("Said Yes here themselves, which holds"),
    "invalid": N_("Are no address"),
    "duplicates": N_("Stood in the file before"),
    "not_placed": N_("Hashes that fit nobody on the list"),
}
_KINDS = {
    "fingerprints": N_("The file holds fingerprints of this same key."),
    "addresses": N_("The file holds addresses."),
    "hashes": N_("The file holds hashes of addresses, as other tools write them."),
}


@pages.get("", endpoint="show")
def show_suppressions(slug: str) -> Response:
    """Show the forms for exporting and importing suppressions."""
    return _show_page(find_list(slug))


@pages.post("/export")
def download_suppressions(slug: str) -> Response:
    """Send the fingerprints as a file, and record that."""
    mailing_list, services, file_format = (
        find_list(slug),
        get_services(),
        request.form.get("format", ""),
    )
    if file_format not in _TYPES:
        abort(400)
    try:
        background_tasks.require_no_running_import(mailing_list)
    except Refused as error:
        return _show_page(mailing_list, wrong=make_sentence(error.said))
    now, actor = get_arrival(), get_actor()

    def write(out: BinaryIO) -> None:
        fingerprint_files.write_suppressions(
            services.database,
            mailing_list,
            out=out,
            form=file_format,
            settings=services.settings,
            now=now,
            actor=actor,
        )

    name = f"{slug}-suppressions.{file_format}"
    return Response(
        stream_output(write, database=services.database),
        content_type=_TYPES[file_format],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@pages.post("/look")
@takes_up_to(MAX_FILE_SIZE + _FORM_OVERHEAD)
def preview_import(slug: str) -> Response:
    """Show what the import of a file would do; nothing is written."""
    return _import_file(find_list(slug), is_only_looked_at=True)


@pages.post("/import")
@takes_up_to(MAX_FILE_SIZE + _FORM_OVERHEAD)
def import_suppressions(slug: str) -> Response:
    """Suppress the contacts that a file names, and remove them from the list."""
    mailing_list = find_list(slug)
    if not request.form.get("sure"):
        wrong = gettext("Look at the file first, or say that you are sure.")
        return _show_page(mailing_list, wrong=wrong)
    return _import_file(mailing_list, is_only_looked_at=False)


def _import_file(mailing_list: MailingList, *, is_only_looked_at: bool) -> Response:
    file, column = request.files.get("file"), request.form.get("column", "").strip()
    if file is None or not file.filename:
        return _show_page(mailing_list, wrong=gettext("Choose a file first."))
    name = uploads.plain_name(file.filename)
    services = get_services()
    try:
        with make_temporary_files(get_services().settings).folder_for("upload") as folder:
            # Under its own name, whose ending tells the format, but without its folder.
            path = folder / name
            file.save(path)
            result = suppression_import.import_suppressions(
                services.database,
                mailing_list,
                path,
                mapping={"address": column} if column else {},
                dry_run=is_only_looked_at,
                settings=services.settings,
                now=get_arrival(),
                actor=get_actor(),
            )
    except RepermitError as error:
        return _show_page(mailing_list, wrong=import_preview.describe_refusal(error))
    return _show_page(mailing_list, name=name, result=result, is_only_looked_at=is_only_looked_at)


def _show_page(
    mailing_list: MailingList,
    *,
    wrong: str = "",
    name: str = "",
    result: SuppressionImportResult | None = None,
    is_only_looked_at: bool = False,
) -> Response:
    return render_page(
        "suppressions/show.html",
        status=422 if wrong else 200,
        mailing_list=mailing_list,
        wrong=wrong,
        name=name,
        result=result,
        kind=gettext(_KINDS[result.kind]) if result else "",
        counts=_list_counts(result) if result else [],
        is_only_looked_at=is_only_looked_at,
        column=request.form.get("column", ""),
        largest=MAX_FILE_SIZE // 1_000_000,
    )


def _list_counts(result: SuppressionImportResult) -> list[tuple[str, int]]:
    """Return the number of rows by result, with titles; zeros are left out."""
    counts = [(gettext(title), getattr(result, name)) for name, title in _COUNTS.items()]
    return [(title, count) for title, count in counts if count]
