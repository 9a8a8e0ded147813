"""Commands for lists: list add, list set, list show, list delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from repermit.cli.command import Group, command, json_option, read_text, slug_argument
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, echo_json, warn
from repermit.rules import new_list_defaults

if TYPE_CHECKING:
    from repermit.db.models.lists import MailingList


@click.group("list", cls=Group, examples=("repermit list show news",))
def list_() -> None:
    """Add a list, change it, show it, or delete one that was never launched."""


_FIELDS: tuple[tuple[str, str], ...] = (
    ("name", "Its name, as readers know it."),
    ("purpose", "What is sent, as the reader reads it, with how often."),
    ("frequency", "How often, if the purpose does not say it."),
    ("privacy-url", "Where the privacy statement is."),
    ("sender", 'Who sends: "Name <address>".'),
    ("language", "The language of all this, such as nl, en, de or fr.  [default: nl]"),
)


def _add_field_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for a list's fields."""
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
    command = click.option(
        "--receipts/--no-receipts",
        default=None,
        help="Who says Yes, or changes an answer, is told by mail with the way to undo it.  "
        f"[default: {'receipts' if new_list_defaults.RECEIPTS else 'no-receipts'}]",
    )(command)
    for name, text in reversed(_FIELDS):
        command = click.option(f"--{name}", metavar="…", help=text)(command)
    return command


def _read_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the given options, with the content of files in place of their paths."""
    options = {name: value for name, value in fields.items() if value is not None}
    return {
        name: read_text(value) if isinstance(value, Path) else value
        for name, value in options.items()
    }


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
@_add_field_options
@pass_command_context
def add(context: CommandContext, /, slug: str, **fields: Any) -> None:
    """Add a list."""
    from repermit.campaigns import launch_refusals, mailing_lists

    with context.database() as database:
        added = mailing_lists.add_list(
            database,
            slug,
            settings=context.settings,
            now=context.now,
            actor=context.actor,
            **_read_fields(fields),
        )
        lacks = launch_refusals.list_missing_fields(added)
        _warn_of_first_screen(context, slug)
    echo(f"Added {slug}.")
    if lacks:
        echo("Before a launch:", *(f"  - {lack}" for lack in lacks))


@command(
    "set",
    examples=(
        'repermit list set news --frequency "four times a year"',
        (
            'repermit list set news --in pl --purpose "Wiadomości z naszej przychodni" \\\n'
            '    --frequency "cztery razy w roku" --privacy-url https://example.org/pl/prywatnosc'
        ),
    ),
)
@slug_argument
@_add_field_options
@click.option(
    "--in",
    "further_language",
    metavar="LANGUAGE",
    help="For its readers in another language; they get mails and pages in it then.",
)
@pass_command_context
def set_(
    context: CommandContext, /, slug: str, *, further_language: str | None, **fields: Any
) -> None:
    """Change a list; what is not given stays as it is.

    With --in, say purpose and privacy statement in a further language; also how often, if the list
    says that apart. An empty text takes it back.
    """
    from repermit.campaigns import list_translations, mailing_lists

    changes = _read_fields(fields)
    if not changes:
        raise click.UsageError("say what to change; --help lists the options")
    if further_language and (shared := changes.keys() - {*list_translations.TRANSLATION_FIELDS}):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(shared))
        raise click.UsageError(f"{names} is the same in all languages: give it without --in")
    with context.mailing_list(slug) as (database, mailing_list):
        change = partial(
            mailing_lists.change_list
            if further_language is None
            else list_translations.change_translation,
            database,
            mailing_list,
            *([] if further_language is None else [further_language]),
        )
        change(settings=context.settings, now=context.now, actor=context.actor, **changes)
        lacks = _list_missing(mailing_list, further_language)
        note = mailing_lists.explain_frozen_wording(mailing_list)
        _warn_of_first_screen(context, slug)
    echo(f"Changed {slug}.", *lacks, *([f"Mind: {note}."] if note else []))


def _warn_of_first_screen(context: CommandContext, slug: str) -> None:
    """Warn, as `check` does, if a phone's first screen cuts off the list's mail."""
    from repermit.campaigns.preview import preview_mail
    from repermit.checks.settings import check_first_screen
    from repermit.db.models.lists import find_list

    organisation = context.settings.organisation
    preview = partial(preview_mail, settings=context.settings, now=context.now)
    for finding in check_first_screen(find_list(slug), organisation=organisation, preview=preview):
        warn(f"Mind: {finding.found} {finding.remedy}.")


def _list_missing(mailing_list: MailingList, language: str | None) -> Iterator[str]:
    """Yield a line that names the fields that a further language still lacks."""
    from repermit.campaigns import list_translations
    from repermit.contacts import lookup

    if language is None:
        return
    lacks = lookup.find_missing_texts(
        list_translations.find_translation(mailing_list, language), mailing_list
    )
    if lacks:
        options = " and ".join(f"--{name.replace('_', '-')}" for name in lacks)
        yield f"Nobody gets a mail in {language} before it has {options} too."


@command("show", examples=("repermit list show news", "repermit list show news --json"))
@slug_argument
@json_option
@pass_command_context
def show(context: CommandContext, slug: str, *, as_json: bool) -> None:
    """Show how a list is described, and where people can sign up."""
    from repermit.answers import link_target
    from repermit.campaigns import list_translations, mailing_lists

    with context.mailing_list(slug) as (_, mailing_list):
        fields = mailing_lists.make_list_facts(mailing_list).to_json()
        untranslated = list_translations.count_untranslated(mailing_list)
        name = link_target.make_join_id(mailing_list, settings=context.settings)
    fields["sign_up_url"] = f"{context.settings.public_url}/join/{name}"
    fields["read_otherwise"] = dict(untranslated)
    if as_json:
        echo_json(fields)
        return
    del fields["read_otherwise"]
    texts = fields.pop("texts")
    _print_facts(fields)
    for language, text in texts.items():
        echo("", f"In {language}:")
        _print_facts({name: value for name, value in text.items() if value})
    echo(*describe_untranslated(untranslated, slug))


def _print_facts(fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
        lines = text.splitlines() or [""]
        echo(f"{name.replace('_', ' ') + ':':<13} {lines[0]}".rstrip())
        echo(*(f"{'':<13} {line}".rstrip() for line in lines[1:]))


def describe_untranslated(counts: Mapping[str, int], slug: str) -> Iterator[str]:
    """Yield how many contacts get no mail in their own language, and the command for it.

    - `counts`: contacts by their language.
    """
    if counts:
        counts_text = ", ".join(f"{count:,} in {language}" for language, count in counts.items())
        yield ""
        yield f"Who reads another language gets the list's own: {counts_text}."
        yield f"`repermit list set {slug} --in … --purpose … --privacy-url …` gives them theirs."


@command("delete", examples=("repermit list delete news",))
@slug_argument
@pass_command_context
def delete(context: CommandContext, slug: str) -> None:
    """Delete a list that was never launched, with all that its files have brought.

    The record keeps that there was a list of this name. Who was added by hand, signed up or was
    mailed keeps the list: then it is refused.
    """
    from repermit.campaigns import delete_list

    with context.mailing_list(slug) as (database, mailing_list):
        delete_list.delete_list(
            database,
            mailing_list,
            settings=context.settings,
            now=context.now,
            actor=context.actor,
        )
    echo(f"Deleted {slug}.")


for subcommand in (add, set_, show, delete):
    list_.add_command(subcommand)


COMMANDS = (list_,)
