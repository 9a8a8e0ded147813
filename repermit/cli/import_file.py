"""The command `import`, which imports a file of addresses."""

from __future__ import annotations

import time
from collections import Counter
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repermit.cli.command import command, json_option, read_consent_text, slug_argument
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, echo_counts, echo_json, pluralize, warn

if TYPE_CHECKING:
    from repermit.cli.output import Tell
    from repermit.imports.import_report import ImportResult, Problem
    from repermit.imports.readers.rows import FilePart


def _parse_mapping(
    _: click.Context, __: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    pairs = {}
    for value in values:
        field, equals, column = value.partition("=")
        if not equals:
            raise click.BadParameter(f"{value!r} is not FIELD=COLUMN, such as address=B")
        pairs[field] = column
    return pairs


mapping_option = click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="FIELD=COLUMN",
    callback=_parse_mapping,
    help="What a column is, by its title, letter or number; FIELD= alone says that none is it. "
    "May be given several times.",
)


@command(
    "import",
    examples=(
        "repermit import news export.csv --dry-run",
        'repermit import news export.xlsx --map address=B --source "visitors\' book 2019"',
        "repermit import news export.csv --opt-out 12 --opt-out 40",
        'repermit import news buyers.csv --customers --attest "Each bought from us; …"',
        "repermit import news --undo",
    ),
)
@slug_argument
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what would happen; write nothing.")
@mapping_option
@click.option(
    "--source",
    default="",
    metavar="TEXT",
    help="Where the addresses come from, as the mail tells their readers.",
)
@click.option("--customers", is_flag=True, help="Everybody in the file is a customer.")
@click.option(
    "--attest", default="", metavar="TEXT", help="That the customer basis holds, and who says so."
)
@click.option(
    "--consent-text",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The text of the form with which the people in the file signed up.",
)
@click.option(
    "--opt-out",
    "opted_out",
    multiple=True,
    metavar="LINE",
    help="Do not ask whoever stands in this line, after you had a look: 12, or Sheet1:12. "
    "Sheet1:* is a whole part of a file. May be given several times.",
)
@click.option(
    "--ask",
    "asked",
    multiple=True,
    metavar="LINE",
    help="Ask whoever stands in this line although a remark opts them out, after you had a look. "
    "May be given several times.",
)
@click.option("--undo", is_flag=True, help="Take the last import back.")
@json_option
@pass_command_context
def import_(
    context: CommandContext, /, slug: str, file: Path | None, *, undo: bool, **options: Any
) -> None:
    """Import a file of addresses: CSV, Excel, ODS, or Mailchimp's ZIP.

    Every row gets one fate. A file that cannot be read changes nothing.
    """
    if undo == (file is not None):
        raise click.UsageError("give a FILE, or --undo without one")
    if file is None:
        if any(options.values()):
            raise click.UsageError("--undo takes no other option")
        _undo_import(context, slug)
    else:
        _import_file(context, slug, file, **options)


def _undo_import(context: CommandContext, slug: str) -> None:
    from repermit.imports import undo as imports_undo

    with context.mailing_list(slug) as (database, mailing_list):
        result = imports_undo.undo_import(
            database, mailing_list, settings=context.settings, now=context.now, actor=context.actor
        )
    echo(
        f"Took back {result.file}: {pluralize(result.contacts_taken_back, 'contact')} and "
        f"{pluralize(result.suppressions_taken_back, 'suppression')}; put back as they were: "
        f"{pluralize(result.restored, 'contact')}."
    )


def _import_file(
    context: CommandContext,
    slug: str,
    file: Path,
    *,
    as_json: bool,
    consent_text: Path | None,
    **options: Any,
) -> None:
    from repermit.imports import import_file

    with context.mailing_list(slug) as (database, mailing_list):
        result = import_file.import_file(
            database,
            mailing_list,
            file,
            settings=context.settings,
            now=context.now,
            actor=context.actor,
            consent_text=None if consent_text is None else read_consent_text(consent_text),
            on_progress=_Progress(file.name).print_progress,
            **options,
        )
    if as_json:
        echo_json(result.to_json())
    else:
        _print_import(result)
    if result.unattested:
        _warn_unattested(to=warn if as_json else echo)


