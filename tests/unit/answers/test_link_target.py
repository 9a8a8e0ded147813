"""Where the contact behind a link stands, and which list a sign-up page is for."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from repermit.answers import link_target
from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.campaigns import CampaignWording
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.rules.consent import Answer, Basis, MailState, Outcome, Status
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
from tests.support.public_pages import freeze_wording
from tests.support.query_plans import plans_of


def standing_of(contact: Contact) -> link_target.ContactState:
    found = link_target.find_contact_state(contact.uid)
    assert found is not None
    return found


def test_whether_somebody_erased_is_suppressed_is_found_by_an_index(database: Database) -> None:
    contact = make_contact(database, make_list(database))
    with database.atomic():
        key = make_settings().fingerprint_key
        erasure.erase_contact(
            contact, act=status_changes.Act(at=NOW, actor="person"), fingerprint_key=key
        )
    assert link_target.is_suppressed(contact.uid)
    (plan,) = plans_of(
        database, lambda: link_target.is_suppressed(contact.uid), having='"suppression"'
    )
    assert "suppression_subject" in plan


def test_an_unknown_uid_has_no_standing(database: Database) -> None:
    make_list(database)
    assert link_target.find_contact_state(new_id()) is None


def test_a_contact_never_asked_has_no_deadline(database: Database) -> None:
    contact = make_contact(database, make_list(database), "anna@example.org", source="counter")
    contact_state = standing_of(contact)
    assert contact_state.address == "a…a@example.org"
    assert (contact_state.status, contact_state.source, contact_state.language) == (
        "unconfirmed",
        "counter",
        "nl",
    )
    assert (contact_state.campaign, contact_state.deadline, contact_state.asked_at) == (
        0,
        None,
        None,
    )
    assert not contact_state.is_in_time(NOW)
    assert not contact_state.is_gone


def test_an_asked_contact_has_its_campaigns_deadline(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    contact_state = standing_of(make_asked(database, mailing_list, campaign))
    assert (contact_state.campaign, contact_state.deadline) == (campaign.id, DEADLINE)
    assert contact_state.asked_at == NOW + timedelta(seconds=1)
    assert contact_state.mail_wording == ""


@pytest.mark.parametrize(
    ("after", "in_time"),
    [
        (timedelta(microseconds=-1), True),
        (timedelta(), False),
        (timedelta(microseconds=1), False),
    ],
)
def test_a_question_is_open_until_its_deadline(
    database: Database, after: timedelta, in_time: bool
) -> None:
    mailing_list = make_list(database)
    contact = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    assert standing_of(contact).is_in_time(DEADLINE + after) is in_time


def test_the_latest_campaign_counts(database: Database) -> None:
    mailing_list = make_list(database)
    contact = make_asked(
        database, mailing_list, make_campaign(database, mailing_list, state="closed")
    )
    later = make_campaign(database, mailing_list, deadline=DEADLINE + timedelta(days=99))
    make_mail(database, later, contact)
    assert standing_of(contact).campaign == later.id


def test_an_ask_that_did_not_leave_gives_no_moment_of_asking(database: Database) -> None:
    mailing_list = make_list(database)
    contact = make_contact(database, mailing_list)
    campaign = make_campaign(database, mailing_list)
    make_mail(database, campaign, contact, state=MailState.FAILED, sent_at=None)
    contact_state = standing_of(contact)
    assert (contact_state.deadline, contact_state.asked_at) == (DEADLINE, None)


@pytest.mark.parametrize(
    ("own", "found"), [("fr", "fr"), ("de", "nl"), ("", "nl")], ids=["own", "other", "none"]
)
def test_the_wording_is_the_one_of_the_mail_that_was_sent(
    database: Database, own: str, found: str
) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    digests = {
        language: freeze_wording(database, campaign, mailing_list, language)
        for language in ("nl", "fr")
    }
    contact = make_asked(database, mailing_list, campaign)
    with database.atomic():
        Contact.update(language=own).execute()
    assert standing_of(contact).mail_wording == digests[found]


def test_the_wording_is_the_one_that_the_very_mail_was_made_from(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    digests = [
        freeze_wording(database, campaign, mailing_list, "nl", revision) for revision in (2, 1, 3)
    ]
    contact = make_asked(database, mailing_list, campaign)
    # Before it is made from one, it is to be made from the newest.
    assert standing_of(contact).mail_wording == digests[2]
    made_from = CampaignWording.get(CampaignWording.revision == 1)
    with database.atomic():
        Mail.update(wording=made_from).execute()
    assert standing_of(contact).mail_wording == digests[1]


@pytest.mark.parametrize("state", MailState)
def test_a_reminder_counts_once_a_server_took_it(database: Database, state: MailState) -> None:
    mailing_list = make_list(database)
    earlier = make_campaign(database, mailing_list, state="closed")
    campaign = make_campaign(database, mailing_list)
    contact = make_asked(database, mailing_list, campaign)
    make_mail(database, earlier, contact, kind="reminder")
    assert standing_of(contact).reminded_at is None
    make_mail(database, campaign, contact, kind="reminder", state=state, sent_at=DEADLINE)
    expected = DEADLINE if state is MailState.SENT else None
    assert standing_of(contact).reminded_at == expected


def test_the_page_says_what_the_mail_said_when_the_list_was_changed_since(
    database: Database,
) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    freeze_wording(database, campaign, mailing_list, "nl")
    contact = make_asked(database, mailing_list, campaign)
    mailing_list.purpose = "Something else altogether"
    with database.atomic():
        mailing_list.save()
    assert (
        standing_of(contact).mailing_list.purpose == "Nieuws over onze praktijk, vier keer per jaar"
    )


def test_an_erased_contact_is_gone_but_its_list_is_known(database: Database) -> None:
    contact = make_contact(database, make_list(database))
    with database.atomic():
        erasure.erase_contact(
            contact,
            act=status_changes.Act(at=NOW, actor="admin"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    contact_state = standing_of(contact)
    assert contact_state.is_gone
    assert (contact_state.address, contact_state.mailing_list.slug) == ("", "news")


def test_foreseeing_an_answer_changes_nothing(database: Database) -> None:
    mailing_list = make_list(database)
    contact = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    contact_state = standing_of(contact)
    assert (
        link_target.predict_decision(contact_state, Answer.YES, arrived_at=NOW).outcome
        is Outcome.CONFIRM
    )
    assert (
        link_target.predict_decision(contact_state, Answer.YES, arrived_at=DEADLINE).outcome
        is Outcome.LATE
    )
    confirmed = replace(contact_state, status=Status.CONFIRMED, basis=Basis.ANSWER)
    assert (
        link_target.predict_decision(confirmed, Answer.YES, arrived_at=DEADLINE).outcome
        is Outcome.NOTHING
    )
    assert standing_of(contact) == contact_state


def test_a_list_is_joined_by_its_name(database: Database) -> None:
    mailing_list = make_list(database)
    settings = make_settings()
    assert link_target.make_join_id(mailing_list, settings=settings) == "news"
    assert link_target.find_joinable_list("news", settings=settings) == mailing_list
    assert link_target.find_joinable_list("other", settings=settings) is None


def test_a_sensitive_list_is_joined_under_a_name_that_tells_nothing(database: Database) -> None:
    mailing_list = make_list(database, slug="hiv-group", sensitive=True)
    settings = make_settings()
    name = link_target.make_join_id(mailing_list, settings=settings)
    assert len(name) == 16
    assert int(name, 16)
    assert link_target.find_joinable_list(name, settings=settings) == mailing_list
    assert link_target.find_joinable_list("hiv-group", settings=settings) is None
    changed = replace(settings, secret_keys=(b"another-key-of-the-links",))
    assert link_target.make_join_id(mailing_list, settings=changed) == name


@pytest.mark.parametrize("glued", ["-", "--", "_", "-_", ".x", "-.-", "--/a-b", "\n", "-\u00e9.\n"])
def test_what_a_mail_program_put_behind_a_list_is_left_out(database: Database, glued: str) -> None:
    mailing_list = make_list(database, slug="my-news")
    found = link_target.find_joinable_list(f"my-news{glued}", settings=make_settings())
    assert (found == mailing_list) == ("\u00e9" not in glued)


@pytest.mark.parametrize("glued", ["-" * 1_000_000 + "a", "-a" * 500_000, "-" * 1_000_000 + "."])
def test_a_list_with_any_number_of_hyphens_behind_it_is_looked_up_at_once(
    database: Database, glued: str
) -> None:
    make_list(database)
    start = time.process_time()
    link_target.find_joinable_list(f"x{glued}", settings=make_settings())
    assert time.process_time() - start < 5
