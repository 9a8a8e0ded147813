"""Reporting the fates of a file's rows: their counts, and the reasons of single rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from peewee import JOIN, Case

from repermit import email_address
from repermit.db.connection import proxy, run_sql
from repermit.i18n.lazy_text import LazyText, deserialize
from repermit.imports.classify_row import WHOLE_PART
from repermit.imports.readers.rows import AmbiguousColumn, DateNote, FilePart, LanguageNote
from repermit.imports.staging import Picked, Staged
from repermit.rules.consent import Fate

MAX_PROBLEMS = 10_000
"""The maximum number of rows that are reported one by one; the others are counted."""

_NOT_REPORTED = (Fate.ASK, Fate.CONFIRMED, Fate.CUSTOMER)
FATE_REASONS = {
    Fate.ASK: LazyText("no registered opt-in: will be asked"),
    Fate.ROLE: LazyText(
        "a shared mailbox rather than one person's: it is asked too, but have a look"
    ),
    Fate.CONFIRMED: LazyText("the file shows that this person signed up; the proof is kept"),
    Fate.CUSTOMER: LazyText("a customer: may be mailed about similar products"),
    Fate.OPTED_OUT: LazyText("opted out: will never be asked"),
    Fate.SUPPRESSED: LazyText("this address was taken off before, and is never asked again"),
    Fate.DUPLICATE: LazyText("this address is on the list already"),
    Fate.INVALID: LazyText("not an address that mail can reach"),
}
MARK_REASONS = {
    "unsubscribed": LazyText("the file says that this person unsubscribed, or is not to be mailed"),
    "remark": LazyText("a remark says that this person wants no mail"),
    "cleaned": LazyText("the file says that mail to this address bounced"),
    "complained": LazyText("the file says that this person reported a mail as spam"),
}
IN_DOUBT = LazyText("have a look: the file may say that this person wants no mail")
QUESTION = LazyText("did you mean %(address)s?")
_MISTYPED = "have a look: the domain looks mistyped"


def describe_stronger_row(line: int | str, part: str, *, is_merged: bool) -> LazyText:
    """Return the reason of a duplicate: where its address stands in a stronger row, too.

    - `part`: "" for the same part; `is_merged`: the names differ.
    """
    reason = (
        LazyText("this address stands in line %(line)s of %(part)s too", line=str(line), part=part)
        if part
        else LazyText("this address stands in line %(line)s too", line=str(line))
    )
    if not is_merged:
        return reason
    return LazyText("%(reason)s, under another name: the mail greets without a name", reason=reason)


def add_quote(reason: str, quote: str | None) -> str:
    """Return a reason with the words of the file in brackets."""
    return f"{reason} ({quote})" if quote else reason


_COUNT = "SELECT fate, COUNT(*) FROM picked WHERE fate <> 'ask' GROUP BY fate"


def count_fates(rows: int, addresses: int) -> dict[Fate, int]:
    """Count the rows by fate; all except the strongest row of an address are duplicates.

    - `addresses`: the number of addresses. Those with the fate `ask` are not counted but computed
      from it, as they are most of a million.
    """
    counts = dict.fromkeys(Fate, 0)
    for fate, count in run_sql(proxy.obj, _COUNT).fetchall():
        counts[Fate(fate)] = count
    counts[Fate.ASK] = addresses - sum(counts.values())
    if rows > addresses:
        counts[Fate.INVALID] = Staged.select().where(Staged.ids.is_null()).count()
        counts[Fate.DUPLICATE] += rows - addresses - counts[Fate.INVALID]
    return counts


def problems(
    fates: Mapping[Fate, int],
    parts: Sequence[FilePart],
    questions: Sequence[AmbiguousColumn] = (),
    date_notes: Sequence[DateNote] = (),
    language_notes: Sequence[LanguageNote] = (),
) -> tuple[Problem, ...]:
    """Return the notes on whole parts, then the rows that need attention in the file's order.

    At most MAX_PROBLEMS rows are listed: invalid rows before doubtful ones, and duplicates last.
    """
    notes = (
        *_iter_part_notes(parts, questions),
        *_iter_date_notes(parts, date_notes),
        *_iter_language_notes(parts, language_notes),
    )
    doubts = _select_doubtful().count()
    total = sum(fates.values()) - sum(fates[fate] for fate in _NOT_REPORTED) + doubts
    if not total:
        return notes
    doubtful = _iter_doubtful() if doubts else ()
    rows = chain(_iter_invalid(), doubtful, _iter_by_fate(), _iter_duplicates(parts))
    listed = [_make_problem(row, parts) for row in sorted(islice(rows, MAX_PROBLEMS))]
    if total > len(listed):
        listed.append(Problem(0, "", f"and {total - len(listed):,} rows more"))
    return (*notes, *listed)


def _iter_part_notes(
    parts: Sequence[FilePart], questions: Sequence[AmbiguousColumn]
) -> Iterator[Problem]:
    for place, part in enumerate(parts):
        name = part.name if len(parts) > 1 else ""
        if part.holds == "nonsubscribed" and (count := _count_asked(place)):
            yield Problem(
                0, "", _describe_never_subscribed(part, count, has_others=bool(name)), part=name
            )
        for question in questions:
            if question.part is part:
                yield Problem(0, question.column, _describe_ambiguous_column(question), part=name)


def _describe_serial_dates(note: DateNote) -> str:
    if note.numbers == 1:
        return (
            f"1 cell is a number of days, as spreadsheets keep dates ({note.example}), and is read "
            "as a date"
        )
    return (
        f"{note.numbers:,} cells are numbers of days, as spreadsheets keep dates "
        f"({note.example}), and are read as dates"
    )


def _iter_date_notes(
    parts: Sequence[FilePart], date_notes: Sequence[DateNote]
) -> Iterator[Problem]:
    for note in date_notes:
        sentences = []
        if note.numbers:
            sentences.append(_describe_serial_dates(note))
        if note.unread == 1:
            sentences.append("in 1 cell no date can be read, so the day counts as unknown")
        elif note.unread:
            sentences.append(
                f"in {note.unread:,} cells no date can be read, so their days count as unknown"
            )
        yield Problem(
            0,
            note.column,
            f"column {note.column}: {'; '.join(sentences)}",
            part=note.part.name if len(parts) > 1 else "",
            numbers=note.numbers,
            unread=note.unread,
            example=note.example,
        )


def _iter_language_notes(
    parts: Sequence[FilePart], language_notes: Sequence[LanguageNote]
) -> Iterator[Problem]:
    for note in language_notes:
        names = "1 cell names" if note.count == 1 else f"{note.count:,} cells name"
        yield Problem(
            0,
            note.column,
            f"column {note.column}: {names} no language that is known ({note.example}); the mail "
            "is in the language of the list then",
            part=note.part.name if len(parts) > 1 else "",
            unknown_languages=note.count,
            example=note.example,
        )


def _describe_ambiguous_column(question: AmbiguousColumn) -> str:
    rows = "row" if question.no_count == 1 else "rows"
    return (
        f"column {question.column} says Yes and No, and it is not known to what: if a No "
        f'({question.no_count:,} {rows}) means no mail, add --map "consent={question.column}"'
    )


def _count_asked(place: int) -> int:
    query = Picked.select().where(Picked.part == place, Picked.fate.in_((Fate.ASK, Fate.ROLE)))
    return int(query.count())


def _describe_never_subscribed(part: FilePart, count: int, *, has_others: bool) -> str:
    # The same decision as of a line, of all lines.
    away = f'give --opt-out "{part.name}{WHOLE_PART}"' if has_others else "do not import it"
    return (
        f"{part.name}: people who never subscribed in Mailchimp, which knows them from orders or "
        f"imports, and who are to be asked: {count:,}. To leave them out, {away}"
    )


# A reported row as (number, index of its part, line, reason, fate).
_Reported = tuple[int, int, int, str, Fate]


def _iter_invalid() -> Iterator[_Reported]:
    query = Staged.select(Staged.number, Staged.part, Staged.line, Staged.reason)
    for *place, reason in _iter_first(query.where(Staged.ids.is_null()), Staged.number):
        yield (*place, deserialize(reason), Fate.INVALID)


def _select_doubtful() -> Any:
    """Return a query for the rows to be merged with doubtful words or a mistyped domain."""
    # With CROSS JOIN SQLite first reads the rows with a reason or a hint, which are few.
    return (
        Staged.select(
            Staged.number, Staged.part, Staged.line, Staged.reason, Staged.hint, Picked.fate
        )
        .join(Picked, JOIN.CROSS)
        .where(
            ~Staged.reason.is_null() | ~Staged.hint.is_null(),
            Picked.ids == Staged.ids,
            Picked.number == Staged.number,
            Picked.fate.in_(_NOT_REPORTED),
        )
    )


def _iter_doubtful() -> Iterator[_Reported]:
    for number, part, line, quote, hint, fate in _iter_first(_select_doubtful(), Staged.number):
        yield number, part, line, _add_doubts("", quote, hint), Fate(fate)


def _iter_by_fate() -> Iterator[_Reported]:
    """Yield the strongest rows of addresses whose fate is reported, duplicates last."""
    query = Picked.select(
        Picked.number,
        Picked.part,
        Picked.line,
        Picked.fate,
        Picked.mark,
        Staged.reason,
        Staged.hint,
    ).join(Staged, on=(Staged.number == Picked.number))
    reported = query.where(Picked.fate.not_in(_NOT_REPORTED))
    is_duplicate = Case(None, ((Picked.fate == Fate.DUPLICATE, 1),), 0)
    for number, part, line, stored, mark, quote, hint in _iter_first(
        reported, is_duplicate, Picked.number
    ):
        fate = Fate(stored)
        if fate is Fate.OPTED_OUT:
            yield number, part, line, add_quote(MARK_REASONS[mark], quote), fate
        else:
            doubts = ("" if mark else quote, hint if fate is Fate.ROLE else "")
            yield number, part, line, _add_doubts(FATE_REASONS[fate], *doubts), fate


def _add_doubts(reason: str, quote: str | None, hint: str | None = None) -> str:
    """Return a reason with the words that may opt the row out and the suggested domain."""
    doubt = add_quote(IN_DOUBT, quote) if quote else ""
    domain = email_address.to_unicode_domain((hint or "").rpartition("@")[2])
    question = f"{_MISTYPED} ({QUESTION.fill(address=domain)})" if hint else ""
    return "; ".join(filter(None, (reason, doubt, question)))


def _iter_duplicates(parts: Sequence[FilePart]) -> Iterator[_Reported]:
    """Yield the rows whose address is in a stronger row, too."""
    query = (
        Staged.select(
            Staged.number,
            Staged.part,
            Staged.line,
            Staged.mark,
            Staged.reason,
            Picked.part,
            Picked.line,
            Picked.merged,
        )
        .join(Picked, on=(Picked.ids == Staged.ids))
        .where(Picked.number != Staged.number)
    )
    for number, part, line, mark, quote, strongest_part, strongest_line, is_merged in _iter_first(
        query, Staged.number
    ):
        other_part = "" if strongest_part == part else parts[strongest_part].name
        reason = describe_stronger_row(strongest_line, other_part, is_merged=is_merged)
        yield number, part, line, _add_doubts(reason, "" if mark else quote), Fate.DUPLICATE


def _iter_first(query: Any, *order: Any) -> Iterator[tuple[Any, ...]]:
    rows: Iterator[tuple[Any, ...]] = query.order_by(*order).limit(MAX_PROBLEMS).tuples().iterator()
    return rows


def _make_problem(row: _Reported, parts: Sequence[FilePart]) -> Problem:
    _, place, line, reason, fate = row
    part = parts[place]
    return Problem(
        line=line,
        column=_find_address_column(part),
        reason=reason,
        fate=fate,
        part=part.name if len(parts) > 1 else "",
        doubtful=IN_DOUBT in reason,
        mistyped=_MISTYPED in reason,
    )


def _find_address_column(part: FilePart) -> str:
    column = next(column for column in part.columns if column.field == "address")
    return column.title or str(column.index + 1)


# --- The results of an import and of its undo. ----------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """A row that needs attention, or a note on a whole part.

    - `line`: 1-based in its part; 0 for a note, and for the last problem of a long list, which says
      how many more there are.
    - `column`: the title of the address column, or its number.
    - `part`: the part's name if the file has several.
    - `doubtful`: the row is no No, although its words may mean that the person wants no mail.
    - `mistyped`: its domain looks mistyped.
    - `numbers`, `unread`, `example`: of a column of dates, see `DateNote`.
    - `unknown_languages`, `example`: of a column of languages, see `LanguageNote`.
    """

    line: int
    column: str
    reason: str
    fate: Fate | None = None
    part: str = ""
    doubtful: bool = False
    mistyped: bool = False
    numbers: int = 0
    unread: int = 0
    unknown_languages: int = 0
    example: str = ""


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """The result of importing a file.

    - `fates`: the number of rows by fate, with every fate; the sum is `rows`.
    - `merged`: the number of addresses with different names in the file.
    - `thin`: the number of addresses confirmed without the text of a form.
    - `improved`: the number of contacts that got a better basis.
    - `additional`: the number of rows from lines with several addresses, beyond one per line.
    - `strangers`: in a dry run, the number of addresses unknown to the list.
    - `unattested`: in a dry run, whether the import would be refused without an attestation.
    """

    list: str
    file: str
    rows: int
    fates: dict[Fate, int]
    problems: tuple[Problem, ...]
    parts: tuple[FilePart, ...]
    merged: int
    thin: int
    improved: int
    additional: int
    strangers: int
    dry_run: bool
    unattested: bool

    def to_json(self) -> dict[str, Any]:
        """Return what `import --json` prints."""
        return {
            "list": self.list,
            "file": self.file,
            "rows": self.rows,
            "fates": {str(fate): count for fate, count in self.fates.items()},
            "problems": [
                {"line": problem.line, "column": problem.column, "reason": problem.reason}
                for problem in self.problems
            ],
        }


@dataclass(frozen=True, kw_only=True)
class UndoResult:
    """The result of undoing an import; all zero if it is not finished (`is_whole`)."""

    file: str
    contacts_taken_back: int
    restored: int
    suppressions_taken_back: int
    is_whole: bool = True
