"""The receipt of a Yes: on the page, as a file, by mail; and the ways to withdraw, for ever."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from textwrap import wrap
from typing import Any

import pytest

from repermit.answers import record_answer
from repermit.clock import ManualClock
from repermit.contacts import enqueue_receipt, erasure, lookup, status_changes
from repermit.db.connection import Database
from repermit.db.models.base import PreparedQuery
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidenceHead, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import FreshLink, Mail
from repermit.errors import NotFound
from repermit.evidence import chain, signed_checkpoint, stored_tree
from repermit.evidence.entries import NOTHING_BEFORE, Entry
from repermit.evidence.verify.diagnosis import How
from repermit.exports import export
from repermit.rules.consent import Answer, Basis, CampaignState, MailKind, MailState, Reason, Status
from repermit.sending import queued_mail, send_due
from repermit.sending.mail_for_contact import MailComposer
from repermit.sending.queue import Claim
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.inbox import Inbox
from tests.support.public_pages import (
    Pages,
    everything_in,
    freeze_wording,
    heading_of,
    without_spans,
    words_of,
)
from tests.support.published_schemas import problems_of
from tests.support.sending_campaign import mail_settings

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
RECEIPT = re.compile(r'href="https://ask\.example\.org(/receipt/[^"]+)"')
YEARS_LATER = NOW + timedelta(days=3 * 365)


@pytest.fixture
def asked(database: Database) -> Contact:
    """Return a contact of a running campaign on a list that sends receipts."""
    mailing_list = make_list(database, receipts=True)
    campaign = make_campaign(database, mailing_list)
    freeze_wording(database, campaign, mailing_list, "nl")
    return make_asked(database, mailing_list, campaign, "anna@example.org")


def receipts_owed() -> list[Mail]:
    return list(Mail.select().where(Mail.kind == MailKind.RECEIPT).order_by(Mail.id))


# --- On the page and as a file. -----------------------------------------------------------------


def test_digests_are_seen_only_by_who_unfolds_them(pages: Pages, asked: Contact) -> None:
    (path,) = RECEIPT.findall(pages.post("yes", asked.uid).text)
    page = without_spans(pages.client.get(path).text)
    main = page.partition("<main")[2].partition("</main>")[0]
    text = re.compile(r">[^<]*\b[0-9a-f]{32,}\b")
    (folded,) = re.findall("<details>(.*?)</details>", main, re.DOTALL)
    assert len(text.findall(folded)) >= 3
    assert not text.findall(main.replace(folded, ""))


@pytest.mark.parametrize("glued", [".", ")", "/", "/.", "%3C/a%3E", "%5B/url%5D"])
def test_a_receipt_opens_with_a_sign_behind_its_link(
    pages: Pages, asked: Contact, glued: str
) -> None:
    (path,) = RECEIPT.findall(pages.post("yes", asked.uid).text)
    read = pages.client.get(path + glued)
    assert (read.status_code, heading_of(read)) == (200, "Uw ontvangstbewijs")


def test_after_a_yes_the_receipt_is_offered_and_can_be_read_and_kept(
    pages: Pages, asked: Contact
) -> None:
    answered = pages.post("yes", asked.uid)
    (path,) = RECEIPT.findall(answered.text)
    assert path == pages.path("receipt", asked.uid)
    before = everything_in(pages.database)
    read = pages.client.get(path)
    assert (read.status_code, heading_of(read)) == (200, "Uw ontvangstbewijs")
    words = words_of(read)
    for expected in (
        "Wij vroegen het u per mail",
        "U zei Ja",
        "Nieuws over onze praktijk, vier keer per jaar",
        "Nee, stuur mij deze mails niet meer",
        "a…a@example.org",
        stored_tree.checkpoint().root,
    ):
        assert expected in words, expected
    assert "<script" not in read.text
    assert "Set-Cookie" not in read.headers
    kept = pages.client.get(f"{path}/receipt.json")
    assert kept.headers["Content-Disposition"] == "attachment; filename=receipt.json"
    receipt = json.loads(kept.text)
    assert not problems_of(receipt, "consent-receipt")
    assert receipt["checkpoint"] == stored_tree.checkpoint().to_json()
    assert receipt["withdrawal"]["url"].endswith(pages.path("no", asked.uid))
    assert "anna" not in kept.text
    assert everything_in(pages.database) == before


def test_a_receipt_says_later_that_the_consent_was_withdrawn_and_keeps_its_times(
    pages: Pages, asked: Contact
) -> None:
    pages.post("yes", asked.uid)
    pages.clock.move_to(YEARS_LATER)
    answered = pages.post("no", asked.uid)
    assert not RECEIPT.search(answered.text)
    read = pages.get("receipt", asked.uid)
    assert "U trok uw Ja in" in words_of(read)
    assert "Nee, stuur mij deze mails niet meer" not in words_of(read)
    receipt = json.loads(pages.client.get(f"{pages.path('receipt', asked.uid)}/receipt.json").text)
    assert not problems_of(receipt, "consent-receipt")
    assert [
        (one["event_state"], one["event_time"]) for one in receipt["consent_record"]["event"]
    ] == [
        ("dpv:ConsentRequested", (NOW + timedelta(seconds=1)).isoformat()),
        ("dpv:ConsentGiven", NOW.isoformat()),
        ("dpv:ConsentWithdrawn", YEARS_LATER.isoformat()),
    ]


@pytest.mark.parametrize("has_said_yes", [True, False])
@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (Reason.COMPLAINT, "Van de lijst gehaald: onze mail is als ongewenst gemeld"),
        (Reason.REQUEST, "Van de lijst gehaald: daarom is gevraagd"),
    ],
)
def test_a_receipt_tells_who_reported_a_mail_of_no_answer_that_they_did_not_give(
    pages: Pages, asked: Contact, *, reason: Reason, told: str, has_said_yes: bool
) -> None:
    if has_said_yes:
        pages.post("yes", asked.uid)
    with pages.database.atomic():
        status_changes.remove_contacts(
            [Contact.get_by_id(asked.id)],
            reason=reason,
            act=status_changes.Act(at=NOW + timedelta(hours=1), actor="person"),
            fingerprint_key=pages.settings.fingerprint_key,
        )
    said = words_of(pages.get("receipt", asked.uid))
    assert told in said
    assert ("U zei Ja" in said) is has_said_yes
    assert "U trok uw Ja in" not in said
    assert "U zei Nee" not in said


def test_a_receipt_tells_a_customer_who_leaves_of_no_yes_that_they_did_not_give(
    pages: Pages, asked: Contact
) -> None:
    customer = make_contact(
        pages.database, asked.list, status=Status.CUSTOMER, basis="customer", basis_at=NOW
    )
    pages.post("no", customer.uid)
    said = words_of(pages.get("receipt", customer.uid))
    assert "Van de lijst gehaald: u wilde de mails niet meer" in said
    assert "U trok uw Ja in" not in said


def test_a_receipt_as_json_holds_the_signed_note(
    pages: Pages, asked: Contact, database: Database
) -> None:
    settings = replace(pages.settings, evidence_key=bytes(range(32)))
    signing = Pages(database, settings, clock=pages.clock)
    signing.post("yes", asked.uid)
    receipt = json.loads(
        signing.client.get(f"{signing.path('receipt', asked.uid)}/receipt.json").text
    )
    assert not problems_of(receipt, "consent-receipt")
    point = signed_checkpoint.read_checkpoint_copy(json.dumps(receipt))
    key = signed_checkpoint.get_public_key(settings)
    assert key
    assert signed_checkpoint.list_signers(point, [key]) == [key]


def test_a_receipt_is_of_whoever_answered_and_is_held(
    pages: Pages, asked: Contact, database: Database
) -> None:
    path = pages.path("receipt", asked.uid)
    assert pages.client.get(path).status_code == 404
    assert pages.client.get(f"{path}/receipt.json").status_code == 404
    # The link of another page opens none.
    assert (
        pages.client.get(pages.path("me", asked.uid).replace("/me/", "/receipt/")).status_code
        == 404
    )
    pages.post("yes", asked.uid)
    with database.atomic():
        erasure.erase_contact(
            lookup.lock_contact(asked.id),
            act=status_changes.Act(at=NOW, actor="person"),
            fingerprint_key=pages.settings.fingerprint_key,
        )
    assert "De gegevens bij deze link zijn gewist" in words_of(pages.client.get(path))
    assert pages.client.get(f"{path}/receipt.json").status_code == 404


def test_the_receipt_of_a_sign_up_shows_no_wording_of_a_mail(
    pages: Pages, database: Database
) -> None:
    mailing_list = make_list(database, sensitive=True)
    contact = make_contact(database, mailing_list, status=Status.CONFIRMED, basis="sign_up")
    with database.atomic():
        act = status_changes.Act(
            at=NOW, actor="person", consent={"purpose": "X", "sensitive": True, "language": "nl"}
        )
        status_changes.confirm_contact(
            contact, basis=Basis.SIGN_UP, act=act, fingerprint_key=pages.settings.fingerprint_key
        )
    read = pages.get("receipt", contact.uid)
    assert "SHA-256" not in words_of(read)
    assert "uitdrukkelijk" in words_of(read)


# --- By mail. -----------------------------------------------------------------------------------


def test_the_receipt_goes_by_mail_if_the_list_says_so(
    pages: Pages, asked: Contact, inbox: Inbox
) -> None:
    pages.post("yes", asked.uid)
    (mail,) = receipts_owed()
    assert (mail.state, mail.campaign_id) == (MailState.QUEUED, None)
    with pages.database.atomic():
        Campaign.update(state=CampaignState.PAUSED).execute()
    settings = mail_settings(pages.settings.database, inbox.port)
    send_due.send_due(pages.database, settings=settings, clock=ManualClock(NOW))
    (received,) = inbox.mails
    message = received.message
    assert message["Subject"] == "Nieuws van de praktijk: uw Ja is vastgelegd"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    body = message.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert pages.path("receipt", asked.uid) in text
    assert pages.path("no", asked.uid) in text
    yes = stored_tree.compute_checkpoint_at(1)
    for digest in (yes.hash, yes.root):
        assert " ".join(wrap(digest.upper(), 16)) in text


def test_the_mail_has_the_signed_note_by_which_the_record_is_checked(
    pages: Pages, asked: Contact, inbox: Inbox
) -> None:
    pages.post("yes", asked.uid)
    settings = replace(
        mail_settings(pages.settings.database, inbox.port), evidence_key=bytes(range(32))
    )
    send_due.send_due(pages.database, settings=settings, clock=ManualClock(NOW))
    (attached,) = inbox.mails[0].message.iter_attachments()
    assert attached.get_filename() == "checkpoint.json"
    kept = signed_checkpoint.read_checkpoint_copy(attached.get_content().decode())
    assert kept == stored_tree.compute_checkpoint_at(1)
    assert signed_checkpoint.read_checkpoint_copy(inbox.mails[0].raw.decode()) == kept
    key = signed_checkpoint.get_public_key(settings)
    assert key
    assert signed_checkpoint.list_signers(kept, [key]) == [key]
    assert list(iter_chain_faults(kept)) == []
    with pages.database.atomic():
        # Whoever holds the database puts another entry in the place of the Yes.
        EvidencePart.delete().execute()
        Evidence.delete().execute()
        EvidenceHead.update(seq=0, hash=NOTHING_BEFORE, root="", frontier="").execute()
        chain.append(Entry(event="exported", at=NOW, actor="job", list="news"))
    assert list(iter_chain_faults()) == []
    (fault,) = iter_chain_faults(kept)
    assert (fault.seq, fault.how) == (1, How.REWRITTEN)


def test_without_a_key_nothing_is_attached_nor_told_of(
    pages: Pages, asked: Contact, inbox: Inbox
) -> None:
    pages.post("yes", asked.uid)
    send_due.send_due(
        pages.database,
        settings=mail_settings(pages.settings.database, inbox.port),
        clock=ManualClock(NOW),
    )
    message = inbox.mails[0].message
    assert list(message.iter_attachments()) == []
    assert "bijgevoegde" not in message.as_string()


def test_a_list_that_does_not_say_so_owes_none(pages: Pages, asked: Contact) -> None:
    with pages.database.atomic():
        MailingList.update(receipts=False).execute()
    pages.post("yes", asked.uid)
    assert receipts_owed() == []


def test_who_wavers_gets_three_receipts_a_day_at_most_and_is_told_the_last_answer(
    pages: Pages, asked: Contact, inbox: Inbox
) -> None:
    subjects: list[str] = []
    for _ in range(4):
        pages.say_yes(asked.uid)
        sent_to(pages, inbox)
        pages.clock.advance(timedelta(minutes=2))
        pages.post("no", asked.uid)
        subjects = sent_to(pages, inbox)
        pages.clock.advance(timedelta(minutes=2))
    assert subjects == [YES_IS_TOLD, NO_IS_TOLD, YES_IS_TOLD]
    pages.clock.move_to(NOW + timedelta(hours=23))
    assert sent_to(pages, inbox) == subjects
    pages.clock.move_to(NOW + timedelta(days=1))
    assert sent_to(pages, inbox) == [*subjects, NO_IS_TOLD]
    pages.clock.move_to(NOW + timedelta(days=3))
    assert len(sent_to(pages, inbox)) == 4


def test_a_press_reads_no_more_of_earlier_receipts_than_the_three_a_day(
    pages: Pages, asked: Contact, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or whoever holds a link makes all others wait, as presses are recorded one after another."""
    pages.say_yes(asked.uid)
    sent_to(pages, inbox)
    earlier = {name: value for name, value in receipts_owed()[0].__data__.items() if name != "id"}
    dropped = earlier | {"state": MailState.DROPPED, "reason": "answered"}
    times = [NOW - timedelta(hours=hour) for hour in range(50)]
    with pages.database.atomic():
        Mail.insert_many([earlier | {"due_at": at} for at in times]).execute()
        Mail.insert_many([dropped] * 50).execute()
    counts: list[int] = []
    run = PreparedQuery.rows

    def count_rows(*args: Any, **options: Any) -> list[Any]:
        rows = run(*args, **options)
        counts.append(sum(isinstance(row, Mail) for row in rows))
        return rows

    monkeypatch.setattr(PreparedQuery, "rows", count_rows)
    pages.clock.advance(timedelta(minutes=2))
    pages.post("no", asked.uid)
    assert max(counts) == 3
    # The third last was due an hour ago: the others are the one that was sent, and its copy.
    assert receipts_owed()[-1].due_at == NOW + timedelta(hours=23)


