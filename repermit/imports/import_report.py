"""Reporting what became of a file's rows: how many of each fate, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from peewee import JOIN, Case

from repermit import email_address
from repermit.db.connection import proxy, run_sql
from repermit.i18n.lazy_text import deserialize
from repermit.imports.readers.rows import AmbiguousColumn, DateNote, FilePart
from repermit.imports.staging import Picked, Staged
from repermit.rules.consent import Fate

MOST_PROBLEMS = 10_000
"""How many rows are reported one by one; of the others it is said how many there are."""

_NOT_REPORTED = (Fate.ASK, Fate.CONFIRMED, Fate.CUSTOMER)
_MARKS = {
    "unsubscribed": "the file says that this person unsubscribed, or is not to be mailed",
    "cleaned": "the file says that mail to this address bounced",
    "complained": "the file says that this person reported a mail as spam",
}
_REASONS = {
    Fate.SUPPRESSED: "this address was taken off before, and is never asked again",
    Fate.DUPLICATE: "this address is on the list already",
    Fate.ROLE: "a shared mailbox rather than one person's: it is asked too, but have a look",
}
_IN_DOUBT = "have a look: the file may say that this person wants no mail"
_MISTYPED = "have a look: the domain looks mistyped"


_COUNT = "SELECT fate, COUNT(*) FROM picked WHERE fate <> 'ask' GROUP BY fate"


def count_fates(rows: int, addresses: int) -> dict[Fate, int]:
    """Count the rows by fate; what is not an address's strongest row is a duplicate.

    `addresses` is how many there are. Only what is not simply asked is looked at one by
    one, as that is most of a million.
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
) -> tuple[Problem, ...]:
    """Return what is to be known of whole parts, then the rows that are not simply taken in.

    The rows are in the file's order. Of very many the invalid ones go first, then those in doubt,
    and duplicates last, into what is listed.
    """
    notes = (*_notes(parts, questions), *_about_dates(parts, date_notes))
    doubts = _in_doubt().count()
    total = sum(fates.values()) - sum(fates[fate] for fate in _NOT_REPORTED) + doubts
    if not total:
        return notes
    in_doubt = _listed_in_doubt() if doubts else ()
    found = islice(chain(_invalid(), in_doubt, _by_address(), _again(parts)), MOST_PROBLEMS)
    listed = [_problem(row, parts) for row in sorted(found)]
    if total > len(listed):
        listed.append(Problem(0, "", f"and {total - len(listed):,} rows more"))
    return (*notes, *listed)


def _notes(parts: Sequence[FilePart], questions: Sequence[AmbiguousColumn]) -> Iterator[Problem]:
    for place, part in enumerate(parts):
        name = part.name if len(parts) > 1 else ""
        if part.holds == "nonsubscribed" and (count := _asked_of(place)):
            yield Problem(0, "", _never_subscribed(part, count, has_others=bool(name)), part=name)
        for question in questions:
            if question.part is part:
                yield Problem(0, question.column, _unclear(question), part=name)


def _serial_dates(note: DateNote) -> str:
    if note.numbers == 1:
        return (
            f"1 cell is a number of days, as spreadsheets keep dates ({note.example}), and is read "
            "as a date"
        )
    return (
        f"{note.numbers:,} cells are numbers of days, as spreadsheets keep dates "
        f"({note.example}), and are read as dates"
    )


def _about_dates(parts: Sequence[FilePart], date_notes: Sequence[DateNote]) -> Iterator[Problem]:
    for one in date_notes:
        said = []
        if one.numbers:
            said.append(_serial_dates(one))
        if one.unread == 1:
            said.append("in 1 cell no date can be read, so it counts as empty")
        elif one.unread:
            said.append(f"in {one.unread:,} cells no date can be read, so they count as empty")
        yield Problem(
            0,
            one.column,
            f"column {one.column}: {'; '.join(said)}",
            part=one.part.name if len(parts) > 1 else "",
            numbers=one.numbers,
            unread=one.unread,
            example=one.example,
        )


def _unclear(question: AmbiguousColumn) -> str:
    rows = "row" if question.noes == 1 else "rows"
    return (
        f"column {question.column} says Yes and No, and it is not known to what: if a No "
        f'({question.noes:,} {rows}) means no mail, add --map "consent={question.column}"'
    )


def _asked_of(place: int) -> int:
    query = Picked.select().where(Picked.part == place, Picked.fate.in_((Fate.ASK, Fate.ROLE)))
    return int(query.count())


