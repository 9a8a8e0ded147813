"""What a file claimed ends, too, once the file was taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit.contacts import erasure, status_changes
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.privacy import evidence_retention
from repermit.rules.consent import Basis, Reason, Status
from tests.support.builders import NOW, make_contact, make_list, make_settings
from tests.support.chain_faults import iter_chain_faults
from tests.support.import_helpers import (
    ATTEST,
    OPTED_IN,
    contact_at,
    mailchimp,
    plain,
    take_back,
    take_in,
)

INSTANT = timedelta(microseconds=1)
DAY = timedelta(days=1)
LATER = NOW + DAY
FIVE_YEARS = LATER.replace(year=LATER.year + 5)
KEY = make_settings().fingerprint_key


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


def proven(folder: Path, *names: str, file: str = "export.csv") -> Path:
    rows = [{"email": f"{name}@example.org", **OPTED_IN} for name in names]
    return mailchimp(folder, *rows, name=file)


def end(database: Database, at: datetime, **more: Any) -> int:
    ended = evidence_retention.delete_expired_parts(
        database, settings=make_settings(), now=at, **more
    )
    assert list(iter_chain_faults()) == []
    return ended.proofs


def proofs_of(subject: str) -> list[str]:
    """Return which entries of somebody still have their proof, but for erasures."""
    query = (
        Evidence.select(Evidence.event)
        .join(EvidencePart, on=(EvidencePart.seq == Evidence.seq))
        .where(
            Evidence.subject == subject,
            Evidence.event != "erased",
            EvidencePart.part == "consent",
        )
        .order_by(Evidence.seq)
    )
    return [row.event for row in query]


def come_back(database: Database, mailing_list: MailingList, subject: str) -> Contact:
    """Let somebody who is known again stand on a list; their record goes on."""
    again = make_contact(database, mailing_list, "jan@example.org")
    again.subject = subject
    with database.atomic():
        again.save()
    return again


def subjects() -> Sequence[str]:
    return [contact.subject for contact in Contact.select().order_by(Contact.id)]


@pytest.mark.parametrize(("early", "ended"), [(INSTANT, 0), (0 * DAY, 1), (-INSTANT, 1)])
def test_the_proof_of_whom_a_file_brought_ends_years_after_it_was_taken_back(
    database: Database, news: MailingList, tmp_path: Path, early: timedelta, ended: int
) -> None:
    take_in(database, news, proven(tmp_path, "jan"))
    (subject,) = subjects()
    take_back(database, news, now=LATER)
    assert end(database, FIVE_YEARS - early) == ended
    assert proofs_of(subject) == ["confirmed"] * (1 - ended)


def test_a_file_that_stands_ends_nobodys_proof(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    take_in(database, news, proven(tmp_path, "jan"))
    take_in(database, news, proven(tmp_path, "els", file="second.csv"), now=NOW + INSTANT)
    kept, _ = subjects()
    take_back(database, news, now=LATER)
    assert end(database, FIVE_YEARS) == 1
    assert proofs_of(kept) == ["confirmed"]


def test_of_who_stays_on_the_list_only_what_the_file_claimed_ends(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    bought = plain(tmp_path, ("jan@example.org", ""), ("els@example.org", ""))
    take_in(database, news, bought, customers=True, attest=ATTEST)
    take_in(
        database,
        news,
        mailchimp(
            tmp_path,
            {"email": "jan@example.org", **OPTED_IN},
            {"email": "els@example.org", "UNSUB_TIME": "2026-03-02 08:00:00"},
            more=("UNSUB_TIME",),
        ),
        now=NOW + INSTANT,
    )
    take_back(database, news, now=LATER)
    jan, els = (contact_at(news, f"{name}@example.org").subject for name in ("jan", "els"))
    assert proofs_of(jan) == ["customer", "confirmed", "import_undone"]
    assert proofs_of(els) == ["customer", "removed", "import_undone"]
    assert end(database, FIVE_YEARS) == 2
    assert proofs_of(jan) == proofs_of(els) == ["customer", "import_undone"]


def test_the_proof_of_who_comes_back_after_the_file_was_taken_back_is_kept(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    take_in(database, news, proven(tmp_path, "jan"))
    (subject,) = subjects()
    take_back(database, news, now=LATER)
    # Who has moved is known again by their earlier address, and their record goes on.
    again = come_back(database, news, subject)
    with database.atomic():
        act = Act(at=LATER + DAY, actor="person", consent={"answer": "yes"})
        status_changes.confirm_contact(again, basis=Basis.ANSWER, act=act, fingerprint_key=KEY)
    assert end(database, FIVE_YEARS) == 1
    assert proofs_of(subject) == ["confirmed"]


def test_who_stands_on_the_list_again_since_a_file_was_taken_back_keeps_their_proof(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    first = make_contact(database, news, "jan@example.org")
    act = Act(at=NOW, actor="person", consent={"answer": "no"})
    with database.atomic():
        status_changes.remove_contacts([first], reason=Reason.NO, act=act, fingerprint_key=KEY)
        erasure.erase_contact(Contact.get_by_id(first.id), act=act, fingerprint_key=KEY)
    again = come_back(database, news, first.subject)
    with database.atomic():
        signed = Act(at=NOW + INSTANT, actor="person", consent={"answer": "yes"})
        status_changes.confirm_contact(again, basis=Basis.IMPORTED, act=signed, fingerprint_key=KEY)
    left_elsewhere = {"email": "jan@example.org", "UNSUB_TIME": "2026-03-02 08:00:00"}
    file = mailchimp(tmp_path, left_elsewhere, more=("UNSUB_TIME",))
    take_in(database, news, file, now=NOW + 2 * INSTANT)
    take_back(database, news, now=NOW + 3 * INSTANT)
    assert Contact.get_by_id(again.id).status == Status.CONFIRMED
    end(database, FIVE_YEARS)
    assert proofs_of(first.subject) == ["removed", "confirmed", "import_undone"]


def test_what_files_claimed_ends_in_steps_each_of_which_goes_on_where_the_last_one_ended(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    other = make_list(database, slug="other")
    take_in(database, news, proven(tmp_path, "a", "b", "c", "d"))
    take_in(database, other, proven(tmp_path, "e"))
    take_back(database, other, now=LATER)
    take_back(database, news, now=LATER)
    stops = iter([False, False, False, False, False, True])
    first = end(database, FIVE_YEARS, chunk=2, should_stop=lambda: next(stops, True))
    assert 0 < first < 5
    assert first + end(database, FIVE_YEARS, chunk=2) == 5
    assert end(database, FIVE_YEARS, chunk=2) == 0
    assert Evidence.select().where(Evidence.event == "erased").count() == 10


def test_a_file_that_was_taken_back_later_has_its_turn_too(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    take_in(database, news, proven(tmp_path, "jan"))
    take_back(database, news, now=LATER)
    assert end(database, FIVE_YEARS) == 1
    take_in(database, news, proven(tmp_path, "els"), now=LATER + INSTANT)
    take_back(database, news, now=LATER + DAY)
    assert end(database, FIVE_YEARS + DAY - INSTANT) == 0
    assert end(database, FIVE_YEARS + DAY) == 1
