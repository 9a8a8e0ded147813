"""Handing results over from the command line: export, reconcile."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from pathlib import Path

import openpyxl
import pytest

from repermit.contacts import erasure, status_changes
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.rules.consent import Reason, Status
from tests.support.builders import NOW, make_contact, make_removed
from tests.support.command_tree import REPERMIT
from tests.support.desk import Desk

WHAT = {
    "keep": "address,name,language,basis,since",
    "removed": "address,name,reason,removed_at",
    "unasked": "address,name,reason",
}


@pytest.fixture
def settled(desk: Desk) -> Desk:
    """Return a desk on whose list zoe@example.org stays and jan@example.org was taken off."""
    desk.add_news()
    with desk.news() as (database, news):
        make_contact(
            database,
            news,
            "zoe@example.org",
            name="Zoë",
            status=Status.CONFIRMED,
            basis="imported",
            basis_at=NOW,
        )
        make_removed(database, news, Reason.NO, "jan@example.org")
    return desk


@pytest.fixture
def target(desk: Desk) -> Path:
    return desk.folder / "out"


# --- export.


@pytest.mark.parametrize("what", WHAT)
def test_an_export_has_the_columns_that_scripts_rely_on(settled: Desk, what: str) -> None:
    assert settled.do("export", "news", what).splitlines()[0] == WHAT[what]
    rows = json.loads(settled.do("export", "news", what, "--format", "json"))
    assert all(list(row) == WHAT[what].split(",") for row in rows)
    assert len(rows) == (what != "unasked")


def test_the_checkpoint_that_is_told_is_that_of_the_file(settled: Desk, tmp_path: Path) -> None:
    file = tmp_path / "evidence.json"
    told = settled.do("export", "news", "evidence", "-o", str(file)).splitlines()[-1]
    assert json.loads(told) == json.loads(file.read_text())["checkpoint"]
    checkpoint = tmp_path / "checkpoint.json"
    checkpoint.write_text(told)
    assert "holds" in settled.do("verify", str(file), "--checkpoint", str(checkpoint))


def test_the_evidence_is_exported_too(settled: Desk) -> None:
    document = json.loads(settled.do("export", "news", "evidence", "--format", "json"))
    assert {"removed"} <= {one["entry"]["event"] for one in document["entries"]}


def test_links_are_added_to_those_who_stay(settled: Desk) -> None:
    (row,) = csv.DictReader(io.StringIO(settled.do("export", "news", "keep", "--with-links")))
    assert row["unsubscribe_url"].startswith("https://ask.example.org/no/")
    assert "export keep" in settled.refused("export", "news", "removed", "--with-links")


def test_a_file_is_made_for_its_user_alone(settled: Desk, target: Path) -> None:
    assert settled.do("export", "news", "keep", "-o", str(target)) == f"1 row in {target}.\n"
    assert target.read_bytes().decode() == settled.do("export", "news", "keep")
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.exhaustive
def test_a_spreadsheet_goes_to_a_file_or_a_pipe_but_not_to_the_screen(
    settled: Desk, target: Path
) -> None:
    settled.do("export", "news", "keep", "--format", "xlsx", "-o", str(target))
    with target.open("rb") as file:
        (titles, row) = openpyxl.load_workbook(file).worksheets[0].values
    assert titles[:2] == ("address", "name")
    assert row[:2] == ("zoe@example.org", "Zoë")
    command = [str(REPERMIT), "--config", str(settled.config), "export", "news", "keep"]
    command += ["--format", "xlsx"]
    piped = subprocess.run(command, capture_output=True, check=True)
    assert piped.stdout.startswith(b"PK")
    assert (
        _on_a_screen(command) == "repermit: a spreadsheet is not for the screen: add -o FILE.xlsx\n"
    )


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("keep.xlsx", b"PK"),
        ("KEEP.XLSX", b"PK"),
        ("keep.json", b"["),
        ("keep.csv", b"address,"),
        ("keep.txt", b"address,"),
        ("keep", b"address,"),
    ],
)
def test_a_file_is_what_its_name_says(settled: Desk, name: str, begins: bytes) -> None:
    target = settled.folder / name
    settled.do("export", "news", "keep", "-o", str(target))
    assert target.read_bytes().startswith(begins)


@pytest.mark.parametrize(
    ("form", "name", "says"),
    [
        (("--format", "csv"), "keep.xlsx", "--format csv does not go with a file called "),
        (("--format", "xlsx"), "keep.csv", "--format xlsx does not go with a file called "),
        (("--format", "json"), "keep.ods", "--format json does not go with a file called "),
        ((), "keep.xls", "a spreadsheet is written as .xlsx, not as .xls"),
        ((), "keep.ODS", "a spreadsheet is written as .xlsx, not as .ods"),
    ],
)
def test_a_name_that_says_something_else_is_wrong_usage(
    settled: Desk, form: tuple[str, ...], name: str, says: str
) -> None:
    target = settled.folder / name
    assert says in settled.misused("export", "news", "keep", *form, "-o", str(target))
    assert not target.exists()


@pytest.mark.parametrize("form", ["csv", "json", "xlsx"])
def test_a_format_may_be_given_beside_the_ending_that_says_the_same(
    settled: Desk, form: str
) -> None:
    for name in (f"keep.{form}", "keep.txt", "keep"):
        settled.do("export", "news", "keep", "--format", form, "-o", str(settled.folder / name))
    outputs = {(settled.folder / name).read_bytes()[:2] for name in (f"keep.{form}", "keep")}
    assert outputs == {{"csv": b"ad", "json": b"[\n", "xlsx": b"PK"}[form]}


def _on_a_screen(command: list[str]) -> str:
    """Run a command whose stdout is a terminal; return what it says on stderr."""
    reader, screen = os.openpty()
    done = subprocess.run(command, stdout=screen, stderr=subprocess.PIPE, text=True, check=False)
    os.close(screen)
    os.close(reader)
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("taken", ["nowhere/out", "."])
def test_a_file_that_cannot_be_written_is_refused(settled: Desk, taken: str) -> None:
    place = settled.folder / "sub"
    place.mkdir()
    output = str(place / taken) if taken != "." else str(place)
    assert "cannot be written" in settled.refused("export", "news", "keep", "-o", output)
    assert list(place.iterdir()) == []
    assert [one for one in settled.folder.iterdir() if one.name.startswith(".")] == []


def test_what_is_refused_leaves_an_earlier_file_as_it_was(settled: Desk, target: Path) -> None:
    target.write_text("earlier")
    settled.refused("export", "news", "unasked", "--for", "mailchimp", "-o", str(target))
    assert target.read_text() == "earlier"
    assert sorted(settled.folder.glob(".out*")) == []
    with settled.database():
        assert not Evidence.select().where(Evidence.event == "exported").exists()


@pytest.mark.parametrize("tool", ["mailchimp", "laposta", "brevo", "mailerlite", "outlook"])
@pytest.mark.parametrize("what", ["keep", "removed"])
def test_a_tools_file_comes_with_numbered_steps(
    settled: Desk, target: Path, tool: str, what: str
) -> None:
    shown = settled.do("export", "news", what, "--for", tool, "-o", str(target)).splitlines()
    assert shown[0] == f"1 row in {target}."
    steps = shown[1:]
    assert [step.partition(".")[0] for step in steps] == [str(n + 1) for n in range(len(steps))]
    assert steps


def test_on_stdout_the_steps_do_not_get_into_the_file(settled: Desk) -> None:
    ran = settled.run("export", "news", "keep", "--for", "mailchimp")
    assert len(ran.out.splitlines()) == 2
    assert ran.err.startswith("1. In Mailchimp")


def test_who_is_erased_and_what_is_for_the_hand_is_said(settled: Desk) -> None:
    with settled.news() as (database, news):
        make_removed(database, news, Reason.NO, "=1+1@example.org")
        gone = make_removed(database, news, Reason.NO, "gone@example.org")
        with database.atomic():
            erasure.erase_contact(
                gone,
                act=status_changes.Act(at=NOW, actor="admin"),
                fingerprint_key=settled.settings.fingerprint_key,
            )
    ran = settled.run("export", "news", "removed", "--for", "mailchimp")
    assert "held no longer: 1 more" in ran.err
    assert "=1+1@example.org" in ran.err
    assert "=1+1" not in ran.out


def test_who_stands_in_a_tools_file_in_both_forms_is_counted(settled: Desk, target: Path) -> None:
    with settled.news() as (database, news):
        make_removed(database, news, Reason.NO, "ria@bücher.example.org")
    shown = settled.do("export", "news", "removed", "--for", "brevo", "-o", str(target))
    assert shown.startswith(
        f"3 rows in {target}.\n"
        "In two rows, since tools hold one form of the domain or the other: 1\n"
    )


@pytest.mark.parametrize(("what", "fate"), [("removed", "suppressed"), ("keep", "duplicate")])
def test_our_own_file_that_comes_back_brings_nobody_back(
    settled: Desk, target: Path, what: str, fate: str
) -> None:
    with settled.news() as (database, news):
        make_removed(database, news, Reason.NO, "ria@bücher.example.org")
        make_contact(database, news, "an@bücher.example.org", status=Status.CONFIRMED)
    settled.do("export", "news", what, "--for", "mailchimp", "-o", str(target))
    fates = settled.run("import", "news", str(target), "--json").document["fates"]
    # Of the two rows of one address, one decides.
    assert fates[fate] == 2
    assert sum(fates.values()) == {"removed": 3, "keep": 2}[what]
    assert fates["ask"] == 0
    with settled.database():
        assert Contact.select().count() == 4


# --- reconcile.


def test_a_comparison_tells_who_is_wrong_there(settled: Desk) -> None:
    path = settled.file("Kolom;Naam", "jan@example.org;Jan", "new@example.org;Nel")
    shown = settled.do("reconcile", "news", path, "--map", "address=Kolom")
    assert "  1  should not be there\n" in shown
    assert "  0  invalid\n" in shown
    assert "  line 2: jan@example.org should not be there (no)\n" in shown
    assert "  zoe@example.org is missing there (imported)\n\n1. Unsubscribe there " in shown
    assert "\n2. Send nothing there" in shown
    assert "\n3. Add there" in shown
    document = settled.run("reconcile", "news", path, "--map", "address=Kolom", "--json").document
    assert [one["address"] for one in document["should_not_be_there"]] == ["jan@example.org"]
    assert [one["address"] for one in document["missing"]] == ["zoe@example.org"]
    with settled.database():
        assert Contact.select().count() == 2


def test_a_comparison_with_what_is_no_list_is_refused(settled: Desk) -> None:
    settled.refused("reconcile", "news", str(settled.folder / "nowhere.csv"))
