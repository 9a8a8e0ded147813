"""Erasing whatever is held of an address, also of who was erased before and came back."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit import email_address
from repermit.answers import join
from repermit.answers.link_target import PageShown
from repermit.db.connection import Database, is_postgresql
from repermit.db.models.base import new_id
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.exports import export
from repermit.exports.export_rows import FileFormat
from repermit.privacy import forget as privacy_forget
from repermit.privacy import make_proof
from repermit.rules.consent import MailState, PauseReason
from tests.support.builders import (
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.import_helpers import ATTEST, mailchimp, plain, take_back, take_in
from tests.support.query_plans import plans_of

SETTINGS = make_settings()
DAY = timedelta(days=1)
JAN = "jan@example.org"


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


@pytest.fixture
def campaign(database: Database, news: MailingList) -> Campaign:
    return make_campaign(database, news)


def forget(database: Database, news: MailingList, at: datetime) -> privacy_forget.ErasureResult:
    act: dict[str, Any] = {"settings": SETTINGS, "now": at, "actor": "cli:els"}
    (one,) = privacy_forget.erase_address(database, JAN, mailing_list=news, **act).lists
    return one


def come_back(database: Database, news: MailingList, at: datetime) -> Contact:
    """Sign up and confirm it; whoever was erased goes on under the same subject."""
    join.request_sign_up(database, news, address=JAN, name="", language="", now=at)
    join.confirm_sign_up(
        database,
        uid=SignUp.select().order_by(SignUp.id.desc()).get().uid,
        arrived_at=at,
        settings=SETTINGS,
        trace={"network": "", "browser": ""},
        page=lambda _: PageShown(wording="As on the page."),
    )
    with database.atomic():
        # What was mailed about it is no matter here.
        Mail.delete().where(Mail.kind != "ask").execute()
    found: Contact = Contact.get(Contact.address_key == JAN)
    return found


def mailed(database: Database, campaign: Campaign, contact: Contact, at: datetime) -> None:
    make_mail(database, campaign, contact, state=MailState.SENT, started_at=at, sent_at=at)


def test_whoever_was_erased_twice_is_told_of_what_went_out_each_time(
    database: Database, news: MailingList, campaign: Campaign
) -> None:
    record = Import.create(list=news, file="old.csv", digest="0" * 64, counts="{}", at=NOW - DAY)
    first = make_contact(database, news, JAN, imported_by=record)
    mailed(database, campaign, first, NOW)
    forget(database, news, NOW + DAY)
    again = come_back(database, news, NOW + 2 * DAY)
    assert again.subject == first.subject
    mailed(database, campaign, again, NOW + 3 * DAY)
    found = forget(database, news, NOW + 4 * DAY).beyond
    told = (NOW - DAY, 2, NOW + 3 * DAY, "old.csv")
    assert (found.since, found.mails, found.last_mail_at, found.source) == told
    # Whoever names the address once more is told the same.
    assert forget(database, news, NOW + 5 * DAY).found is privacy_forget.ErasureOutcome.FINGERPRINT
    assert forget(database, news, NOW + 5 * DAY).beyond == found


@pytest.mark.parametrize(
    ("reason", "mails"), [(MailState.IN_DOUBT, 1), (PauseReason.RESTORED, 1), ("", 0)]
)
def test_a_mail_that_was_left_in_doubt_may_have_gone_out(
    database: Database, news: MailingList, campaign: Campaign, reason: str, mails: int
) -> None:
    contact = make_contact(database, news, JAN)
    make_mail(
        database, campaign, contact, state=MailState.FAILED, reason=reason, due_at=NOW, sent_at=None
    )
    found = forget(database, news, NOW + DAY).beyond
    assert (found.mails, found.last_mail_at) == (mails, NOW if mails else None)


def test_of_who_came_back_twice_the_last_file_counts(database: Database, news: MailingList) -> None:
    contact = make_contact(database, news, JAN)
    forget(database, news, NOW)
    for number, day in enumerate((1, 2)):
        record = Import.create(
            list=news, file=f"{number}.csv", digest="0" * 64, counts="{}", at=NOW + day * DAY
        )
        again = come_back(database, news, NOW + day * DAY)
        assert again.subject == contact.subject
        with database.atomic():
            Contact.update(imported_by=record).where(Contact.id == again.id).execute()
        forget(database, news, NOW + day * DAY)
    assert forget(database, news, NOW + 3 * DAY).beyond.source == "1.csv"


def test_what_is_told_first_of_an_address_is_why_it_is_not_mailed_on_this_list(
    database: Database, news: MailingList
) -> None:
    fingerprint = email_address.fingerprint(SETTINGS.fingerprint_key, JAN)
    with database.atomic():
        for one, reason in ((None, "complaint"), (news, "no")):
            Suppression.create(
                list=one, fingerprint=fingerprint, subject=new_id(), reason=reason, at=NOW
            )
    assert forget(database, news, NOW).reason == "no"


def test_an_export_had_whoever_a_file_had_taken_off_that_was_taken_back_before(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    file = mailchimp(
        tmp_path, {"email": JAN, "UNSUB_TIME": "2026-03-02 08:00:00"}, more=("UNSUB_TIME",)
    )
    make_contact(database, news, JAN)
    take_in(database, news, file, customers=True, attest=ATTEST)
    take_back(database, news, now=NOW + DAY)
    bought = plain(tmp_path, (JAN, ""), name="bought.csv")
    take_in(database, news, bought, customers=True, attest=ATTEST, now=NOW + 2 * DAY)
    take_in(database, news, file, now=NOW + 3 * DAY)
    take_back(database, news, now=NOW + 4 * DAY)
    asked: dict[str, Any] = {"settings": SETTINGS, "actor": "cli:els", "database": database}
    for what in ("keep", "removed"):
        out = io.BytesIO()
        export.write_export(news, what, now=NOW + 5 * DAY, out=out, format=FileFormat.CSV, **asked)
    taken = forget(database, news, NOW + 6 * DAY).beyond.exports
    assert [one.what for one in taken] == ["keep"]


def proofs(forgotten: privacy_forget.ErasureResult) -> list[tuple[datetime, str]]:
    return [(one.at, one.actor) for one in forgotten.beyond.proofs]


def test_a_proof_that_was_made_of_them_is_named_since_it_holds_the_address(
    database: Database, news: MailingList
) -> None:
    come_back(database, news, NOW)
    prove(database, news, NOW + DAY)
    assert proofs(forget(database, news, NOW + 2 * DAY)) == [(NOW + DAY, "cli:els")]
    # A proof of nobody named holds no address; the one from before is told of as long as it is.
    prove(database, news, NOW + 3 * DAY)
    assert proofs(forget(database, news, NOW + 4 * DAY)) == [(NOW + DAY, "cli:els")]


def test_proofs_in_an_archive_are_named_once_with_the_archive(
    database: Database, news: MailingList
) -> None:
    come_back(database, news, NOW)
    act: dict[str, Any] = {"settings": SETTINGS, "now": NOW + DAY, "actor": "user:1"}
    with make_proof.seal_proofs(database, news, **act), database.atomic():
        facts = {"what": "archive", "format": "zip", "tool": "", "rows": 1}
        chain.append(
            Entry(event="archived", at=NOW + DAY, actor="user:1", list="news", consent=facts)
        )
    found = forget(database, news, NOW + 2 * DAY)
    assert proofs(found) == []
    assert [one.what for one in found.beyond.exports] == ["archive"]


# --- On all lists, in transactions that do not grow with their number. ---------------------------


def count_erased() -> int:
    """Return on how many lists somebody is erased, in this transaction too."""
    count: int = Contact.select().where(Contact.erased_at.is_null(is_null=False)).count()
    return count


def forget_everywhere(database: Database, at: datetime) -> privacy_forget.AddressErasure:
    act: dict[str, Any] = {"settings": SETTINGS, "now": at, "actor": "cli:els"}
    return privacy_forget.erase_address(database, JAN, mailing_list=None, **act)


@pytest.fixture
def many(database: Database) -> list[Contact]:
    return [make_contact(database, make_list(database, slug=f"l{n}"), JAN) for n in range(6)]


def test_no_transaction_erases_on_two_lists(database: Database, many: list[Contact]) -> None:
    counts: list[int] = []
    database.before_commit = lambda: counts.append(count_erased())
    try:
        done = forget_everywhere(database, NOW)
    finally:
        database.before_commit = None
    assert sorted(set(counts)) == [*range(1, len(many) + 1)]
    assert {one.found for one in done.lists} == {privacy_forget.ErasureOutcome.CONTACT}
    assert list(iter_chain_faults()) == []


def test_what_is_interrupted_leaves_the_lists_before_erased_and_the_same_again_does_the_rest(
    database: Database, many: list[Contact]
) -> None:
    def fail() -> None:
        if count_erased() == 4:
            raise ZeroDivisionError

    database.before_commit = fail
    try:
        with pytest.raises(ZeroDivisionError):
            forget_everywhere(database, NOW)
    finally:
        database.before_commit = None
    assert count_erased() == 3
    again = forget_everywhere(database, NOW + DAY)
    assert [one.found.value for one in again.lists] == ["fingerprint"] * 3 + ["contact"] * 3
    assert count_erased() == len(many)
    assert list(iter_chain_faults()) == []


# --- In time that does not grow with the list. ---------------------------------------------------


def prove(database: Database, news: MailingList, at: datetime = NOW + 2 * DAY) -> object:
    return make_proof.prove_address(database, news, JAN, settings=SETTINGS, now=at, actor="cli:els")


def prove_all(database: Database, news: MailingList) -> None:
    act: dict[str, Any] = {"settings": SETTINGS, "now": NOW + 2 * DAY, "actor": "cli:els"}
    with make_proof.seal_proofs(database, news, **act):
        pass


def forget_again(database: Database, news: MailingList) -> object:
    return forget(database, news, NOW + 2 * DAY)


def sign_up_again(database: Database, news: MailingList) -> object:
    return come_back(database, news, NOW + 2 * DAY)


@pytest.mark.parametrize("act", [forget_again, prove, sign_up_again])
def test_who_was_erased_is_found_without_reading_the_list(
    database: Database, news: MailingList, act: Callable[[Database, MailingList], object]
) -> None:
    make_contact(database, news, JAN)
    forget(database, news, NOW + DAY)
    plans = plans_of(database, lambda: act(database, news), having='"subject" = ')
    of_contacts = [plan for plan in plans if "contact_" in plan]
    assert of_contacts
    # Who is found is updated by id.
    by_index = ("contact_subject", "contact_pkey")
    assert [plan for plan in of_contacts if not any(name in plan for name in by_index)] == []


def test_who_came_back_is_found_among_the_erased_without_reading_the_list_for_each(
    database: Database, news: MailingList
) -> None:
    make_contact(database, news, JAN)
    forget(database, news, NOW)
    come_back(database, news, NOW + DAY)
    plans = plans_of(database, lambda: prove_all(database, news), having="NOT EXISTS")
    assert plans
    for plan in plans:
        # PostgreSQL has counted the two rows between the steps, for which it needs no index.
        assert "contact_subject" in plan or is_postgresql(database)
        # Nor is the list sorted anew for each step.
        assert "SORT" not in plan.upper()
        assert "TEMP B-TREE" not in plan
