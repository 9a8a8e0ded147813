"""What comes of a message that came back: the mail, the contact, the campaign, the reply."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from repermit import email_address
from repermit.bounces import record_bounce
from repermit.bounces.bounce_results import BounceResult, Effect, MessageKind
from repermit.bounces.message_kind import read
from repermit.clock import ManualClock
from repermit.contacts import erasure, lookup, status_changes
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail, Reply
from repermit.emails import message_id
from repermit.expiry import downtime, sweep
from repermit.rules.consent import (
    Basis,
    CampaignState,
    Dropped,
    MailKind,
    MailState,
    PauseReason,
    Reason,
    Status,
)
from repermit.settings.definitions import CampaignRules
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_campaign,
    make_contact,
    make_mail,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.returned_mails import (
    NAMES,
    message_id_of,
    reply_to,
    returned,
    returned_for,
    verp_of,
)
from tests.unit.bounces.test_message_kind import TABLE

SOON = NOW + timedelta(days=1)
KEY = make_settings().fingerprint_key
HARD = "postfix_unknown_user"
SOFT = "gmail_over_quota"
COMPLAINT = "arf_abuse"


@pytest.fixture
def ask(database: Database, mailing_list: MailingList) -> Mail:
    """Return an ask to jan@example.net that a server took."""
    return make_ask(database, make_campaign(database, mailing_list))


def make_ask(database: Database, campaign: Campaign, **overrides: Any) -> Mail:
    contact = make_contact(database, campaign.list, "jan@example.net", name="Jan", **overrides)
    return make_mail(database, campaign, contact)


def record_message(
    database: Database, raw: bytes, *, now: datetime = SOON, **settings: Any
) -> BounceResult:
    return record_bounce.record_message(
        database, read(raw), settings=make_settings(**settings), now=now
    )


def came_back(database: Database, name: str, mail: Mail, *, now: datetime = SOON) -> Effect:
    return record_message(database, returned_for(name, mail), now=now).effect


def standing(mail: Mail) -> tuple[str, str]:
    contact = Contact.get_by_id(mail.contact_id)
    return contact.status, contact.reason


def noted(mail: Mail) -> tuple[str, str, datetime | None]:
    row = Mail.get_by_id(mail.id)
    return row.bounce, row.bounce_status, row.bounced_at


def consent_records() -> list[dict[str, Any]]:
    parts = EvidencePart.select().where(EvidencePart.part == "consent").order_by(EvidencePart.seq)
    return [json.loads(part.json) for part in parts]


def change(database: Database, row: Any, **values: Any) -> None:
    with database.atomic():
        type(row).update(**values).where(type(row).id == row.id).execute()


# --- Each format, by each of its marks.

_EFFECTS = {
    MessageKind.HARD: Effect.REMOVED,
    MessageKind.SOFT: Effect.NOTED,
    MessageKind.COMPLAINT: Effect.REMOVED,
    MessageKind.AUTO_REPLY: Effect.NONE,
    MessageKind.REPLY: Effect.WAITING,
    MessageKind.NOTHING: Effect.NONE,
}
# What was sent to the sender's own address, or came from a server that hides our Message-ID.
_WITHOUT_VERP = {name for name in NAMES if "@VERP@" not in returned(name, verp="@VERP@").decode()}
_WITHOUT_ID = {name for name in NAMES if "@ID@" not in returned(name, message_id="@ID@").decode()}


# Whom a file is about, where that is not jan@example.net.
_OTHERS = {
    "postfix_no_such_domain": ("jan@nowhere.example", "jan@nowhere.example"),
    "utf8_address": ("jörg@xn--exmple-cua.net", "jörg@xn--exmple-cua.net"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_message_has_the_effect_of_its_kind(database: Database, ask: Mail, name: str) -> None:
    if name in _OTHERS:
        address, key = _OTHERS[name]
        change(database, ask.contact, address=address, address_key=key)
    taken = record_message(database, returned_for(name, ask))
    kind, status, _ = TABLE[name]
    found = "" if name == "newsletter_of_others" else "news"
    paused = kind is MessageKind.COMPLAINT
    expected = BounceResult(
        kind=kind, effect=_EFFECTS[kind], status=status, list=found, paused=paused
    )
    assert taken == expected


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", sorted(set(NAMES) - _WITHOUT_VERP - {"reply_forwarding_a_bounce"}))
def test_a_message_is_matched_by_the_return_path_alone(
    database: Database, ask: Mail, name: str
) -> None:
    assert record_message(database, returned(name, verp=verp_of(ask))).list == "news"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", sorted(set(NAMES) - _WITHOUT_ID))
def test_a_message_is_matched_by_the_message_id_alone(
    database: Database, ask: Mail, name: str
) -> None:
    assert record_message(database, returned(name, message_id=message_id_of(ask))).list == "news"


# --- Only what carries our signature.


@pytest.mark.parametrize(
    "marks",
    [
        {},
        {"verp": "key"},
        {"message_id": "key"},
        {"verp": "other"},
        {"message_id": "other"},
    ],
)
def test_nothing_without_our_signature_changes_anything(
    database: Database, ask: Mail, marks: dict[str, str]
) -> None:
    make = {"verp": verp_of, "message_id": message_id_of}
    other = Mail(id=ask.id + 1000)
    forged = {
        name: make[name](other)
        if how == "other"
        else make[name](ask, key=b"another-secret-key-of-somebody")
        for name, how in marks.items()
    }
    for name in (HARD, COMPLAINT, "reply_ja"):
        taken = record_message(database, returned(name, **forged))
        assert (taken.list, taken.effect) == ("", Effect.NONE)
    assert standing(ask) == (Status.UNCONFIRMED, "")
    assert noted(ask) == ("", "", None)
    assert not Reply.select().exists()


def test_whom_a_report_names_is_not_believed(database: Database, ask: Mail) -> None:
    # The file names jan@example.net as its recipient.
    assert record_message(database, returned(HARD)).list == ""
    assert standing(ask) == (Status.UNCONFIRMED, "")


def test_mails_that_were_signed_with_an_older_key_come_back_too(
    database: Database, ask: Mail
) -> None:
    raw = returned(HARD, verp=verp_of(ask))
    keys = (*make_settings().secret_keys, b"a-newer-secret-key-for-tests")
    assert record_message(database, raw, secret_keys=keys).effect is Effect.REMOVED


def test_a_mark_of_a_mail_that_is_gone_is_passed_over(database: Database, ask: Mail) -> None:
    gone = verp_of(Mail(id=ask.id + 1))
    raw = returned(HARD, verp=gone, message_id=message_id_of(ask))
    assert record_message(database, raw).effect is Effect.REMOVED


@pytest.mark.parametrize("name", [HARD, "arf_abuse"])
def test_what_comes_back_of_an_earlier_mail_of_that_number_is_not_this_ones(
    database: Database, ask: Mail, name: str
) -> None:
    """SQLite gives the number of a deleted mail to the next one, and a restore does too."""
    stranger = make_contact(database, ask.list, "gone@example.net")
    earlier = Mail(id=ask.id, contact=stranger)
    raw = returned(name, verp=verp_of(earlier), message_id=message_id_of(earlier))
    assert record_message(database, raw).list == ""
    assert standing(ask) == (Status.UNCONFIRMED, "")


# --- No such mailbox.


def test_no_such_mailbox_removes_with_evidence_and_suppression(
    database: Database, ask: Mail
) -> None:
    assert came_back(database, HARD, ask) is Effect.REMOVED
    assert standing(ask) == (Status.REMOVED, Reason.BOUNCE)
    assert noted(ask) == ("hard", "5.1.1", SOON)
    entry = Evidence.get()
    assert (entry.event, entry.actor, entry.at) == ("removed", "job", SOON)
    assert entry.campaign == ask.campaign_id
    assert consent_records() == [
        {
            "reason": "bounce",
            "came_back": "hard",
            "status": "5.1.1",
            "mail": "ask",
            "sent_at": "2026-03-02T09:00:01.000000+00:00",
        }
    ]
    suppressed = Suppression.get()
    assert suppressed.fingerprint == email_address.fingerprint(KEY, "jan@example.net")
    assert suppressed.reason == Reason.BOUNCE
    assert list(iter_chain_faults()) == []


_REPORT = """From: MAILER-DAEMON@example.net
Return-Path: <>
To: {verp}
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: {kind}

