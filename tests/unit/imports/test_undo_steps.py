"""Taking an import back in steps: all of it in the end, and nothing launched in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit.campaigns.launch_refusals import plan_launch
from repermit.contacts import status_changes
from repermit.db.background_tasks import TaskKind, find_task_of_list
from repermit.db.connection import Database, is_postgresql
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.errors import LaunchRefused, Refused
from repermit.imports import undo
from repermit.imports.undo import (
    FileProgress,
    has_been_mailed,
    make_changed_queries,
    reopens_closed_question,
    undo_progress,
)
from repermit.imports.undo_steps import Step
from repermit.imports.undo_steps import continue_undo as take_steps
from repermit.rules.consent import Basis, CampaignState, MailKind, MailState, Status
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
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
    mailchimp,
    on_list,
    plain,
    take_back,
    take_in,
)
from tests.support.query_plans import plan_of, plans_of, statements_in_transactions
from tests.unit.campaigns.test_launch import start

SETTINGS = make_settings()
LATER = NOW + timedelta(hours=1)
WAIT = "a file is being taken back from this list; wait until that is done"


@pytest.fixture
def news(database: Database, tmp_path: Path) -> MailingList:
    """Return a list with two people of before, and two and a suppression of a file."""
    news = make_list(database)
    for name in ("old", "mine"):
        make_contact(database, news, f"{name}@example.org", status_at=NOW - timedelta(days=9))
    rows = (
        {"email": "ask@example.org"},
        {"email": "proven@example.org", **OPTED_IN},
        {"email": "old@example.org", "UNSUB_TIME": "2020-01-01 00:00:00"},
        {"email": "out@example.org", "UNSUB_TIME": "2020-01-01 00:00:00"},
    )
    take_in(database, news, mailchimp(tmp_path, *rows, more=("UNSUB_TIME",)))
    return news


def go_on(database: Database, steps: int | None = None) -> int:
    """Take so many steps of what is being taken back, of one row each, as the sweep does."""
    left = iter(range(steps if steps is not None else 100))

    def should_stop() -> bool:
        return next(left, None) is None

    return undo.finish_undos(database, should_stop=should_stop, step=1)


def begin(database: Database, news: MailingList) -> None:
    assert not take_back(database, news, now=LATER, max_rows=0).is_whole


def test_nothing_is_launched_or_taken_in_until_all_is_taken_back(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    begin(database, news)
    # Two contacts, one that it changed, and the suppressions of two.
    for done in range(5):
        assert undo_progress(news) == FileProgress(file="export.csv", done=done, total=4)
        with pytest.raises(LaunchRefused, match=WAIT):
            start(database, news)
        assert WAIT in plan_launch(news, settings=SETTINGS, now=NOW, deadline=DEADLINE).refusals
        with pytest.raises(Refused, match=WAIT):
            take_in(database, news, plain(tmp_path, ("new@example.org", "")))
        assert Import.get().undone_at is None
        # Wherever it is cut off, another process goes on.
        assert go_on(database, 1) == 1
    assert set(on_list(news)) == {"old@example.org", "mine@example.org"}
    assert Suppression.select().count() == 0
    assert go_on(database) == 1
    assert undo_progress(news) is None
    assert Import.get().undone_at == LATER
    assert list(iter_chain_faults()) == []
    assert go_on(database) == 0
    assert start(database, news).plan.asked == 2


def test_whoever_presses_again_goes_on_with_what_is_under_way(
    database: Database, news: MailingList
) -> None:
    begin(database, news)
    go_on(database, 2)
    begin(database, news)
    done = take_back(database, news, now=NOW, actor="another@example.org")
    assert (done.contacts_taken_back, done.restored, done.suppressions_taken_back) == (2, 1, 2)
    # Who decided it, and when, stays.
    assert (Import.get().undone_at, undo_progress(news)) == (LATER, None)
    last = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (last.event, last.actor, last.at) == ("import_undone", "admin@example.org", LATER)
    with pytest.raises(Refused, match="no file that could be taken back"):
        take_back(database, news)


def test_two_who_go_on_at_once_take_back_each_row_once(
    database: Database, news: MailingList
) -> None:
    begin(database, news)
    while undo_progress(news):
        for _ in range(2):
            go_on(database, 1)
    # Whoever comes late finds nothing to do.
    assert take_steps(database, Import.get().id)
    assert [one.event for one in Evidence.select() if one.subject == ""].count("import_undone") == 1


def test_who_answers_meanwhile_stays(database: Database, news: MailingList) -> None:
    begin(database, news)
    person = contact_at(news, "proven@example.org")
    act = status_changes.Act(at=LATER, actor="person")
    with database.atomic():
        status_changes.confirm_contact(
            person, basis=Basis.SIGN_UP, act=act, fingerprint_key=SETTINGS.fingerprint_key
        )
    go_on(database)
    assert set(on_list(news)) == {"old@example.org", "mine@example.org", "proven@example.org"}
    assert Contact.get_by_id(person.id).basis == Basis.SIGN_UP


@pytest.mark.counted_on_both
def test_a_file_is_taken_back_whose_list_was_asked_before_it_came(
    database: Database, news: MailingList
) -> None:
    campaign = make_campaign(database, news, state=CampaignState.CANCELLED)
    make_mail(database, campaign, contact_at(news, "mine@example.org"))
    Mail.create(
        list=news, kind=MailKind.NOTICE, state=MailState.SENT, due_at=NOW, message_id="", topic="x"
    )
    # Nobody's mail is looked at but those of who came with it.
    (mails,) = plans_of(database, lambda: has_been_mailed(news, Import.get()), having=" BETWEEN ")
    if is_postgresql(database):
        # With statistics of a table this small it may begin with either, by an index.
        assert "Seq Scan" not in mails
    else:
        assert "mail_contact_id (contact_id>? AND contact_id<?)" in mails
    assert take_back(database, news).contacts_taken_back == 2


def test_who_was_mailed_is_looked_for_before_anybody_has_to_wait(
    database: Database, news: MailingList
) -> None:
    make_mailed_before(database, news)
    within = statements_in_transactions(database, lambda: take_back(database, news))
    assert within
    assert not [sql for sql in within if 'FROM "mail" ' in sql]


def test_who_was_mailed_is_looked_for_anew_if_a_mail_left_meanwhile(
    database: Database, news: MailingList, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = make_mailed_before(database, news)

    def mail() -> None:
        make_mail(database, campaign, contact_at(news, "proven@example.org"))

    before_next_transaction(database, monkeypatch, mail)
    with pytest.raises(Refused, match="people from it have been mailed"):
        take_back(database, news)


def test_a_mail_that_left_meanwhile_lets_nobody_wait_for_another_look(
    database: Database, news: MailingList, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_mailed_before(database, news)

    def send_receipt() -> None:
        mine = contact_at(news, "mine@example.org")
        sent = {"state": MailState.SENT, "due_at": NOW, "message_id": ""}
        Mail.create(list=news, contact=mine, kind=MailKind.RECEIPT, topic=NOW.isoformat(), **sent)

    before_next_transaction(database, monkeypatch, send_receipt)
    within = statements_in_transactions(database, lambda: take_back(database, news))
    assert Import.get().undone_at is not None
    assert not [sql for sql in within if 'FROM "mail" ' in sql]


def test_while_its_mails_leave_a_list_is_looked_at_once(
    database: Database, news: MailingList, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = make_campaign(database, news)
    mails: list[Mail] = []

    def mail() -> None:
        mails.append(make_mail(database, campaign, contact_at(news, "mine@example.org")))
        if len(mails) < 3:
            before_next_transaction(database, monkeypatch, mail)

    before_next_transaction(database, monkeypatch, mail)
    with pytest.raises(Refused, match="while a campaign is live"):
        take_back(database, news)
    assert len(mails) == 1


def before_next_transaction(
    database: Database, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]
) -> None:
    """Let something happen, as by another process, just before a transaction begins."""
    atomic = database.atomic

    def acting() -> Any:
        monkeypatch.undo()
        act()
        return atomic()

    monkeypatch.setattr(database, "atomic", acting)


def make_mailed_before(database: Database, news: MailingList) -> Campaign:
    """Let a campaign that is cancelled have mailed who was on the list before the file."""
    campaign = make_campaign(database, news, state=CampaignState.CANCELLED)
    make_mail(database, campaign, contact_at(news, "mine@example.org"))
    return campaign


# --- Who was asked in a campaign that has closed since is not put back (invariant 4). -------------


@pytest.fixture
def asked(database: Database) -> Campaign:
    """Return a campaign that has asked two people in time."""
    news = make_list(database)
    campaign = make_campaign(database, news)
    for name in ("old", "mine"):
        make_asked(database, news, campaign, f"{name}@example.org")
    return campaign


def close(database: Database, campaign: Campaign) -> None:
    with database.atomic():
        campaign.state, campaign.closed_at = CampaignState.CLOSED, LATER
        campaign.save()


@pytest.mark.parametrize("mark", [OPTED_IN, {"UNSUB_TIME": "2020-01-01 00:00:00"}])
def test_a_file_that_decided_on_who_was_asked_stays_once_the_campaign_has_closed(
    database: Database, asked: Campaign, tmp_path: Path, mark: dict[str, str]
) -> None:
    file = mailchimp(tmp_path, {"email": "old@example.org", **mark}, more=("UNSUB_TIME",))
    take_in(database, asked.list, file)
    with pytest.raises(Refused, match="while a campaign is live"):
        take_back(database, asked.list, now=LATER)
    close(database, asked)
    before = on_list(asked.list)
    with pytest.raises(Refused, match=r"^export\.csv cannot be taken back: people .* been mailed$"):
        take_back(database, asked.list, now=LATER)
    assert on_list(asked.list) == before


def test_who_was_asked_on_a_thin_proof_is_not_put_back_either(
    database: Database, asked: Campaign, tmp_path: Path
) -> None:
    thin = {"status": Status.CONFIRMED, "basis": Basis.THIN, "basis_at": NOW}
    make_mail(database, asked, make_contact(database, asked.list, "thin@example.org", **thin))
    file = mailchimp(tmp_path, {"email": "thin@example.org", **OPTED_IN})
    take_in(database, asked.list, file, consent_text="Yes, send me the news.")
    close(database, asked)
    with database.atomic():
        Campaign.update(include_thin=True).execute()
    with pytest.raises(Refused, match="have been mailed"):
        take_back(database, asked.list, now=LATER)
    # It was asked about nothing that is open if only people without a proof were asked.
    with database.atomic():
        Campaign.update(include_thin=False).execute()
    assert take_back(database, asked.list, now=LATER).restored == 1


@pytest.mark.parametrize("state", [MailState.FAILED, MailState.IN_DOUBT, MailState.DROPPED])
def test_who_was_not_asked_is_put_back_after_the_campaign(
    database: Database, asked: Campaign, tmp_path: Path, state: MailState
) -> None:
    other = make_contact(database, asked.list, "other@example.org")
    make_mail(database, asked, other, state=state, sent_at=None)
    take_in(database, asked.list, mailchimp(tmp_path, {"email": "other@example.org", **OPTED_IN}))
    close(database, asked)
    assert take_back(database, asked.list, now=LATER).restored == 1


def test_who_was_asked_is_put_back_if_the_campaign_had_closed_before_the_file_or_was_cancelled(
    database: Database, asked: Campaign, tmp_path: Path
) -> None:
    file = mailchimp(tmp_path, {"email": "old@example.org", **OPTED_IN})
    close(database, asked)
    take_in(database, asked.list, file, now=LATER + timedelta(seconds=1))
    assert take_back(database, asked.list, now=LATER + timedelta(seconds=2)).restored == 1
    take_in(database, asked.list, file)
    with database.atomic():
        Campaign.update(state=CampaignState.CANCELLED).execute()
    assert take_back(database, asked.list, now=LATER).restored == 1


def test_who_has_changed_since_keeps_no_file_from_being_taken_back(
    database: Database, asked: Campaign, tmp_path: Path
) -> None:
    take_in(database, asked.list, mailchimp(tmp_path, {"email": "old@example.org", **OPTED_IN}))
    person = contact_at(asked.list, "old@example.org")
    act = status_changes.Act(at=LATER, actor="person")
    with database.atomic():
        status_changes.confirm_contact(
            person, basis=Basis.ANSWER, act=act, fingerprint_key=SETTINGS.fingerprint_key
        )
    close(database, asked)
    assert take_back(database, asked.list, now=LATER).restored == 0
    assert on_list(asked.list)["old@example.org"] == (Status.CONFIRMED, "", Basis.ANSWER)


def test_who_was_asked_is_looked_for_anew_if_the_campaign_closes_meanwhile(
    database: Database, asked: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(database, asked.list, mailchimp(tmp_path, {"email": "old@example.org", **OPTED_IN}))
    before_next_transaction(database, monkeypatch, lambda: close(database, asked))
    with pytest.raises(Refused, match="have been mailed"):
        take_back(database, asked.list, now=LATER)


def test_who_was_asked_is_looked_for_before_anybody_has_to_wait(
    database: Database, asked: Campaign, tmp_path: Path
) -> None:
    take_in(database, asked.list, plain(tmp_path, ("new@example.org", "")))
    close(database, asked)
    within = statements_in_transactions(
        database, lambda: take_back(database, asked.list, now=LATER)
    )
    assert within
    assert not [sql for sql in within if 'FROM "mail" ' in sql]


def test_of_a_file_that_changed_few_no_more_are_looked_for_among_who_was_asked(
    database: Database, asked: Campaign, tmp_path: Path
) -> None:
    take_in(database, asked.list, mailchimp(tmp_path, {"email": "old@example.org", **OPTED_IN}))
    record = Import.get()
    (plan,) = plans_of(
        database, lambda: reopens_closed_question(record, asked), having="import_change"
    )
    if is_postgresql(database):
        # With statistics of a table this small it may begin with any, by an index.
        assert "Seq Scan" not in plan
    else:
        changes, contacts, mails = [line for line in plan.splitlines() if "SEARCH" in line]
        assert "import_change_record_id_id (record_id=?)" in changes
        assert "PRIMARY KEY" in contacts
        assert "contact_id=?" in mails


def test_a_file_that_brought_only_refusals_is_taken_back_beside_who_was_asked(
    database: Database, tmp_path: Path
) -> None:
    news = make_list(database)
    campaign = make_campaign(database, news, state=CampaignState.CANCELLED)
    make_mail(database, campaign, make_contact(database, news))
    out = {"email": "out@example.org", "UNSUB_TIME": "2020-01-01 00:00:00"}
    take_in(database, news, mailchimp(tmp_path, out, more=("UNSUB_TIME",)))
    done = take_back(database, news)
    assert (done.contacts_taken_back, done.suppressions_taken_back) == (0, 1)


def test_what_an_import_brought_is_found_by_an_index(database: Database, news: MailingList) -> None:
    begin(database, news)
    task = find_task_of_list(TaskKind.UNDO_IMPORT, news)
    assert task
    step = Step(task)
    queries: list[Any] = [step.select_contacts(), *make_changed_queries(Import.get())]
    for plan_ in (plan_of(database, query) for query in queries):
        assert "contact_imported" in plan_
        assert "SORT" not in plan_.upper()
        assert "TEMP B-TREE" not in plan_
    assert "suppression_imported" in plan_of(database, step.select_suppressions())
    lifting = plans_of(database, step.delete_suppressions, having='DELETE FROM "suppression"')
    assert lifting
    if not is_postgresql(database):
        # Not each time all that the file brought. PostgreSQL knows how many those are.
        assert not [one for one in lifting if "suppression_imported" in one]
