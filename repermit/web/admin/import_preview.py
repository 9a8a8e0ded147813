"""The preview of an import, and the form with the choices for reading its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import request
from wtforms import BooleanField, StringField, TextAreaField

from repermit.db.models.lists import MailingList
from repermit.errors import ListFileError, RepermitError
from repermit.i18n.lazy_text import N_, LazyText, deserialize
from repermit.imports import read_upload, row_preview, uploads
from repermit.imports.classify_row import WHOLE_PART
from repermit.imports.row_preview import (
    ROWS_PER_PAGE,
    PreviewRow,
    RowFilter,
    RowsToLookAt,
)
from repermit.imports.uploads import Choices, StoredUpload
from repermit.rules.consent import Fate
from repermit.web.admin import import_columns
from repermit.web.admin.audit_log import parse_number
from repermit.web.admin.forms import Form
from repermit.web.admin.rendering import gettext, make_url, ngettext
from repermit.web.admin.result_text import make_sentence, translate_said
from repermit.web.admin.row_fate_text import (
    ask_what_is_meant,
    explain_doubtful_row,
    explain_row,
    make_fate_text,
)

MAX_DOUBTFUL = 200
"""The number of rows to decide on that the page shows at once; equal ones count as one."""

_MAX_SEARCH_LENGTH = 100
# In the order of the bar: fates that come onto the list, then those that do not.
_ORDER = (
    Fate.ASK,
    Fate.ROLE,
    Fate.CONFIRMED,
    Fate.CUSTOMER,
    Fate.OPTED_OUT,
    Fate.SUPPRESSED,
    Fate.DUPLICATE,
    Fate.INVALID,
)


class ReadingForm(Form):
    """The choices for reading a file, apart from its columns."""

    source = StringField(N_("Where do these addresses come from?"))
    customers = BooleanField(N_("Everybody in this file is a customer"))
    attest = TextAreaField(N_("Why may customers be mailed?"))
    consent_text = TextAreaField(N_("Text of the form with which people signed up"))
    looked = BooleanField(N_("I have looked at these rows"))


def read_choices(form: ReadingForm, stored_upload: StoredUpload) -> tuple[Choices, list[str]]:
    """Return the choices of the form and its columns, and the errors in them."""
    mapping, errors = stored_upload.choices.mapping, []
    if chosen := _read_chosen_columns(stored_upload):
        mapping, errors = (
            import_columns.make_mapping(stored_upload.path, chosen),
            import_columns.find_wrong_choices(chosen),
        )
    choices = uploads.Choices(
        mapping=mapping,
        source=(form.source.data or "").strip(),
        customers=bool(form.customers.data),
        attest=(form.attest.data or "").strip(),
        consent_text=(form.consent_text.data or "").strip(),
        **read_decisions(stored_upload),
    )
    return choices, errors


_DECISIONS = {"no": "opted_out", "ask": "asked", "mend": "corrected"}


def read_decisions(stored_upload: StoredUpload) -> dict[str, Any]:
    """Return the lines by decision, and the remarks; those not shown keep their decision."""
    shown_lines = set(request.form.getlist("doubt"))
    decision_by_line = {line: request.form.get(f"decide-{line}") for line in sorted(shown_lines)}
    lines = {
        name: (
            *(line for line in getattr(stored_upload.choices, name) if line not in shown_lines),
            *(line for line, decision in decision_by_line.items() if decision == value),
        )
        for value, name in _DECISIONS.items()
    }
    return {**lines, "remarks": _read_remark_decisions(stored_upload)}


def _read_remark_decisions(stored_upload: StoredUpload) -> dict[str, str]:
    remarks = dict(stored_upload.choices.remarks)
    for remark in request.form.getlist("remark"):
        remarks.pop(remark, None)
        if (decision := request.form.get(f"decide-{remark}")) in {"ask", "no"}:
            remarks[remark] = decision
    return remarks


def _read_chosen_columns(stored_upload: StoredUpload) -> list[import_columns.ShownColumn]:
    """Return the columns with the form's choices, none if the preview has none."""
    names = request.form.getlist("column")
    fields = dict(zip(names, request.form.getlist("field"), strict=False))
    return import_columns.apply_choices(_read_columns(stored_upload), fields)


def _read_columns(stored_upload: StoredUpload) -> list[import_columns.ShownColumn]:
    outcome = stored_upload.task.result
    return import_columns.list_columns(read_upload.previews_of(outcome)) if outcome else []


