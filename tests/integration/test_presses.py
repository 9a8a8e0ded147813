"""How often people press until an answer counts, as docs/develop/presses.md says it."""

from __future__ import annotations

import os
import re

import pytest

from repermit.db.models.campaigns import Campaign
from tests.support import program_zoo as zoo
from tests.support.presses import (
    ON_THE_LIST,
    TABLE,
    Measured,
    Table,
    make_page,
    read_table_before,
)
from tests.support.public_pages import Pages


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def presses_in(cell: str) -> int:
    """Return how many presses a cell of the table tells of; 0 where nothing is left to press."""
    found = re.match(r"\d+", cell)
    return int(found[0]) if found else 0


def test_people_press_as_often_as_the_table_says(pages: Pages, campaign: Campaign) -> None:
    people = dict(Measured(pages, campaign).measure_people())
    told = TABLE.read_text("utf-8")
    before = read_table_before().people
    if os.environ.get("PRESSES") != "write":
        missing = [f"| {name} | {now} | {before[name]} |" for name, now in people.items()]
        assert [line for line in missing if line not in told] == []
    # After a No, a Yes is asked for once more however late it comes; nothing else takes more.
    more = {name for name, now in people.items() if presses_in(now) > presses_in(before[name])}
    assert more == {
        "said No on the page a day ago, wants Yes",
        "said No by one click a day ago, wants Yes",
        "said No by phone a day ago, wants Yes",
        "a program pressed all buttons an hour ago, wants Yes",
    }
    typed = {name for name, now in people.items() if "address" in now}
    assert typed < {name for name, then in before.items() if "address" in then}


@pytest.mark.exhaustive
@pytest.mark.counted_first
def test_the_table_of_presses_is_as_measured(pages: Pages, campaign: Campaign) -> None:
    measured = Measured(pages, campaign)
    now = Table(people=dict(measured.measure_people()), programs=dict(measured.measure_programs()))
    page = make_page(now)
    if os.environ.get("PRESSES") == "write":
        TABLE.write_text(page, "utf-8")
    assert TABLE.read_text("utf-8") == page
    # One press in the mail, one on the page, one more at most; and no Yes but that of a program
    # which does exactly what a person does.
    as_people = {program.__name__ for program in zoo.AS_PEOPLE}
    more = set()
    for name, (asked, said_no) in now.programs.items():
        assert presses_in(asked) <= 3, name
        assert (asked == ON_THE_LIST) == (name in as_people), name
        assert said_no == "3", name
        before = read_table_before().programs[name][0]
        if before != ON_THE_LIST and presses_in(asked) > presses_in(before):
            more.add(name)
    # One opens links that did not work before, the others press No.
    assert more == {
        "corrupts_the_token",
        "a_machine_for_each_link",
        "crawls_with_rests_of_900_s_2",
        "crawls_with_rests_of_900_s_3",
        "crawls_with_rests_of_900_s_0_and_comes_again",
    }
