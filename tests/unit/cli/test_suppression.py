"""`repermit suppression`: handing over who is not to be asked, and taking it in."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest

from repermit.contacts import status_changes
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence
from repermit.rules.consent import Basis, Reason, Status
from tests.support.builders import NOW, make_contact, make_list, make_removed, make_settings
from tests.support.chain_faults import iter_chain_faults
from tests.support.desk import Desk
from tests.support.published_schemas import problems_of

JAN, PIET, ANNA = "jan@example.org", "piet@bücher.example.org", "anna@example.org"


@pytest.fixture
def news(desk: Desk) -> Desk:
    desk.add_news()
    return desk


def add(desk: Desk, *people: str, slug: str = "news", **more: object) -> None:
    with desk.news() as (database, mailing_list):
        found = mailing_list if slug == "news" else make_list(database, slug=slug)
        for one in people:
            make_contact(database, found, one, **more)


def standing(desk: Desk) -> dict[str, str]:
    with desk.database():
        assert list(iter_chain_faults()) == []
        return {one.address: one.status for one in Contact.select() if one.address}


def suppressed(desk: Desk) -> int:
    with desk.database():
        return int(Suppression.select().count())


def counts(said: str) -> dict[str, int]:
    lines = [line.split(None, 1) for line in said.splitlines() if line.startswith("  ")]
    return {what: int(number.replace(",", "")) for number, what in lines}


@pytest.mark.parametrize("form", ["csv", "json"])
def test_fingerprints_go_to_another_list_under_the_same_key(news: Desk, form: str) -> None:
    with news.news() as (database, mailing_list):
        make_removed(database, mailing_list, Reason.NO, JAN)
        make_removed(database, mailing_list, Reason.COMPLAINT, PIET)
    add(news, JAN, ANNA, slug="club")
    path = news.folder / f"out.{form}"
    written = news.do("suppression", "export", "news", "--format", form)
    said = news.do("suppression", "export", "news", "--format", form, "-o", str(path))
    assert "2 suppressions in" in said
    assert path.read_text("utf-8") == written
    assert "@" not in written
    assert path.stat().st_mode & 0o077 == 0
    before = suppressed(news)
    dry = news.do("suppression", "import", "club", str(path), "--dry-run")
    assert "would be taken in; nothing was written" in dry
    assert "would go: 1" in dry
    assert suppressed(news) == before
    said = news.do("suppression", "import", "club", str(path))
    assert counts(said) == counts(dry) == {"suppressed now": 2}
    assert "are off: 1" in said
    with news.database():
        club = Contact.select().where(Contact.status == Status.REMOVED, Contact.address == JAN)
        assert {one.list.slug for one in club} == {"news", "club"}
        jan = Contact.get(Contact.list == 2, Contact.address == JAN)
        of_jan = Suppression.get(Suppression.subject == jan.subject)
        assert of_jan.reason == Reason.REQUEST
        last = Evidence.select().order_by(Evidence.seq.desc()).get()
        assert (last.event, last.list) == ("suppressions_imported", "club")
    assert standing(news)[ANNA] == Status.UNCONFIRMED
    again = news.do("suppression", "import", "club", str(path), str(path))
    assert counts(again) == {"suppressed before": 2}


def test_who_had_left_elsewhere_goes_along_in_whatever_form_the_file_comes_back(news: Desk) -> None:
    marks = ("unsubscribed", "cleaned", "complained")
    rows = [f"{mark}@example.org,{mark}" for mark in marks]
    news.do("import", "news", news.file("email,status", *rows, name="theirs.csv"))
    written = news.do("suppression", "export", "news")
    title, *lines = written.splitlines()
    prints = [one.split(",")[1] for one in lines]
    assert sorted(one.split(",")[2] for one in lines) == sorted(marks)
    forms = {
        "small": written,
        "capitals": "\n".join([title, *_each_in_capitals(lines, prints)]),
        "excel": "\r\n".join(
            f'"{one.replace(",", chr(34) + ";" + chr(34))}"' for one in [title, *lines]
        ),
        "tabs": written.replace(",", "\t"),
    }
    for name, text in forms.items():
        add(news, *(f"{mark}@example.org" for mark in marks), slug=name)
        (news.folder / f"{name}.csv").write_text(text, "utf-8")
        said = news.do("suppression", "import", name, str(news.folder / f"{name}.csv"))
        assert (name, counts(said)) == (name, {"suppressed now": 3})
        assert "are off: 3" in said
    with news.database():
        kept = Suppression.select().where(Suppression.list == 2)
        assert sorted(one.fingerprint for one in kept) == sorted(prints)


def _each_in_capitals(lines: list[str], prints: list[str]) -> list[str]:
    return [line.replace(one, one.upper()) for line, one in zip(lines, prints, strict=True)]


def test_fingerprints_of_another_key_are_refused_in_words(news: Desk) -> None:
    with news.news() as (database, mailing_list):
        make_removed(database, mailing_list, Reason.NO, JAN)
    rows = json.loads(news.do("suppression", "export", "news", "--format", "json"))
    rows[0]["key"] = "0" * 16
    path = news.file(json.dumps(rows), name="theirs.json")
    said = news.refused("suppression", "import", "news", path)
    assert "made under another fingerprint_key" in said


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fingerprint", "12"),
        ("fingerprint", "z"),
        ("fingerprint", 1),
        ("reason", "why"),
        ("at", "2026-01-01"),
        ("at", 1),
    ],
)
def test_what_is_broken_changes_nothing(news: Desk, field: str, value: object) -> None:
    with news.news() as (database, mailing_list):
        make_removed(database, mailing_list, Reason.NO, JAN)
    rows = json.loads(news.do("suppression", "export", "news", "--format", "json"))
    rows[0][field] = value
    path = news.file(json.dumps(rows), name="theirs.json")
    assert "suppression 1 of this file is broken" in news.refused(
        "suppression", "import", "news", path
    )
    cut = news.file(json.dumps(rows)[:-5], name="cut.json")
    assert "cut off or broken" in news.refused("suppression", "import", "news", cut)
    deep = news.file('["fingerprint",' + "[" * 100_000, name="deep.json")
    assert "cut off or broken" in news.refused("suppression", "import", "news", deep)


def test_addresses_of_another_tool_are_suppressed_but_for_who_said_yes_here(news: Desk) -> None:
    add(news, JAN, PIET)
    add(news, ANNA, status=Status.CONFIRMED, basis=Basis.ANSWER)
    add(news, "old@example.org", status=Status.CONFIRMED, basis=Basis.IMPORTED)
    file = news.file(
        "email", JAN, JAN, ANNA, "old@example.org", "new@example.org", "none", name="off.csv"
    )
    said = news.do("suppression", "import", "news", file)
    assert counts(said) == {
        "suppressed now": 3,
        "said Yes here themselves, which holds": 1,
        "no address": 1,
        "stood there before": 1,
    }
    found = standing(news)
    assert (found[JAN], found["old@example.org"]) == (Status.REMOVED, Status.REMOVED)
    assert found[ANNA] == Status.CONFIRMED
    statement = json.loads(news.do("proof", "news", JAN))["statement"]
    assert not problems_of(statement["record"], "consent-record")
    assert "suppressed" in news.do("import", "news", news.file("email", "new@example.org"))


def test_a_yes_holds_against_an_earlier_opt_out_and_not_against_a_later_one(news: Desk) -> None:
    key = make_settings().fingerprint_key
    with news.news() as (database, mailing_list):
        make_removed(database, mailing_list, Reason.NO, JAN)
        make_removed(database, mailing_list, Reason.NO, ANNA)
        club = make_list(database, slug="club")
        for person, days in ((JAN, 1), (ANNA, -1)):
            contact = make_contact(database, club, person)
            with database.atomic():
                act = status_changes.Act(at=NOW + timedelta(days=days), actor="person")
                status_changes.confirm_contact(
                    contact, basis=Basis.ANSWER, act=act, fingerprint_key=key
                )
    path = news.folder / "out.csv"
    news.do("suppression", "export", "news", "-o", str(path))
    said = news.do("suppression", "import", "club", str(path))
    assert counts(said) == {"suppressed now": 1, "said Yes here themselves, which holds": 1}
    with news.database():
        now = {one.address: one.status for one in Contact.select().where(Contact.list == 2)}
        assert now == {JAN: Status.CONFIRMED, ANNA: Status.REMOVED}


@pytest.mark.parametrize("scheme", ["md5", "sha1", "sha256"])
def test_hashes_find_who_is_on_the_list_and_the_others_are_counted(news: Desk, scheme: str) -> None:
    add(news, JAN, PIET, ANNA)
    hashes = [
        hashlib.new(scheme, one.encode()).hexdigest() for one in (JAN, PIET, JAN, "x@example.org")
    ]
    file = news.file("email_hash", *hashes, name="hashes.csv")
    said = news.do("suppression", "import", "news", file)
    assert counts(said) == {
        "suppressed now": 2,
        "stood there before": 1,
        "hashes that fit nobody on the list": 1,
    }
    assert "who comes onto the list later is not recognised by it" in said
    assert list(standing(news).values()).count(Status.UNCONFIRMED) == 1


def test_a_file_that_is_not_there_is_refused(news: Desk) -> None:
    assert "No such file" in news.refused("suppression", "import", "news", "./nowhere.csv")