Reporting-MTA: dns; example.net

{named}
Action: failed
Status: 5.1.1

--b--
"""


def report_on(mail: Mail, *named: str, kind: str = "message/delivery-status") -> bytes:
    """Return a report that there is no such mailbox, of the recipients that are named."""
    block = "\nAction: failed\nStatus: 5.1.1\n\n".join(named)
    return _REPORT.format(verp=verp_of(mail), kind=kind, named=block).encode()


@pytest.mark.parametrize(
    "named",
    [
        ("Final-Recipient: rfc822; piet@example.com",),
        ("Final-Recipient: rfc822; piet@example.com\nOriginal-Recipient: rfc822;piet@example.com",),
        ("Final-Recipient: rfc822;<jan@example.com>",),
        ("Final-Recipient: utf-8; jän@example.net",),
        ("Final-Recipient: rfc822; a@example.com", "Final-Recipient: rfc822; b@example.com"),
        # Postfix writes the address that was written to, also where it sent no ORCPT.
        ("Final-Recipient: rfc822; piet@example.com\nOriginal-Recipient: rfc822;jan@example.net",),
        ("Original-Recipient: RFC822;jan@example.net\nFinal-Recipient: RFC822; p@example.com",),
        # Sendmail, whose alias expanded to the person's mailbox and to this one.
        ("Final-Recipient: RFC822; jan@example.net\nX-Actual-Recipient: RFC822; p@example.com",),
    ],
)
def test_a_report_about_a_forwarded_copy_removes_nobody(
    database: Database, ask: Mail, named: tuple[str, ...]
) -> None:
    taken = record_message(database, report_on(ask, *named))
    assert taken == BounceResult(
        kind=MessageKind.SOFT,
        effect=Effect.NOTED,
        status="5.1.1",
        list="news",
        is_about_others=True,
    )
    assert standing(ask) == (Status.UNCONFIRMED, "")
    assert noted(ask) == ("soft", "5.1.1", SOON)
    assert not Evidence.select().exists()


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("jan@example.net", ("Final-Recipient: rfc822; JAN@Example.NET",)),
        ("jan@example.net", ("Final-Recipient: rfc822;<jan@example.net>",)),
        ("jan@example.net", ("Final-Recipient: jan@example.net",)),
        # xtext (RFC 3461 §4), which some leave in, and a plus that is part of the address.
        ("jan+news@example.net", ("Final-Recipient: rfc822;jan+2Bnews@example.net",)),
        ("jan+ab@example.net", ("Final-Recipient: rfc822; jan+AB@example.net",)),
        # RFC 6533 §3: as it is, or with what is not ASCII written out.
        ("jörg@example.net", ("Final-Recipient: utf-8; jörg@example.net",)),
        ("jörg@example.net", (r"Final-Recipient: utf-8;j\x{F6}rg@example.net",)),
        ("jan@xn--exmple-cua.net", ("Final-Recipient: utf-8; jan@exämple.net",)),
        (
            "jan@example.net",
            ("Final-Recipient: rfc822; p@b.com", "Final-Recipient: rfc822; jan@example.net"),
        ),
        # Names that are no addresses tell nothing.
        ("jan@example.net", ("Final-Recipient: x400; /S=jan/O=net",)),
        ("jan@example.net", ("X-Other: 1",)),
    ],
)
def test_a_report_about_the_address_itself_removes_it(
    database: Database, ask: Mail, address: str, named: tuple[str, ...]
) -> None:
    change(database, ask.contact, address=address, address_key=address)
    taken = record_message(database, report_on(ask, *named, kind="message/global-delivery-status"))
    assert (taken.kind, taken.effect, taken.is_about_others) == (
        MessageKind.HARD,
        Effect.REMOVED,
        False,
    )


def test_a_server_that_names_somebody_else_in_its_own_words_removes_nobody(
    database: Database, ask: Mail
) -> None:
    raw = returned_for("qmail_no_mailbox", ask).replace(b"jan@example.net", b"piet@example.com")
    assert record_message(database, raw).is_about_others
    assert standing(ask) == (Status.UNCONFIRMED, "")


_EXIM = """A message that you sent could not be delivered to one or more of its recipients.
This is a permanent error. The following address(es) failed:

  {}
    550 5.1.1 User unknown

