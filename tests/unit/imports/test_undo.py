"""Taking the last import back, and when that is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from repermit.contacts import click_log, erasure, status_changes
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import, ImportChange
from repermit.db.models.lists import MailingList
from repermit.errors import Refused
from repermit.evidence.verify import chain
from repermit.rules.consent import Answer, Basis, CampaignState, Fate, MailState, Reason, Status
from tests.support.builders import (
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.import_helpers import (
    OPTED_IN,
    contact_at,
    fates_of,
    mailchimp,
    on_list,
    parts_of,
    plain,
    take_back,
    take_in,
    write,
)

KEY = make_settings().fingerprint_key
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Return a file with an address to ask, a proven one and one that opted out."""
    return mailchimp(
        tmp_path,
        {"email": "ask@example.org"},
        {"email": "proven@example.org", **OPTED_IN},
        {"email": "out@example.org", "UNSUB_TIME": "2020-01-01 00:00:00"},
        more=("UNSUB_TIME",),
    )


def test_what_an_import_brought_is_gone(database: Database, news: MailingList, mixed: Path) -> None:
    first = take_in(database, news, mixed)
    result = take_back(database, news, now=LATER)
    assert result.file == "export.csv"
    assert (result.contacts_taken_back, result.restored) == (2, 0)
    assert result.suppressions_taken_back == 1
    assert on_list(news) == {}
    assert Suppression.select().count() == 0
    assert Import.get().undone_at == LATER
    assert take_in(database, news, mixed).fates == first.fates


def test_the_addresses_of_an_undone_import_stand_nowhere(
    database: Database, news: MailingList, mixed: Path
) -> None:
    take_in(database, news, mixed)
    subject = contact_at(news, "proven@example.org").subject
    take_back(database, news, now=LATER)
    assert not [part for part in EvidencePart.select() if "@example.org" in part.json]
    (erased,) = parts_of("erased")
    assert erased["consent"]["parts"] == ["person", "trace"]
    assert erased["consent"]["seqs"] == [Evidence.get(Evidence.event == "confirmed").seq]
    assert Evidence.get(Evidence.event == "erased").subject == subject
    assert list(iter_chain_faults()) == []