def validate_choices(
    form: ReadingForm, choices: Choices, stored_upload: StoredUpload, mailing_list: MailingList
) -> bool:
    """Return whether the file can be imported; obstacles become errors of the form's fields."""
    outcome = stored_upload.task.result or {}
    if choices.customers and mailing_list.sensitive:
        form.refuse(
            "customers",
            gettext("A sensitive list cannot have customers: being on it needs explicit consent."),
        )
    elif (choices.customers or outcome["unattested"]) and not choices.attest:
        form.refuse(
            "attest",
            gettext("There are customers in this file: say on what ground they may be mailed."),
        )
    undecided = RowsToLookAt(decided=choices.decided, remarks=list(choices.remarks))
    counts = row_preview.count_reasons(stored_upload.rows, RowFilter(to_look_at=undecided))
    if not form.looked.data and counts.keys() & {"doubtful", "mistyped"}:
        form.refuse(
            "looked",
            gettext("Some people in this file may want no mail: look at their rows first.")
            if "doubtful" in counts
            else gettext("Some addresses look mistyped: look at their rows first."),
        )
    return not form.errors


def make_form_fields(stored_upload: StoredUpload, form: ReadingForm | None) -> dict[str, Any]:
    """Return the template's fields for the form, as submitted or as stored (None)."""
    columns = _read_columns(stored_upload) if form is None else _read_chosen_columns(stored_upload)
    parts = {column.part for column in columns}
    return {
        "form": form or ReadingForm(data=vars(stored_upload.choices)),
        "columns": columns,
        "has_parts": len(parts) > 1,
        "field_titles": import_columns.list_field_titles(),
    }


