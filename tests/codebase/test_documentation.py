"""README and docs/ against the code, both ways; and how they read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repermit import package_files
from repermit.db.connection import Database
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.emails import wording_validation
from repermit.evidence.verify.diagnosis import How
from repermit.exports import handover_steps
from repermit.imports.readers.rows import FIELDS
from repermit.rules.consent import Reason, Status
from repermit.settings import config_file
from repermit.settings.smtp_presets import PRESETS
from tests import reference
from tests.support.builders import NOW, make_contact, make_removed
from tests.support.command_tree import COMMANDS, parse
from tests.support.desk import ATTEST, Desk
from tests.support.dns_server import NameServer
from tests.unit.privacy.test_rectification import move

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        *sorted(DOCS.rglob("*.md")),
    )
}
README = PAGES["README.md"]
WRITTEN = {f"docs/reference/{name}.md" for name in reference.PAGES_WRITTEN}
"""The pages that the code writes: what stands there needs no second look."""
BY_HAND = {name: text for name, text in PAGES.items() if name not in WRITTEN}


def prose_of(text: str) -> str:
    """Return a page without its blocks of code."""
    fenced = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^ {4}.*?$", "", fenced, flags=re.MULTILINE)


SPANS = [
    (name, span)
    for name, text in BY_HAND.items()
    for span in re.findall(r"`([^`\n]+)`", prose_of(text))
]


def table(page: str, title: str) -> dict[str, str]:
    """Return the rows of the table whose first column has this title: first cell to the rest."""
    text = PAGES[f"docs/reference/{page}.md"]
    found = re.search(rf"^\| {title} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found, title
    rows = [tuple(line.strip("| \n").split(" | ", 1)) for line in found[1].splitlines()]
    return dict(rows)


def code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def blocks_of(text: str) -> str:
    """Return the lines of a page's blocks of code, indented or fenced, a blank one between two."""
    found = re.findall(
        r"^( *)```(?:sh|ini)\n(.*?)^ *```$|^ {4}([^\n]*)$", text, re.MULTILINE | re.DOTALL
    )
    return "\n\n".join(fenced or line for _, fenced, line in found)


