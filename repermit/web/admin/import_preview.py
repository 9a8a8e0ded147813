"""The preview of an import, and the form that says how to read its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import request
from flask_login import current_user
from wtforms import BooleanField, StringField, TextAreaField

from repermit.db.models.lists import MailingList
from repermit.email_address import to_unicode_address
from repermit.errors import ListFileError, RepermitError
from repermit.i18n.lazy_text import N_, LazyText, deserialize
from repermit.imports import read_upload, row_preview, uploads
from repermit.imports.row_preview import (
    MOST_DOUBTFUL,
    ROWS_PER_PAGE,
    PreviewRow,
    RowFilter,
    RowsToLookAt,
)
from repermit.imports.uploads import Choices, StoredUpload
from repermit.rules.consent import Fate
from repermit.web.admin import import_columns
from repermit.web.admin.forms import Form
from repermit.web.admin.rendering import gettext, make_url, ngettext
from repermit.web.admin.result_text import make_sentence, translate_said

# --- Why a row has its fate, in the page's language. ----------------------------------------------


_TITLES = {
    Fate.ASK: N_("Will be asked"),
    Fate.ROLE: N_("Shared mailbox, asked too"),
    Fate.CONFIRMED: N_("Confirmed already"),
    Fate.CUSTOMER: N_("Customer"),
    Fate.OPTED_OUT: N_("Opted out"),
    Fate.SUPPRESSED: N_("Suppressed"),
    Fate.DUPLICATE: N_("Duplicate"),
    Fate.INVALID: N_("Invalid"),
}
# Of a file that is taken in, whose people a campaign may have asked since, or not.
_TITLES_TAKEN_IN = {
    **_TITLES,
    Fate.ASK: N_("Not confirmed"),
    Fate.ROLE: N_("Shared mailbox, not confirmed"),
}
_REASONS = {
    Fate.ASK: N_("No registered opt-in: will be asked."),
    Fate.ROLE: N_("A shared mailbox rather than one person’s: asked too, but have a look."),
    Fate.CONFIRMED: N_("The file shows that this person signed up. The proof is kept."),
    Fate.CUSTOMER: N_("A customer: may be mailed about similar products."),
    Fate.OPTED_OUT: N_("Opted out: will never be asked."),
    Fate.SUPPRESSED: N_("Taken off here before: is never asked again."),
    Fate.DUPLICATE: N_("Is on the list already."),
    Fate.INVALID: N_("Not an address that mail can reach."),
}
_MARKS = {
    "unsubscribed": N_("The file says that this person unsubscribed, or is not to be mailed."),
    "remark": N_("A remark says that this person wants no mail."),
    "cleaned": N_("The file says that mail to this address bounced."),
    "complained": N_("The file says that this person reported a mail as spam."),
}
_AGAIN = N_("This address stands in line %(line)s too.")
_AGAIN_IN_PART = N_("This address stands in line %(line)s of %(part)s too.")
_MERGED = N_("There it has another name: the mail greets without a name.")
_MISTYPED = N_("Did you mean %(address)s?")
_IN_DOUBT = N_("Have a look: the file may say that this person wants no mail.")


def make_fate_text(fate: Fate) -> str:
    """Return the few words for a fate."""
    return gettext(_TITLES[fate])


def explain_fate(fate: Fate) -> str:
    """Return the meaning of a fate in a sentence."""
    return gettext(_REASONS[fate])


def explain_row(sight: PreviewRow, choices: Choices) -> str:
    """Return why a row has its fate, in one or more sentences.

    Of whom the admin leaves out no file says that they are off.
    """
    fate = Fate(sight.fate)
    if fate is Fate.OPTED_OUT and choices.leaves_out(sight.place, sight.said):
        return _add_quote(explain_fate(fate), sight.said)
    return " ".join(filter(None, _list_sentences(sight, fate)))


def explain_doubtful_row(sight: PreviewRow) -> str:
    """Return why a row in doubt has its fate, "" where it is simply asked or left out."""
    fate = Fate(sight.fate)
    if fate in (Fate.ASK, Fate.OPTED_OUT) or not sight.said:
        return ""
    return " ".join(filter(None, _list_reasons(sight, fate)))


def _list_sentences(sight: PreviewRow, fate: Fate) -> tuple[str, ...]:
    is_in_doubt = sight.said and not sight.mark and fate is not Fate.INVALID
    doubt = _add_quote(gettext(_IN_DOUBT), sight.said) if is_in_doubt else ""
    return (*_list_reasons(sight, fate), doubt, ask_what_is_meant(sight))


def ask_what_is_meant(sight: PreviewRow) -> str:
    """Return the question about an address that looks mistyped, "" for any other."""
    return gettext(_MISTYPED, address=to_unicode_address(sight.hint)) if sight.hint else ""


def _list_reasons(sight: PreviewRow, fate: Fate) -> tuple[str, ...]:
    if fate is Fate.INVALID:
        return (make_sentence(deserialize(sight.said)),)
    if sight.other:
        return _make_duplicate_text(sight.other), gettext(_MERGED) if sight.merged else ""
    if fate is Fate.OPTED_OUT and sight.mark:
        return (_add_quote(gettext(_MARKS[sight.mark]), sight.said),)
    return (explain_fate(fate),)


def _make_duplicate_text(other: str) -> str:
    part, _, line = other.rpartition(":")
    return gettext(_AGAIN_IN_PART, line=line, part=part) if part else gettext(_AGAIN, line=line)


def _add_quote(sentence: str, said: str) -> str:
    return f"{sentence} ({said})" if said else sentence


# --- What the page of a file shows of it, and what its form says. ---------------------------------


_LONGEST_TEXT = 100
# In the order of a bar: who comes onto the list, then who does not.
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
    """How a file is to be read, apart from its columns."""

    source = StringField(N_("Where do these addresses come from?"))
    customers = BooleanField(N_("Everybody in this file is a customer"))
    attest = TextAreaField(N_("Why may customers be mailed?"))
    consent_text = TextAreaField(N_("Text of the form with which people signed up"))
    looked = BooleanField(N_("I have looked at these rows"))


def get_user_id() -> int:
    """Return who is logged in."""
    user_id: int = current_user.id
    return user_id


def read_choices(form: ReadingForm, kept: StoredUpload) -> tuple[Choices, list[str]]:
    """Return the choices of the form and its columns, and the errors in them."""
    mapping, wrong = kept.choices.mapping, []
    if chosen := _read_chosen_columns(kept):
        mapping, wrong = (
            import_columns.make_mapping(kept.path, chosen),
            import_columns.find_wrong_choices(chosen),
        )
    choices = uploads.Choices(
        mapping=mapping,
        source=(form.source.data or "").strip(),
        customers=bool(form.customers.data),
        attest=(form.attest.data or "").strip(),
        consent_text=(form.consent_text.data or "").strip(),
        **read_decisions(kept),
    )
    return choices, wrong


_DECISIONS = {"no": "opted_out", "ask": "asked", "mend": "corrected"}


def read_decisions(kept: StoredUpload) -> dict[str, Any]:
    """Return the lines by what was decided, and the remarks: as before where not shown."""
    shown = set(request.form.getlist("doubt"))
    chosen = {line: request.form.get(f"decide-{line}") for line in sorted(shown)}
    lines = {
        name: (
            *(line for line in getattr(kept.choices, name) if line not in shown),
            *(line for line, decision in chosen.items() if decision == value),
        )
        for value, name in _DECISIONS.items()
    }
    return {**lines, "remarks": _read_remark_decisions(kept)}


def _read_remark_decisions(kept: StoredUpload) -> dict[str, str]:
    remarks = dict(kept.choices.remarks)
    for said in request.form.getlist("remark"):
        remarks.pop(said, None)
        if (decision := request.form.get(f"decide-{said}")) in {"ask", "no"}:
            remarks[said] = decision
    return remarks


def _read_chosen_columns(kept: StoredUpload) -> list[import_columns.ShownColumn]:
    """Return the columns as the form has them, or none where the file shows none."""
    names = request.form.getlist("column")
    fields = dict(zip(names, request.form.getlist("field"), strict=False))
    return import_columns.apply_choices(_read_columns(kept), fields)


def _read_columns(kept: StoredUpload) -> list[import_columns.ShownColumn]:
    outcome = kept.task.result
    return import_columns.list_columns(read_upload.previews_of(outcome)) if outcome else []


def validate_choices(
    form: ReadingForm, choices: Choices, kept: StoredUpload, mailing_list: MailingList
) -> bool:
    """Say whether the file can be imported; obstacles are errors of their fields."""
    outcome = kept.task.result or {}
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
    counts = row_preview.count_reasons(kept.rows, RowFilter(to_look_at=undecided))
    if not form.looked.data and counts.keys() & {"doubtful", "mistyped"}:
        form.refuse(
            "looked",
            gettext("Some people in this file may want no mail: look at their rows first.")
            if "doubtful" in counts
            else gettext("Some addresses look mistyped: look at their rows first."),
        )
    return not form.errors


def make_form_fields(kept: StoredUpload, form: ReadingForm | None) -> dict[str, Any]:
    """Return the template's fields for the form, as it was sent or as it is kept."""
    shown = _read_columns(kept) if form is None else _read_chosen_columns(kept)
    parts = {column.part for column in shown}
    return {
        "form": form or ReadingForm(data=vars(kept.choices)),
        "columns": shown,
        "has_parts": len(parts) > 1,
        "field_titles": import_columns.list_field_titles(),
    }


