"""Commands on lists and the files that fill them: list, import.

May import everything.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repermit.cli.commands import Group, command, json_option, slug_argument
from repermit.cli.house import House, pass_house
from repermit.cli.lines import say, say_json, several, tell_counts, warn
from repermit.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from repermit.cli.lines import Tell
    from repermit.importing import ImportResult, Problem
    from repermit.listfile import Part


@click.group("list", cls=Group, examples=("repermit list show news",))
def list_() -> None:
    """Add a list, change it, or show it."""


_FIELDS: tuple[tuple[str, str], ...] = (
    ("name", "Its name, as readers know it."),
    ("purpose", "What is sent, as the reader reads it, with how often."),
    ("frequency", "How often, if the purpose does not say it."),
    ("privacy-url", "Where the privacy statement is."),
    ("sender", 'Who sends: "Name <address>".'),
    ("language", "nl, en, de or fr.  [default: nl]"),
)


def _with_fields(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that describe a list."""
    for file in ("subject", "text", "html"):
        command = click.option(
            f"--own-{file}",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help=f"Your own {file} for the asking mail, from a file; an empty one takes it back.",
        )(command)
    command = click.option(
        "--sensitive/--not-sensitive",
        default=None,
        help="Being on it shows something about health, belief or the like (GDPR art. 9).",
    )(command)
    for name, text in reversed(_FIELDS):
        command = click.option(f"--{name}", metavar="…", help=text)(command)
    return command


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what was given, with the files among it read."""
    given = {name: value for name, value in fields.items() if value is not None}
    return {
        name: _read_text(value) if isinstance(value, Path) else value
        for name, value in given.items()
    }


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NotFound(f"{path} is no UTF-8 text; save it as plain text in UTF-8") from None


@command(
    "add",
    examples=(
        (
            'repermit list add news --name "News from the practice" \\\n'
            '    --purpose "News about our practice, four times a year" \\\n'
            "    --privacy-url https://example.org/privacy \\\n"
            '    --sender "The Practice <news@example.org>" --language en'
        ),
    ),
)
@click.argument("slug", metavar="SLUG")
@_with_fields
@pass_house
def add(house: House, /, slug: str, **fields: Any) -> None:
    """Add a list."""
    from repermit import campaigns

    with house.database() as database:
        added = campaigns.add_list(
            database,
            slug,
            settings=house.settings,
            now=house.now,
            actor=house.actor,
            **_given(fields),
        )
    say(f"Added {slug}.")
    if lacks := campaigns.list_lacks(added):
        say("Before a launch:", *(f"  - {lack}" for lack in lacks))


@command("set", examples=('repermit list set news --frequency "four times a year"',))
@slug_argument
@_with_fields
@pass_house
def set_(house: House, /, slug: str, **fields: Any) -> None:
    """Change a list; what is not given stays as it is."""
    from repermit import campaigns

    given = _given(fields)
    if not given:
        raise click.UsageError("say what to change; --help lists the options")
    with house.mailing_list(slug) as (database, mailing_list):
        campaigns.change_list(
            database,
            mailing_list,
            settings=house.settings,
            now=house.now,
            actor=house.actor,
            **given,
        )
        note = campaigns.frozen_note(mailing_list)
    say(f"Changed {slug}.", *([f"Mind: {note}."] if note else []))


@command("show", examples=("repermit list show news", "repermit list show news --json"))
@slug_argument
@json_option
@pass_house
def show(house: House, slug: str, *, as_json: bool) -> None:
    """Show how a list is described, and where people can sign up."""
    from repermit import answers, campaigns

    with house.mailing_list(slug) as (_, mailing_list):
        facts = campaigns.list_facts(mailing_list).to_json()
        name = answers.join_id(mailing_list, settings=house.settings)
    facts["sign_up_url"] = f"{house.settings.public_url}/join/{name}"
    if as_json:
        say_json(facts)
        return
    for name, value in facts.items():
        text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
        lines = text.splitlines() or [""]
        say(f"{name.replace('_', ' ') + ':':<13} {lines[0]}".rstrip())
        say(*(f"{'':<13} {line}".rstrip() for line in lines[1:]))


for subcommand in (add, set_, show):
    list_.add_command(subcommand)


def _mapping(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
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
    callback=_mapping,
    help="What a column is, by its title, letter or number; FIELD= alone says that none is it. "
    "May be given several times.",
)


@command(
    "import",
    examples=(
        "repermit import news export.csv --dry-run",
        'repermit import news export.xlsx --map address=B --source "visitors\' book 2019"',
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
@click.option("--undo", is_flag=True, help="Take the last import back.")
@json_option
@pass_house
def import_(house: House, /, slug: str, file: Path | None, *, undo: bool, **options: Any) -> None:
    """Import a file of addresses: CSV, Excel, ODS, or Mailchimp's ZIP.

    Every row gets one fate. A file that cannot be read changes nothing.
    """
    if undo == (file is not None):
        raise click.UsageError("give a FILE, or --undo without one")
    if file is None:
        if any(options.values()):
            raise click.UsageError("--undo takes no other option")
        _undo(house, slug)
    else:
        _import(house, slug, file, **options)


def _undo(house: House, slug: str) -> None:
    from repermit import importing

    with house.mailing_list(slug) as (database, mailing_list):
        result = importing.undo_import(
            database, mailing_list, settings=house.settings, now=house.now, actor=house.actor
        )
    say(
        f"Took back {result.file}: {several(result.contacts_taken_back, 'contact')} and "
        f"{several(result.suppressions_taken_back, 'suppression')}; put back as they were: "
        f"{several(result.restored, 'contact')}."
    )


def _import(
    house: House, slug: str, file: Path, *, as_json: bool, consent_text: Path | None, **options: Any
) -> None:
    from repermit import importing

    with house.mailing_list(slug) as (database, mailing_list):
        result = importing.import_file(
            database,
            mailing_list,
            file,
            settings=house.settings,
            now=house.now,
            actor=house.actor,
            consent_text=None if consent_text is None else _read_text(consent_text),
            **options,
        )
    if as_json:
        say_json(result.to_json())
    else:
        _say_import(result)
    if result.unattested:
        _tell_unattested(to=warn if as_json else say)


def _tell_unattested(*, to: Tell) -> None:
    from repermit.consent import UNATTESTED

    to("")
    to(f"Without --dry-run this will be refused: {UNATTESTED}.")


_SHOWN_PROBLEMS = 20


def _say_import(result: ImportResult) -> None:
    for part in result.parts:
        _say_part(part)
    verb = "would be imported; nothing was written" if result.dry_run else "imported"
    say("", f"{several(result.rows, 'row')} {verb}:")
    tell_counts(result.fates, zeros=True)
    if result.additional:
        say(
            "Lines with several addresses make a row of each: "
            f"{several(result.additional, 'row')} more than lines."
        )
    if result.improved:
        say(f"Of people who are on the list already, with a better basis now: {result.improved:,}")
    if result.merged:
        say(f"Addresses under different names, greeted without a name: {result.merged:,}")
    if result.thin:
        say(
            f"Opt-ins without a wording, kept as thin: {result.thin:,}. Add --consent-text "
            "FILE, or ask those too with `repermit launch --include-thin`."
        )
    _say_problems(result.problems)


def _say_part(part: Part) -> None:
    known = [
        f"{column.title or f'column {column.index + 1}'} = {column.field}"
        for column in part.columns
        if column.field
    ]
    tool = f" from {part.tool}" if part.tool != "generic" else ""
    say(f"{part.name} ({part.format}{tool}): {'; '.join(known)}")
    # One that holds a No, under a title that is not known, would otherwise go unseen.
    unread = [column.title for column in part.columns if column.title and not column.field]
    if unread:
        say(f"  not read: {'; '.join(unread)}")


def _say_problems(problems: tuple[Problem, ...]) -> None:
    if problems:
        say("", "Rows to look at:")
    ordered = sorted(problems, key=_weight)
    for problem in ordered[:_SHOWN_PROBLEMS]:
        part = f"{problem.part}, " if problem.part else ""
        say(f"  {part}line {problem.line}, {problem.column}: {problem.reason}")
    if more := ordered[_SHOWN_PROBLEMS:]:
        say("Not shown here; --json lists them:")
        # Of a long list the last one is no row, but says how many more there are.
        tell_counts(Counter(_kind(problem) for problem in more if problem.line))
        say(*(f"  {problem.reason}" for problem in more if not problem.line))


def _weight(problem: Problem) -> int:
    """Return the place of a problem among others: what can be mended first, duplicates last."""
    from repermit.consent import Fate

    order = (Fate.INVALID, Fate.ROLE, Fate.SUPPRESSED, Fate.OPTED_OUT, Fate.DUPLICATE, None)
    return order.index(problem.fate)


def _kind(problem: Problem) -> str:
    # The reason of a duplicate names its other line, so that each is another.
    return "duplicate" if problem.fate == "duplicate" else problem.reason


COMMANDS = (list_, import_)
