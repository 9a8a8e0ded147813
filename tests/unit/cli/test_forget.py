"""`repermit forget`, as an admin types it."""

from __future__ import annotations

import io
import json
import os
import sqlite3
from datetime import timedelta
from typing import Any

import pytest

from repermit.contacts import human_replies
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Upload
from repermit.db.models.mails import Mail
from repermit.errors import NotFound
from repermit.evidence.entries import login_name, make_login_actor
from repermit.imports import uploads
from repermit.privacy import forget
from repermit.rules.consent import MailKind, MailState, Reason, Status
from tests.support.admin_pages import make_user
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_removed,
    sqlite_path,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.desk import Desk
from tests.support.import_helpers import OPTED_IN, mailchimp

JAN = "jan@example.org"


@pytest.fixture
def news(desk: Desk) -> Desk:
    desk.add_news()
    return desk


def sign_up(desk: Desk, address: str = JAN) -> None:
    with desk.news() as (database, mailing_list), database.atomic():
        made = SignUp.create(
            list=mailing_list, uid="u" * 32, address=address, address_key=address, at=NOW
        )
        fields: dict[str, Any] = {"kind": MailKind.CONFIRM, "due_at": NOW, "message_id": ""}
        Mail.create(list=mailing_list, sign_up=made, **fields)


def holds(desk: Desk) -> None:
    """Assert that the chain of the desk holds, and that no part names anybody."""
    with desk.database():
        assert list(iter_chain_faults()) == []
        assert not EvidencePart.select().where(EvidencePart.part == "person").exists()


def test_somebody_in_a_campaign_is_erased_and_what_is_out_of_reach_is_told(news: Desk) -> None:
    file = news.file("email;naam", f"{JAN};Jan")
    news.do("import", "news", file)
    news.do("export", "news", "keep", "-o", str(news.folder / "early.csv"))
    news.clock.advance(timedelta(hours=1))
    with news.news() as (database, mailing_list):
        campaign = make_campaign(database, mailing_list, state="sending")
        jan = Contact.get()
        make_mail(database, campaign, jan, state=MailState.STARTED, started_at=NOW)
        make_mail(database, campaign, jan, kind="reminder", state="queued", sent_at=None)
        with database.atomic():
            human_replies.save_reply(jan, digest="d" * 64, proposed="", at=NOW, decided_at=None)
            Upload.create(list=mailing_list, user=make_user(database), token="t", name="x", at=NOW)
    sign_up(news)
    news.do("export", "news", "unasked", "-o", str(news.folder / "late.json"))
    said = news.do("forget", "news", "Jan@Example.org")
    whoami = login_name(make_login_actor(os.getuid()))
    assert "export `keep`" not in said
    for text in (
        "news: erased. It was unconfirmed; address and name are gone.",
        "Dropped: 1 unsent mail. Deleted: 1 sign-up, 1 reply",
        "Kept: a fingerprint",
        "news: a file handed in at /admin/ waits to be taken in; it goes within a day.",
        "Out of reach; see to these yourself:",
        "1 mail (1 on its way in this moment), the last on Monday 2 March 2026, 10:00",
        "the file that it came from, list.csv",
        "the export `unasked` of Monday 2 March 2026, 11:00, json",
        f", taken by {whoami}.",
        "The tool that sends the newsletter",
        "Backups of this database",
    ):
        assert text in said, text
    assert JAN not in said
    with news.database():
        found = Contact.get()
        assert (found.address, found.name, found.status) == (None, "", Status.REMOVED)
        assert not SignUp.select().exists()
        assert {one.state for one in Mail.select()} == {MailState.STARTED, MailState.DROPPED}
        newest = Evidence.select().order_by(Evidence.seq.desc()).get()
        assert (newest.event, newest.subject) == ("erased", found.subject)
        assert newest.actor.startswith("cli:")
    holds(news)
    again = news.do("forget", "news", JAN)
    assert "nothing is held but a fingerprint, since it was taken off (request)" in again
    assert "By that fingerprint no file brings it back." in again
    # What is out of reach is told as long as it is.
    assert "the export `unasked`" in again
    assert "suppressed" in news.do("import", "news", file)


def test_who_was_removed_before_is_erased_and_told_where_else_they_are(news: Desk) -> None:
    with news.news() as (database, mailing_list):
        make_removed(database, mailing_list, Reason.NO_RESPONSE, JAN)
        other = make_list(database, slug="club")
        make_contact(database, other, JAN, name="Jan")
        user = make_user(database, email=JAN)
        make_list(database, slug="zoo")
        with database.atomic():
            Upload.create(list=other, user=user, token="t", name="x", at=NOW)
    said = news.do("forget", "news", JAN)
    assert "It was removed for no response" in said
    assert "Still held on club; `repermit forget --all-lists`" in said
    assert "It also logs in at /admin/" in said
    everywhere = news.do("forget", "--all-lists", JAN)
    assert "club: erased." in everywhere
    assert "news: nothing is held but a fingerprint" in everywhere
    assert "zoo: nothing is held of this address." in everywhere
    assert "a file handed in at /admin/" not in said
    assert "club: a file handed in at /admin/ waits" in everywhere
    assert "Still held" not in everywhere
    holds(news)


