"""The README against the code, both ways."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from repermit import package_files
from repermit.db.connection import Database
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.emails import wording_validation
from repermit.exports import handover_steps
from repermit.rules.consent import Fate, Reason, Status
from repermit.settings import config_file
from repermit.settings.smtp_presets import PRESETS, Preset
from tests.support.builders import NOW, make_contact, make_removed
from tests.support.command_tree import COMMANDS, parse
from tests.support.desk import ATTEST, Desk
from tests.support.dns_server import NameServer
from tests.unit.privacy.test_rectification import move

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
PROSE = re.sub(r"^```.*?^```|^ {4}.*?$", "", README, flags=re.MULTILINE | re.DOTALL)
SPANS = re.findall(r"`([^`\n]+)`", PROSE)


def table(title: str) -> dict[str, str]:
    """Return the rows of the table whose first column has this title: first cell to the rest."""
    found = re.search(rf"^\| {title} \|.*\n\|[-|]+\n((?:\|.*\n)+)", README, re.MULTILINE)
    assert found, title
    rows = [tuple(line.strip("| \n").split(" | ", 1)) for line in found[1].splitlines()]
    return dict(rows)


def code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def typed_commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each repermit command in the indented blocks of a page."""
    pending = ""
    for line in re.findall(r"^ {4}(.*)$", text, re.MULTILINE):
        pending += line.removesuffix("\\")
        try:
            parts = shlex.split(pending.removeprefix("ExecStart="), comments=True)
        except ValueError:  # a quoted text goes on in the next line
            continue
        if line.endswith("\\"):
            continue
        pending = ""
        yield from _commands_among(parts)


def _commands_among(parts: list[str]) -> Iterator[list[str]]:
    while parts:
        end = parts.index("&&") if "&&" in parts else len(parts)
        if Path(parts[0]).name == "repermit" and "=" not in parts[0]:
            yield parts[1:end]
        parts = parts[end + 1 :]


TYPED = list(typed_commands(README))


def test_commands_are_found_in_a_page() -> None:
    page = (
        "Do:\n\n    x && venv/bin/repermit demo\n    repermit list add \\\n      news  # now\n"
        '    ExecStart=/a/repermit serve\n    repermit answer "a\n      b" && ls\n'
    )
    assert list(typed_commands(page)) == [
        ["demo"],
        ["list", "add", "news"],
        ["serve"],
        ["answer", "a  b"],
    ]


# --- Commands and options.


def test_the_table_has_every_command_and_no_other() -> None:
    documented = {
        f"repermit {name.partition(' [')[0]}" for names in table("command") for name in code(names)
    }
    groups = {name for name, found in COMMANDS.items() if isinstance(found, click.Group)}
    assert documented == set(COMMANDS) - groups


@pytest.mark.parametrize("arguments", TYPED, ids=" ".join)
def test_every_command_of_the_readme_can_be_typed(arguments: list[str]) -> None:
    parse(arguments)


@pytest.mark.parametrize("span", [span for span in SPANS if span.startswith("repermit ")])
def test_every_command_in_the_text_can_be_typed(span: str) -> None:
    parse(shlex.split(span)[1:])


def test_every_option_in_the_text_is_one() -> None:
    known = {option for found in COMMANDS.values() for one in found.params for option in one.opts}
    known |= {
        option
        for found in COMMANDS.values()
        for one in found.params
        for option in one.secondary_opts
    } | {"--help"}
    ours = [span for span in SPANS if not span.startswith(("pip ", "pytest", "sqlite3 "))]
    named = {option for span in ours for option in re.findall(r"(?<!\S)--[a-z-]+", span)}
    assert named - known == set()
    assert named


# --- Documents and files for programs.


def keys_of(document: Any) -> set[str]:
    """Return the keys of a document and of what it says of one thing or many, not of counts."""
    within = [document.get(name) or {} for name in ("campaign", "checkpoint", "fault")]
    for value in document.values():
        listed = value if isinstance(value, list) else []
        within += [one for one in listed if isinstance(one, dict)]
    return set(document).union(*within)


