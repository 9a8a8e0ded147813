"""How a list and its campaign stand, as people see it and as scripts read it."""

from __future__ import annotations

import json
from datetime import timedelta

from repermit.campaigns.audience import count_audience
from repermit.campaigns.progress import read_progress, read_status
from repermit.campaigns.result_types import CampaignStatus, InDoubtMail
from repermit.db.connection import Database
from repermit.db.models.campaigns import CampaignWording
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.evidence import chain, stored_tree
from repermit.evidence.chain import store_wording
from repermit.evidence.entries import Entry
from repermit.rules.consent import CampaignState, MailKind, MailState, Reason, Status
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


def look(mailing_list: MailingList) -> CampaignStatus:
    return read_status(mailing_list, settings=make_settings(), now=NOW)


def test_a_list_without_a_campaign_has_every_key_with_zeros(database: Database) -> None:
    states = dict.fromkeys("queued claimed started sent failed in_doubt dropped".split(), 0)
    document = look(make_list(database)).to_json()
    assert document == {
        "list": "news",
        "campaign": None,
        "contacts": dict.fromkeys("unconfirmed confirmed customer removed".split(), 0),
        "removed": dict.fromkeys("no no_response bounce complaint withdrawn request".split(), 0),
        "mails": dict.fromkeys("ask reminder receipt confirm notice".split(), states),
        "unasked": 0,
        "held": 0,
        "checkpoint": stored_tree.checkpoint().to_json(),
    }
    assert json.loads(json.dumps(document)) == document


def test_contacts_and_removals_are_counted(database: Database) -> None:
    mailing_list, other = make_list(database), make_list(database, slug="other")
    make_contact(database, other)
    make_contact(database, mailing_list)
    make_contact(database, mailing_list, status=Status.CONFIRMED)
    for reason in (Reason.NO, Reason.NO, Reason.WITHDRAWN):
        make_removed(database, mailing_list, reason)
    found = look(mailing_list)
    assert found.contacts == {
        Status.UNCONFIRMED: 1,
        Status.CONFIRMED: 1,
        Status.CUSTOMER: 0,
        Status.REMOVED: 3,
    }
    assert found.removed == {
        **dict.fromkeys(Reason, 0),
        Reason.NO: 2,
        Reason.WITHDRAWN: 1,
    }


