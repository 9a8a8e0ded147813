"""Files that fill a list, from the command line."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from repermit.db.models.contacts import Contact
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.imports.import_report import MAX_PROBLEMS
from repermit.rules.consent import Fate
from tests.support.desk import Desk
from tests.support.list_files import MAILCHIMP_TITLES, as_csv, write_workbook

FILE = (
    "E-mail;Naam;Status;Optin time;Optin IP",
    "jan@example.org;Jan;;;",
    "piet@example.org;Piet;;;",
    "JAN@example.org;Johannes;;;",
    "info@example.org;;;;",
    "no at sign;;;;",
    "left@example.org;;unsubscribed;;",
    "zoe@example.org;Zoë;;2021-05-03 10:12:00;192.0.2.14",
)
FATES = {"ask": 2, "duplicate": 1, "role": 1, "invalid": 1, "opted_out": 1, "confirmed": 1}


def contacts(desk: Desk) -> int:
    with desk.database():
        return int(Contact.select().count())


def test_an_import_shows_columns_fates_and_rows_to_look_at(desk: Desk) -> None:
    desk.add_news()
    shown = desk.do("import", "news", desk.file(*FILE), "--source", "our own form")
    assert "list.csv (csv from mailchimp): E-mail = address; Naam = name" in shown
    assert "7 rows imported:" in shown
    assert all(f"  {FATES.get(fate, 0)}  {fate.replace('_', ' ')}\n" in shown for fate in Fate)
    assert "line 6, E-mail: " in shown
    assert "greeted without a name: 1" in shown
    assert "kept as thin: 1." in shown
    assert contacts(desk) == 4


def test_a_dry_run_shows_the_same_and_writes_nothing(desk: Desk) -> None:
    desk.add_news()
    path = desk.file(*FILE)
    dry = desk.do("import", "news", path, "--dry-run")
    assert contacts(desk) == 0
    assert "7 rows would be imported; nothing was written:" in dry
    wet = desk.do("import", "news", path)
    assert dry.replace("would be imported; nothing was written", "imported") == wet


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_the_document_of_an_import_has_every_fate_and_adds_up(
    desk: Desk, dry: tuple[str, ...]
) -> None:
    desk.add_news()
    document = desk.run("import", "news", desk.file(*FILE), "--json", *dry).document
    assert list(document) == ["list", "file", "rows", "fates", "problems"]
    assert (document["list"], document["file"], document["rows"]) == ("news", "list.csv", 7)
    assert document["fates"] == dict.fromkeys(Fate, 0) | FATES
    assert sum(document["fates"].values()) == document["rows"]
    assert all(list(one) == ["line", "column", "reason"] for one in document["problems"])
    assert {one["line"] for one in document["problems"]} == {4, 5, 6, 7}


def test_a_header_alone_is_no_rows(desk: Desk) -> None:
    desk.add_news()
    document = desk.run("import", "news", desk.file("E-mail"), "--json").document
    assert document["rows"] == sum(document["fates"].values()) == 0


def test_a_long_list_of_rows_is_cut_and_says_so(desk: Desk) -> None:
    desk.add_news()
    path = desk.file("E-mail", *(f"info@d{n}.example.org" for n in range(23)))
    shown = desk.do("import", "news", path)
    assert shown.count("\n  line ") == 20
    head, _, rest = shown.partition("Not shown here; --json lists them:\n")
    assert head.endswith("have a look\n")
    assert rest.startswith("  3  a shared mailbox")
    assert rest.count("\n") == 1


def test_rows_to_look_at_begin_with_the_invalid_and_end_with_duplicates(desk: Desk) -> None:
    desk.add_news()
    twice = ["jan@example.org;", *["jan@example.org;"] * 21]
    others = ["left@example.org;unsubscribed", "info@example.org;", "a @ example.org;"]
    shown = desk.do("import", "news", desk.file("E-mail;Status", *twice, *others))
    rows = shown.partition("Rows to look at:\n")[2].splitlines()
    assert [row.partition(",")[0] for row in rows[:5]] == [
        "  line 26",
        "  line 25",
        "  line 24",
        "  line 3",
        "  line 4",
    ]
    assert rows[20:] == ["Not shown here; --json lists them:", "  4  duplicate"]


def test_of_more_rows_than_are_listed_the_last_line_says_how_many(desk: Desk) -> None:
    desk.add_news()
    path = desk.file("E-mail", *["nonsense"] * (MAX_PROBLEMS + 5))
    shown = desk.do("import", "news", path, "--dry-run")
    assert shown.endswith("\n  9,980  no @ in the address\n  and 5 rows more\n")


def test_lines_with_several_addresses_are_counted(desk: Desk) -> None:
    desk.add_news()
    path = desk.file("E-mail;Naam", "a@example.org, b@example.org;", "c@example.org;")
    shown = desk.do("import", "news", path)
    assert "3 rows imported:" in shown
    assert "Lines with several addresses make a row of each: 1 row more than lines.\n" in shown


def test_the_parts_of_an_archive_are_named(desk: Desk) -> None:
    desk.add_news()
    path = desk.folder / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for kind in ("subscribed", "cleaned"):
            name = f"{kind}_members_export_1.csv"
            rows = (MAILCHIMP_TITLES, (f"{kind}@example.org",))
            archive.writestr(name, as_csv(rows))
    shown = desk.do("import", "news", str(path))
    assert "subscribed_members_export_1.csv (csv from mailchimp): Email Address = address" in shown
    assert "  cleaned_members_export_1.csv, line 2, Email Address: the file says" in shown


def test_columns_without_titles_may_be_named_by_letter(desk: Desk) -> None:
    desk.add_news()
    path = desk.file("Jan,jan@example.org", "Piet,piet@example.org")
    shown = desk.do("import", "news", path, "--map", "name=A", "--map", "address=B")
    assert "column 1 = name; column 2 = address" in shown


def test_columns_that_are_not_read_are_named(desk: Desk) -> None:
    desk.add_news()
    path = desk.file("E-mail,Opmerkingen,Klant", "jan@example.org,afgemeld,ja")
    shown = desk.do("import", "news", path, "--map", "customer=", "--map", "remark=")
    assert "(csv): E-mail = address\n  not read: Opmerkingen; Klant\n" in shown
    assert "  1  ask\n" in shown


def test_refusals_far_below_under_a_title_that_is_not_known_are_heard(desk: Desk) -> None:
    desk.add_news()
    cells = [["E-mailadres", "Opmerking 2", "Stad"]]
    cells += [[f"p{number}@example.org", "", "Gent"] for number in range(300)]
    cells += [["q@example.org", "wil geen post"], ["r@example.org", "overl. 2021"]]
    cells += [["s@example.org", "", "", "afgemeld"], ["t@example.org", "liever niet"]]
    path = write_workbook(desk.folder / "late.xlsx", {"Blad1": cells})
    shown = desk.do("import", "news", str(path), "--dry-run")
    assert "E-mailadres = address\n  read for a No: Opmerking 2; Stad; column 4\n" in shown
    assert "  301  ask\n" in shown
    assert "  3  opted out\n" in shown
    assert "  line 305, E-mailadres: have a look: " in shown


def test_what_is_to_be_known_of_a_whole_file_stands_before_its_rows(desk: Desk) -> None:
    desk.add_news()
    path = desk.file("E-mail;Mag", "a@example.org;ja", "b@example.org;nee", "nonsense;ja")
    shown = desk.do("import", "news", path)
    note, rows = shown.split("\n\n")[-2:]
    assert note.startswith("column Mag says Yes and No, and it is not known to what: ")
    assert rows.startswith("Rows to look at:\n  line 4, E-mail: ")
    never = desk.file("email", "c@example.org", name="nonsubscribed_x.csv")
    shown = desk.do("import", "news", never)
    assert shown.endswith("to be asked: 1. To leave them out, do not import it\n")
    assert "Rows to look at" not in shown


@pytest.mark.parametrize(
    ("more", "words"), [((), "1 cell names"), (("b@example.org;elvish",), "2 cells name")]
)
def test_a_language_that_nobody_knows_is_named(
    desk: Desk, more: tuple[str, ...], words: str
) -> None:
    desk.add_news()
    path = desk.file("E-mail;Taal", "a@example.org;klingon", *more)
    shown = desk.do("import", "news", path, "--dry-run")
    assert f"column Taal: {words} no language that is known (klingon); the mail is in " in shown


def test_rows_in_doubt_come_first_and_further_ones_are_counted_together(desk: Desk) -> None:
    desk.add_news()
    rows = [f"d{n}@example.org;{n} x afgemeld" for n in range(25)]
    doubtful = [f"a{n}@example.org;niet afgemeld" for n in range(2)]
    shown = desk.do("import", "news", desk.file("E-mail;Opmerking", *rows, *doubtful))
    assert "Rows to look at:\n  line 27, E-mail: have a look: " in shown
    assert shown.endswith(
        "\n  7  the file says that this person unsubscribed, or is not to be mailed\n"
    )


@pytest.mark.parametrize("dry", [("--dry-run",), ()])
def test_mistyped_domains_come_first_with_what_may_be_meant(
    desk: Desk, dry: tuple[str, ...]
) -> None:
    desk.add_news()
    roles = [f"info@d{n}.example.org" for n in range(25)]
    path = desk.file("E-mail", *roles, "a@gmial.com", "b@praktijk.con", "c@planet.n")
    shown = desk.do("import", "news", path, *dry)
    head = "have a look: the domain looks mistyped"
    assert f"Rows to look at:\n  line 27, E-mail: {head} (did you mean gmail.com?)\n" in shown
    assert f"  line 28, E-mail: {head} (did you mean praktijk.com?)\n" in shown
    assert f"  line 29, E-mail: {head} (did you mean planet.nl?)\n" in shown
    assert "Addresses that look mistyped: 3. Mend them in the file, or leave them out: " in shown


def test_the_text_of_the_form_makes_a_proof_whole(desk: Desk) -> None:
    desk.add_news()
    form = desk.file("I want the news", name="form.txt")
    assert "thin" not in desk.do("import", "news", desk.file(*FILE), "--consent-text", form)


def test_people_who_are_there_already_may_get_a_better_basis(desk: Desk) -> None:
    desk.add_news()
    desk.do("import", "news", desk.file("E-mail", "zoe@example.org"))
    assert "with a better basis now: 1" in desk.do("import", "news", desk.file(*FILE))


def test_customers_need_an_attestation(desk: Desk) -> None:
    desk.add_news()
    path = desk.file("E-mail", "jan@example.org")
    desk.refused("import", "news", path, "--customers")
    attested = ("--customers", "--attest", "Each bought from us, and could say no then")
    assert "  1  customer\n" in desk.do("import", "news", path, *attested)


CUSTOMER_COLUMN = ("E-mail;Klant", "jan@example.org;ja")


@pytest.mark.parametrize(
    ("rows", "options"), [(CUSTOMER_COLUMN, ()), (("E-mail", "jan@example.org"), ("--customers",))]
)
def test_a_dry_run_shows_customers_and_that_an_attestation_is_needed(
    desk: Desk, rows: tuple[str, ...], options: tuple[str, ...]
) -> None:
    desk.add_news()
    command = ("import", "news", desk.file(*rows), *options)
    refusal = desk.refused(*command).removeprefix("repermit: ").strip()
    assert "--attest TEXT" in refusal
    assert "--map customer=" in refusal
    shown = desk.do(*command, "--dry-run")
    assert "  1  customer\n" in shown
    assert shown.endswith(f"\nWithout --dry-run this will be refused: {refusal}.\n")
    ran = desk.run(*command, "--dry-run", "--json")
    assert ran.document["fates"]["customer"] == 1
    assert refusal in ran.err
    assert "refused" not in desk.do(*command, "--dry-run", "--attest", "Each bought from us")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_cannot_be_read_is_refused_and_changes_nothing(
    desk: Desk, content: bytes
) -> None:
    desk.add_news()
    path = desk.folder / "list.csv"
    path.write_bytes(content)
    desk.refused("import", "news", str(path))
    desk.refused("import", "news", str(path), "--json")
    with desk.database():
        assert not Import.select().exists()


def test_a_file_that_is_not_there_is_refused(desk: Desk) -> None:
    desk.add_news()
    assert "there is no file" in desk.refused("import", "news", "nowhere.csv")


def test_the_last_import_is_taken_back(desk: Desk) -> None:
    desk.add_news()
    desk.do("import", "news", desk.file(*FILE))
    undone = "Took back list.csv: 4 contacts and 1 suppression; put back as they were: 0 contacts."
    assert desk.do("import", "news", "--undo") == f"{undone}\n"
    assert contacts(desk) == 0
    desk.refused("import", "news", "--undo")
    with desk.database():
        assert MailingList.select().count() == 1


@pytest.mark.parametrize("content", ["", " \n\t\n", "\ufeff\n"])
def test_a_form_without_a_text_is_refused_with_the_reason(desk: Desk, content: str) -> None:
    desk.add_news()
    form = desk.folder / "form.txt"
    form.write_text(content, "utf-8")
    refusal = desk.refused("import", "news", desk.file(*FILE), "--consent-text", str(form))
    assert "form.txt holds no text" in refusal
    assert "leave --consent-text out" in refusal
    assert contacts(desk) == 0


def test_a_list_and_a_file_that_are_swapped_are_noticed(desk: Desk) -> None:
    desk.add_news()
    said = desk.misused("import", desk.file(*FILE), "news")
    assert "list.csv looks like a file" in said
    assert "the list comes first: repermit import LIST FILE" in said


# --- Rows to look at, and deciding on them. -------------------------------------------------------

DOUBTS = (
    "E-mail;Naam;Opmerking",
    "a@example.org;Anna;geen post, wel mail",
    "b@example.org;Bert (overl. 2021);",
    "c@example.org;Cees;wil post",
    *(f"wrong {number};;" for number in range(30)),
    "d@example.org;Dora;partner overleden",
)


def statuses(desk: Desk) -> dict[str, str]:
    with desk.database():
        return {str(one.address): one.status for one in Contact.select()}


def test_who_may_want_no_mail_is_shown_before_all_others(desk: Desk) -> None:
    desk.add_news()
    shown = desk.do("import", "news", desk.file(*DOUBTS), "--dry-run")
    rows = shown.partition("Rows to look at:\n")[2].splitlines()
    assert [row.split(",")[0] for row in rows[:3]] == ["  line 2", "  line 3", "  line 35"]
    assert "3 rows may say that somebody wants no mail." in shown
    assert "--opt-out LINE" in shown


def test_a_line_that_was_looked_at_can_be_left_out(desk: Desk) -> None:
    desk.add_news()
    path = desk.file(*DOUBTS)
    shown = desk.do("import", "news", path, "--opt-out", "3", "--opt-out", "35")
    assert "  2  opted out\n" in shown
    assert "1 row may say that somebody wants no mail." in shown
    assert statuses(desk).keys() == {"a@example.org", "c@example.org"}
    # They are suppressed, and stay so when the file comes again.
    assert "  2  suppressed\n" in desk.do("import", "news", path)


def test_a_decision_takes_off_who_is_on_the_list_already(desk: Desk) -> None:
    desk.add_news()
    path = desk.file(*DOUBTS)
    desk.do("import", "news", path)
    desk.do("import", "news", path, "--opt-out", "2")
    assert statuses(desk)["a@example.org"] == "removed"


def test_of_several_sheets_a_line_is_named_with_its_own(desk: Desk) -> None:
    desk.add_news()
    path = desk.folder / "lists.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.csv", "email,opmerking\na@example.org,geen brieven\n")
        archive.writestr("two.csv", "email,opmerking\nb@example.org,geen brieven\n")
    assert "after its part and a colon: one.csv, two.csv" in desk.refused(
        "import", "news", str(path), "--opt-out", "2"
    )
    desk.do("import", "news", str(path), "--opt-out", "two.csv:2")
    assert statuses(desk).keys() == {"a@example.org"}


@pytest.mark.parametrize("line", ["x", "0", "99", "1", "-3", "", "2.0"])
def test_a_line_without_a_row_is_refused_and_changes_nothing(desk: Desk, line: str) -> None:
    desk.add_news()
    assert "line" in desk.refused("import", "news", desk.file(*DOUBTS), "--opt-out", line)
    assert contacts(desk) == 0


def test_whom_a_remark_opts_out_can_be_asked_and_nobody_who_is_off_otherwise(desk: Desk) -> None:
    desk.add_news()
    path = desk.file(
        "email,opmerking,status",
        "a@example.org,geen post,",
        "b@example.org,geen post,",
        "c@example.org,geen post,afgemeld",
    )
    desk.do("import", "news", path, "--ask", "2", "--ask", "4")
    assert statuses(desk).keys() == {"a@example.org"}
    assert "no row" in desk.refused("import", "news", path, "--ask", "9")


def test_how_far_a_long_import_is_stands_on_stderr(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repermit.cli.import_file._SECONDS_BETWEEN", 0.0)
    desk.add_news()
    path = tmp_path / "list.csv"
    path.write_text("email\na@example.org\nb@example.org\n", "utf-8")
    ran = desk.run("import", "news", str(path))
    assert ran.code == 0
    assert "list.csv: 2 of 2 addresses are taken in" in ran.err
    monkeypatch.undo()
    assert desk.run("import", "news", str(path)).err == ""