def make_preview_fields(
    slug: str,
    stored_upload: StoredUpload,
    outcome: Mapping[str, Any],
    *,
    decided: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the template's fields for the preview: counts, notes, one page of rows.

    - `decided`: the decisions on rows, as submitted or as stored.
    """
    row_filter = _read_filter(stored_upload)
    rows = row_preview.read(
        stored_upload.rows,
        row_filter,
        after=parse_number(request.args.get("after", "")),
        limit=ROWS_PER_PAGE + 1,
    )
    doubts = _make_doubt_fields(slug, stored_upload, decided=decided)
    last = rows[ROWS_PER_PAGE - 1].number if len(rows) > ROWS_PER_PAGE else 0
    return {
        "outcome": outcome,
        "parts": make_bar({Fate(name): count for name, count in outcome["fates"].items()}),
        "never_subscribed": list(_list_never_subscribed(outcome)),
        "notes_on_parts": [_describe_note(note) for note in outcome["notes"]],
        "wanted": row_filter,
        "chips": list(_list_chips(slug, doubts["to_look_at"], outcome, row_filter)),
        "reasons": list(_list_reason_chips(slug, stored_upload, row_filter)),
        "rows": [
            (
                row,
                make_fate_text(Fate(row.fate)),
                explain_row(row, stored_upload.choices),
                _can_be_left_out(row, stored_upload.choices, doubts["doubtful"]),
            )
            for row in rows[:ROWS_PER_PAGE]
        ],
        "next_url": _make_rows_url(slug, row_filter, after=last) if last else None,
        "previous_url": _make_rows_url(slug, row_filter)
        if parse_number(request.args.get("after", ""))
        else None,
        **doubts,
        "taken": sum(outcome["fates"][name] for name in _ORDER[:4]),
    }


def _can_be_left_out(row: PreviewRow, choices: Choices, doubts: Sequence[Doubt]) -> bool:
    """Return whether a row of the table has a checkbox for leaving it out.

    A row that is shown above the table has its decision there, unless it is one of many with the
    same remark.
    """
    is_one_of_many = any(doubt.is_by_remark and doubt.row.said == row.said for doubt in doubts)
    is_in_doubt = row.said and not row.mark and not is_one_of_many
    is_shown_above = row.place in choices.decided or row.hint or is_in_doubt
    return Fate(row.fate) in _ORDER[:4] and not is_shown_above


def _list_chips(
    slug: str, to_look_at: Mapping[str, int], outcome: Mapping[str, Any], row_filter: RowFilter
) -> Iterator[tuple[str, int, str, bool]]:
    """Yield title, count, URL and whether it is chosen, for each filter of the rows."""
    to_look_at_filter = RowFilter(to_look_at=RowsToLookAt())
    filters = [(gettext("Have a look"), sum(to_look_at.values()), to_look_at_filter)]
    filters += [(gettext("All"), outcome["rows"], RowFilter())]
    filters += [
        (make_fate_text(fate), outcome["fates"][fate], RowFilter(fate=fate)) for fate in _ORDER
    ]
    for title, count, choice in filters:
        if count or choice == RowFilter():
            is_to_look_at = choice.to_look_at is not None
            is_chosen = choice.fate == row_filter.fate and is_to_look_at == (
                row_filter.to_look_at is not None
            )
            yield (
                title,
                count,
                _make_rows_url(slug, replace(choice, text=row_filter.text)),
                is_chosen,
            )


def _list_reason_chips(
    slug: str, stored_upload: StoredUpload, row_filter: RowFilter
) -> Iterator[tuple[str, int, str, bool]]:
    """Yield the same for each reason of the shown rows; nothing if there is one reason only."""
    has_reasons = row_filter.fate or row_filter.to_look_at
    group = RowFilter(fate=row_filter.fate, to_look_at=row_filter.to_look_at)
    counts = row_preview.count_reasons(stored_upload.rows, group) if has_reasons else {}
    if len(counts) > 1:
        for reason, count in counts.items():
            toggled = replace(row_filter, reason=None if reason == row_filter.reason else reason)
            title = _make_reason_text(row_filter.fate, reason)
            yield title, count, _make_rows_url(slug, toggled), reason == row_filter.reason


def _make_reason_text(fate: Fate | None, reason: str) -> str:
    if fate is Fate.INVALID:
        return make_sentence(deserialize(reason))
    return gettext(_SHORT_REASONS[reason])


_SHORT_REASONS = {
    "unsubscribed": N_("Unsubscribed, or no mail"),
    "remark": N_("No mail, by a remark"),
    "cleaned": N_("Came back"),
    "complained": N_("Reported as spam"),
    "0": N_("On the list already"),
    "1": N_("Twice in the file"),
    "doubtful": N_("May want no mail"),
    "mistyped": N_("Looks mistyped"),
    "role": N_("Shared mailbox"),
}


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """A row to decide on, or the first of all that have the same remark: `count` of them.

    `decided_by` is what a decision names: its line, or the remark; `standing` says what becomes of
    it, and `question` asks what address is meant.
    """

    row: PreviewRow
    count: int
    decided_by: str
    is_by_remark: bool
    standing: str
    question: str
    rows_url: str


def _make_doubt_fields(
    slug: str, stored_upload: StoredUpload, *, decided: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the template's fields for the rows that the admin has to decide on, or has decided on.

    Rows that a remark opts out are listed separately, as they need no decision.
    """
    lines, remarks = stored_upload.choices.decided, list(stored_upload.choices.remarks)
    to_look_at = RowFilter(to_look_at=_find_rows_to_look_at(stored_upload))
    limit = MAX_DOUBTFUL + 1
    doubts = row_preview.read_doubtful(
        stored_upload.rows,
        decided=lines,
        remarks=remarks,
        after=parse_number(request.args.get("doubts", "")),
        limit=limit,
    )
    opted_out = row_preview.read_opted_out_by_remark(
        stored_upload.rows,
        decided=lines,
        after=parse_number(request.args.get("off", "")),
        limit=limit,
    )
    return {
        "doubtful": [
            _make_doubt(slug, stored_upload, *row_and_count)
            for row_and_count in doubts[:MAX_DOUBTFUL]
        ],
        "off_by_remark_rows": [
            _make_doubt(slug, stored_upload, *row_and_count)
            for row_and_count in opted_out[:MAX_DOUBTFUL]
        ],
        "off_count": row_preview.count_opted_out_by_remark(stored_upload.rows),
        "to_look_at": row_preview.count_reasons(stored_upload.rows, to_look_at),
        "shared_url": _make_rows_url(slug, replace(to_look_at, reason="role")),
        "decisions": {line: value for value, name in _DECISIONS.items() for line in decided[name]}
        | dict(decided["remarks"]),
        "more_doubts": _make_more_url(slug, doubts, "doubts"),
        "more_off": _make_more_url(slug, opted_out, "off"),
    }


def _find_rows_to_look_at(stored_upload: StoredUpload) -> RowsToLookAt:
    """Return the filter for rows to look at; rows that the admin leaves out are excluded."""
    remarks = [
        remark for remark, decision in stored_upload.choices.remarks.items() if decision == "ask"
    ]
    return RowsToLookAt(decided=stored_upload.choices.asked, remarks=remarks)


def _make_doubt(slug: str, stored_upload: StoredUpload, row: PreviewRow, count: int) -> Doubt:
    is_decided_alone = row.hint or row.place in stored_upload.choices.decided
    is_by_remark = count > 1 or (row.said in stored_upload.choices.remarks and not is_decided_alone)
    return Doubt(
        row=row,
        count=count,
        decided_by=row.said if is_by_remark else row.place,
        is_by_remark=is_by_remark,
        standing=explain_doubtful_row(row),
        question=ask_what_is_meant(row),
        rows_url=_make_rows_url(slug, RowFilter(said=row.said)),
    )


def _make_more_url(slug: str, rows: Sequence[tuple[PreviewRow, int]], name: str) -> str:
    """Return the URL of the page with further rows, "" if there are none."""
    if len(rows) <= MAX_DOUBTFUL:
        return ""
    last, _ = rows[MAX_DOUBTFUL - 1]
    return make_url("imports.show", slug=slug, _anchor=name, **{name: last.number})


def _make_rows_url(slug: str, row_filter: RowFilter, *, after: int | None = None) -> str:
    return make_url(
        "imports.show",
        slug=slug,
        fate=row_filter.fate,
        reason=row_filter.reason,
        look="yes" if row_filter.to_look_at else None,
        said=row_filter.said or None,
        text=row_filter.text or None,
        after=after,
        _anchor="rows",
    )


def make_bar(fates: Mapping[Fate, int]) -> list[tuple[str, str, int]]:
    """Return the parts of a bar of fates: key, title, count."""
    return [(str(fate), make_fate_text(fate), fates[fate]) for fate in _ORDER]


def make_bar_taken_in(fates: Mapping[Fate, int]) -> list[tuple[str, str, int]]:
    """Return the same for a file that was imported."""
    return [(str(fate), make_fate_text(fate, is_imported=True), fates[fate]) for fate in _ORDER]


def _read_filter(stored_upload: StoredUpload) -> RowFilter:
    name = request.args.get("fate", "")
    fate = Fate(name) if name in set(Fate) else None
    is_to_look_at = request.args.get("look") == "yes"
    return RowFilter(
        fate=fate,
        reason=request.args.get("reason") if fate or is_to_look_at else None,
        to_look_at=_find_rows_to_look_at(stored_upload) if is_to_look_at else None,
        said=request.args.get("said", ""),
        text=request.args.get("text", "").strip()[:_MAX_SEARCH_LENGTH],
    )


def _describe_note(note: Mapping[str, Any]) -> str:
    part = f"{note['part']}: " if note["part"] else ""
    # Previews made by earlier versions have no such counts.
    if note.get("numbers") or note.get("unread"):
        return part + " ".join(_describe_dates(note))
    if note.get("unknown_languages"):
        return part + ngettext(
            "In the column “%(column)s”, 1 cell names no language that is known (%(example)s). "
            "That mail is in the language of the list.",
            "In the column “%(column)s”, %(count)s cells name no language that is known "
            "(%(example)s). Those mails are in the language of the list.",
            note["unknown_languages"],
            column=note["column"],
            example=note["example"],
        )
    if note["column"]:
        return part + gettext(
            "The column “%(column)s” says Yes and No, and it is not known to what. If a No means "
            "no mail, choose “Wants mail: yes or no” for it.",
            column=note["column"],
        )
    return part + gettext(
        "Some of these people never subscribed in Mailchimp, which knows them from orders or "
        "imports."
    )


def _list_never_subscribed(outcome: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each part of people who never subscribed, and how a decision names it.

    A file of one part can be deleted instead.
    """
    parts = outcome["parts"] if len(outcome["parts"]) > 1 else ()
    for part in parts:
        if part["holds"] == "nonsubscribed":
            yield part["name"], part["name"] + WHOLE_PART


def _describe_dates(note: Mapping[str, Any]) -> Iterator[str]:
    if note["numbers"]:
        yield ngettext(
            "In the column “%(column)s”, 1 cell is a number of days, as spreadsheets keep dates "
            "(%(example)s). It is read as a date.",
            "In the column “%(column)s”, %(count)s cells are numbers of days, as spreadsheets keep "
            "dates (%(example)s). They are read as dates.",
            note["numbers"],
            column=note["column"],
            example=note["example"],
        )
    if note["unread"]:
        yield ngettext(
            "In the column “%(column)s”, no date can be read in 1 cell. The day counts as unknown.",
            "In the column “%(column)s”, no date can be read in %(count)s cells. Their days "
            "count as unknown.",
            note["unread"],
            column=note["column"],
        )


def describe_refusal(refusal: RepermitError) -> str:
    """Explain a refusal in the page's language."""
    if not isinstance(refusal, ListFileError):
        return make_sentence(refusal.said)
    return _make_place_text(refusal.reason, refusal.line, refusal.expected)


def describe_place(outcome: Mapping[str, Any]) -> str:
    """Explain why a file was refused: the line, the reason, and what was expected."""
    return _make_place_text(
        deserialize(outcome["refused"]), outcome["line"], deserialize(outcome["expected"])
    )


def _make_place_text(reason: LazyText, line: int, expected: LazyText) -> str:
    text = make_sentence(reason)
    if line:
        text = gettext("Line %(line)s: %(reason)s", line=line, reason=text)
    if expected:
        text += " " + gettext("Expected: %(expected)s.", expected=translate_said(expected))
    return text