def test_a_campaign_that_paused_by_itself_says_why(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(
        database, mailing_list, state="paused", pause_reason="pilot", pilot=3, reminder_at=NOW
    )
    with database.atomic():
        for revision in (1, 2):
            CampaignWording.create(
                campaign=campaign,
                kind=MailKind.ASK,
                language="nl",
                revision=revision,
                wording=store_wording("x"),
            )
    found = look(mailing_list).campaign
    assert found is not None
    assert (found.pause_reason, found.pilot, found.reminder_at) == ("pilot", 3, NOW)
    assert found.languages == ("nl",)


def test_a_campaign_is_described(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list, opened_at=NOW, downtime=90)
    make_asked(database, mailing_list, campaign)
    with database.atomic():
        for language in ("nl", "de"):
            CampaignWording.create(
                campaign=campaign,
                kind=MailKind.ASK,
                language=language,
                wording=store_wording(language),
            )
    found = look(mailing_list).campaign
    assert found is not None
    assert found.to_json() == {
        "number": campaign.id,
        "state": "open",
        "pause_reason": "",
        "deadline": "2026-03-30T09:00:00.000000+00:00",
        "latest_ask": "2026-03-16T09:00:00.000000+00:00",
        "launched_at": "2026-03-02T09:00:00.000000+00:00",
        "starts_at": "2026-03-02T09:00:00.000000+00:00",
        "opened_at": "2026-03-02T09:00:00.000000+00:00",
        "closed_at": None,
        "asked": 1,
        "languages": ["de", "nl"],
        "pilot": 0,
        "reminder_at": None,
        "late_reminders": 0,
        "minimum_days": 14,
        "include_thin": False,
        "downtime": 90,
    }
    assert look(mailing_list).to_json()["campaign"] == found.to_json()


def test_mails_of_the_latest_campaign_and_of_none_are_counted(database: Database) -> None:
    mailing_list, other = make_list(database), make_list(database, slug="other")
    earlier = make_campaign(database, mailing_list, state=CampaignState.CLOSED)
    make_asked(database, mailing_list, earlier)
    latest = make_campaign(database, mailing_list)
    make_asked(database, mailing_list, latest)
    make_mail(database, latest, make_contact(database, mailing_list), state=MailState.FAILED)
    for one in (mailing_list, other):
        with database.atomic():
            Mail.create(list=one, kind=MailKind.CONFIRM, due_at=NOW, message_id="")
    found = look(mailing_list)
    zeros = dict.fromkeys(MailState, 0)
    assert found.mails == {
        **dict.fromkeys(MailKind, zeros),
        MailKind.ASK: {**zeros, MailState.SENT: 1, MailState.FAILED: 1},
        MailKind.CONFIRM: {**zeros, MailState.QUEUED: 1},
    }
    assert found.unasked == 1


def test_mails_in_doubt_are_named_for_the_admin_and_not_in_the_json(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    started = NOW + timedelta(minutes=1)
    mail = make_mail(
        database,
        campaign,
        make_contact(database, mailing_list, "a@example.org"),
        state=MailState.IN_DOUBT,
        started_at=started,
        attempts=1,
    )
    found = look(mailing_list)
    assert found.in_doubt == (
        InDoubtMail(
            mail=mail.id,
            kind=MailKind.ASK,
            address="a@example.org",
            started_at=started,
            attempts=1,
            is_restored=False,
        ),
    )
    assert "a@example.org" not in json.dumps(found.to_json())
    with database.atomic():
        Contact.update(address=None).execute()
    assert look(mailing_list).in_doubt[0].address == ""


def test_every_mail_in_doubt_that_can_be_resolved_is_named(database: Database) -> None:
    """A sign-up's, one of an earlier campaign, and a notice to the admin."""
    mailing_list, other = make_list(database), make_list(database, slug="other")
    earlier = make_campaign(database, mailing_list, state=CampaignState.CLOSED)
    doubtful = {"state": MailState.IN_DOUBT, "started_at": NOW, "message_id": "", "due_at": NOW}
    contact = make_contact(database, mailing_list, "a@example.org")
    make_mail(database, earlier, contact, **doubtful)
    make_campaign(database, mailing_list)
    with database.atomic():
        for one in (mailing_list, other):
            sign_up = SignUp.create(
                list=one, uid=one.slug, address="b@example.org", address_key="b@example.org", at=NOW
            )
            Mail.create(list=one, kind=MailKind.CONFIRM, sign_up=sign_up, **doubtful)
        Mail.create(list=mailing_list, kind=MailKind.NOTICE, topic="paused_pilot", **doubtful)
    assert [(one.kind, one.address) for one in look(mailing_list).in_doubt] == [
        (MailKind.ASK, "a@example.org"),
        (MailKind.CONFIRM, "b@example.org"),
        (MailKind.NOTICE, ""),
    ]


def test_who_answered_a_mail_in_doubt_was_asked(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    for stands in (Status.UNCONFIRMED, Status.CONFIRMED):
        contact = make_contact(database, mailing_list, status=stands)
        make_mail(database, campaign, contact, state=MailState.IN_DOUBT, started_at=NOW)
    make_mail(database, campaign, make_contact(database, mailing_list), state=MailState.FAILED)
    found = look(mailing_list)
    assert (found.unasked, found.unasked_in_doubt, len(found.in_doubt)) == (2, 1, 2)


def test_what_status_calls_unconfirmed_is_what_a_plan_would_ask(database: Database) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list)
    audience = count_audience(mailing_list, include_thin=False, fingerprint_key=b"key")
    assert look(mailing_list).contacts[Status.UNCONFIRMED] == audience.asked


def test_the_admin_learns_that_another_tool_still_mails_who_was_erased(database: Database) -> None:
    news, other = make_list(database), make_list(database, slug="other")
    with database.atomic():
        for slug, event in (
            ("news", "still_mailed"),
            ("news", "erased"),
            ("other", "still_mailed"),
        ):
            chain.append(Entry(event=event, at=NOW, actor="person", list=slug, subject="s"))
    assert (look(news).still_mailed, look(other).still_mailed) == (1, 1)


# --- How far the mails are.


def test_progress_counts_asks_and_reminders_of_the_latest_campaign(database: Database) -> None:
    mailing_list = make_list(database)
    assert read_progress(mailing_list) is None
    before = make_campaign(database, mailing_list, state=CampaignState.CLOSED)
    make_mail(database, before, make_contact(database, mailing_list))
    campaign = make_campaign(database, mailing_list, state=CampaignState.SENDING)
    contact = make_contact(database, mailing_list)
    make_mail(database, campaign, contact)
    make_mail(database, campaign, contact, kind=MailKind.REMINDER)
    make_mail(database, campaign, contact, kind=MailKind.NOTICE, state=MailState.QUEUED)
    make_mail(database, campaign, make_contact(database, mailing_list), state=MailState.FAILED)
    found = read_progress(mailing_list)
    assert found is not None
    assert found.state is CampaignState.SENDING
    assert {state: n for state, n in found.mails.items() if n} == {"sent": 2, "failed": 1}
    assert set(found.mails) == set(MailState)
