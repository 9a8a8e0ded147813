"""The command line as a whole: help, exit codes, what is refused with which words."""

from __future__ import annotations

import fcntl
import importlib
import re
import shlex
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import IO

import click
import pytest

from repermit import __version__, documentation
from repermit.cli import main
from repermit.db.models.lists import MailingList
from tests.support.command_tree import COMMANDS, REPERMIT, parse
from tests.support.desk import Desk

# What would make `repermit --help` slow; each is for the commands that need it.
SLOW = {"apscheduler", "babel", "flask", "jinja2", "peewee", "waitress"}


def test_all_commands_are_looked_at() -> None:
    assert {"repermit", "repermit init", "repermit list", "repermit list add"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*name.split()[1:], "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"Usage: {name}" in shown
    assert COMMANDS[name].help
    examples = shown.partition("\nExample")[2]
    assert all(line in examples for line in COMMANDS[name].examples[0].splitlines())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    options = [one for one in COMMANDS[name].params if isinstance(one, click.Option)]
    assert [one.name for one in options if not one.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_can_be_typed(name: str) -> None:
    for example in COMMANDS[name].examples:
        typed = shlex.split(example.replace("\\\n", ""))
        assert typed[0] == "repermit"
        assert example.startswith(name) or "--config" in typed
        parse(typed[1:])


def test_help_loads_nothing_that_takes_long() -> None:
    code = f"import sys, repermit.cli; print({SLOW!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("start", [[str(REPERMIT)], [sys.executable, "-m", "repermit"]])
def test_it_starts_as_a_script_and_as_a_module(start: list[str]) -> None:
    done = subprocess.run([*start, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"repermit, version {__version__}\n"


def test_what_is_started_as_a_module_does_nothing_when_it_is_imported() -> None:
    assert importlib.import_module("repermit.__main__").main is main


# --- What is refused.


@pytest.mark.parametrize(
    "arguments",
    [
        ("xyzzy",),
        ("list", "xyzzy"),
        ("status",),
        ("status", "news", "--xyzzy"),
        ("launch", "news"),
        ("export", "news", "all"),
        ("export", "news", "keep", "--format", "pdf"),
        ("answer", "news", "jan@example.org", "maybe", "--note", "x"),
        ("resolve", "news"),
        ("list", "set", "news"),
        ("import", "news"),
        ("import", "news", "list.csv", "--undo"),
        ("import", "news", "--undo", "--dry-run"),
        ("import", "news", "list.csv", "--map", "address"),
        ("serve", "--port", "70000"),
    ],
)
def test_wrong_usage_is_2_with_a_hint(desk: Desk, arguments: tuple[str, ...]) -> None:
    desk.add_news()
    assert "Usage: repermit" in desk.misused(*arguments)


def test_no_command_shows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "show", "club"),
        ("list", "set", "club", "--name", "Club"),
        ("import", "club", "list.csv"),
        ("import", "club", "--undo"),
        ("preview", "club"),
        ("launch", "club", "--deadline", "2026-04-01"),
        ("pause", "club"),
        ("resume", "club"),
        ("cancel", "club"),
        ("extend", "club", "--deadline", "2026-04-01"),
        ("remind", "club", "--before", "7"),
        ("status", "club"),
        ("send", "club"),
        ("expire", "club"),
        ("answer", "club", "jan@example.org", "no", "--note", "by phone"),
        ("resolve", "club", "--leave"),
        ("export", "club", "keep"),
        ("reconcile", "club", "list.csv"),
    ],
)
def test_a_list_that_is_not_there_is_refused(desk: Desk, arguments: tuple[str, ...]) -> None:
    assert desk.refused(*arguments).startswith("repermit: there is no list club; ")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("nwes",), "news"),
        (("newss", "keep"), "news"),
        (("NEWS",), ""),
        (("garden",), ""),
    ],
)
def test_a_mistyped_list_is_answered_with_the_one_that_may_be_meant(
    desk: Desk, typed: tuple[str, ...], meant: str
) -> None:
    desk.add_news()
    command = "export" if len(typed) > 1 else "status"
    said = desk.refused(command, *typed)
    if meant:
        assert f"there is no list {typed[0]}; did you mean {meant}? `repermit list add" in said
    else:
        assert "did you mean" not in said


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("lanch", "news"), "launch"),
        (("statu",), "status"),
        (("list", "sho", "news"), "show"),
        (("status", "news", "--jsn"), "--json"),
    ],
)
def test_a_mistyped_command_is_answered_with_the_one_that_may_be_meant(
    desk: Desk, typed: tuple[str, ...], meant: str
) -> None:
    assert f"Did you mean '{meant}'?" in desk.misused(*typed)