def printed(desk: Desk) -> Iterator[tuple[str, set[str]]]:
    """Give each command that has --json; yield the keys of what it prints."""
    path = desk.file("E-mail", "info@example.org", "no at sign", "left@example.org")
    yield "list show", keys_of(desk.run("list", "show", "news", "--json").document)
    yield "text list", keys_of(desk.run("text", "list", "pl", "--json").document)
    yield "import", keys_of(desk.run("import", "news", path, "--json").document)
    launch = ("launch", "news", "--deadline", "2026-03-30", "--attest", ATTEST, "--json")
    launched = keys_of(desk.run(*launch).document)
    status = keys_of(desk.run("status", "news", "--json").document)
    yield "status", status
    assert status - launched == set()
    yield "launch", launched - (status - {"asked"})
    yield "expire", keys_of(desk.run("expire", "--json").document)
    yield "reconcile", keys_of(desk.run("reconcile", "news", path, "--json").document)
    desk.do("answer", "news", "info@example.org", "yes", "--note", "by phone, to Anna")
    desk.do("pause", "news")
    desk.do("export", "news", "removed", "--for", "mailchimp")
    with desk.news() as (database, news):
        tick(database, news)
    for paper in ("register", "report", "breach"):
        yield paper, keys_of(desk.run(paper, "news", "--json").document)
    with NameServer() as names:
        ran = desk.run("check", "--nameserver", names.address, "--json")
    yield "check", keys_of(ran.document)
    yield "restore", restored(desk)
    holds = keys_of(desk.run("verify", "--json").document)
    with desk.database() as database, database.atomic():
        Evidence.delete().execute()
    yield "verify", holds | keys_of(desk.run("verify", "--json").document)


def restored(desk: Desk) -> set[str]:
    """Return the keys of what is printed of a backup since which somebody has moved."""
    backup = str(desk.folder / "backup.db")
    desk.do("backup", backup)
    with desk.database() as database:
        person = Contact.get(Contact.address_key == "info@example.org")
        assert move(database, person, "new@example.org")
    return keys_of(desk.run("restore", backup, "--replace", "--json").document)


def tick(database: Database, news: MailingList) -> None:
    campaign = latest_campaign(news)
    assert campaign
    handover_steps.set_tick(
        database,
        campaign,
        tool="mailchimp",
        step="removed-1",
        is_done=True,
        now=NOW,
        actor="cli:keeper",
    )


def test_the_keys_of_every_document_are_those_of_the_readme(desk: Desk) -> None:
    desk.add_news()
    documented = {code(name)[0]: set(code(keys)) for name, keys in table("document").items()}
    assert dict(printed(desk)) == {
        name: {key.partition(" ")[0] for key in keys} for name, keys in documented.items()
    }


def test_every_command_with_a_document_is_in_the_readme() -> None:
    with_json = {
        name.removeprefix("repermit ")
        for name, found in COMMANDS.items()
        if any("--json" in one.opts for one in found.params)
    }
    assert with_json == {code(name)[0] for name in table("document")}
    (sentence,) = re.findall(r"`--json` on (.*?) prints one document", README)
    assert with_json == set(code(sentence))


def test_the_columns_of_every_export_are_those_of_the_readme(desk: Desk) -> None:
    desk.add_news()
    with desk.news() as (database, news):
        make_contact(database, news, status=Status.CONFIRMED, basis="answer")
        make_removed(database, news, Reason.NO)
    for name, columns in table("export").items():
        (what,) = code(name)
        links = ["--with-links"] if "--with-links" in columns else []
        titles = desk.do("export", "news", what, *links).splitlines()[0].split(",")
        assert titles == [one for one in code(columns) if not one.startswith("--")]


# --- Words.


def test_every_fate_is_explained() -> None:
    assert {name for cell in table("fate") for name in code(cell)} == set(Fate)


def test_every_field_of_an_own_wording_is_one() -> None:
    named = set(re.findall(r"\{\{ (\w+) \}\}", README))
    assert named
    assert named <= wording_validation.ALL_FIELDS


def test_every_setting_in_the_text_is_one() -> None:
    known = {key.rpartition(".")[2] for key in config_file.known_keys()}
    named = {match[1] for span in SPANS if (match := re.match(r"(\w+) = ", span))}
    assert named
    assert named <= known


def paces(preset: Preset) -> str:
    """Return the rates of a preset as the table of the README words them."""
    rates = {
        "a minute": preset.rate_per_minute,
        "an hour": preset.rate_per_hour,
        "a day": preset.rate_per_day,
    }
    return ", ".join(f"{rate:,} {period}" for period, rate in rates.items() if rate)


def test_the_table_has_what_every_preset_sets() -> None:
    expected = {
        f"`{name}`": (
            f"{f'`{one.server}`' if one.server else 'yours'} | {one.port}, {one.tls}"
            f" | {one.connections} | {paces(one)}"
        )
        for name, one in PRESETS.items()
    }
    assert table("preset") == expected


def test_the_example_names_every_preset() -> None:
    example = package_files.asset("config.example.toml").read_text("utf-8")
    (named,) = re.findall(r"what you give below holds instead\.(.*?)The README", example, re.DOTALL)
    assert set(PRESETS) <= set(re.split(r"[\s,;]+", named))
