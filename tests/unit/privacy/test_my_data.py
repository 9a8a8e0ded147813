"""Everything that is held about one person, on a page and in a document."""

from __future__ import annotations

import io
import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from repermit.accounts import audit_log
from repermit.answers import join, record_answer
from repermit.clock import format_timestamp
from repermit.contacts import click_log, human_replies, lookup
from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.db.connection import Database
from repermit.db.migrations import ALL_TABLES
from repermit.db.models.accounts import Access
from repermit.db.models.contacts import Contact, Opening, SignUp, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import FreshLink, Mail, Reply
from repermit.db.models.webhooks import Delivery, Webhook
from repermit.evidence import chain, entries
from repermit.exports import export
from repermit.privacy import data_links, external_copies, my_data, rectification
from repermit.privacy.my_data import FORMAT, DisclosedRecipient, HeldData, RetentionTerm
from repermit.reports import breach_report
from repermit.rules.consent import Answer, CampaignState, MailKind, MailState, Reason, Status
from repermit.suppression import fingerprint_files
from tests.codebase.test_documentation import code, table
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_removed,
    make_settings,
)
from tests.support.one_time_links import TRACE, newest, opened_for
from tests.support.query_plans import count_values

SETTINGS = make_settings()
ANSWERED = NOW + timedelta(hours=2)
LATER = NOW + timedelta(days=3)


def held_of(database: Database, contact: Contact, **more: Any) -> HeldData:
    opened = opened_for(database, contact, now=LATER)
    values: dict[str, Any] = {"settings": SETTINGS, "now": LATER}
    held = my_data.gather_held_data(authority=opened.authority, **{**values, **more})
    assert held is not None
    return held


def assemble_proof(held: HeldData) -> dict[str, Any]:
    recipient = DisclosedRecipient(role="mail", name="Microsoft 365", country="IE", safeguard="")
    return my_data.make_document(
        held, organisation=SETTINGS.organisation, recipients=[recipient], now=LATER
    )


def furnish(database: Database, mailing_list: MailingList) -> Contact:
    """Save and return somebody of whom all there is to be held is held."""
    campaign = make_campaign(database, mailing_list)
    with database.atomic():
        file = Import.create(
            list=mailing_list, file="export.xlsx", digest="0" * 64, counts="{}", at=NOW
        )
    contact = make_asked(database, mailing_list, campaign, "anna@example.org")
    Contact.update(
        imported_by=file, name="Anna", language="fr", source="the desk", since=NOW
    ).where(Contact.id == contact.id).execute()
    bounce = {"bounce": "soft", "bounced_at": NOW + timedelta(hours=1)}
    make_mail(database, campaign, contact, kind="reminder", **bounce)
    contact = Contact.get_by_id(contact.id)
    human_replies.save_reply(contact, digest="d" * 64, proposed="yes", at=NOW, decided_at=NOW)
    join.request_sign_up(
        database, mailing_list, address="anna@example.org", name="A.", language="de", now=NOW
    )
    pending = click_log.PendingOpenings()
    pending.add(contact.uid, click_log.LinkRequest("no", is_head=True, at=NOW))
    pending.write(database)
    record_answer.record_answer(
        database,
        uid=contact.uid,
        answer=Answer.YES,
        arrived_at=ANSWERED,
        settings=SETTINGS,
        method="page",
        trace=TRACE,
    )
    with database.atomic():
        audit_log.record_access(
            now=NOW,
            actor="user:1",
            act="contact",
            mailing_list=mailing_list,
            subject=contact.subject,
        )
        audit_log.record_access(now=NOW, actor="user:1", act="contacts", mailing_list=mailing_list)
    return Contact.get_by_id(contact.id)


def test_who_looked_at_many_is_told_as_the_breach_report_counts_them(
    database: Database, mailing_list: MailingList
) -> None:
    contact = furnish(database, mailing_list)
    other, earlier = make_list(database, slug="agenda"), NOW - timedelta(days=400)
    looks = [
        (earlier, "exported_keep", mailing_list, ""),
        (NOW + timedelta(hours=1), "contacts", mailing_list, ""),
        (LATER, "searched", mailing_list, ""),
        (LATER, "contacts", other, ""),
        (LATER, "contact", mailing_list, "f" * 32),
    ]
    with database.atomic():
        for at, act, of, subject in looks:
            audit_log.record_access(
                now=at, actor="user:1", act=act, mailing_list=of, subject=subject
            )
    held = held_of(database, contact)
    assert held.looks == ((NOW, "contact"),)
    assert held.looks_at_many == (
        (NOW, "contacts"),
        (NOW + timedelta(hours=1), "contacts"),
        (LATER, "searched"),
    )
    counted = breach_report.gather_traces(mailing_list, now=LATER + timedelta(hours=1)).looks
    told = {what for _, what in (*held.looks, *held.looks_at_many)}
    assert {one.what for one in counted} == told
    assert [one["what"] for one in assemble_proof(held)["looks_at_many"]] == [
        "contacts",
        "contacts",
        "searched",
    ]


