"""Who is asked: the database's answer is held to the rules."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest

from repermit import email_address
from repermit.campaigns.audience import Audience, count_audience
from repermit.campaigns.enqueue_asks import enqueue_asks, find_audience_range, start_launch_task
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.rules.consent import (
    Basis,
    CampaignState,
    Exclusion,
    MailKind,
    MailState,
    Reason,
    Status,
    exclusion,
)
from tests.support.builders import (
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_removed,
    make_settings,
)

KEY = make_settings().fingerprint_key


def count(mailing_list: MailingList, *, include_thin: bool = False) -> Audience:
    return count_audience(mailing_list, include_thin=include_thin, fingerprint_key=KEY)


def freeze(database: Database, campaign: Campaign) -> set[str]:
    """Make the asks and return the addresses that they are owed to."""
    with database.atomic():
        start_launch_task(
            campaign, find_audience_range(campaign.list), {"excluded": {}}, actor="anna@example.org"
        )
    assert enqueue_asks(database, campaign.id, settings=make_settings(), now=NOW, max_rows=None)
    query = Contact.select().join(Mail).where(Mail.campaign == campaign)
    return {str(contact.address) for contact in query}


def suppress(
    database: Database, address: str, mailing_list: MailingList | None, reason: Reason = Reason.NO
) -> None:
    with database.atomic():
        Suppression.create(
            list=mailing_list,
            fingerprint=email_address.fingerprint(KEY, address),
            subject="0" * 32,
            reason=reason,
            at=NOW,
        )


@pytest.mark.parametrize("include_thin", [True, False])
def test_the_database_agrees_with_the_rules(database: Database, include_thin: bool) -> None:
    mailing_list = make_list(database)
    earlier = make_campaign(database, mailing_list, state=CampaignState.CLOSED)
    expected = {}
    for status, basis, asked in product(Status, ("", *Basis), (True, False)):
        address = f"{status}-{basis}-{asked}@example.org".lower()
        contact = make_contact(database, mailing_list, address, status=status, basis=basis)
        if asked:
            make_mail(database, earlier, contact)
        expected[address] = exclusion(
            status, basis, suppressed=False, asked_before=asked, include_thin=include_thin
        )
    counted = count(mailing_list, include_thin=include_thin)
    whys = list(expected.values())
    assert counted.asked == whys.count(None)
    assert counted.excluded == {why: whys.count(why) for why in Exclusion}
    campaign = make_campaign(database, mailing_list, include_thin=include_thin)
    assert freeze(database, campaign) == {one for one in expected if expected[one] is None}


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        (MailState.QUEUED, False),
        (MailState.CLAIMED, False),
        (MailState.STARTED, True),
        (MailState.SENT, True),
        (MailState.FAILED, False),
        (MailState.IN_DOUBT, True),
        (MailState.DROPPED, False),
    ],
)
def test_asked_before_is_who_may_have_got_the_ask(
    database: Database, state: MailState, counts: bool
) -> None:
    mailing_list = make_list(database)
    earlier = make_campaign(database, mailing_list, state=CampaignState.CANCELLED)
    make_mail(database, earlier, make_contact(database, mailing_list), state=state)
    assert count(mailing_list).excluded[Exclusion.ASKED_BEFORE] == counts


def test_another_mail_than_an_ask_is_no_asking(database: Database) -> None:
    mailing_list = make_list(database)
    earlier = make_campaign(database, mailing_list, state=CampaignState.CLOSED)
    contact = make_contact(database, mailing_list)
    make_mail(database, earlier, contact, kind=MailKind.CONFIRM)
    assert count(mailing_list).asked == 1


def test_a_mail_is_in_the_contacts_language_or_else_the_lists(database: Database) -> None:
    mailing_list = make_list(database, language="de")
    for language in ("", "fr", "fr-BE", "pl", "de", "en"):
        make_contact(database, mailing_list, language=language)
    assert count(mailing_list).languages == {"de": 3, "en": 1, "fr": 2}


def test_who_is_suppressed_for_this_list_or_all_is_left_out(database: Database) -> None:
    mailing_list, other = make_list(database), make_list(database, slug="other")
    for name in ("here", "everywhere", "elsewhere"):
        make_contact(database, mailing_list, f"{name}@example.org", language=name[:2])
    suppress(database, "here@example.org", mailing_list)
    suppress(database, "everywhere@example.org", None)
    suppress(database, "elsewhere@example.org", other)
    counted = count(mailing_list)
    assert counted.excluded[Exclusion.SUPPRESSED] == 2
    assert counted.languages == {"nl": 1}
    campaign = make_campaign(database, mailing_list)
    assert freeze(database, campaign) == {"elsewhere@example.org"}


def test_who_is_suppressed_twice_is_counted_once(database: Database) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list, "a@example.org")
    suppress(database, "a@example.org", mailing_list)
    suppress(database, "a@example.org", None)
    counted = count(mailing_list)
    assert (counted.asked, counted.excluded[Exclusion.SUPPRESSED]) == (0, 1)


def test_who_was_removed_is_counted_as_removed(database: Database) -> None:
    mailing_list = make_list(database)
    make_removed(database, mailing_list, Reason.NO)
    counted = count(mailing_list)
    assert (counted.excluded[Exclusion.REMOVED], counted.excluded[Exclusion.SUPPRESSED]) == (1, 0)


def test_many_contacts_are_looked_up_page_by_page(database: Database) -> None:
    mailing_list = make_list(database)
    with database.atomic():
        Contact.insert_many(
            {
                "list": mailing_list,
                "uid": f"{n:032x}",
                "subject": f"{n:032x}",
                "address": f"n{n}@example.org",
                "address_key": f"n{n}@example.org",
                "status": Status.UNCONFIRMED,
                "status_at": NOW,
            }
            for n in range(2001)
        ).execute()
    for n in (0, 999, 1000, 2000):
        suppress(database, f"n{n}@example.org", mailing_list)
    counted = count(mailing_list)
    assert (counted.asked, counted.excluded[Exclusion.SUPPRESSED]) == (1997, 4)
    assert len(freeze(database, make_campaign(database, mailing_list))) == 1997


def test_contacts_of_another_list_are_not_asked(database: Database) -> None:
    mailing_list, other = make_list(database), make_list(database, slug="other")
    make_contact(database, other)
    assert count(mailing_list).asked == 0
    assert freeze(database, make_campaign(database, mailing_list)) == set()


def test_an_ask_is_owed_from_the_campaigns_start(database: Database) -> None:
    mailing_list = make_list(database)
    contact = make_contact(database, mailing_list)
    later = NOW + timedelta(days=3, microseconds=1)
    freeze(database, make_campaign(database, mailing_list, starts_at=later))
    mail = Mail.get()
    assert (mail.list, mail.contact, mail.kind) == (mailing_list, contact, MailKind.ASK)
    assert (mail.state, mail.reason, mail.due_at) == (MailState.QUEUED, "", later)
    assert (mail.attempts, mail.worker, mail.message_id) == (0, "", "")
    assert (mail.reply_code, mail.reply_status) == (0, "")
    assert (mail.lease_until, mail.started_at, mail.sent_at) == (None, None, None)