def make_preview_fields(
    slug: str, kept: StoredUpload, outcome: Mapping[str, Any], *, decided: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the template's fields for the preview: counts, notes, one page of rows.

    `decided` are the places that are decided on, as the form has them or as they are kept.
    """
    wanted = _read_filter(kept)
    rows = row_preview.read(kept.rows, wanted, after=_read_number("after"), limit=ROWS_PER_PAGE + 1)
    doubts = _make_doubt_fields(slug, kept, decided=decided)
    last = rows[ROWS_PER_PAGE - 1].number if len(rows) > ROWS_PER_PAGE else 0
    return {
        "outcome": outcome,
        "parts": make_bar({Fate(name): count for name, count in outcome["fates"].items()}),
        "notes_on_parts": [_describe_note(note) for note in outcome["notes"]],
        "wanted": wanted,
        "chips": list(_list_chips(slug, doubts["to_look_at"], outcome, wanted)),
        "reasons": list(_list_reason_chips(slug, kept, wanted)),
        "rows": [
            (
                row,
                make_fate_text(Fate(row.fate)),
                explain_row(row, kept.choices),
                _can_be_left_out(row, kept.choices, doubts["doubtful"]),
            )
            for row in rows[:ROWS_PER_PAGE]
        ],
        "next_url": _make_rows_url(slug, wanted, after=last) if last else None,
        "previous_url": _make_rows_url(slug, wanted) if _read_number("after") else None,
        **doubts,
        "taken": sum(outcome["fates"][name] for name in _ORDER[:4]),
    }


def _can_be_left_out(row: PreviewRow, choices: Choices, doubts: Sequence[Doubt]) -> bool:
    """Say whether a row of the table has a box: it comes onto the list, or was left out by it.

    One that is shown above has its decision there, unless it is one of many with a remark.
    """
    is_one_of_many = any(doubt.is_by_remark and doubt.row.said == row.said for doubt in doubts)
    is_in_doubt = row.said and not row.mark and not is_one_of_many
    is_shown_above = row.place in choices.decided or row.hint or is_in_doubt
    return Fate(row.fate) in _ORDER[:4] and not is_shown_above


def _list_chips(
    slug: str, to_look_at: Mapping[str, int], outcome: Mapping[str, Any], wanted: RowFilter
) -> Iterator[tuple[str, int, str, bool]]:
    """Yield title, count, address and whether it is chosen, of each way to filter the rows."""
    look = RowFilter(to_look_at=RowsToLookAt())
    filters = [(gettext("Have a look"), sum(to_look_at.values()), look)]
    filters += [(gettext("All"), outcome["rows"], RowFilter())]
    filters += [
        (make_fate_text(fate), outcome["fates"][fate], RowFilter(fate=fate)) for fate in _ORDER
    ]
    for title, count, one in filters:
        if count or one == RowFilter():
            is_look = one.to_look_at is not None
            is_chosen = one.fate == wanted.fate and is_look == (wanted.to_look_at is not None)
            yield title, count, _make_rows_url(slug, replace(one, text=wanted.text)), is_chosen


def _list_reason_chips(
    slug: str, kept: StoredUpload, wanted: RowFilter
) -> Iterator[tuple[str, int, str, bool]]:
    """Yield the same of each reason for the rows that are shown; nothing where there is but one."""
    is_divided = wanted.fate or wanted.to_look_at
    group = RowFilter(fate=wanted.fate, to_look_at=wanted.to_look_at)
    counts = row_preview.count_reasons(kept.rows, group) if is_divided else {}
    if len(counts) > 1:
        for reason, count in counts.items():
            one = replace(wanted, reason=None if reason == wanted.reason else reason)
            title = _make_reason_text(wanted.fate, reason)
            yield title, count, _make_rows_url(slug, one), reason == wanted.reason


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
    slug: str, kept: StoredUpload, *, decided: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the rows that the admin has to decide on, those decided on among them.

    Whom a remark opts out stand apart: of them nothing has to be decided.
    """
    lines, remarks = kept.choices.decided, list(kept.choices.remarks)
    to_look_at = RowFilter(to_look_at=_find_rows_to_look_at(kept))
    limit = MOST_DOUBTFUL + 1
    doubts = row_preview.read_doubtful(
        kept.rows, decided=lines, remarks=remarks, after=_read_number("doubts"), limit=limit
    )
    off = row_preview.read_opted_out_by_remark(
        kept.rows, decided=lines, after=_read_number("off"), limit=limit
    )
    return {
        "doubtful": [_make_doubt(slug, kept, *one) for one in doubts[:MOST_DOUBTFUL]],
        "off_by_remark_rows": [_make_doubt(slug, kept, *one) for one in off[:MOST_DOUBTFUL]],
        "off_count": row_preview.count_opted_out_by_remark(kept.rows),
        "to_look_at": row_preview.count_reasons(kept.rows, to_look_at),
        "shared_url": _make_rows_url(slug, replace(to_look_at, reason="role")),
        "decisions": {line: value for value, name in _DECISIONS.items() for line in decided[name]}
        | dict(decided["remarks"]),
        "more_doubts": _make_more_url(slug, doubts, "doubts"),
        "more_off": _make_more_url(slug, off, "off"),
    }


def _find_rows_to_look_at(kept: StoredUpload) -> RowsToLookAt:
    """Return the rows to look at; whom the admin leaves out is off already."""
    remarks = [said for said, decision in kept.choices.remarks.items() if decision == "ask"]
    return RowsToLookAt(decided=kept.choices.asked, remarks=remarks)


def _make_doubt(slug: str, kept: StoredUpload, row: PreviewRow, count: int) -> Doubt:
    is_alone = row.hint or row.place in kept.choices.decided
    is_by_remark = count > 1 or (row.said in kept.choices.remarks and not is_alone)
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
    """Return the address of the page with further rows, "" where there are none."""
    if len(rows) <= MOST_DOUBTFUL:
        return ""
    last, _ = rows[MOST_DOUBTFUL - 1]
    return make_url("imports.show", slug=slug, _anchor=name, **{name: last.number})


def _make_rows_url(slug: str, wanted: RowFilter, *, after: int | None = None) -> str:
    return make_url(
        "imports.show",
        slug=slug,
        fate=wanted.fate,
        reason=wanted.reason,
        look="yes" if wanted.to_look_at else None,
        said=wanted.said or None,
        text=wanted.text or None,
        after=after,
        _anchor="rows",
    )


def make_bar(fates: Mapping[Fate, int]) -> list[tuple[str, str, int]]:
    """Return the parts of a bar of fates: key, words, count."""
    return [(str(fate), make_fate_text(fate), fates[fate]) for fate in _ORDER]


def make_bar_taken_in(fates: Mapping[Fate, int]) -> list[tuple[str, str, int]]:
    """Return the same of a file that is taken in."""
    return [(str(fate), gettext(_TITLES_TAKEN_IN[fate]), fates[fate]) for fate in _ORDER]


def _read_filter(kept: StoredUpload) -> RowFilter:
    name = request.args.get("fate", "")
    fate = Fate(name) if name in set(Fate) else None
    is_look = request.args.get("look") == "yes"
    return RowFilter(
        fate=fate,
        reason=request.args.get("reason") if fate or is_look else None,
        to_look_at=_find_rows_to_look_at(kept) if is_look else None,
        said=request.args.get("said", ""),
        text=request.args.get("text", "").strip()[:_LONGEST_TEXT],
    )


def _read_number(name: str) -> int:
    return max(request.args.get(name, 0, type=int), 0)


def _describe_note(note: Mapping[str, Any]) -> str:
    part = f"{note['part']}: " if note["part"] else ""
    # What was looked at before these were counted tells of none.
    if note.get("numbers") or note.get("unread"):
        return part + " ".join(_describe_dates(note))
    if note["column"]:
        return part + gettext(
            "The column “%(column)s” says Yes and No, and it is not known to what. If a No means "
            "no mail, choose “Wants mail: yes or no” for it.",
            column=note["column"],
        )
    return part + gettext(
        "Some of these people never subscribed in Mailchimp, which knows them from orders or "
        "imports. To leave them out, unpack the file and hand in the others alone."
    )


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
            "In the column “%(column)s”, no date can be read in 1 cell. It counts as empty.",
            "In the column “%(column)s”, no date can be read in %(count)s cells. They count as "
            "empty.",
            note["unread"],
            column=note["column"],
        )


def describe_refusal(refusal: RepermitError) -> str:
    """Return why something was refused, in the page's language."""
    if not isinstance(refusal, ListFileError):
        return make_sentence(refusal.said)
    return _make_place_text(refusal.reason, refusal.line, refusal.expected)


def describe_place(outcome: Mapping[str, Any]) -> str:
    """Return why a file was refused, where in it, and what was expected instead."""
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