def test_everything_that_is_held_is_told(database: Database, mailing_list: MailingList) -> None:
    held = held_of(database, furnish(database, mailing_list))
    assert (held.address, held.name, held.language) == ("anna@example.org", "Anna", "fr")
    assert (held.status, held.basis, held.basis_at) == (
        Status.CONFIRMED,
        "answer",
        NOW + timedelta(hours=2),
    )
    assert (held.source, held.since) == ("the desk", NOW)
    assert held.imports == ((NOW, "export.xlsx"),)
    assert held.replies == ((NOW, "yes"),)
    assert held.looks == ((NOW, "contact"),)
    assert [(one.at, one.name, one.confirmed_at) for one in held.sign_ups] == [(NOW, "A.", None)]
    assert [(one.kind, one.purpose, one.state, one.bounce) for one in held.letters] == [
        ("ask", "", "sent", ""),
        ("reminder", "", "sent", "soft"),
        ("receipt", "", "queued", ""),
        ("confirm", "see", "queued", ""),
    ]
    (entry,) = held.entries
    assert (entry.event, entry.by, entry.consent["answer"]) == ("confirmed", "person", "yes")
    assert entry.person["address"] == "anna@example.org"
    opened = entry.trace["openings"]["no"]
    assert dict(entry.trace) == {**TRACE, "openings": {"no": opened}}
    assert (opened["get"], opened["head"]) == (0, 1)
    assert held.suppressions == ()
    day = timedelta(days=1)
    assert set(held.terms) == {
        RetentionTerm(what="address", until=None, duration="P30D", begins="removal"),
        RetentionTerm(what="proof", until=None, duration="P5Y", begins="removal"),
        RetentionTerm(what="trace", until=ANSWERED + 90 * day, duration="P90D", begins="answer"),
        RetentionTerm(what="openings", until=NOW + 90 * day, duration="P90D", begins="opening"),
        RetentionTerm(what="sign_ups", until=NOW + 30 * day, duration="P30D", begins="sign_up"),
        RetentionTerm(what="mails", until=None),
        RetentionTerm(what="looks", until=NOW + 365 * day, duration="P365D", begins="look"),
        RetentionTerm(what="links", until=LATER + day, duration="P1D", begins="link"),
    }
    assert held.openings is not None
    assert [(one.link, one.gets, one.heads) for one in held.openings.links] == [("no", 0, 1)]
    assert (held.openings.yes_at, held.openings.began_at) == (ANSWERED, NOW)


def test_nothing_of_anybody_else_is_told_be_it_the_same_address_elsewhere(
    database: Database, mailing_list: MailingList
) -> None:
    mine = make_contact(database, mailing_list, "anna@example.org")
    elsewhere = make_list(database, slug="other", name="Other")
    same = make_contact(database, elsewhere, "anna@example.org", name="Secret")
    Contact.update(subject=mine.subject).where(Contact.id == same.id).execute()
    for other in (
        same,
        make_removed(database, mailing_list, Reason.NO, "secret@example.org"),
    ):
        human_replies.save_reply(other, digest=other.uid * 2, proposed="", at=NOW, decided_at=None)
    with database.atomic():
        chain.append(
            entries.Entry(
                event="secret", at=NOW, actor="user:1", list="other", subject=mine.subject
            )
        )
    join.request_sign_up(
        database, elsewhere, address="anna@example.org", name="Secret", language="", now=NOW
    )
    held = held_of(database, mine)
    document = assemble_proof(held)
    assert (held.entries, held.replies, held.sign_ups, held.suppressions) == ((), (), (), ())
    assert "secret" not in json.dumps(document).lower()
    assert "Other" not in json.dumps(document)


