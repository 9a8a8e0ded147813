"""Commands whose help ends with examples."""

from __future__ import annotations

import click

from repermit.cli.commands import Command, Group, command


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