def test_nor_do_those_of_whom_a_second_file_that_is_taken_back_too_had_proven(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    take_in(database, news, plain(tmp_path, ("proven@example.org", ""), ("ask@example.org", "")))
    proven = mailchimp(tmp_path, {"email": "proven@example.org", **OPTED_IN})
    take_in(database, news, proven, now=NOW + timedelta(minutes=1))
    subject = contact_at(news, "proven@example.org").subject
    take_back(database, news, now=LATER)
    assert [part for part in EvidencePart.select() if "@example.org" in part.json]
    take_back(database, news, now=LATER)
    assert not [part for part in EvidencePart.select() if "@example.org" in part.json]
    assert [entry.subject for entry in Evidence.select().where(Evidence.event == "erased")] == [
        subject
    ]
    assert list(iter_chain_faults()) == []


def test_the_undoing_is_an_entry_that_names_its_import(
    database: Database, news: MailingList, mixed: Path
) -> None:
    take_in(database, news, mixed)
    take_back(database, news, now=LATER, actor="boss@example.org")
    entry = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (entry.event, entry.actor, entry.at) == ("import_undone", "boss@example.org", LATER)
    (parts,) = parts_of("import_undone")
    assert parts["consent"] == {
        "contacts": 2,
        "restored": 0,
        "suppressions": 1,
        "file": Import.get().digest,
        "name": "export.csv",
        "imported_at": "2026-03-02T09:00:00.000000+00:00",
    }


def test_contacts_that_it_changed_become_what_they_were(
    database: Database, news: MailingList, mixed: Path
) -> None:
    since = datetime(2020, 1, 1, tzinfo=UTC)
    make_contact(
        database,
        news,
        "proven@example.org",
        status=Status.CUSTOMER,
        status_at=since,
        basis=Basis.CUSTOMER,
        basis_at=since,
    )
    make_contact(database, news, "out@example.org", status_at=since)
    make_contact(database, news, "ask@example.org", status_at=since)
    before = list(Contact.select().order_by(Contact.id).tuples())
    result = take_in(database, news, mixed)
    assert fates_of(result) == {Fate.DUPLICATE: 2, Fate.OPTED_OUT: 1}
    assert contact_at(news, "out@example.org").status == Status.REMOVED
    assert contact_at(news, "proven@example.org").basis == Basis.THIN
    undone = take_back(database, news, now=LATER)
    assert (undone.contacts_taken_back, undone.restored) == (0, 2)
    assert undone.suppressions_taken_back == 1
    assert list(Contact.select().order_by(Contact.id).tuples()) == before
    was = [parts["consent"] for parts in parts_of("import_undone")]
    assert [(entry.get("status"), entry.get("basis")) for entry in was] == [
        ("customer", "customer"),
        ("unconfirmed", ""),
        (None, None),
    ]
    assert list(iter_chain_faults()) == []


# --- What a file says is the admin's word, and no No of the person (invariant 15). ----------------


def may_ask_again(mailing_list: MailingList) -> bool:
    """Say whether a Yes of the contact that the file opts out would be asked for once more."""
    contact = contact_at(mailing_list, "out@example.org")
    return click_log.read_link_history(contact, click_log.find_opening(contact)).has_refused


def test_a_no_in_a_file_counts_until_the_file_is_taken_back(
    database: Database, news: MailingList, mixed: Path
) -> None:
    make_contact(database, news, "out@example.org")
    assert not may_ask_again(news)
    take_in(database, news, mixed)
    assert may_ask_again(news)
    take_back(database, news, now=LATER)
    assert not may_ask_again(news)


def test_a_no_that_was_known_before_the_file_stays_known(
    database: Database, news: MailingList, mixed: Path
) -> None:
    contact = make_contact(database, news, "out@example.org")
    with database.atomic():
        status_changes.invalidate_open_forms(contact, has_refused=True)
    take_in(database, news, mixed)
    take_back(database, news, now=LATER)
    assert contact_at(news, "out@example.org").status == Status.UNCONFIRMED
    assert may_ask_again(news)


def test_a_no_of_the_person_since_outlasts_the_file(
    database: Database, news: MailingList, mixed: Path
) -> None:
    make_contact(database, news, "out@example.org")
    take_in(database, news, mixed)
    with database.atomic():
        status_changes.mark_contact_refused(contact_at(news, "out@example.org"))
    assert take_back(database, news, now=LATER).restored == 1
    assert may_ask_again(news)


def test_the_images_hold_neither_address_nor_name(
    database: Database, news: MailingList, mixed: Path
) -> None:
    contact = make_contact(database, news, "out@example.org", name="Jan")
    take_in(database, news, mixed)
    image = ImportChange.get()
    assert image.contact == contact.id
    before = str(image.__data__)
    assert "out" not in before
    assert "Jan" not in before


def test_a_contact_to_whom_something_happened_since_is_left_alone(
    database: Database, news: MailingList, mixed: Path
) -> None:
    make_contact(database, news, "out@example.org")
    take_in(database, news, mixed)
    with database.atomic():
        status_changes.confirm_contact(
            contact_at(news, "out@example.org"),
            basis=Basis.SIGN_UP,
            act=status_changes.Act(at=LATER, actor="person"),
            fingerprint_key=KEY,
        )
    assert take_back(database, news, now=LATER).restored == 0
    assert on_list(news) == {"out@example.org": (Status.CONFIRMED, "", Basis.SIGN_UP)}


def test_who_was_erased_since_stays_erased_and_suppressed(
    database: Database, news: MailingList, mixed: Path
) -> None:
    contact = make_contact(database, news, "out@example.org")
    take_in(database, news, mixed)
    with database.atomic():
        erasure.erase_contact(
            Contact.get_by_id(contact.id),
            act=status_changes.Act(at=LATER, actor="person"),
            fingerprint_key=KEY,
        )
    undone = take_back(database, news, now=LATER)
    assert (undone.restored, undone.suppressions_taken_back) == (0, 0)
    assert Contact.get_by_id(contact.id).status == Status.REMOVED
    assert fates_of(take_in(database, news, mixed))[Fate.SUPPRESSED] == 1


def test_imports_are_taken_back_one_by_one_the_last_first(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    take_in(database, news, plain(tmp_path, ("a@example.org", "")))
    take_in(database, news, plain(tmp_path, ("b@example.org", ""), name="second.csv"))
    assert take_back(database, news).file == "second.csv"
    assert list(on_list(news)) == ["a@example.org"]
    assert take_back(database, news).file == "list.csv"
    with pytest.raises(Refused, match="no file that could be taken back"):
        take_back(database, news)


def test_files_of_one_instant_are_told_apart(
    database: Database, news: MailingList, mixed: Path
) -> None:
    for _ in range(2):
        take_in(database, news, mixed)
        assert chain.verify_chain(database, fingerprint_key=KEY).fault is None
        take_back(database, news)
        assert chain.verify_chain(database, fingerprint_key=KEY).fault is None
    take_in(database, news, mixed)
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None
    assert len({row.at for row in Import.select()}) == Import.select().count()


def test_an_import_into_another_list_is_not_touched(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    other = make_list(database, slug="other")
    take_in(database, other, plain(tmp_path, ("a@example.org", "")))
    with pytest.raises(Refused):
        take_back(database, news)
    assert list(on_list(other)) == ["a@example.org"]


@pytest.mark.parametrize("state", list(CampaignState))
def test_nothing_is_taken_back_while_a_campaign_is_live(
    database: Database, news: MailingList, mixed: Path, state: CampaignState
) -> None:
    take_in(database, news, mixed)
    make_campaign(database, news, state=state)
    if state.is_live:
        with pytest.raises(Refused, match="while a campaign is live"):
            take_back(database, news)
    else:
        assert take_back(database, news).contacts_taken_back == 2


@pytest.mark.parametrize("state", list(MailState))
def test_nothing_is_taken_back_once_somebody_may_have_been_mailed(
    database: Database, news: MailingList, mixed: Path, state: MailState
) -> None:
    take_in(database, news, mixed)
    campaign = make_campaign(database, news, state=CampaignState.CANCELLED)
    make_mail(database, campaign, contact_at(news, "ask@example.org"), state=state)
    if state in {MailState.QUEUED, MailState.DROPPED}:
        assert take_back(database, news).contacts_taken_back == 2
    else:
        with pytest.raises(Refused, match="have been mailed"):
            take_back(database, news)


@pytest.mark.parametrize("answer", list(Answer))
def test_nothing_is_taken_back_once_somebody_has_answered(
    database: Database, news: MailingList, mixed: Path, answer: Answer
) -> None:
    take_in(database, news, mixed)
    contact = contact_at(news, "ask@example.org")
    act = status_changes.Act(at=LATER, actor="person")
    with database.atomic():
        if answer is Answer.YES:
            status_changes.confirm_contact(
                contact, basis=Basis.ANSWER, act=act, fingerprint_key=KEY
            )
        else:
            status_changes.remove_contacts(
                [contact], reason=Reason.NO, act=act, fingerprint_key=KEY
            )
    before = on_list(news)
    with pytest.raises(Refused, match="have answered or were taken off"):
        take_back(database, news)
    assert on_list(news) == before


def test_a_dry_run_is_nothing_to_take_back(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    take_in(database, news, write(tmp_path, "a@example.org\r\n"), dry_run=True)
    with pytest.raises(Refused):
        take_back(database, news)
