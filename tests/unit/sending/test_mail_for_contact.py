"""Making the mail that is owed: whose links, which language, which return path."""

from __future__ import annotations

import email
import email.policy
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from repermit.bounces.bounce_results import MailReferences
from repermit.bounces.match import find_mail
from repermit.db.connection import Database
from repermit.db.models.contacts import SignUp
from repermit.db.models.mails import Mail
from repermit.emails.mime_encoding import EncodedMail
from repermit.errors import NotFound
from repermit.rules.consent import MailKind
from repermit.sending import expired_or_unwanted_mail, queued_mail
from repermit.sending.mail_for_contact import MailComposer
from repermit.sending.queue import Claim, choose_wordings
from repermit.signed_links import Links
from tests.support.builders import NOW, make_campaign, make_contact, make_list
from tests.support.sending_campaign import Story, mail_settings, make_story, make_wording


@pytest.fixture
def story(database: Database, database_url: str) -> Story:
    return make_story(database, mail_settings(database_url, 1))


def make(story: Story, mail: Mail, **server: Any) -> EncodedMail:
    settings = mail_settings(story.settings.database, 1, **server)
    return MailComposer(settings).compose(whole(story, mail), now=NOW)


def whole(story: Story, mail: Mail) -> Claim:
    """Return a mail as whoever claims it has it."""
    (one,) = queued_mail.read_mails(story.database, [mail.id])
    wording = choose_wordings(
        story.database, [one], expired_or_unwanted_mail.read_terms(story.database, [one])
    ).get(one.id)
    return Claim(one, wording, fingerprint="", latest_start=NOW, lease_until=NOW)


def parsed(letter: EncodedMail) -> EmailMessage:
    # No line of these mails begins with a dot.
    message = email.message_from_bytes(letter.wire, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(letter: EncodedMail, kind: str = "plain") -> str:
    part = parsed(letter).get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content


def test_an_ask_carries_its_contacts_own_links(story: Story) -> None:
    mail = story.owe("jan@example.org")
    letter = make(story, mail)
    links = Links(story.settings.public_url, story.settings.secret_keys)
    contact = mail.contact
    assert contact is not None
    for kind in ("yes", "no", "me"):
        assert links.url(kind, contact.uid) in text_of(letter)
    assert letter.envelope_to == "jan@example.org"
    assert b"Date: Mon, 02 Mar 2026 09:00:00 +0000\r\n" in letter.wire


def test_a_confirmation_carries_its_sign_ups_link(story: Story) -> None:
    mail = story.owe_confirm("jan@example.org")
    links = Links(story.settings.public_url, story.settings.secret_keys)
    assert mail.sign_up is not None
    assert links.url("confirm", mail.sign_up.uid) in text_of(make(story, mail))


def test_a_confirmation_says_until_when_its_link_works(story: Story) -> None:
    mail = story.owe_confirm("jan@example.org")
    SignUp.update(at=NOW - timedelta(hours=1)).execute()
    text = " ".join(text_of(make(story, mail)).split())
    assert "tot uiterlijk maandag 9 maart, 09:00 uur." in text


def test_every_attempt_at_a_mail_in_doubt_gives_the_same_bytes(story: Story) -> None:
    mail = story.owe()
    first = make(story, mail)
    story.change(mail, started_at=NOW, message_id=first.message_id)
    later = NOW + timedelta(days=2)
    other_key = mail_settings(story.settings.database, 1)
    assert MailComposer(other_key).compose(whole(story, mail), now=later) == first


def test_each_mail_has_a_message_id_of_its_own(story: Story) -> None:
    ids = {make(story, story.owe()).message_id for _ in range(3)}
    assert len(ids) == 3
    assert all(found.endswith("@example.org>") for found in ids)


def test_a_fixed_return_path_is_the_sender(story: Story) -> None:
    assert make(story, story.owe()).envelope_from == "praktijk@example.org"


def test_a_verp_return_path_leads_back_to_the_mail(story: Story) -> None:
    mail = story.owe()
    verp = {"return_path": "verp", "return_domain": "bounces.example.org"}
    path = make(story, mail, **verp).envelope_from
    assert path.endswith("@bounces.example.org")
    assert find_mail(MailReferences(return_paths=(path,)), story.settings.secret_keys) == mail


@pytest.mark.parametrize(("wanted", "got"), [("de", "de"), ("en", "nl"), ("", "nl")])
def test_an_ask_is_in_the_contacts_language_or_else_the_lists(
    story: Story, wanted: str, got: str
) -> None:
    make_wording(story, "de")
    contact = make_contact(story.database, story.mailing_list, language=wanted)
    assert f'lang="{got}"' in text_of(make(story, story.owe(contact=contact)), "html")


def test_without_a_wording_in_the_lists_language_any_serves(story: Story) -> None:
    story.mailing_list.language = "fr"
    with story.database.atomic():
        story.mailing_list.save()
    assert 'lang="nl"' in text_of(make(story, story.owe()), "html")


def test_without_any_wording_nothing_is_made(story: Story) -> None:
    other = make_list(story.database, slug="other")
    bare = make_campaign(story.database, other)
    contact = make_contact(story.database, other)
    with pytest.raises(NotFound, match="no wording"):
        make(story, story.owe(contact=contact, campaign=bare))


@pytest.mark.parametrize(("wanted", "got"), [("fr", "fr"), ("xx", "nl"), ("", "nl")])
def test_a_confirmation_is_in_the_language_of_its_form_or_else_the_lists(
    story: Story, wanted: str, got: str
) -> None:
    mail = story.owe_confirm("jan@example.org", language=wanted)
    assert f'lang="{got}"' in text_of(make(story, mail), "html")


@pytest.mark.parametrize("kind", ["ask", "confirm"])
def test_one_wording_serves_many_mails(story: Story, kind: str) -> None:
    owe = story.owe if kind == "ask" else story.owe_confirm
    letters = MailComposer(story.settings)
    addresses = ["jan@example.org", "piet@example.org"]
    made = [letters.compose(whole(story, owe(address)), now=NOW) for address in addresses]
    assert [letter.envelope_to for letter in made] == addresses


def test_a_mail_that_has_been_tried_keeps_its_wording(story: Story) -> None:
    mail = story.owe()
    first = whole(story, mail)
    make_wording(story, "nl", revision=2)
    newer = whole(story, mail)
    assert newer.wording_id != first.wording_id
    story.change(mail, started_at=NOW, wording=first.wording_id)
    assert whole(story, mail).wording_id == first.wording_id


def test_a_reminder_has_a_wording_of_its_own(story: Story) -> None:
    make_wording(story, "nl", kind=MailKind.REMINDER)
    ask, reminder = story.owe(), story.owe(kind=MailKind.REMINDER)
    assert whole(story, ask).wording_id != whole(story, reminder).wording_id


def test_a_notice_goes_to_the_organisation(story: Story) -> None:
    letter = make(story, story.owe_notice())
    assert letter.envelope_to == story.settings.organisation.email
    assert parsed(letter)["Message-ID"] == letter.message_id