------ This is a copy of the message, including all the headers. ------

To: jan@example.net
"""


@pytest.mark.parametrize(
    "text",
    [
        _EXIM.format("piet@example.com\n    (generated from jan@example.net)"),
        _EXIM.format("an undisclosed address\n    (generated from jan@example.net)"),
        _EXIM.format("|/usr/bin/filter\n    (generated from jan@example.net)"),
        "<piet@example.com> (expanded from <jan@example.net>): host said: 550 5.1.1 User unknown",
        "<piet@example.com>\n    (expanded from: <jan@example.net>)\n\n<<< 550 5.1.1 User unknown",
        "<p@example.com>:\n550 5.1.1 User unknown\n\n--- Original message\n\nTo: jan@example.net",
    ],
)
@pytest.mark.parametrize("header", ["", "X-Failed-Recipients: jan@example.net\n"])
def test_a_text_about_what_an_alias_made_of_the_address_removes_nobody(
    database: Database, ask: Mail, text: str, header: str
) -> None:
    head = f"From: MAILER-DAEMON@example.net\nReturn-Path: <>\nTo: {verp_of(ask)}\n{header}"
    taken = record_message(database, f"{head}Subject: Mail delivery failed\n\n{text}".encode())
    assert (taken.kind, taken.list) == (MessageKind.SOFT, "news")
    assert standing(ask) == (Status.UNCONFIRMED, "")


@pytest.mark.parametrize(
    "text",
    [
        _EXIM.format("jan@example.net"),
        "<JAN@example.net>: host mx.example.net[192.0.2.1] said: 550 User unknown",
        "Could not deliver to the following: 550 5.1.1 User unknown",
        "<jan@example.net>... User unknown; questions to postmaster@mail.example.org, 550",
    ],
)
def test_a_text_about_the_address_itself_or_nobody_removes_it(
    database: Database, ask: Mail, text: str
) -> None:
    head = f"From: MAILER-DAEMON@example.net\nReturn-Path: <MAILER-DAEMON>\nTo: {verp_of(ask)}\n"
    raw = f"{head}Subject: Mail delivery failed\n\n{text}"
    assert record_message(database, raw.encode()).effect is Effect.REMOVED


def test_a_gateway_that_returns_a_copy_passed_on_removes_nobody(
    database: Database, ask: Mail
) -> None:
    raw = returned_for("gateway_no_such_user", ask)
    elsewhere = raw.replace(b"RCPT TO: jan@example.net", b"RCPT TO: p@example.com")
    assert elsewhere != raw
    assert record_message(database, elsewhere).is_about_others
    assert standing(ask) == (Status.UNCONFIRMED, "")
    assert record_message(database, raw).effect is Effect.REMOVED


@pytest.mark.parametrize("action", ["delayed", "relayed", "delivered", "expanded"])
def test_a_report_of_anything_but_a_failure_removes_nobody(
    database: Database, ask: Mail, action: str
) -> None:
    raw = report_on(ask, "Final-Recipient: rfc822; jan@example.net")
    raw = raw.replace(b"failed", action.encode())
    assert record_message(database, raw).kind in {MessageKind.SOFT, MessageKind.NOTHING}
    assert standing(ask) == (Status.UNCONFIRMED, "")


@pytest.mark.parametrize("name", [HARD, SOFT, COMPLAINT, "reply_ja"])
def test_a_message_that_is_taken_twice_changes_nothing(
    database: Database, ask: Mail, name: str
) -> None:
    came_back(database, name, ask)
    before = [list(table.select().dicts()) for table in (Contact, Mail, Evidence, Reply)]
    assert came_back(database, name, ask, now=SOON + timedelta(days=1)) is Effect.KNOWN
    assert before == [list(table.select().dicts()) for table in (Contact, Mail, Evidence, Reply)]


@pytest.mark.parametrize(
    "standing_before",
    [
        {"status": Status.CONFIRMED, "basis": Basis.ANSWER},
        {"status": Status.CONFIRMED, "basis": Basis.THIN},
        {"status": Status.CUSTOMER, "basis": Basis.CUSTOMER},
        {"status": Status.REMOVED, "reason": Reason.NO},
        {"status": Status.REMOVED, "reason": Reason.WITHDRAWN},
        {"status": Status.REMOVED, "reason": Reason.COMPLAINT},
    ],
)
def test_whoever_has_answered_is_never_touched_by_a_bounce(
    database: Database, mailing_list: MailingList, standing_before: dict[str, str]
) -> None:
    ask = make_ask(database, make_campaign(database, mailing_list), **standing_before)
    before = standing(ask)
    assert came_back(database, HARD, ask) is Effect.NOTED
    assert standing(ask) == before
    assert noted(ask)[0] == "hard"
    assert not Evidence.select().exists()


def test_who_was_asked_for_thin_proof_is_removed_too(
    database: Database, mailing_list: MailingList
) -> None:
    campaign = make_campaign(database, mailing_list, include_thin=True)
    ask = make_ask(database, campaign, status=Status.CONFIRMED, basis=Basis.THIN)
    assert came_back(database, HARD, ask) is Effect.REMOVED


def test_a_bounce_of_a_reminder_removes_too(database: Database, ask: Mail) -> None:
    campaign, contact = Campaign.get(), Contact.get()
    reminder = make_mail(database, campaign, contact, kind=MailKind.REMINDER)
    assert came_back(database, HARD, reminder) is Effect.REMOVED
    assert noted(ask)[0] == ""
    assert consent_records()[0]["mail"] == "reminder"


def test_a_mail_in_doubt_that_came_back_was_taken_by_somebody(
    database: Database, ask: Mail
) -> None:
    change(database, ask, state=MailState.IN_DOUBT, sent_at=None)
    assert came_back(database, HARD, ask) is Effect.REMOVED
    assert consent_records()[0]["sent_at"] == ""


def test_a_contact_that_was_erased_is_left_alone(database: Database, ask: Mail) -> None:
    with database.atomic():
        erasure.erase_contact(
            lookup.lock_contact(ask.contact_id or 0),
            act=status_changes.Act(at=NOW, actor="admin"),
            fingerprint_key=KEY,
        )
    change(database, ask.contact, reason=Reason.NO_RESPONSE)
    entries = Evidence.select().count()
    assert came_back(database, HARD, ask) is Effect.NOTED
    assert came_back(database, COMPLAINT, ask) is Effect.NOTED
    assert came_back(database, "reply_ja", ask) is Effect.NONE
    assert Evidence.select().where(Evidence.event != "paused").count() == entries


# --- Invariant 15: a No is known for good, whatever way it came.


@pytest.mark.parametrize("name", [COMPLAINT, "reply_nein"])
def test_a_no_by_mail_of_whom_a_bounce_had_taken_off_is_known_as_one(
    database: Database, ask: Mail, name: str
) -> None:
    assert came_back(database, HARD, ask) is Effect.REMOVED
    before = Contact.get_by_id(ask.contact_id)
    assert not before.has_refused
    came_back(database, name, ask)
    after = Contact.get_by_id(ask.contact_id)
    assert (after.reason, after.has_refused) == (Reason.BOUNCE, True)
    assert after.form_version == before.form_version + 1


@pytest.mark.parametrize(("name", "is_no"), [("reply_nein", True), ("reply_ja", False)])
def test_a_no_in_a_reply_is_known_as_one_before_the_admin_decides(
    database: Database, ask: Mail, name: str, is_no: bool
) -> None:
    for _ in range(2):
        came_back(database, name, ask)
    after = Contact.get_by_id(ask.contact_id)
    assert (after.status, after.has_refused) == (Status.UNCONFIRMED, is_no)
    assert after.form_version == int(is_no)


# --- Invariant 4: nobody is called silent whom the question did not reach.


def expire(database: Database) -> sweep.ExpiryResult:
    downtime.assume_up_until(database, moment=DEADLINE)
    return sweep.expire_due(database, settings=make_settings(), clock=ManualClock(DEADLINE))


@pytest.mark.parametrize("name", [SOFT, "postfix_delayed"])
def test_who_was_not_reached_for_now_is_unasked_and_not_silent(
    database: Database, mailing_list: MailingList, ask: Mail, name: str
) -> None:
    assert came_back(database, name, ask) is Effect.NOTED
    assert [one.id for one in lookup.select_unasked(mailing_list)] == [ask.contact_id]
    swept = expire(database)
    assert (swept.removed, swept.unasked) == (0, 1)
    assert standing(ask) == (Status.UNCONFIRMED, "")
    assert [one.id for one in lookup.select_unasked(mailing_list)] == [ask.contact_id]


def test_a_bounce_after_the_removal_for_silence_makes_it_unreached(
    database: Database, ask: Mail
) -> None:
    assert expire(database).removed == 1
    assert standing(ask) == (Status.REMOVED, Reason.NO_RESPONSE)
    late = DEADLINE + timedelta(days=1)
    assert came_back(database, HARD, ask, now=late) is Effect.REMOVED
    assert standing(ask) == (Status.REMOVED, Reason.BOUNCE)
    assert Contact.get().status_at == late
    assert consent_records()[-1]["was_removed_for"] == "no_response"
    assert Suppression.get().reason == Reason.BOUNCE
    assert Suppression.select().count() == 1
    assert list(iter_chain_faults()) == []
    assert came_back(database, HARD, ask, now=late) is Effect.KNOWN


def test_a_soft_bounce_after_the_removal_for_silence_is_noted(
    database: Database, ask: Mail
) -> None:
    expire(database)
    assert came_back(database, SOFT, ask) is Effect.NOTED
    assert standing(ask) == (Status.REMOVED, Reason.NO_RESPONSE)


def test_what_is_known_of_a_mail_only_grows_graver(database: Database, ask: Mail) -> None:
    effects = [came_back(database, name, ask) for name in (SOFT, HARD, SOFT, COMPLAINT, HARD)]
    assert effects == [
        Effect.NOTED,
        Effect.REMOVED,
        Effect.KNOWN,
        Effect.NOTED,
        Effect.KNOWN,
    ]
    assert noted(ask)[0] == "complaint"
    assert standing(ask) == (Status.REMOVED, Reason.BOUNCE)


# --- Complaints, and the circuit breaker.


@pytest.mark.parametrize("status", [Status.UNCONFIRMED, Status.CONFIRMED, Status.CUSTOMER])
def test_a_complaint_removes_whatever_the_contact_was(
    database: Database, mailing_list: MailingList, status: Status
) -> None:
    ask = make_ask(database, make_campaign(database, mailing_list), status=status)
    assert came_back(database, COMPLAINT, ask) is Effect.REMOVED
    assert standing(ask) == (Status.REMOVED, Reason.COMPLAINT)
    assert consent_records()[0]["came_back"] == "complaint"


def test_a_complaint_pauses_the_campaign_and_tells_the_admin(database: Database, ask: Mail) -> None:
    assert record_message(database, returned_for(COMPLAINT, ask)).paused
    campaign = Campaign.get()
    assert (campaign.state, campaign.pause_reason) == ("paused", PauseReason.COMPLAINT)
    assert Mail.select().where(Mail.kind == MailKind.NOTICE).count() == 1


def test_whoever_died_before_the_brake_leaves_it_to_the_next(database: Database, ask: Mail) -> None:
    change(database, ask, bounce="complaint")
    taken = record_message(database, returned_for(COMPLAINT, ask))
    assert (taken.effect, taken.paused) == (Effect.KNOWN, True)


@pytest.mark.parametrize(("percent", "paused"), [(1, True), (2, False), (0, False)])
def test_too_many_bounces_pause_the_campaign(
    database: Database, mailing_list: MailingList, percent: int, paused: bool
) -> None:
    campaign = make_campaign(database, mailing_list, state=CampaignState.SENDING)
    for _ in range(99):
        make_mail(database, campaign, make_contact(database, mailing_list))
    raw = returned_for(HARD, make_ask(database, campaign))
    rules = CampaignRules(pause_at_bounce_percent=percent)
    assert record_message(database, raw, campaign=rules).paused is paused


# --- Mails that belong to no contact.


@pytest.fixture
def confirm(database: Database, mailing_list: MailingList) -> Mail:
    with database.atomic():
        sign_up = SignUp.create(
            list=mailing_list,
            uid=new_id(),
            address="jan@example.net",
            address_key="jan@example.net",
            at=NOW,
        )
        return Mail.create(
            list=mailing_list,
            sign_up=sign_up,
            kind=MailKind.CONFIRM,
            state=MailState.SENT,
            due_at=NOW,
            sent_at=NOW,
            message_id="",
        )


@pytest.mark.parametrize(
    ("name", "effect"),
    [(HARD, Effect.NOTED), (COMPLAINT, Effect.NOTED), ("reply_ja", Effect.NONE)],
)
def test_a_mail_to_no_contact_only_takes_the_note(
    database: Database, confirm: Mail, name: str, effect: Effect
) -> None:
    taken = record_message(database, returned_for(name, confirm))
    assert (taken.effect, taken.paused) == (effect, False)


def test_a_contacts_mail_outside_a_campaign_takes_the_contact_off_too(
    database: Database, mailing_list: MailingList
) -> None:
    contact = make_contact(database, mailing_list, "jan@example.net")
    with database.atomic():
        mail = Mail.create(
            list=mailing_list,
            contact=contact,
            kind=MailKind.RECEIPT,
            state=MailState.SENT,
            due_at=NOW,
            sent_at=NOW,
            message_id="",
        )
    assert came_back(database, HARD, mail) is Effect.REMOVED
    assert Evidence.get().campaign == 0
    assert record_message(database, reply_to(mail, "ja")).effect is Effect.WAITING


# --- Replies by people.


def replies() -> list[tuple[str, datetime, datetime | None]]:
    return [(one.proposed, one.at, one.decided_at) for one in Reply.select().order_by(Reply.id)]


@pytest.mark.parametrize(
    ("name", "proposed"),
    [("reply_ja", "yes"), ("reply_nein", "no"), ("reply_question", "")],
)
def test_a_reply_from_the_asked_address_waits_for_the_admin(
    database: Database, ask: Mail, name: str, proposed: str
) -> None:
    assert came_back(database, name, ask, now=NOW + timedelta(days=9)) is Effect.WAITING
    assert replies() == [(proposed, datetime(2026, 3, 3, 11, 0, tzinfo=UTC), None)]
    assert standing(ask) == (Status.UNCONFIRMED, "")
    assert not Evidence.select().exists()


@pytest.mark.parametrize("state", [MailState.QUEUED, MailState.CLAIMED])
def test_a_reply_that_waits_stops_the_reminder_that_has_not_begun(
    database: Database, mailing_list: MailingList, state: MailState
) -> None:
    campaign = make_campaign(database, mailing_list)
    ask = make_ask(database, campaign)
    contact = Contact.get_by_id(ask.contact_id)
    reminder = make_mail(database, campaign, contact, kind=MailKind.REMINDER, state=state)
    sign_up = make_mail(database, campaign, contact, kind=MailKind.CONFIRM, state=state)
    record_message(database, reply_to(ask, "Ik was ziek"))
    stopped = Mail.get_by_id(reminder.id)
    assert (stopped.state, stopped.reason) == (MailState.DROPPED, Dropped.ANSWERED)
    # Mail that a person has asked for stays.
    assert Mail.get_by_id(sign_up.id).state == state


def test_a_reply_cannot_be_older_than_the_mail_that_it_answers(
    database: Database, ask: Mail
) -> None:
    """The clock of the mailbox may be wrong."""
    received = b"Received: from mx by mail.example.org; Sun, 01 Feb 2026 07:05:00 +0000\n"
    record_message(database, received + reply_to(ask, "nee"))
    assert replies() == [("no", ask.sent_at, None)]


@pytest.mark.parametrize("sender", ["piet@example.net", "", "no address", "jan@example.net.evil"])
def test_a_mail_that_was_forwarded_brings_nobody_elses_answer(
    database: Database, ask: Mail, sender: str
) -> None:
    assert record_message(database, reply_to(ask, "nee", sender=sender)).effect is Effect.WAITING
    assert [proposed for proposed, _, _ in replies()] == [""]


@pytest.mark.parametrize(
    ("language", "text", "proposed"),
    [
        ("pl", "Tak", "yes"),
        ("pl-PL", "Nie, dziękuję", "no"),
        ("pl", "No", ""),
        ("en", "No", "no"),
        ("da", "Tak", ""),
        ("", "ja", "yes"),
    ],
)
def test_a_reply_is_read_in_the_language_of_who_writes_it(
    database: Database, ask: Mail, language: str, text: str, proposed: str
) -> None:
    change(database, ask.contact, language=language)
    record_message(database, reply_to(ask, text))
    assert [one for one, _, _ in replies()] == [proposed]


@pytest.mark.parametrize(
    "text",
    [
        "Beste mensen,\n\nIk wil geen nieuwsbrief meer ontvangen, want ik verhuis.",
        "Please take note:\nI do not want any more newsletters from you.",
        "Bitte keine Newsletter mehr, wir sind umgezogen.",
        "Ja dat weet ik niet.\nGraag uitschrijven en nooit meer mailen.",
        "Ja\nNiks meer sturen",
    ],
)
def test_words_that_ask_to_stop_are_proposed_as_such_and_wait(
    database: Database, ask: Mail, text: str
) -> None:
    assert record_message(database, reply_to(ask, text)).effect is Effect.WAITING
    assert [proposed for proposed, _, _ in replies()] == ["stop"]
    assert standing(ask) == (Status.UNCONFIRMED, "")
    assert Contact.get_by_id(ask.contact_id).has_refused
    assert not Evidence.select().exists()


@pytest.mark.parametrize(
    "text",
    [
        "Hoe komt u aan mijn adres?",
        "Bel mij even.\n\n> Wilt u geen nieuwsbrief meer?",
        "Dank u wel!",
    ],
)
def test_what_does_not_ask_to_stop_is_unclear(database: Database, ask: Mail, text: str) -> None:
    record_message(database, reply_to(ask, text))
    assert [proposed for proposed, _, _ in replies()] == [""]


def test_who_is_gone_and_asks_to_stop_is_read_by_somebody(database: Database, ask: Mail) -> None:
    change(database, ask.contact, status=Status.REMOVED, reason=Reason.NO)
    effect = record_message(database, reply_to(ask, "Ik krijg nog post: geen mail meer!")).effect
    assert effect is Effect.WAITING


def test_a_reply_cannot_arrive_after_it_is_read(database: Database, ask: Mail) -> None:
    came_back(database, "reply_ja", ask, now=NOW)
    assert replies()[0][1] == NOW


@pytest.mark.parametrize(
    ("text", "status", "waits"),
    [
        ("ja", Status.CONFIRMED, False),
        ("nee", Status.CONFIRMED, True),
        ("nee", Status.REMOVED, False),
        ("ja", Status.REMOVED, True),
        ("hoezo?", Status.CONFIRMED, True),
    ],
)
def test_a_reply_that_says_what_is_known_does_not_wait(
    database: Database, ask: Mail, text: str, status: Status, waits: bool
) -> None:
    known = {"basis": Basis.ANSWER} if status is Status.CONFIRMED else {"reason": Reason.NO}
    change(database, ask.contact, status=status, **known)
    effect = record_message(database, reply_to(ask, text)).effect
    assert effect is (Effect.WAITING if waits else Effect.KNOWN)
    assert [decided is None for _, _, decided in replies()] == [waits]


def test_nothing_of_a_reply_is_kept(database: Database, ask: Mail) -> None:
    record_message(database, reply_to(ask, "Ik ben ziek geweest"))
    kept = json.dumps(list(Reply.select().dicts()), default=str)
    assert "ziek" not in kept
    assert "example.net" not in kept


# --- Invariant 13.


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", NAMES)
def test_no_address_and_no_mark_is_logged(
    database: Database, ask: Mail, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    came_back(database, name, ask)
    said = caplog.text.lower()
    assert "@" not in said
    assert message_id.make_message_id(ask.id, "", sender_domain="x", key=b"x" * 16)[1:8] not in said