def test_a_page_of_the_help_names_other_pages_as_the_command_takes_them(desk: Desk) -> None:
    shown = " ".join(desk.do("help", "how-to/keys").split())
    assert "In het Nederlands (how-to/keys --language nl)" in shown
    assert "What the words mean (reference/glossary)" in shown
    for name, language in (("how-to/keys", "nl"), ("reference/glossary", "en")):
        desk.do("help", name, "--language", language)
    for page in documentation.list_pages("en"):
        shown = documentation.render_text(page)
        assert not re.search(r"(?<!!)\[[^\]]*\]\((?!https://)", shown), page.name


def test_a_mistyped_page_of_the_help_is_answered_with_the_one_that_may_be_meant(
    desk: Desk,
) -> None:
    said = desk.refused("help", "handing-ovr")
    assert "there is no page handing-ovr; did you mean how-to/handing-over?" in said
    assert "did you mean" not in desk.refused("help", "zzz")
    in_dutch = desk.refused("help", "handing-ovr", "--language", "nl")
    assert "er is geen pagina handing-ovr; bedoelde u how-to/handing-over?" in in_dutch
    in_dutch = desk.refused("help", "zzz", "--language", "nl_NL.UTF-8")
    assert "er is geen pagina zzz; `repermit help` toont ze alle" in in_dutch


def test_a_mistyped_setting_is_answered_with_the_one_that_may_be_meant(desk: Desk) -> None:
    text = desk.config.read_text("utf-8")
    desk.config.write_text(text + "\n[web]\nthreds = 4\n", "utf-8")
    assert "unknown setting web.threds; did you mean web.threads?" in desk.refused("status", "news")


def test_settings_that_are_not_there_are_refused_with_the_way_out(desk: Desk) -> None:
    desk.config.unlink()
    assert "`repermit init` makes one" in desk.refused("status", "news")


def test_the_settings_may_be_named_by_the_environment(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REPERMIT_CONFIG", str(desk.config))
    desk.add_news(name="Our news")
    with pytest.raises(SystemExit, match="0"):
        main(["list", "show", "news"])
    assert "Our news" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("database", "words"),
    [
        ("sqlite:///nowhere/lists.db", "cannot be made: No such file or directory"),
        ("sqlite:///config.toml", "config.toml cannot be used: file is not a database"),
        ("sqlite:////proc/version", "the database /proc/version cannot be used: unable to open"),
        ("postgresql://127.0.0.1:1/lists", "the database cannot be used: connection"),
    ],
)
def test_a_database_that_cannot_be_used_is_refused_in_a_line(
    desk: Desk, database: str, words: str
) -> None:
    text = desk.config.read_text("utf-8")
    desk.config.write_text(text.replace(desk.settings.database, database), "utf-8")
    reason = desk.refused("status", "news")
    assert words in reason
    assert len(reason.splitlines()) == 1


def test_a_database_of_which_a_part_is_missing_is_refused(desk: Desk) -> None:
    with desk.database() as opened:
        opened.drop_tables([MailingList])
    reason = desk.refused("status", "news")
    assert reason.endswith("cannot be used: no such table: mailing_list\n")


def test_a_file_that_the_system_refuses_is_named(desk: Desk) -> None:
    desk.add_news()
    held = Path(f"{desk.settings.sqlite_path}.turn-a")
    held.unlink()
    held.mkdir()
    reason = desk.refused("list", "set", "news", "--name", "Nieuws")
    assert reason == f"repermit: {held}: Is a directory\n"


def test_a_reader_that_leaves_early_ends_it_without_a_word(desk: Desk) -> None:
    desk.add_news(own_text="x" * 1_000_000)
    command = [str(REPERMIT), "--config", str(desk.config), "list", "show", "news"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stderr
        running.stdout.read(10)
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 1


def unread_in(pipe: IO[str]) -> int:
    """Return, in a moment, how many bytes of a pipe nobody has read yet."""
    time.sleep(0.05)
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_ctrl_c_stops_it_without_a_trace(desk: Desk) -> None:
    desk.add_news()
    desk.file("x@example.org")
    fifo = desk.folder / "fifo"
    # A command that waits: the text of its form comes from a pipe that nobody closes.
    subprocess.run(["mkfifo", fifo], check=True)
    command = [str(REPERMIT), "--config", str(desk.config)]
    command += ["import", "news", "list.csv", "--consent-text", str(fifo)]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=desk.folder) as running,
        fifo.open("w") as form,
    ):
        form.write("We would like to")
        form.flush()
        # Once it has read that, it waits for the rest, and the signal finds it there.
        assert 0 in iter(lambda: unread_in(form), None)
        running.send_signal(signal.SIGINT)
        assert running.stderr
        assert running.stderr.read() == "\nrepermit: stopped\n"
    assert running.returncode == 1