def test_a_file_that_waits_goes_with_who_may_be_in_it(news: Desk) -> None:
    with news.news() as (database, mailing_list):
        uploads.keep_upload(
            database,
            mailing_list,
            io.BytesIO(f"email\n{JAN}\n".encode()),
            name="list.csv",
            user_id=make_user(database).id,
            settings=news.settings,
            now=NOW,
        )
    said = news.do("forget", "news", JAN)
    assert "news: a file handed in at /admin/ may have held it, and is deleted" in said
    with news.news() as (database, mailing_list):
        kept = uploads.find_upload(mailing_list, settings=news.settings)
        assert kept
        assert kept.path.read_bytes() == b""
        uploads.discard_upload(database, kept)


def test_where_somebody_signed_up_from_elsewhere_goes_with_their_address(news: Desk) -> None:
    path = mailchimp(news.folder, {"email": JAN, **OPTED_IN})
    news.do("import", "news", str(path))
    kept = json.loads(news.do("proof", "news", JAN))["statement"]["entries"]
    assert kept[0]["parts"]["person"]["content"]["ip"] == OPTED_IN["OPTIN_IP"]
    news.do("forget", "news", JAN)
    proof = news.do("proof", "news", JAN)
    assert "OPTIN_IP" in proof
    assert OPTED_IN["OPTIN_IP"] not in proof
    with news.database():
        assert not [one for one in EvidencePart.select() if OPTED_IN["OPTIN_IP"] in one.json]
    holds(news)


def test_a_sign_up_that_waits_is_deleted_with_the_mail_it_was_owed(news: Desk) -> None:
    sign_up(news)
    said = news.do("forget", "news", JAN)
    assert "not on the list; deleted: 1 sign-up." in said
    with news.database():
        assert not Mail.select().exists()
        assert not Suppression.select().exists()
        (entry,) = Evidence.select()
        assert (entry.event, entry.subject) == ("erased", "")
    holds(news)


def test_of_an_address_that_is_not_held_nothing_is_noted_unless_that_is_asked_for(
    news: Desk,
) -> None:
    said = news.do("forget", "news", JAN)
    assert "nothing is held of this address." in said
    assert "With --suppress its fingerprint is kept" in said
    with news.database():
        assert not Evidence.select().exists()
        assert not Suppression.select().exists()
    said = news.do("forget", "news", JAN, "--suppress")
    assert "By that fingerprint no file brings it back." in said
    with news.database():
        (kept,) = Suppression.select()
        (entry,) = Evidence.select()
        assert (entry.event, entry.subject) == ("suppressed", kept.subject)
    assert "suppressed" in news.do("import", "news", news.file("email", JAN))
    # Twice changes nothing.
    news.do("forget", "news", JAN, "--suppress")
    with news.database():
        assert Suppression.select().count() == 1


@pytest.mark.exhaustive
def test_while_somebody_reads_it_is_told_that_the_log_still_holds_it(news: Desk) -> None:
    with news.news() as (database, mailing_list):
        make_contact(database, mailing_list, JAN)
        path = sqlite_path(database)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM contact").fetchone()
    assert "A program still reads the database" in news.do("forget", "news", JAN)
    reader.close()


def test_status_tells_who_is_to_be_erased_and_when(news: Desk) -> None:
    with news.news() as (database, mailing_list):
        campaign = make_campaign(database, mailing_list, state="closed", closed_at=NOW)
        make_asked(database, mailing_list, campaign)
    assert "To be erased" not in news.do("status", "news")
    with news.news() as (database, mailing_list):
        make_removed(database, mailing_list, Reason.NO)
    said = news.do("status", "news")
    assert "To be erased on Wednesday 1 April 2026, 11:00 or soon after: 1 of the 1" in said
    assert "repermit export news removed" in said
    news.clock.move_to(NOW + timedelta(days=30))
    said = news.do("status", "news")
    assert "Still to be erased today, which has begun: 1 of the 1 removed" in said
    assert "To be erased on" not in said


@pytest.mark.parametrize("words", [["news"], ["news", JAN, "more"], ["--all-lists", "news", JAN]])
def test_a_list_and_an_address_are_needed(news: Desk, words: list[str]) -> None:
    assert "give LIST and ADDRESS" in news.misused("forget", *words)


def test_what_is_no_address_or_no_list_is_refused(news: Desk) -> None:
    assert "no @ in the address" in news.refused("forget", "news", "jan")
    assert "there is no list other" in news.refused("forget", "other", JAN)


def test_who_is_erased_cannot_be_erased_once_more_by_number(news: Desk) -> None:
    with news.news() as (database, mailing_list):
        number = make_contact(database, mailing_list, JAN).id
        once: dict[str, Any] = {"settings": news.settings, "now": NOW, "actor": "cli:keeper"}
        forget.erase_contact_by_id(database, mailing_list, number, **once)
        with pytest.raises(NotFound, match="nothing is held of this contact any more"):
            forget.erase_contact_by_id(database, mailing_list, number, **once)
        assert Evidence.select().where(Evidence.event == "erased").count() == 1
