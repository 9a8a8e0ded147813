"""How many rows are reported one by one, and what is said of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from repermit.consent import Fate
from repermit.importing.reporting import MOST_PROBLEMS
from tests.building import make_list
from tests.taking import take_in, write

if TYPE_CHECKING:
    from pathlib import Path

    from repermit.models import Database


@pytest.mark.counted_once
def test_as_many_problems_as_are_listed_need_no_further_word(
    database: Database, tmp_path: Path
) -> None:
    path = write(tmp_path, "email\r\n" + "nonsense\r\n" * MOST_PROBLEMS)
    result = take_in(database, make_list(database), path, dry_run=True)
    assert [problem.line for problem in result.problems] == list(range(2, MOST_PROBLEMS + 2))


@pytest.mark.counted_once
def test_of_more_problems_the_last_says_how_many_there_are(
    database: Database, tmp_path: Path
) -> None:
    path = write(
        tmp_path,
        "email\r\na@example.org\r\n"
        + "nonsense\r\n" * MOST_PROBLEMS
        + "A@example.org\r\n" * 5
        + "info@example.org\r\n",
    )
    result = take_in(database, make_list(database), path, dry_run=True)
    assert len(result.problems) == MOST_PROBLEMS + 1
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
        + "a@example.org\r\n" * MOST_PROBLEMS
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