def test_who_has_left_sees_why_and_until_when(
    database: Database, mailing_list: MailingList
) -> None:
    left = make_removed(database, mailing_list, Reason.NO)
    with database.atomic():
        Suppression.create(
            list=None,
            fingerprint=lookup.make_fingerprint(left, SETTINGS.fingerprint_key),
            subject=left.subject,
            reason="request",
            at=LATER,
        )
    held = held_of(database, left)
    assert [(one.reason, one.is_for_all) for one in held.suppressions] == [
        ("no", False),
        ("request", True),
    ]
    until = {term.what: term.until for term in held.terms}
    # Five years of the calendar, with a leap day among them.
    assert until["proof"] == NOW.replace(year=NOW.year + 5)
    assert until["address"] == NOW + timedelta(days=30)
    assert until["looks"] is None
    assert {term.what for term in held.terms} == {
        "address",
        "proof",
        "mails",
        "suppression",
        "looks",
        "links",
    }


@pytest.mark.parametrize("state", [CampaignState.OPEN, CampaignState.CLOSED])
def test_who_has_not_answered_sees_by_when_while_the_question_is_open(
    database: Database, mailing_list: MailingList, state: CampaignState
) -> None:
    campaign = make_campaign(database, mailing_list, state=state)
    held = held_of(database, make_asked(database, mailing_list, campaign))
    asked = RetentionTerm(what="answer", until=DEADLINE) in held.terms
    assert asked is (state is CampaignState.OPEN)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"state": MailState.SENT}, True),
        # Their silence means nothing: the ask came too late, or never.
        ({"sent_at": DEADLINE - timedelta(days=1)}, False),
        ({"state": MailState.FAILED, "sent_at": None}, False),
        ({"bounce": "hard"}, False),
    ],
)
def test_only_whom_silence_takes_off_is_told_so(
    database: Database, mailing_list: MailingList, asked: dict[str, Any], *, told: bool
) -> None:
    contact = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    Mail.update(**asked).where(Mail.contact == contact).execute()
    terms = {term.what for term in held_of(database, contact).terms}
    assert ("answer" in terms) is told


def take(
    database: Database, mailing_list: MailingList, what: str, at: datetime, **more: Any
) -> None:
    export.write_export(
        mailing_list,
        what,
        database=database,
        settings=SETTINGS,
        now=at,
        actor="user:1",
        out=io.BytesIO(),
        **more,
    )


def test_in_which_files_the_address_was_and_who_was_told_of_it_is_told(
    database: Database, mailing_list: MailingList
) -> None:
    hours = [NOW + timedelta(hours=hour) for hour in range(10)]
    take(database, mailing_list, "keep", NOW - timedelta(days=1))
    anna = furnish(database, mailing_list)
    bram = make_contact(database, mailing_list, "bram@example.org")
    for at in (hours[1], hours[3]):
        for what in ("keep", "removed", "unasked", "evidence"):
            take(database, mailing_list, what, at)
    take(database, mailing_list, "keep", hours[4], tool="mailchimp")
    with database.atomic():
        export.record_refused_rows(mailing_list, 3, now=hours[4], actor="user:1")
    said: dict[str, Any] = {"settings": SETTINGS, "now": hours[5], "actor": "user:1"}
    fingerprint_files.write_suppressions(
        database, mailing_list, out=io.BytesIO(), form="csv", **said
    )
    record_answer.record_answer(
        database,
        uid=anna.uid,
        answer=Answer.NO,
        arrived_at=hours[6],
        settings=SETTINGS,
        method="page",
        trace=TRACE,
    )
    take(database, mailing_list, "removed", hours[7], tool="mailchimp")
    fingerprint_files.write_suppressions(
        database, mailing_list, out=io.BytesIO(), form="csv", **{**said, "now": hours[8]}
    )
    with database.atomic():
        hook = Webhook.create(
            url="https://tool.example.org/hooks?key=secret",
            secret="whsec_x",
            created_by="user:1",
            created_at=NOW,
            removed_at=LATER,
        )
        removal = Evidence.get(Evidence.event == "removed", Evidence.subject == anna.subject)
        for seq, state in ((removal.seq, "delivered"), (1, "failed")):
            Delivery.create(webhook=hook, seq=seq, state=state, due_at=hours[9], at=hours[9])
    # Whoever erases is told of the same files.
    assert [
        (one.at, one.what)
        for one in external_copies.find_external_copies(mailing_list, anna).exports
    ] == [
        (hours[3], "keep"),
        (hours[3], "evidence"),
        (hours[4], "keep"),
        (hours[7], "removed"),
        (hours[8], "suppressions"),
    ]
    held = held_of(database, anna)
    assert [(one.at, one.what, one.to) for one in held.handed_on] == [
        (hours[3], "keep", ""),
        (hours[3], "evidence", ""),
        (hours[4], "keep", "mailchimp"),
        (hours[7], "removed", "mailchimp"),
        (hours[8], "suppressions", ""),
        (hours[9], "told", "tool.example.org"),
    ]
    whose = held_of(database, bram).handed_on
    # Who was not asked may be in the file of those who could not be.
    assert [one.what for one in whose] == ["unasked", "unasked"]


