"""What was done and who looked, a page at a time."""

from __future__ import annotations

from typing import Any

import pytest

from repermit.accounts import audit_log
from repermit.accounts.audit_log import AuditPage
from repermit.db.connection import Database
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from tests.support.builders import NOW, make_list


def act(database: Database, event: str = "paused", **more: Any) -> None:
    with database.atomic():
        chain.append(Entry(**{"event": event, "at": NOW, "actor": "user:1", **more}))


def numbers(found: AuditPage) -> list[int]:
    return [one.number for one in found.records]


def test_acts_come_newest_first_with_whom_and_what_they_are_about(database: Database) -> None:
    act(database, "launched", list="news", person={"address": "a@example.org"})
    act(database, "user_added", actor="cli:keeper", subject="user:3")
    found = audit_log.list_acts()
    assert numbers(found) == [2, 1]
    assert found.before == 0
    newest, oldest = found.records
    assert (newest.what, newest.actor, newest.subject) == ("user_added", "cli:keeper", "user:3")
    assert (oldest.what, oldest.list, oldest.at) == ("launched", "news", NOW)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"what": "paused"}, [3, 1]),
        ({"actor": "user:1"}, [3, 1]),
        ({"actor": "cli:"}, [4, 2]),
        ({"actor": "cli:b"}, [4]),
        ({"slug": "news"}, [2, 1]),
        ({"slug": "news", "actor": "cli:"}, [2]),
        ({"what": "closed"}, []),
    ],
)
def test_acts_are_filtered(database: Database, wanted: dict[str, Any], expected: list[int]) -> None:
    act(database, list="news")
    act(database, "resumed", list="news", actor="cli:a")
    act(database)
    act(database, "resumed", actor="cli:b")
    assert numbers(audit_log.list_acts(**wanted)) == expected


def test_pages_follow_one_another_without_gap_or_overlap(database: Database) -> None:
    for _ in range(5):
        act(database)
    first = audit_log.list_acts(page=2)
    second = audit_log.list_acts(page=2, before=first.before)
    third = audit_log.list_acts(page=2, before=second.before)
    assert (numbers(first), numbers(second), numbers(third)) == ([5, 4], [3, 2], [1])
    assert third.before == 0


def test_a_page_looks_back_only_so_far_and_says_that_there_is_more(database: Database) -> None:
    act(database, "launched")
    for _ in range(4):
        act(database)
    nothing = audit_log.list_acts(what="launched", reach=2)
    assert (numbers(nothing), nothing.before) == ([], 4)
    still = audit_log.list_acts(what="launched", reach=2, before=4)
    assert (numbers(still), still.before) == ([], 2)
    found = audit_log.list_acts(what="launched", reach=2, before=2)
    assert (numbers(found), found.before) == ([1], 0)


def test_without_anything_there_is_one_empty_page(database: Database) -> None:
    assert audit_log.list_acts() == audit_log.list_accesses() == AuditPage(records=(), before=0)
    assert not database.in_transaction()


def test_looks_are_listed_in_the_same_way(database: Database) -> None:
    news = make_list(database)
    with database.atomic():
        audit_log.record_access(now=NOW, actor="user:1", act="searched", mailing_list=news)
        audit_log.record_access(now=NOW, actor="api:tool", act="contact", subject="ab12")
        audit_log.record_access(now=NOW, actor="user:1", act="contact", mailing_list=news)
    assert [one.what for one in audit_log.list_accesses().records] == [
        "contact",
        "contact",
        "searched",
    ]
    (programs,) = audit_log.list_accesses(actor="api:").records
    assert (programs.actor, programs.subject, programs.list) == ("api:tool", "ab12", "")
    (one,) = audit_log.list_accesses(what="contact", slug="news", actor="user:1").records
    assert one.at == NOW
    first = audit_log.list_accesses(page=2)
    assert len(audit_log.list_accesses(page=2, before=first.before).records) == 1