class _Progress:
    """Prints the progress of an import on stderr, every ten seconds."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._printed_at = time.monotonic()

    def print_progress(self, done: int, addresses: int) -> None:
        """Print the progress, unless it was printed in the last ten seconds."""
        if time.monotonic() - self._printed_at >= _SECONDS_BETWEEN:
            self._printed_at = time.monotonic()
            warn(f"{self._name}: {done:,} of {addresses:,} addresses are taken in")


_SECONDS_BETWEEN = 10.0


def _warn_unattested(*, to: Tell) -> None:
    from repermit.rules.consent import UNATTESTED

    to("")
    to(f"Without --dry-run this will be refused: {UNATTESTED}.")


_SHOWN_PROBLEMS = 20
_SHOWN_DOUBTFUL = 500


def _print_import(result: ImportResult) -> None:
    for part in result.parts:
        _print_part(part)
    verb = "would be imported; nothing was written" if result.dry_run else "imported"
    echo("", f"{pluralize(result.rows, 'row')} {verb}:")
    echo_counts(result.fates, zeros=True)
    if result.additional:
        echo(
            "Lines with several addresses make a row of each: "
            f"{pluralize(result.additional, 'row')} more than lines."
        )
    if result.improved:
        echo(f"Of people who are on the list already, with a better basis now: {result.improved:,}")
    if result.merged:
        echo(f"Addresses under different names, greeted without a name: {result.merged:,}")
    if result.thin:
        echo(
            f"Opt-ins without a wording, kept as thin: {result.thin:,}. Add --consent-text "
            "FILE, or ask those too with `repermit launch --include-thin`."
        )
    _print_problems(result.problems)


def _print_part(part: FilePart) -> None:
    named_fields = [
        (column.title or f"column {column.index + 1}", column.field) for column in part.columns
    ]
    meanings = [f"{name} = {field}" for name, field in named_fields if field and field != "remark"]
    tool = f" from {part.tool}" if part.tool != "generic" else ""
    echo(f"{part.name} ({part.format}{tool}): {'; '.join(meanings)}")
    for label, field in (("read for a No", "remark"), ("not read", None)):
        if names := [name for name, column_field in named_fields if column_field == field]:
            echo(f"  {label}: {'; '.join(names)}")


def _print_problems(problems: tuple[Problem, ...]) -> None:
    notes = list(takewhile(lambda problem: not problem.line, problems))
    if notes:
        echo("", *(note.reason for note in notes))
    rows = problems[len(notes) :]
    if rows:
        echo("", "Rows to look at:")
    ordered = sorted(rows, key=_rank_problem)
    doubtful = sum(problem.doubtful for problem in ordered)
    mistyped = sum(problem.mistyped for problem in ordered)
    # Of rows that may opt out or look mistyped more are shown than of others.
    shown_count = max(_SHOWN_PROBLEMS, min(doubtful + mistyped, _SHOWN_DOUBTFUL))
    for problem in ordered[:shown_count]:
        part = f"{problem.part}, " if problem.part else ""
        echo(f"  {part}line {problem.line}, {problem.column}: {problem.reason}")
    if doubtful:
        echo(
            f"{pluralize(doubtful, 'row')} may say that somebody wants no mail. Leave out "
            "whoever is "
            "not to be asked: --opt-out LINE."
        )
    if mistyped:
        echo(
            f"Addresses that look mistyped: {mistyped:,}. Mend them in the file, or leave them "
            "out: --opt-out LINE."
        )
    if hidden := ordered[shown_count:]:
        echo("Not shown here; --json lists them:")
        # The last problem of a long list is no row, but says how many more there are.
        echo_counts(Counter(_name_kind(problem) for problem in hidden if problem.line))
        echo(*(f"  {problem.reason}" for problem in hidden if not problem.line))


def _rank_problem(problem: Problem) -> int:
    """Return the sort key of a problem: doubtful rows, rows that can be mended, duplicates."""
    from repermit.rules.consent import Fate

    # Imported rows are listed because something in them may speak against that.
    taken_in = (Fate.ASK, Fate.CONFIRMED, Fate.CUSTOMER)
    others = (Fate.ROLE, Fate.SUPPRESSED, Fate.OPTED_OUT, Fate.DUPLICATE, None)
    order = (Fate.INVALID, *taken_in, *others)
    is_in_doubt = problem.doubtful or problem.mistyped
    return -1 if is_in_doubt else order.index(problem.fate)


def _name_kind(problem: Problem) -> str:
    # The reason of a duplicate names its other line, and other reasons quote the row's words.
    return "duplicate" if problem.fate == "duplicate" else problem.reason.partition(" (")[0]


COMMANDS = (import_,)