def test_mails_to_a_new_address_and_the_one_before_are_told_too(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list)
    opened = opened_for(database, contact, now=LATER)
    rectification.ask_new_address(
        database,
        authority=opened.authority,
        address="new@example.org",
        language="",
        now=LATER,
    )
    rectification.confirm_new_address(
        database, uid=newest("address").uid, settings=SETTINGS, now=LATER, trace={}
    )
    held = my_data.gather_held_data(authority=opened.authority, settings=SETTINGS, now=LATER)
    assert held is not None
    assert {one.purpose for one in held.letters} == {"see", "address", "changed"}
    assert held.address == "new@example.org"


def test_a_mail_that_waits_for_a_pilot_stands_where_the_campaign_was_launched(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list)
    campaign = make_campaign(database, mailing_list)
    waiting = {"state": MailState.QUEUED, "due_at": AFTER_PILOT, "sent_at": None}
    make_mail(database, campaign, contact, **waiting)
    (mail,) = [mail for mail in held_of(database, contact).letters if mail.kind == MailKind.ASK]
    assert mail.at == campaign.launched_at


def test_a_mail_with_a_link_is_told_as_such_after_the_link_is_forgotten(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list)
    opened_for(database, contact, now=NOW)
    data_links.delete_expired_links(database, now=LATER)
    held = held_of(database, contact)
    assert [(one.kind, one.purpose) for one in held.letters] == [("confirm", "see")] * 2
    assert FreshLink.select().count() == 1


def test_the_document_holds_all_of_it_in_one_format(
    database: Database, mailing_list: MailingList
) -> None:
    held = held_of(database, furnish(database, mailing_list))
    document = json.loads(json.dumps(assemble_proof(held)))
    assert (document["format"], document["made_at"]) == (
        FORMAT,
        "2026-03-05T09:00:00.000000+00:00",
    )
    assert document["controller"]["name"] == "Praktijk De Linde"
    assert document["list"]["slug"] == "news"
    assert document["contact"]["address"] == "anna@example.org"
    assert document["contact"]["status"] == "confirmed"
    assert [one["kind"] for one in document["mails"]] == ["ask", "reminder", "receipt", "confirm"]
    assert document["imports"] == [
        {"at": "2026-03-02T09:00:00.000000+00:00", "file": "export.xlsx"}
    ]
    assert document["evidence"][0]["person"]["name"] == "Anna"
    assert document["evidence"][0]["trace"]["network"] == TRACE["network"]
    assert document["openings"] == {
        "links": [
            {
                "link": "no",
                "get": 0,
                "head": 1,
                "first_at": "2026-03-02T09:00:00.000000+00:00",
                "last_at": "2026-03-02T09:00:00.000000+00:00",
            }
        ],
        "together_at": None,
        "yes_at": "2026-03-02T11:00:00.000000+00:00",
        "no_at": None,
        "disowned_at": None,
        "asked_again_at": None,
        "held_at": None,
        "signs": [],
    }
    assert document["sign_ups"][0]["confirmed_at"] is None
    assert document["recipients"] == [
        {"role": "mail", "name": "Microsoft 365", "country": "IE", "safeguard": ""}
    ]
    kept = {one["what"]: one for one in document["kept"]}
    assert kept["proof"] == {
        "what": "proof",
        "duration": "P5Y",
        "counts_from": "removal",
        "until": None,
    }
    assert kept["trace"]["until"] == "2026-05-31T11:00:00.000000+00:00"
    assert kept["mails"]["duration"] is None


# What tells nothing of a person: whose row it is, random numbers, secrets, how work is divided.
APART = {
    Contact: "id list uid subject address_key imported_by erased_at",
    Mail: "id list campaign contact sign_up due_at attempts worker lease_until message_id wording"
    " topic reply_code started_at",
    SignUp: "id list uid address_key",
    Reply: "id list contact message_digest decided_at",
    FreshLink: "id contact mail uid address_key language at used_at authority",
    # Counts, and what is worked out of the others.
    Opening: "contact list yes_gets yes_heads no_gets no_heads is_contradicted began_at doubted_at"
    " settled_at",
    Access: "id list subject actor",
    Suppression: "id list fingerprint subject imported_by",
    Evidence: "seq list campaign subject actor consent person trace",
    EvidencePart: "id seq part salt json",
}


