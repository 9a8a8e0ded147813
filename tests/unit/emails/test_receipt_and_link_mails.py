"""Mails with a link for one use, and the notice that somebody is not the person meant."""

from __future__ import annotations

import pytest

from repermit.emails import admin_notices
from repermit.emails.compose_mail import compose_mail
from repermit.i18n.catalogues import languages
from tests.support.mail_builders import (
    make_confirm_values,
    make_facts,
    make_not_the_person,
    make_requested,
)


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("purpose", ["see", "address", "changed"])
def test_a_mail_of_a_sensitive_list_shows_nothing_outside_its_body(
    purpose: str, language: str
) -> None:
    facts = make_facts(name="Leven met hiv", purpose="Over hiv", sensitive=True)
    draft = make_requested(purpose, mailing_list=facts, language=language)
    mail = compose_mail(draft, make_confirm_values())
    assert "hiv" not in mail.subject
    assert "hiv" not in mail.html.partition("</div>")[0]
    assert "List-Unsubscribe" not in mail.raw.decode()


@pytest.mark.parametrize("purpose", ["see", "address"])
def test_a_mail_with_a_link_has_it_in_both_bodies_and_no_address_in_full(purpose: str) -> None:
    values = make_confirm_values()
    mail = compose_mail(make_requested(purpose), values)
    for body in (mail.text, mail.html):
        assert values.confirm_url in body
        assert values.address not in body


def test_the_mail_to_the_address_from_before_has_no_link_to_what_is_held() -> None:
    values = make_confirm_values()
    mail = compose_mail(make_requested("changed"), values)
    for body in (mail.text, mail.html):
        assert values.confirm_url not in body
        assert "ask.example.org" not in body


def test_a_mail_for_another_purpose_is_unknown() -> None:
    with pytest.raises(KeyError):
        make_requested("other")


def test_the_notice_names_nobody_and_leads_to_the_contact() -> None:
    draft = make_not_the_person()
    assert "/contacts/7" in draft.text
    assert "⟦" not in draft.text + draft.html


@pytest.mark.parametrize("topic", ["paused_pilot", "", "not_the_person"])
def test_the_topic_of_a_notice_tells_which_contact_it_is_about(topic: str) -> None:
    assert admin_notices.read_not_the_person(admin_notices.make_not_the_person_topic(7)) == 7
    assert admin_notices.read_not_the_person(topic) is None