def typed_commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each repermit command in the blocks of code of a page."""
    pending = ""
    for line in filter(None, blocks_of(text).splitlines()):
        pending += line.strip().removesuffix("\\") + " "
        try:
            parts = shlex.split(pending.removeprefix("ExecStart="), comments=True)
        except ValueError:  # a quoted text goes on in the next line
            continue
        if line.endswith("\\"):
            continue
        pending = ""
        yield from _commands_among(parts)
    assert not pending, pending


def _commands_among(parts: list[str]) -> Iterator[list[str]]:
    while parts:
        end = parts.index("&&") if "&&" in parts else len(parts)
        if Path(parts[0]).name == "repermit" and "=" not in parts[0]:
            yield parts[1:end]
        elif parts[0] in {"sh", "sudo", "/bin/sh"} and "-c" in parts:
            inner = parts[parts.index("-c") + 1]
            yield from _commands_among(shlex.split(re.sub(r"\$\(.*?\)", "", inner)))
        parts = parts[end + 1 :]


TYPED = sorted({shlex.join(one) for text in BY_HAND.values() for one in typed_commands(text)})


def test_commands_are_found_in_a_page() -> None:
    page = (
        "Do:\n\n    x && venv/bin/repermit demo\n    repermit list add \\\n      news  # now\n\n"
        "```ini\nExecStart=/a/repermit serve\n"
        "ExecStart=/bin/sh -c '/a/repermit backup b-$(date +%F)'\n```\n"
        '\n1. Or:\n\n   ```sh\n   repermit answer "a\n      b" && ls\n   ```\n'
    )
    assert list(typed_commands(page)) == [
        ["demo"],
        ["list", "add", "news"],
        ["serve"],
        ["backup", "b-"],
        ["answer", "a b"],
    ]


# --- Commands and options.


@pytest.mark.parametrize("command", TYPED)
def test_every_command_of_the_documentation_can_be_typed(command: str) -> None:
    parse(shlex.split(command))


@pytest.mark.parametrize(
    "span", sorted({span for _, span in SPANS if span.startswith("repermit ")})
)
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
    others = ("git ", "pip ", "pytest", "sqlite3 ", "pg_dump ")
    ours = [span for _, span in SPANS if not span.startswith(others)]
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


def test_the_keys_of_every_document_are_those_of_the_reference(desk: Desk) -> None:
    desk.add_news()
    rows = table("json-documents", "document")
    documented = {code(name)[0]: set(code(keys)) for name, keys in rows.items()}
    assert dict(printed(desk)) == {
        name: {key.partition(" ")[0] for key in keys} for name, keys in documented.items()
    }


def test_every_command_with_a_document_is_in_the_reference() -> None:
    with_json = {
        name.removeprefix("repermit ")
        for name, found in COMMANDS.items()
        if any("--json" in one.opts for one in found.params)
    }
    assert with_json == {code(name)[0] for name in table("json-documents", "document")}
    page = PAGES["docs/reference/json-documents.md"]
    (sentence,) = re.findall(r"`--json` on (.*?) prints one document", page)
    assert with_json == set(code(sentence))


def test_the_columns_of_every_export_are_those_of_the_reference(desk: Desk) -> None:
    desk.add_news()
    with desk.news() as (database, news):
        make_contact(database, news, status=Status.CONFIRMED, basis="answer")
        make_removed(database, news, Reason.NO)
    for name, columns in table("exports", "export").items():
        (what,) = code(name)
        links = ["--with-links"] if "--with-links" in columns else []
        titles = desk.do("export", "news", what, *links).splitlines()[0].split(",")
        assert titles == [one for one in code(columns) if not one.startswith("--")]


# --- Words.


def test_every_fault_of_verify_is_explained() -> None:
    faults = table("verify-faults", "`how`")
    assert {name for cell in faults for name in code(cell)} == set(How)


def test_the_fields_that_columns_are_given_are_all_named() -> None:
    (line,) = [
        line
        for line in PAGES["docs/reference/import-files.md"].splitlines()
        if line.startswith("`--map` takes these fields: ")
    ]
    assert code(line)[1:] == list(FIELDS)


def test_every_field_of_an_own_wording_is_one() -> None:
    named = {one for text in BY_HAND.values() for one in re.findall(r"\{\{ (\w+) \}\}", text)}
    assert named
    assert named <= wording_validation.ALL_FIELDS


def test_every_setting_in_the_text_is_one() -> None:
    known = {key.rpartition(".")[2] for key in config_file.list_known_keys()}
    named = {match[1] for _, span in SPANS if (match := re.match(r"(\w+) = ", span))}
    named |= {
        key
        for text in BY_HAND.values()
        for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
        for key in re.findall(r"^ *(\w+) = ", block, re.MULTILINE)
    }
    assert named
    assert named <= known


def test_the_grades_of_the_twenty_questions_add_up() -> None:
    page = PAGES["docs/explanation/twenty-questions.md"]
    rows = re.findall(r"^\| (\d+) \|.*\| (A|A with [^|]*|B: [^|]*) \|$", page, re.MULTILINE)
    grades = {int(number): grade for number, grade in rows if int(number) <= 20}
    assert set(grades) == set(range(1, 21))
    summed: set[int] = set()
    told = []
    for line in page.partition("| what was prepared |")[2].splitlines()[2:5]:
        count, *numbers = map(int, re.findall(r"\d+", line))
        summed |= set(numbers)
        told.append(sorted(summed))
        assert count == len(summed)
    prepared = [number for number, grade in grades.items() if grade.startswith("A")]
    assert told[:2] == [[number for number in prepared if grades[number] == "A"], prepared]
    reasons = page.partition("With three acts")[2].partition("## What else")[0]
    told_why = set(map(int, re.findall(r"^\| (\d+) \|", reasons, re.MULTILINE)))
    assert told_why == grades.keys() - prepared


def test_the_example_names_every_preset() -> None:
    example = package_files.find_asset("config.example.toml").read_text("utf-8")
    (named,) = re.findall(
        r"what you give below holds instead\.(.*?)`repermit help", example, re.DOTALL
    )
    assert set(PRESETS) <= set(re.split(r"[\s,;]+", named))


# --- How it is laid out.


def anchors_of(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(text), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {one.strip().replace(" ", "-") for one in kept}


def links_of(text: str) -> list[str]:
    """Return where the links and pictures of a page lead to."""
    return re.findall(r"\]\(([^)\s]+)\)", prose_of(text))


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    for link in links_of(PAGES[name]):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / name).parent / file if file else ROOT / name
        assert target.is_file(), link
        if anchor:
            assert anchor in anchors_of(target.read_text("utf-8")), link


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 180
    assert len(README.encode()) <= 9000


def test_readme_says_how_to_run_the_tests_and_what_it_promises() -> None:
    assert ".venv/bin/pip install -q -e '.[test]' && .venv/bin/pytest\n" in README
    promised = README.partition("## Five guarantees")[2].partition("\n## ")[0]
    rows = [line for line in promised.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 5
    assert all("](tests/" in row for row in rows)


def test_the_index_lists_every_page() -> None:
    listed = {
        (DOCS / link.partition("#")[0]).resolve() for link in links_of(PAGES["docs/README.md"])
    }
    there = {path.resolve() for path in DOCS.rglob("*.md")} - {DOCS / "README.md"}
    assert there - listed == set()


def test_every_page_of_the_office_manager_is_there_in_dutch() -> None:
    """The index pairs them; what a pair has in commands and fields is the same."""
    pairs = re.findall(r"^\| \[.*?\]\((\S+)\) \| \[.*?\]\((\S+\.nl\.md)\) \|$",
                       PAGES["docs/README.md"], re.MULTILINE)  # fmt: skip
    assert {dutch for _, dutch in pairs} == {
        str(path.relative_to(DOCS)) for path in DOCS.rglob("*/*.nl.md")
    }
    for english, dutch in pairs:
        assert dutch == english.removesuffix(".md") + ".nl.md"
        texts = [PAGES[f"docs/{name}"] for name in (english, dutch)]
        counts = [len(re.findall(r"^#+ ", text, re.MULTILINE)) for text in texts]
        assert counts[0] == counts[1], dutch
        commands = [[one[0] for one in typed_commands(text)] for text in texts]
        assert commands[0] == commands[1], dutch


def test_every_page_of_the_office_manager_leads_to_the_glossary() -> None:
    there = DOCS / "reference/glossary.md"
    for path in DOCS.rglob("*/*.nl.md"):
        for page in (path, path.with_name(path.name.replace(".nl.md", ".md"))):
            links = links_of(page.read_text("utf-8"))
            assert there in {(page.parent / link).resolve() for link in links}, page


def test_every_question_that_is_answered_is_a_heading() -> None:
    """So a link can lead to it."""
    for name, text in PAGES.items():
        assert re.findall(r"^\*\*[^*\n]*\?\*\*", text, re.MULTILINE) == [], name


# --- How it reads.

MOST_WORDS = 25
MOST_ON_AVERAGE = 20
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])[\"”)*]* +(?=[\"“(*`]*(?:[A-Z0-9`]|repermit\b))")


_QUOTATIONS = re.compile(r'"[^"]*"(?:[,;] "[^"]*")*')


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a page: of its paragraphs, items and cells, without its code."""
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*(?:[-*|]|\d+\.) ?)", prose_of(text)):
        plain = re.sub(r"!\[[^\]]*\]\([^)]*\)|<!--.*?-->", "", paragraph, flags=re.DOTALL)
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", plain)
        plain = re.sub(r"^\s*(?:[-*]|\d+\.|#+) ", "", plain)
        for cell in plain.split("|") if plain.lstrip().startswith("|") else [plain]:
            found += _SENTENCE_ENDS.split(" ".join(cell.split()))
    return [one for one in found if re.search(r"\w", one)]


