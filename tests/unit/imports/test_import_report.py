"""How many rows are reported one by one, and what is said of the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repermit.db.connection import Database
from repermit.db.models.contacts import Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.errors import Refused
from repermit.imports.import_report import MAX_PROBLEMS, ImportResult
from repermit.rules.consent import Fate
from tests.support.builders import make_list
from tests.support.import_helpers import mailchimp, take_in, write
from tests.support.list_files import mailchimp_csv, write_zip


def test_as_many_problems_as_are_listed_need_no_further_word(
    database: Database, tmp_path: Path
) -> None:
    path = write(tmp_path, "email\r\n" + "nonsense\r\n" * MAX_PROBLEMS)
    result = take_in(database, make_list(database), path, dry_run=True)
    assert [problem.line for problem in result.problems] == list(range(2, MAX_PROBLEMS + 2))


def test_of_more_problems_the_last_says_how_many_there_are(
    database: Database, tmp_path: Path
) -> None:
    path = write(
        tmp_path,
        "email\r\na@example.org\r\n"
        + "nonsense\r\n" * MAX_PROBLEMS
        + "A@example.org\r\n" * 5
        + "info@example.org\r\n",
    )
    result = take_in(database, make_list(database), path, dry_run=True)
    assert len(result.problems) == MAX_PROBLEMS + 1
    last = result.problems[-1]
    assert (last.line, last.column, last.fate) == (0, "", None)
    assert last.reason == "and 6 rows more"
    assert result.fates[Fate.DUPLICATE] == 5


def test_duplicates_do_not_crowd_out_other_problems(database: Database, tmp_path: Path) -> None:
    news = make_list(database)
    take_in(database, news, write(tmp_path, "email\r\na@example.org\r\nb@example.org\r\n"))
    path = write(
        tmp_path,
        "email\r\na@example.org\r\nb@example.org\r\n"
        + "a@example.org\r\n" * MAX_PROBLEMS
        + "info@example.org\r\nnonsense\r\n",
    )
    result = take_in(database, news, path, dry_run=True)
    fates = [problem.fate for problem in result.problems]
    assert fates[-3:] == [Fate.ROLE, Fate.INVALID, None]
    assert set(fates[:-3]) == {Fate.DUPLICATE}
    assert result.problems[-1].reason == "and 4 rows more"


def test_problems_stand_in_the_order_of_the_file(database: Database, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "email\r\ninfo@example.org\r\nnonsense\r\na@example.org\r\na@example.org\r\n"
        "more nonsense\r\nteam@example.org\r\n",
    )
    result = take_in(database, make_list(database), path)
    assert [(problem.line, problem.fate) for problem in result.problems] == [
        (2, Fate.ROLE),
        (3, Fate.INVALID),
        (5, Fate.DUPLICATE),
        (6, Fate.INVALID),
        (7, Fate.ROLE),
    ]


# --- What is to be known of a whole part.


def test_a_no_far_down_to_what_nobody_knows_is_told_of(database: Database, tmp_path: Path) -> None:
    rows = "".join(f"p{number}@example.org,ja\r\n" for number in range(250))
    path = write(tmp_path, f"email,Mag\r\n{rows}q@example.org,nee\r\n")
    (note,) = take_in(database, make_list(database), path).problems
    assert (note.line, note.column) == (0, "Mag")
    assert note.reason == (
        "column Mag says Yes and No, and it is not known to what: if a No (1 row) means no mail, "
        'add --map "consent=Mag"'
    )


def test_each_question_is_told_of_with_its_part(database: Database, tmp_path: Path) -> None:
    text = "email,Mag\r\n{0}1@example.org,nee\r\n{0}2@example.org,nee\r\n"
    path = write_zip(tmp_path / "a.zip", {"a.csv": text.format("a"), "b.csv": text.format("b")})
    notes = take_in(database, make_list(database), path).problems
    assert [(note.part, note.reason.count("(2 rows)")) for note in notes] == [
        ("a.csv", 1),
        ("b.csv", 1),
    ]


# --- Why a row is opted out, and what leaves that in doubt.

ROLE = "a shared mailbox rather than one person's: it is asked too, but have a look"
IN_DOUBT = "have a look: the file may say that this person wants no mail"


def reasons(result: ImportResult) -> list[tuple[int, Fate | None, str]]:
    return [(problem.line, problem.fate, problem.reason) for problem in result.problems]


def test_a_refusal_is_reported_with_its_column_and_words(
    database: Database, tmp_path: Path
) -> None:
    path = write(
        tmp_path,
        "email,actief,opmerking\r\na@example.org,nee,\r\nb@example.org,ja,wil geen mail meer\r\n"
        "c@example.org,ja,wil graag mail\r\n",
    )
    reason = "the file says that this person unsubscribed, or is not to be mailed"
    assert reasons(take_in(database, make_list(database), path)) == [
        (2, Fate.OPTED_OUT, f"{reason} (actief: nee)"),
        (3, Fate.OPTED_OUT, f"{reason} (opmerking: wil geen mail meer)"),
    ]


def test_who_is_taken_in_but_in_doubt_is_reported_and_counted(
    database: Database, tmp_path: Path
) -> None:
    path = write(
        tmp_path,
        "email,opmerking\r\na@example.org,niet afgemeld\r\ninfo@example.org,niet afgemeld\r\n"
        "A@example.org,mail niet bekend\r\nA@example.org,\r\nb@example.org,niet afgemeld\r\n",
    )
    news = make_list(database)
    take_in(database, news, write(tmp_path, "email\r\nb@example.org\r\n", "older.csv"))
    result = take_in(database, news, path)
    assert result.fates[Fate.ASK] == result.fates[Fate.ROLE] == 1
    said = f"{IN_DOUBT} (opmerking: niet afgemeld)"
    assert reasons(result) == [
        (2, Fate.ASK, said),
        (3, Fate.ROLE, f"{ROLE}; {said}"),
        (
            4,
            Fate.DUPLICATE,
            f"this address stands in line 2 too; {IN_DOUBT} (opmerking: mail niet bekend)",
        ),
        (5, Fate.DUPLICATE, "this address stands in line 2 too"),
        (6, Fate.DUPLICATE, f"this address is on the list already; {said}"),
    ]


def test_a_mistyped_domain_is_reported_with_what_may_be_meant(
    database: Database, tmp_path: Path
) -> None:
    path = write(
        tmp_path,
        "email,opmerking\r\na@gmial.com,\r\ninfo@praktijk.nk,\r\nb@gmial.com,niet afgemeld\r\n"
        "c@gmial.com,afgemeld\r\nd@gmail.con,\r\nD@gmail.con,\r\n",
    )
    result = take_in(database, make_list(database), path)
    mistyped = "have a look: the domain looks mistyped (did you mean {}?)"
    gmail = mistyped.format("gmail.com")
    said = {problem.line: problem.reason for problem in result.problems}
    assert {line: said[line] for line in (2, 3, 4, 6)} == {
        2: gmail,
        3: f"{ROLE}; {mistyped.format('praktijk.nl')}",
        4: f"{IN_DOUBT} (opmerking: niet afgemeld); {gmail}",
        6: gmail,
    }
    # Nobody mails who is off, nor twice.
    assert "mistyped" not in said[5] + said[7]
    assert [problem.line for problem in result.problems if problem.mistyped] == [2, 3, 4, 6]


def test_nobody_in_doubt_is_reported_of_a_column_that_raises_none(
    database: Database, tmp_path: Path
) -> None:
    path = write(tmp_path, "email,opmerking\r\na@example.org,lid\r\n")
    assert reasons(take_in(database, make_list(database), path)) == []


def test_those_in_doubt_go_before_duplicates_and_are_counted_beyond_the_limit(
    database: Database, tmp_path: Path
) -> None:
    path = write(
        tmp_path,
        "email,opmerking\r\na@example.org,\r\n"
        + "a@example.org,\r\n" * MAX_PROBLEMS
        + "b@example.org,niet afgemeld\r\n",
    )
    result = take_in(database, make_list(database), path, dry_run=True)
    assert result.problems[-2].reason == f"{IN_DOUBT} (opmerking: niet afgemeld)"
    assert result.problems[-1].reason == "and 1 rows more"


# --- What is to be known of a whole part.


def test_people_who_never_subscribed_at_mailchimp_are_counted(
    database: Database, tmp_path: Path
) -> None:
    addresses = {"subscribed": "ab", "nonsubscribed": "bcd", "unsubscribed": "d"}
    members = {
        f"{kind}_x.csv": mailchimp_csv(
            *({"Email Address": f"{letter}@example.org"} for letter in letters)
        )
        for kind, letters in addresses.items()
    }
    result = take_in(database, make_list(database), write_zip(tmp_path / "a.zip", members))
    note = result.problems[0]
    assert (note.line, note.column, note.fate, note.part) == (0, "", None, "nonsubscribed_x.csv")
    assert note.reason == (
        "nonsubscribed_x.csv: people who never subscribed in Mailchimp, which knows them from "
        "orders or imports, and who are to be asked: 1. To leave them out, give "
        '--opt-out "nonsubscribed_x.csv:*"'
    )
    assert all(problem.line for problem in result.problems[1:])


def test_a_part_can_be_left_out_whole(database: Database, tmp_path: Path) -> None:
    rows = [{"Email Address": f"{letter}@example.org"} for letter in "abc"]
    members = {
        "subscribed_x.csv": mailchimp_csv(*rows[:2]),
        "nonsubscribed_x.csv": mailchimp_csv(*rows[1:]),
    }
    path, news = write_zip(tmp_path / "a.zip", members), make_list(database)
    for wrong in ("other_x.csv:*", ":*"):
        with pytest.raises(Refused, match="is no part of this file"):
            take_in(database, news, path, opted_out=(wrong,))
    result = take_in(database, news, path, opted_out=("nonsubscribed_x.csv:*",))
    assert (result.fates[Fate.ASK], result.fates[Fate.OPTED_OUT]) == (1, 2)
    assert not [problem for problem in result.problems if not problem.line]
    assert Suppression.select().count() == 2
    entry = Evidence.get(Evidence.event == "imported")
    consent = EvidencePart.get(EvidencePart.seq == entry.seq, EvidencePart.part == "consent")
    assert json.loads(consent.json)["opted_out_by_hand"] == 2


def test_a_file_of_those_who_never_subscribed_can_only_be_left_out_whole(
    database: Database, tmp_path: Path
) -> None:
    path = mailchimp(tmp_path, {"email": "a@example.org"}, name="nonsubscribed_x.csv")
    news = make_list(database)
    (note,) = take_in(database, news, path, dry_run=True).problems
    assert note.reason.endswith("who are to be asked: 1. To leave them out, do not import it")
    take_in(database, news, path)
    (again,) = take_in(database, news, path).problems
    assert again.line == 2


def test_a_column_of_yes_and_no_to_what_nobody_knows_is_told_of(
    database: Database, tmp_path: Path
) -> None:
    path = write(tmp_path, "email;Mag wel\r\na@example.org;ja\r\nb@example.org;nee\r\n")
    (note,) = take_in(database, make_list(database), path).problems
    assert (note.line, note.column, note.part) == (0, "Mag wel", "")
    assert note.reason.endswith('(1 row) means no mail, add --map "consent=Mag wel"')
