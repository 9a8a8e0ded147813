"""Commands on the texts of mails and pages: text list, text set, text reset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from repermit.cli.command import Group, command, json_option
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, echo_json
from repermit.errors import NotFound, Refused

if TYPE_CHECKING:
    from repermit.i18n.correctable_texts import Text


@click.group("text", cls=Group, examples=("repermit text list pl",))
def text() -> None:
    """Show what mails and pages say in a language, correct a text, or take a correction back."""


@command("list", examples=("repermit text list pl", "repermit text list pl --corrected --json"))
@click.argument("language")
@click.option("--corrected", is_flag=True, help="Only what was corrected.")
@json_option
@pass_command_context
def list_(context: CommandContext, language: str, *, corrected: bool, as_json: bool) -> None:
    """Show every text that recipients read in LANGUAGE, each with its key and its English.

    What is in %(brackets)s is filled in. Where a number changes the words there are several forms.
    """
    from repermit.setting_overrides import text_corrections

    texts = _list_texts(language)
    with context.database():
        changed = text_corrections.read_corrections(language)
    texts_shown = [item for key, item in texts.items() if key in changed or not corrected]
    if as_json:
        echo_json(
            {
                "language": language,
                "texts": [_describe_text(item, changed) for item in texts_shown],
            }
        )
        return
    for item in texts_shown:
        echo(f"{item.key}  {item.source[0]}")
        for form in changed.get(item.key, item.usual):
            echo(f"{'corrected to' if item.key in changed else '':>16}  {form}")


def _describe_text(text: Text, changed: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    return {
        "key": text.key,
        "english": list(text.source),
        "numbers": list(text.numbers),
        "usual": list(text.usual),
        "corrected": list(changed.get(text.key, ())),
    }


@command(
    "set",
    examples=('repermit text set nl "Yes, keep sending me these mails" "Ja, graag"',),
)
@click.argument("language")
@click.argument("which", metavar="TEXT")
@click.argument("forms", metavar="CORRECTION…", nargs=-1, required=True)
@pass_command_context
def set_(context: CommandContext, language: str, which: str, forms: tuple[str, ...]) -> None:
    """Correct a text of mails and pages in LANGUAGE.

    TEXT is what it says now, its English, or its key. Where a number changes the words, give each
    form, in the order of `text list`. Asks and reminders of a campaign that was launched stay as
    they are.
    """
    if not any(map(str.strip, forms)):
        raise click.UsageError("say what the text is to be; `repermit text reset` takes it back")
    _correct_text(context, language, which, forms)
    echo("Corrected: preview a mail, and open a page, before many people read it.")


@command("reset", examples=('repermit text reset nl "Yes, keep sending me these mails"',))
@click.argument("language")
@click.argument("which", metavar="TEXT")
@pass_command_context
def reset(context: CommandContext, language: str, which: str) -> None:
    """Take the correction of a text in LANGUAGE back."""
    _correct_text(context, language, which, ())
    echo("It is as it was.")


def _correct_text(context: CommandContext, language: str, which: str, forms: Sequence[str]) -> None:
    from repermit.setting_overrides import text_corrections

    texts = _list_texts(language)
    with context.database() as database:
        matches = _find_texts(texts, which, text_corrections.read_corrections(language))
        corrected = forms or ("",) * len(matches.usual)
        if not text_corrections.save_correction(
            database, matches, corrected, now=context.now, actor=context.actor
        ):
            raise Refused("it says so already")


def _list_texts(language: str) -> Mapping[str, Text]:
    from repermit.i18n import catalogues, correctable_texts

    if language not in catalogues.languages():
        available = ", ".join(sorted(catalogues.languages()))
        raise NotFound(f"there are no texts in {language}; there are in: {available}")
    return correctable_texts.texts_in(language)


def _find_texts(
    texts: Mapping[str, Text], which: str, changed: Mapping[str, Sequence[str]]
) -> Text:
    """Return the text that `which` names; raises NotFound, and Refused if several match."""
    from repermit.i18n import correctable_texts

    typed = correctable_texts.as_typed(which)
    matches = {
        key: text
        for key, text in texts.items()
        if which == key
        or typed
        in map(correctable_texts.as_typed, (*text.source, *text.usual, *changed.get(key, ())))
    }
    if not matches:
        raise NotFound("no text says that; `repermit text list` shows each, with its key")
    if len(matches) > 1:
        keys = ", ".join(matches)
        raise Refused(f"several texts say that: name one by its key ({keys})")
    return next(iter(matches.values()))


for subcommand in (list_, set_, reset):
    text.add_command(subcommand)


COMMANDS = (text,)
