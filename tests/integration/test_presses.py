"""How often people press until an answer counts, as docs/develop/presses.md says it."""

from __future__ import annotations

import os

import pytest

from repermit.db.models.campaigns import Campaign
from tests.support import program_zoo as zoo
from tests.support.presses import (
    ON_THE_LIST,
    TABLE,
    Measured,
    Table,
    list_more,
    make_page,
    presses_in,
    read_table_before,
)
from tests.support.public_pages import Pages


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def test_people_press_as_often_as_the_table_says(pages: Pages, campaign: Campaign) -> None:
    people = dict(Measured(pages, campaign).measure_people())
    told = TABLE.read_text("utf-8")
    before = read_table_before().people
    if os.environ.get("PRESSES") != "write":
        missing = [f"| {name} | {now} | {before[name]} |" for name, now in people.items()]
        assert [line for line in missing if line not in told] == []
    assert list_more(Table(people=people, programs={})) == []
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
    for name, (asked, said_no) in now.programs.items():
        assert presses_in(asked) <= 3, name
        assert (asked == ON_THE_LIST) == (name in as_people), name
        assert said_no == "3", name
    assert list_more(now) == []