def rows_about(contact: Contact) -> list[Any]:
    """Return all rows that hold anything of a contact, whatever table they stand in."""
    named = [
        table.select().where(field == contact)
        for table in ALL_TABLES
        for field in table._meta.refs
        if field.rel_model is Contact
    ]
    by_subject = [
        table.select().where(table.subject == contact.subject)
        for table in ALL_TABLES
        if hasattr(table, "subject")
    ]
    own_parts = EvidencePart.select().join(Evidence, on=(Evidence.seq == EvidencePart.seq))
    signed_up = SignUp.select().where(SignUp.address_key == contact.address_key)
    parts = own_parts.where(Evidence.subject == contact.subject)
    queries: tuple[Any, ...] = (*named, *by_subject, parts, signed_up)
    return [row for query in queries for row in query]


def test_no_value_about_somebody_is_left_out_of_the_document(
    database: Database, mailing_list: MailingList
) -> None:
    contact = furnish(database, mailing_list)
    with database.atomic():
        Mail.update(reply_code=250, reply_status="2.1.5", bounce_status="4.2.2").execute()
        Suppression.create(
            list=mailing_list,
            fingerprint=lookup.make_fingerprint(contact, SETTINGS.fingerprint_key),
            subject=contact.subject,
            reason="request",
            at=LATER,
        )
    opened = opened_for(database, contact, now=LATER)
    rectification.ask_new_address(
        database, authority=opened.authority, address="new@example.org", language="", now=LATER
    )
    held = my_data.gather_held_data(authority=opened.authority, settings=SETTINGS, now=LATER)
    assert held
    text = json.dumps(assemble_proof(held))
    seen = set()
    for row in rows_about(contact):
        seen.add(type(row))
        for name in row._meta.fields.keys() - set(APART[type(row)].split()):
            value = getattr(row, name)
            told = format_timestamp(value) if hasattr(value, "tzinfo") else str(value or "")
            assert told in text, (type(row), name)
        for value in json.loads(getattr(row, "json", "{}")).values():
            assert json.dumps(value) in text
    assert seen == set(APART)
    assert '"reply": "250 2.1.5"' in text


def test_of_whoever_opened_nothing_no_openings_are_told(
    database: Database, mailing_list: MailingList
) -> None:
    held = held_of(database, make_contact(database, mailing_list))
    assert held.openings is None
    assert assemble_proof(held)["openings"] is None


def test_nothing_is_told_once_the_hour_is_over(
    database: Database, mailing_list: MailingList
) -> None:
    opened = opened_for(database, make_contact(database, mailing_list))
    over = NOW + timedelta(hours=1)
    assert my_data.gather_held_data(authority=opened.authority, settings=SETTINGS, now=over) is None


def test_the_keys_of_the_document_are_those_of_the_reference(
    database: Database, mailing_list: MailingList
) -> None:
    contact = furnish(database, mailing_list)
    with database.atomic():
        Suppression.create(
            list=None,
            fingerprint=lookup.make_fingerprint(contact, SETTINGS.fingerprint_key),
            subject=contact.subject,
            reason="request",
            at=NOW,
        )
    take(database, mailing_list, "keep", LATER)
    held = held_of(database, contact)
    document = assemble_proof(held)
    parts = {"the document": document} | {
        f"`{name}`": value[0] if isinstance(value, list) else value
        for name, value in document.items()
        if isinstance(value, (list, dict))
    }
    documented = {
        part: re.sub(r"\(.*?\)", "", keys) for part, keys in table("data-held", "part").items()
    }
    assert {part: list(keys) for part, keys in parts.items()} == {
        part: code(keys) for part, keys in documented.items()
    }


def test_somebody_may_have_more_entries_than_a_statement_takes_values(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list)
    note = {"note": "by phone"}
    about: dict[str, Any] = {"list": "news", "subject": contact.subject, "consent": note}
    with database.atomic():
        chain.append(*[entries.Entry(event="confirmed", at=NOW, actor="cli", **about)] * 30)
    assert count_values(database, lambda: held_of(database, contact)) < 30
    assert [one.consent for one in held_of(database, contact).entries] == [note] * 30