def test_a_receipt_reads_the_entries_of_its_person_once(
    pages: Pages, asked: Contact, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages.post("yes", asked.uid)
    run: Any = pages.database.execute_sql
    looks: list[str] = []

    def note_look(statement: str, values: Any = (), *rest: Any) -> Any:
        if 'FROM "evidence"' in statement and asked.subject in str(values):
            looks.append(statement)
        return run(statement, values, *rest)

    monkeypatch.setattr(pages.database, "execute_sql", note_look)
    assert "U zei Ja" in words_of(pages.get("receipt", asked.uid))
    assert len(looks) == 1


def test_of_answers_that_change_before_a_mail_leaves_the_last_one_alone_is_told(
    pages: Pages, asked: Contact, inbox: Inbox
) -> None:
    for _ in range(5):
        pages.say_yes(asked.uid)
        pages.post("no", asked.uid)
    assert sent_to(pages, inbox) == [NO_IS_TOLD]


def test_every_attempt_at_a_receipt_is_the_same_mail_whatever_was_recorded_since(
    pages: Pages, asked: Contact
) -> None:
    pages.post("yes", asked.uid)
    settings = mail_settings(pages.settings.database, 1)

    def make() -> bytes:
        (one,) = queued_mail.read_mails(pages.database, [receipts_owed()[0].id])
        one = one._replace(started_at=NOW, message_id="<one@example.org>")
        claim = Claim(one, None, fingerprint="", latest_start=NOW, lease_until=NOW)
        return MailComposer(settings).compose(claim, now=NOW).wire

    first = make()
    contact = make_contact(pages.database, asked.list, status=Status.CONFIRMED)
    pages.post("no", contact.uid)
    assert make() == first
    with pages.database.atomic():
        Mail.update(topic=YEARS_LATER.isoformat()).where(Mail.kind == MailKind.RECEIPT).execute()
    with pytest.raises(NotFound, match="no entry of this Yes"):
        make()


@pytest.mark.parametrize("when", ["said No", "too late"])
def test_a_receipt_that_is_true_no_more_is_not_sent(
    pages: Pages, asked: Contact, inbox: Inbox, when: str
) -> None:
    pages.post("yes", asked.uid)
    if when == "said No":
        pages.post("no", asked.uid)
    late = NOW + (timedelta(days=8) if when == "too late" else timedelta(0))
    settings = mail_settings(pages.settings.database, inbox.port)
    send_due.send_due(pages.database, settings=settings, clock=ManualClock(late))
    mail, *of_no = receipts_owed()
    reason = "answered" if when == "said No" else "too_late"
    assert (mail.state, mail.reason) == (MailState.DROPPED, reason)
    assert [one.state for one in of_no] == ([MailState.SENT] if when == "said No" else [])
    assert len(inbox.mails) == len(of_no)


def test_a_yes_by_phone_owes_a_receipt_too(
    pages: Pages, asked: Contact, database: Database
) -> None:
    record_answer.record_reported_answer(
        database,
        asked.list,
        "anna@example.org",
        Answer.YES,
        note="by phone",
        settings=pages.settings,
        now=NOW,
        actor="cli:els",
    )
    assert [mail.contact_id for mail in receipts_owed()] == [asked.id]


@pytest.mark.parametrize(
    ("given_at", "is_day_alone", "told"),
    [
        (NOW + timedelta(hours=5), False, "maandag 2 maart 2026, 15:00 uur"),
        (datetime(2026, 3, 3, 22, 59, 59, 999999, tzinfo=UTC), True, "dinsdag 3 maart 2026"),
    ],
)
def test_mail_and_page_tell_the_time_at_which_a_yes_was_given(
    pages: Pages, asked: Contact, inbox: Inbox, *, given_at: datetime, is_day_alone: bool, told: str
) -> None:
    pages.clock.advance(timedelta(days=3))
    record_answer.record_reported_answer(
        pages.database,
        asked.list,
        "anna@example.org",
        Answer.YES,
        note="by phone",
        settings=pages.settings,
        now=pages.clock.now(),
        actor="cli:els",
        given_at=given_at,
        is_day_alone=is_day_alone,
    )
    assert f"<dt>{told}</dt><dd>U zei Ja</dd>" in pages.get("receipt", asked.uid).text
    sent_to(pages, inbox)
    body = inbox.mails[0].message.get_body(("plain",))
    assert body is not None
    assert f"Op {told} zei u Ja" in " ".join(body.get_content().split())


# --- Whose answer changes is told. ---------------------------------------------------------------


def sent_to(pages: Pages, inbox: Inbox) -> list[str]:
    """Send what is owed; return the subjects of all that was sent so far, but to the admin."""
    settings = mail_settings(pages.settings.database, inbox.port)
    send_due.send_due(pages.database, settings=settings, clock=pages.clock)
    admin = pages.settings.organisation.email
    others = (one.message for one in inbox.mails if one.message["To"] != admin)
    return [str(message["Subject"]) for message in others]


YES_IS_TOLD = "Nieuws van de praktijk: uw Ja is vastgelegd"
NO_IS_TOLD = "Nieuws van de praktijk: uw Nee is vastgelegd"
REMOVAL_IS_TOLD = "U staat niet meer op deze lijst"


@pytest.mark.parametrize("way", ["page", "one_click", "note", "me"])
def test_whose_yes_becomes_a_no_is_told_by_mail_with_the_link_to_the_question(
    pages: Pages, asked: Contact, inbox: Inbox, way: str
) -> None:
    pages.post("yes", asked.uid)
    assert sent_to(pages, inbox) == [YES_IS_TOLD]
    pages.clock.advance(timedelta(hours=1))
    if way == "note":
        record_answer.record_reported_answer(
            pages.database,
            asked.list,
            "anna@example.org",
            Answer.NO,
            note="by phone",
            settings=pages.settings,
            now=pages.clock.now(),
            actor="cli:els",
        )
    elif way == "me":
        pages.post("me", asked.uid, data={"do": "not_me"})
    else:
        pages.post("no", asked.uid, data=ONE_CLICK if way == "one_click" else {})
    # That somebody is not the person meant is no No of theirs.
    subject = REMOVAL_IS_TOLD if way == "me" else NO_IS_TOLD
    assert sent_to(pages, inbox) == [YES_IS_TOLD, subject]
    (told,) = (one.message for one in inbox.mails if one.message["Subject"] == subject)
    body = told.get_body(("plain",))
    assert body is not None
    assert ("Nee is vastgelegd" in body.get_content()) == (way != "me")
    assert pages.path("yes", asked.uid) in body.get_content()
    # And back: the link leads to the question, and the Yes is told again.
    pages.clock.advance(timedelta(hours=1))
    pages.say_yes(asked.uid)
    assert sent_to(pages, inbox) == [YES_IS_TOLD, subject, YES_IS_TOLD]


def test_a_first_no_owes_no_mail_nor_does_one_of_somebody_whom_a_file_brought(
    pages: Pages, asked: Contact
) -> None:
    pages.post("no", asked.uid)
    customer = make_contact(
        pages.database, asked.list, status=Status.CUSTOMER, basis="customer", basis_at=NOW
    )
    pages.post("no", customer.uid)
    assert receipts_owed() == []


def test_a_no_that_does_not_stand_any_more_or_whose_person_is_erased_is_not_told(
    pages: Pages, asked: Contact, inbox: Inbox
) -> None:
    pages.post("yes", asked.uid)
    pages.post("no", asked.uid)
    with pages.database.atomic():
        erasure.erase_contact(
            Contact.get_by_id(asked.id),
            act=status_changes.Act(at=NOW, actor="person"),
            fingerprint_key=pages.settings.fingerprint_key,
        )
    assert sent_to(pages, inbox) == []
    assert {one.state for one in receipts_owed()} == {MailState.DROPPED}


@pytest.mark.parametrize("has_left", [True, False])
def test_a_yes_that_is_taken_back_is_told_since_its_person_saw_it_recorded(
    pages: Pages, asked: Contact, inbox: Inbox, has_left: bool
) -> None:
    """A program has kept the page open, and presses No after the person has pressed Yes."""
    number = pages.number(asked.uid)
    pages.post("yes", asked.uid)
    told = sent_to(pages, inbox) if has_left else []
    pages.clock.advance(timedelta(minutes=5))
    pages.post("no", asked.uid, data={"number": number})
    after = Contact.get_by_id(asked.id)
    assert (after.status, after.reason) == (Status.REMOVED, "request")
    assert sent_to(pages, inbox) == [*told, REMOVAL_IS_TOLD]


def test_what_was_told_of_a_no_stands_with_everything_that_is_held(
    pages: Pages, asked: Contact
) -> None:
    pages.post("yes", asked.uid)
    pages.post("no", asked.uid)
    pages.post("me", asked.uid, data={"do": "link"})
    held = words_of(pages.post("fresh", FreshLink.get().uid))
    assert "het ontvangstbewijs van uw Nee" in held
    assert "het ontvangstbewijs van uw Ja" in held


# --- Withdrawing. -------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["page", "one_click", "exported link"])
def test_a_consent_is_withdrawn_years_later_in_one_press_in_each_of_three_ways(
    pages: Pages, asked: Contact, way: str
) -> None:
    pages.post("yes", asked.uid)
    with pages.database.atomic():
        Campaign.update(state=CampaignState.CLOSED, closed_at=DEADLINE).execute()
    path = pages.path("no", asked.uid)
    if way == "exported link":
        path = _exported_link(pages, asked)
    pages.clock.move_to(YEARS_LATER)
    data = ONE_CLICK if way == "one_click" else {"number": pages.number(asked.uid)}
    assert pages.client.get(path).status_code == 200
    assert Contact.get_by_id(asked.id).status == Status.CONFIRMED
    assert pages.client.post(path, data=data).status_code == 200
    after = Contact.get_by_id(asked.id)
    assert (after.status, after.reason, after.status_at) == (
        Status.REMOVED,
        "withdrawn",
        YEARS_LATER,
    )
    assert Suppression.get().reason == "withdrawn"
    record_input = enqueue_receipt.read_consent_record_input(after, settings=pages.settings)
    account = enqueue_receipt.make_receipt(
        after, record_input, settings=pages.settings, links=pages.links
    )
    assert account is not None
    assert account["consent_record"]["event"][-1]["event_state"] == "dpv:ConsentWithdrawn"


def _exported_link(pages: Pages, contact: Contact) -> str:
    """Return the path of the link that the newsletter tool was handed."""
    out = io.BytesIO()
    export.write_export(
        contact.list,
        "keep",
        database=pages.database,
        settings=pages.settings,
        now=NOW,
        actor="cli:els",
        out=out,
        format="json",
        with_links=True,
    )
    (row,) = json.loads(out.getvalue())
    url: str = row["unsubscribe_url"]
    return url.removeprefix("https://ask.example.org")