def words_in(sentence: str) -> int:
    """Count the words of a sentence; a piece of code is one."""
    return len(re.findall(r"\S*\w\S*", re.sub(r"`[^`]*`", "code", sentence)))


def test_sentences_are_counted() -> None:
    text = "# A title\n\nOne. Two `a b c`, RFC 7! *Three.*\n\n- Four\n- Five. Six\n\n| a | b |\n"
    assert sentences_of(text) == [
        "A title", "One.", "Two `a b c`, RFC 7!", "*Three.*", "Four", "Five.", "Six", "a", "b",
    ]  # fmt: skip
    assert [words_in(one) for one in sentences_of(text)] == [2, 1, 4, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("name", PAGES)
def test_sentences_are_short(name: str) -> None:
    found = sentences_of(PAGES[name])
    whole = [one for one in found if one.rstrip('*`)"”').endswith((".", "!", "?", ":"))]
    # A list of keys in a cell of the reference is no sentence, and what a law says is not ours.
    counted = whole if name.startswith("docs/reference/") else found
    ours = [one for one in counted if not _QUOTATIONS.fullmatch(one)]
    assert [one for one in ours if words_in(one) > MOST_WORDS] == []
    assert sum(map(words_in, whole)) <= MOST_ON_AVERAGE * len(whole)