def _never_subscribed(part: FilePart, count: int, *, has_others: bool) -> str:
    away = "unpack the ZIP and import its other files" if has_others else "do not import it"
    return (
        f"{part.name}: people who never subscribed in Mailchimp, which knows them from orders or "
        f"imports, and who are to be asked: {count:,}. To leave them out, {away}"
    )


# A row that is reported: its number, its part, its line, the reason, its fate.
_Reported = tuple[int, int, int, str, Fate]


def _invalid() -> Iterator[_Reported]:
    query = Staged.select(Staged.number, Staged.part, Staged.line, Staged.reason)
    for *place, reason in _first(query.where(Staged.ids.is_null()), Staged.number):
        yield (*place, deserialize(reason), Fate.INVALID)


def _in_doubt() -> Any:
    """Return a query for the rows taken in that need a look, for their words or their domain."""
    # By CROSS JOIN SQLite reads the rows with a reason or a hint first, of which there are few.
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


def _listed_in_doubt() -> Iterator[_Reported]:
    for number, part, line, said, hint, fate in _first(_in_doubt(), Staged.number):
        yield number, part, line, _add_doubts("", said, hint), Fate(fate)


def _with(reason: str, said: str | None) -> str:
    return f"{reason} ({said})" if said else reason


def _by_address() -> Iterator[_Reported]:
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
    for number, part, line, word, mark, said, hint in _first(reported, is_duplicate, Picked.number):
        fate = Fate(word)
        if fate is Fate.OPTED_OUT:
            yield number, part, line, _with(_MARKS[mark], said), fate
        else:
            doubts = ("" if mark else said, hint if fate is Fate.ROLE else "")
            yield number, part, line, _add_doubts(_REASONS[fate], *doubts), fate


def _add_doubts(reason: str, said: str | None, hint: str | None = None) -> str:
    """Return a reason, with the words that may opt the row out and the domain that may be meant."""
    doubt = _with(_IN_DOUBT, said) if said else ""
    domain = email_address.to_unicode_domain((hint or "").rpartition("@")[2])
    question = f"{_MISTYPED} (did you mean {domain}?)" if hint else ""
    return "; ".join(filter(None, (reason, doubt, question)))


def _again(parts: Sequence[FilePart]) -> Iterator[_Reported]:
    """Yield the rows whose address stands in a stronger row too."""
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
    for number, part, line, mark, said, its_part, its_line, is_merged in _first(
        query, Staged.number
    ):
        where = "" if its_part == part else f" of {parts[its_part].name}"
        reason = f"this address stands in line {its_line}{where} too"
        if is_merged:
            reason += ", under another name: the mail greets without a name"
        yield number, part, line, _add_doubts(reason, "" if mark else said), Fate.DUPLICATE


def _first(query: Any, *order: Any) -> Iterator[tuple[Any, ...]]:
    rows: Iterator[tuple[Any, ...]] = (
        query.order_by(*order).limit(MOST_PROBLEMS).tuples().iterator()
    )
    return rows


def _problem(row: _Reported, parts: Sequence[FilePart]) -> Problem:
    _, place, line, reason, fate = row
    part = parts[place]
    return Problem(
        line=line,
        column=_address_column(part),
        reason=reason,
        fate=fate,
        part=part.name if len(parts) > 1 else "",
        doubtful=_IN_DOUBT in reason,
        mistyped=_MISTYPED in reason,
    )


def _address_column(part: FilePart) -> str:
    column = next(column for column in part.columns if column.field == "address")
    return column.title or str(column.index + 1)


# --- What an import and its undoing report. -------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """A row that is not simply taken in, and why; or what is to be known of a whole part.

    `line` is 1-based in its part; 0 where it is about no single row, and in the last problem of a
    long list, which says how many more there are. `column` is the title of the address column, or
    its number. `part` names the part if the file has more than one. `doubtful` says that the row
    is not off, although something in it may mean that the person wants no mail, `mistyped` that its
    domain looks like a slip. `numbers` and `unread` are of a column of dates, see `DateNote` of
    `readers`.
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
    example: str = ""


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """What became of a file's rows; `fates` has every fate and adds up to `rows`.

    `merged` counts addresses that stood under different names, `thin` those confirmed without
    the wording of a form, `improved` those on the list already that got a better basis.
    `additional` counts rows that share their line with another, since it has several addresses.
    `strangers` counts of a dry run the addresses of which nothing is held on the list, and
    `unattested` says of one that without an attestation the import would be refused.
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
    """What taking an import back did; nothing yet if it is not whole."""

    file: str
    contacts_taken_back: int
    restored: int
    suppressions_taken_back: int
    is_whole: bool = True
