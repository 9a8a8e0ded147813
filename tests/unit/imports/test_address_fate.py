"""Which addresses are suppressed, and what a mark of opting out does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from repermit import email_address
from repermit.answers import record_answer
from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.rules.consent import Answer, Basis, Fate, MailState, Reason, Status
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_removed,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.import_helpers import (
    OPTED_IN,
    contact_at,
    fates_of,
    mailchimp,
    on_list,
    plain,
    take_in,
    write,
)

KEY = make_settings().fingerprint_key


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


# --- Opted out, suppressed. -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "mark"),
    [("unsubscribed", "unsubscribed"), ("bounced", "cleaned"), ("complained", "complained")],
)
def test_an_opted_out_row_only_suppresses(
    database: Database, news: MailingList, tmp_path: Path, word: str, mark: str
) -> None:
    path = write(tmp_path, f"email,status\r\na@example.org,{word}\r\nb@example.org,active\r\n")
    result = take_in(database, news, path)
    assert fates_of(result) == {Fate.OPTED_OUT: 1, Fate.ASK: 1}
    assert "the file says" in result.problems[0].reason
    assert list(on_list(news)) == ["b@example.org"]
    (suppression,) = Suppression.select()
    assert suppression.fingerprint == email_address.fingerprint(KEY, "a@example.org")
    assert (suppression.reason, suppression.at) == (mark, NOW)
    assert (suppression.list_id, suppression.imported_by_id) == (news.id, Import.get().id)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("unsubscribed", Reason.REQUEST),
        ("bounced", Reason.BOUNCE),
        ("complained", Reason.COMPLAINT),
    ],
)
@pytest.mark.parametrize(
    ("status", "basis"),
    [
        (Status.UNCONFIRMED, ""),
        (Status.CUSTOMER, Basis.CUSTOMER),
        (Status.CONFIRMED, Basis.IMPORTED),
        (Status.CONFIRMED, Basis.THIN),
    ],
)
def test_a_mark_takes_a_contact_off_the_list(
    *,
    database: Database,
    news: MailingList,
    tmp_path: Path,
    word: str,
    reason: Reason,
    status: Status,
    basis: str,
) -> None:
    contact = make_contact(
        database, news, "a@example.org", status=status, basis=basis, basis_at=NOW
    )
    path = write(tmp_path, f"email,status\r\nA@example.org,{word}\r\n")
    assert fates_of(take_in(database, news, path)) == {Fate.OPTED_OUT: 1}
    assert on_list(news) == {"a@example.org": (Status.REMOVED, reason, "")}
    (suppression,) = Suppression.select()
    assert (suppression.subject, suppression.reason) == (contact.subject, reason)
    assert suppression.imported_by_id == Import.get().id
    assert [row.event for row in Evidence.select().order_by(Evidence.seq)] == [
        "removed",
        "imported",
    ]
    assert list(iter_chain_faults()) == []


def test_a_mark_drops_the_ask_that_is_still_owed(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    contact = make_contact(database, news, "a@example.org")
    mail = make_mail(
        database,
        make_campaign(database, news),
        contact,
        state=MailState.QUEUED,
        sent_at=None,
    )
    take_in(database, news, write(tmp_path, "email,status\r\na@example.org,unsubscribed\r\n"))
    assert Mail.get_by_id(mail.id).state == MailState.DROPPED


@pytest.mark.parametrize("basis", [Basis.ANSWER, Basis.SIGN_UP])
@pytest.mark.parametrize(
    ("later", "fate"),
    [
        (timedelta(seconds=-1), Fate.OPTED_OUT),
        (timedelta(0), Fate.OPTED_OUT),
        (timedelta(seconds=1), Fate.DUPLICATE),
    ],
)
def test_only_a_persons_own_later_yes_outweighs_a_mark(
    *,
    database: Database,
    news: MailingList,
    tmp_path: Path,
    basis: Basis,
    later: timedelta,
    fate: Fate,
) -> None:
    make_contact(
        database,
        news,
        "a@example.org",
        status=Status.CONFIRMED,
        basis=basis,
        basis_at=datetime(2025, 6, 1, 12, 0, tzinfo=UTC) + later,
    )
    row = {"email": "a@example.org", "UNSUB_TIME": "2025-06-01 12:00:00"}
    path = mailchimp(tmp_path, row, more=("UNSUB_TIME",))
    assert fates_of(take_in(database, news, path)) == {fate: 1}
    removed = contact_at(news, "a@example.org").status == Status.REMOVED
    assert removed is (fate is Fate.OPTED_OUT)


@pytest.mark.parametrize(
    ("said_yes_at", "fate"),
    [
        (datetime(2025, 6, 1, 23, 59, tzinfo=UTC), Fate.OPTED_OUT),
        (datetime(2025, 6, 2, 0, 0, tzinfo=UTC), Fate.DUPLICATE),
    ],
)
def test_a_mark_of_a_day_alone_outweighs_a_yes_of_that_day(
    database: Database, news: MailingList, tmp_path: Path, said_yes_at: datetime, fate: Fate
) -> None:
    make_contact(
        database,
        news,
        "a@example.org",
        status=Status.CONFIRMED,
        basis=Basis.ANSWER,
        basis_at=said_yes_at,
    )
    row = {"email": "a@example.org", "UNSUB_TIME": "2025-06-01"}
    path = mailchimp(tmp_path, row, more=("UNSUB_TIME",))
    assert fates_of(take_in(database, news, path)) == {fate: 1}


@pytest.mark.parametrize(
    ("left_at", "fate"),
    [("2026-03-03 12:00:00", Fate.DUPLICATE), ("2026-03-05 12:00:00", Fate.OPTED_OUT)],
    ids=["left before the Yes", "left after the Yes, which was noted later"],
)
def test_a_yes_by_phone_is_as_old_as_it_was_given(
    database: Database, news: MailingList, tmp_path: Path, left_at: str, fate: Fate
) -> None:
    make_asked(database, news, make_campaign(database, news), "a@example.org")
    record_answer.record_reported_answer(
        database,
        news,
        "a@example.org",
        Answer.YES,
        note="by phone",
        given_at=datetime(2026, 3, 4, tzinfo=UTC),
        now=datetime(2026, 3, 9, tzinfo=UTC),
        settings=make_settings(),
        actor="admin@example.org",
    )
    row = {"email": "a@example.org", "UNSUB_TIME": left_at}
    path = mailchimp(tmp_path, row, more=("UNSUB_TIME",))
    assert fates_of(take_in(database, news, path, now=datetime(2026, 3, 10, tzinfo=UTC))) == {
        fate: 1
    }
    removed = contact_at(news, "a@example.org").status == Status.REMOVED
    assert removed is (fate is Fate.OPTED_OUT)


@pytest.mark.parametrize("day", ["2026-03-02", "2099-01-01", "9999-12-31"])
def test_a_mark_does_not_outweigh_a_yes_given_after_its_file_was_known(
    database: Database, news: MailingList, tmp_path: Path, day: str
) -> None:
    row = {"email": "a@example.org", "UNSUB_TIME": day}
    path = mailchimp(tmp_path, row, more=("UNSUB_TIME",))
    assert fates_of(take_in(database, news, path)) == {Fate.OPTED_OUT: 1}
    Suppression.delete().execute()
    make_contact(
        database,
        news,
        "a@example.org",
        status=Status.CONFIRMED,
        basis=Basis.SIGN_UP,
        basis_at=NOW + timedelta(hours=1),
    )
    assert fates_of(take_in(database, news, path)) == {Fate.DUPLICATE: 1}


def test_a_later_date_of_the_same_mark_counts(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    make_contact(
        database,
        news,
        "a@example.org",
        status=Status.CONFIRMED,
        basis=Basis.ANSWER,
        basis_at=datetime(2025, 1, 1, tzinfo=UTC),
    )
    path = mailchimp(
        tmp_path,
        {"email": "a@example.org", "UNSUB_TIME": "2024-06-01 12:00:00"},
        {"email": "a@example.org", "UNSUB_TIME": "2025-06-01 12:00:00"},
        more=("UNSUB_TIME",),
    )
    assert fates_of(take_in(database, news, path)) == {Fate.OPTED_OUT: 1, Fate.DUPLICATE: 1}


def test_a_mark_without_a_date_is_as_old_as_the_files_first_import(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    path = write(tmp_path, "email,status\r\na@example.org,unsubscribed\r\n")
    take_in(database, news, path)
    with database.atomic():
        Suppression.delete().execute()
    yes = NOW + timedelta(days=1)
    make_contact(
        database,
        news,
        "a@example.org",
        status=Status.CONFIRMED,
        basis=Basis.SIGN_UP,
        basis_at=yes,
    )
    again = take_in(database, news, path, now=NOW + timedelta(days=2))
    assert fates_of(again) == {Fate.DUPLICATE: 1}
    newer = write(tmp_path, "email,status\r\na@example.org,unsubscribed\r\n\r\n")
    later = take_in(database, news, newer, now=NOW + timedelta(days=3))
    assert fates_of(later) == {Fate.OPTED_OUT: 1}


@pytest.mark.parametrize("reason", list(Reason))
def test_who_was_taken_off_is_never_asked_again(
    database: Database, news: MailingList, tmp_path: Path, reason: Reason
) -> None:
    make_removed(database, news, reason, "a@example.org")
    before = on_list(news)
    path = mailchimp(tmp_path, {"email": "a@example.org", **OPTED_IN}, {"email": "a@example.org"})
    result = take_in(database, news, path)
    assert fates_of(result) == {Fate.SUPPRESSED: 1, Fate.DUPLICATE: 1}
    assert "never asked again" in result.problems[0].reason
    assert on_list(news) == before


def test_who_was_erased_is_known_by_fingerprint(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    contact = make_contact(database, news, "a@example.org")
    with database.atomic():
        act = status_changes.Act(at=NOW, actor="person")
        erasure.erase_contact(contact, act=act, fingerprint_key=KEY)
    path = plain(tmp_path, ("A@Example.org", "Jan"), ("b@example.org", ""))
    assert fates_of(take_in(database, news, path)) == {Fate.SUPPRESSED: 1, Fate.ASK: 1}
    assert Contact.select().where(Contact.name == "Jan").count() == 0


@pytest.mark.parametrize(("for_all", "fate"), [(True, Fate.SUPPRESSED), (False, Fate.ASK)])
def test_a_suppression_holds_for_its_list_or_for_all(
    database: Database, news: MailingList, tmp_path: Path, for_all: bool, fate: Fate
) -> None:
    other = make_list(database, slug="other")
    with database.atomic():
        Suppression.create(
            list=None if for_all else other,
            fingerprint=email_address.fingerprint(KEY, "a@example.org"),
            subject="0" * 32,
            reason=Reason.NO,
            at=NOW,
        )
    result = take_in(database, news, plain(tmp_path, ("a@example.org", "")))
    assert fates_of(result) == {fate: 1}


@pytest.mark.parametrize("basis", [Basis.ANSWER, Basis.SIGN_UP, Basis.IMPORTED, Basis.CUSTOMER])
def test_a_yes_for_this_list_stands_above_a_suppression_for_all(
    database: Database, news: MailingList, tmp_path: Path, basis: Basis
) -> None:
    other = make_list(database, slug="other")
    is_customer = basis is Basis.CUSTOMER
    status = Status.CUSTOMER if is_customer else Status.CONFIRMED
    make_contact(database, news, "a@example.org", status=status, basis=basis, basis_at=NOW)
    with database.atomic():
        Suppression.create(
            list=None,
            fingerprint=email_address.fingerprint(KEY, "a@example.org"),
            subject="0" * 32,
            reason=Reason.NO,
            at=NOW,
        )
    path = plain(tmp_path, ("a@example.org", ""))
    own = basis in {Basis.ANSWER, Basis.SIGN_UP}
    assert fates_of(take_in(database, news, path)) == {
        Fate.DUPLICATE if own else Fate.SUPPRESSED: 1
    }
    assert fates_of(take_in(database, other, path)) == {Fate.SUPPRESSED: 1}
