"""Whom imports left out: told before a launch, since no contact stands for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from repermit.campaigns.launch_refusals import count_left_out
from repermit.db.connection import Database
from repermit.db.models.lists import MailingList
from repermit.imports.import_file import import_file
from repermit.imports.undo import undo_import
from repermit.rules.consent import Fate
from tests.support.builders import NOW, make_contact, make_list, make_settings

FILE = (
    "email;status",
    "jan@example.org;subscribed",
    "piet@example.org;unsubscribed",
    "ria@example.org;unsubscribed",
    "riaexample.org;subscribed",
)


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


def take_in(
    database: Database, mailing_list: MailingList, path: Path, *rows: str, name: str = "list.csv"
) -> None:
    file = path / name
    file.write_text("\n".join(rows) + "\n", "utf-8")
    import_file(
        database, mailing_list, file, settings=make_settings(), now=NOW, actor="anna@example.org"
    )


def counted(mailing_list: MailingList) -> tuple[int, int]:
    found = count_left_out(mailing_list)
    assert list(found) == [Fate.OPTED_OUT, Fate.INVALID]
    return found[Fate.OPTED_OUT], found[Fate.INVALID]


def test_opted_out_and_invalid_rows_are_counted_for_their_list(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    other = make_list(database, slug="other")
    assert counted(news) == (0, 0)
    take_in(database, news, tmp_path, *FILE)
    assert counted(news) == (2, 1)
    assert counted(other) == (0, 0)


def test_a_file_that_comes_in_twice_counts_once(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    take_in(database, news, tmp_path, *FILE)
    take_in(database, news, tmp_path, *FILE, name="again.csv")
    assert counted(news) == (2, 1)
    # Another file has people who opted out in the first, and one more row that is no address.
    take_in(database, news, tmp_path, *FILE, "jo;unsubscribed", "al@example.org;unsubscribed")
    assert counted(news) == (3, 1 + 2)


def test_what_is_taken_back_counts_no_more(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    take_in(database, news, tmp_path, *FILE)
    undo_import(database, news, settings=make_settings(), now=NOW, actor="anna@example.org")
    assert counted(news) == (0, 0)


def test_who_was_on_the_list_is_told_among_the_removed(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    make_contact(database, news, "piet@example.org")
    take_in(database, news, tmp_path, *FILE)
    assert counted(news) == (1, 1)
