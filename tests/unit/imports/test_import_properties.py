"""What holds for every file: fates add up, twice is once, order does not matter."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repermit.db.connection import Database
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.lists import MailingList
from repermit.imports.import_report import ImportResult
from repermit.rules.consent import STRENGTH, Fate, Status, choose_fate
from tests.support.builders import make_list
from tests.support.chain_faults import iter_chain_faults
from tests.support.import_helpers import ATTEST, on_list, take_in, write
from tests.support.list_files import as_csv

_numbers = count(1)

# A database lasts for all examples of a test; each example has a list of its own.
with_database = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Line(NamedTuple):
    """A line of a file, by what it says."""

    address: str
    name: str
    status: str
    customer: str


lines = st.builds(
    Line,
    st.sampled_from(
        "a@example.org A@example.org b@example.org B@EXAMPLE.ORG c@example.org info@example.org "
        "nonsense x@y".split()
    ),
    st.sampled_from(["", "Jan", "Els"]),
    st.sampled_from(["active", "active", "unsubscribed", "bounced", "complained"]),
    st.sampled_from(["", "ja"]),
)
files = st.lists(lines, max_size=12)


def imported(
    database: Database, mailing_list: MailingList, tmp_path: Path, rows: list[Line]
) -> ImportResult:
    titles = ("email", "naam", "status", "klant")
    path = write(tmp_path, as_csv([titles, *rows]))
    return take_in(database, mailing_list, path, attest=ATTEST)


def fresh_list(database: Database) -> MailingList:
    return make_list(database, slug=f"list-{next(_numbers)}")


def by_rule(line: Line) -> Fate:
    """Return a row's own fate by the rule."""
    if not line.address.endswith(("org", "ORG")):
        return Fate.INVALID
    return choose_fate(
        opted_out=line.status != "active",
        proven=False,
        customer=bool(line.customer),
        role=line.address.startswith("info"),
    )


@given(rows=files)
@with_database
def test_fates_add_up_to_rows_and_are_the_rules(
    database: Database, tmp_path: Path, rows: list[Line]
) -> None:
    result = imported(database, fresh_list(database), tmp_path, rows)
    assert sum(result.fates.values()) == result.rows == len(rows)
    strongest: dict[str, Fate] = {}
    invalid = 0
    for line in rows:
        found, key = by_rule(line), line.address.lower()
        invalid += found is Fate.INVALID
        strongest[key] = min(found, strongest.get(key, found), key=STRENGTH.__getitem__)
    expected = [found for found in strongest.values() if found is not Fate.INVALID]
    for each in Fate:
        if each not in {Fate.INVALID, Fate.DUPLICATE}:
            assert result.fates[each] == expected.count(each)
    assert result.fates[Fate.INVALID] == invalid
    assert sorted(p.line for p in result.problems if p.fate is Fate.INVALID) == [
        line for line, row in enumerate(rows, start=2) if by_rule(row) is Fate.INVALID
    ]


@given(rows=files)
@with_database
def test_importing_twice_changes_nothing_the_second_time(
    database: Database, tmp_path: Path, rows: list[Line]
) -> None:
    mailing_list = fresh_list(database)
    first = imported(database, mailing_list, tmp_path, rows)
    before = state(mailing_list)
    second = imported(database, mailing_list, tmp_path, rows)
    assert state(mailing_list) == before
    assert second.fates[Fate.INVALID] == first.fates[Fate.INVALID]
    assert second.fates[Fate.SUPPRESSED] == first.fates[Fate.OPTED_OUT]
    settled = (Fate.INVALID, Fate.SUPPRESSED, Fate.DUPLICATE)
    assert sum(second.fates[each] for each in settled) == len(rows)
    assert list(iter_chain_faults()) == []


@pytest.mark.exhaustive
@given(rows=files, data=st.data())
@with_database
def test_the_order_of_rows_changes_no_addresss_fate(
    database: Database, tmp_path: Path, rows: list[Line], data: st.DataObject
) -> None:
    one, other = fresh_list(database), fresh_list(database)
    first = imported(database, one, tmp_path, rows)
    second = imported(database, other, tmp_path, data.draw(st.permutations(rows)))
    assert first.fates == second.fates
    assert first.merged == second.merged
    assert folded(one) == folded(other)
    assert suppressions(one) == suppressions(other)


@given(first=files, second=files)
@with_database
def test_nobody_who_opted_out_or_was_taken_off_is_ever_asked(
    database: Database, tmp_path: Path, first: list[Line], second: list[Line]
) -> None:
    mailing_list = fresh_list(database)
    imported(database, mailing_list, tmp_path, first)
    imported(database, mailing_list, tmp_path, second)
    against = {
        line.address.lower() for line in (*first, *second) if by_rule(line) is Fate.OPTED_OUT
    }
    still_on = {
        contact.address_key
        for contact in Contact.select().where(
            Contact.list == mailing_list, Contact.status != Status.REMOVED
        )
    }
    assert not still_on & against


def state(mailing_list: MailingList) -> list[object]:
    contacts = Contact.select().where(Contact.list == mailing_list).order_by(Contact.id)
    return [list(contacts.tuples()), suppressions(mailing_list)]


def suppressions(mailing_list: MailingList) -> set[tuple[str, str]]:
    found = Suppression.select().where(Suppression.list == mailing_list)
    return {(row.fingerprint, row.reason) for row in found}


def folded(mailing_list: MailingList) -> dict[str, tuple[str, str, str]]:
    return {address.lower(): held for address, held in on_list(mailing_list).items()}
