"""Commands whose help ends with examples."""

from __future__ import annotations

from typing import Any

import click
import pytest

from repermit.cli.command import Command, Group, any_slug_argument, command, slug_argument


def help_of(made: Command) -> str:
    return made.get_help(click.Context(made, info_name="do", terminal_width=40))


def test_one_example_is_shown_as_it_is_typed() -> None:
    long = 'do --attest "a sentence that is longer than the help is wide"'
    assert help_of(Command("do", examples=(long,))).endswith(f"\nExample:\n  {long}")


def test_examples_may_be_several_and_run_over_lines() -> None:
    shown = help_of(Command("do", examples=("do a \\\n    b", "do c")))
    assert shown.endswith("\nExamples:\n  do a \\\n      b\n  do c")


def test_a_group_has_its_commands_and_its_example() -> None:
    group = Group("do", examples=("do it",))

    @command("it", examples=("do it",))
    def it() -> None:
        """Do it."""

    group.add_command(it)
    shown = help_of(group)
    assert "Commands:\n  it  Do it." in shown
    assert shown.endswith("\nExample:\n  do it")
    assert it.callback
    it.callback()


@pytest.mark.parametrize("argument", [slug_argument, any_slug_argument])
@pytest.mark.parametrize("text", ["people.csv", "./people", "a/people"])
def test_a_file_where_a_list_is_wanted_is_noticed(argument: Any, text: str) -> None:
    @command("do", examples=("do news",))
    @argument  # type: ignore[untyped-decorator]
    def do(slug: str | None) -> str | None:
        return slug

    assert do.main(["news"], standalone_mode=False) == "news"
    with pytest.raises(click.BadParameter) as caught:
        do.make_context("do", [text])
    assert caught.value.message == f"{text} looks like a file, not like a list such as news"


def test_a_list_need_not_be_named_where_any_will_do() -> None:
    @command("do", examples=("do",))
    @any_slug_argument
    def do(slug: str | None) -> str | None:
        return slug

    assert do.main([], standalone_mode=False) is None
