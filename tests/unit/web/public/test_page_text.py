"""What the pages say about a contact, in each language."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from repermit.answers.link_target import ContactState
from repermit.emails.mail_types import MailingListFacts
from repermit.i18n import catalogues
from repermit.rules.consent import Basis, Reason, Status
from repermit.web.public import page_text
from repermit.web.public.page_text import PageLocale
from tests.support.builders import DEADLINE, NOW

ENGLISH = PageLocale(language="en", zone=ZoneInfo("Europe/Amsterdam"))
LANGUAGES = pytest.mark.parametrize("language", catalogues.languages())

STANDING = ContactState(
    uid="0" * 32,
    address="a…a@example.org",
    language="en",
    status=Status.UNCONFIRMED,
    status_at=NOW,
    reason="",
    basis="",
    basis_at=None,
    source="",
    since=None,
    is_gone=False,
    mailing_list=MailingListFacts(
        slug="news", name="News", purpose="News", privacy_url="", language="en", sender=""
    ),
    campaign=1,
    deadline=DEADLINE,
    asked_at=NOW,
    reminded_at=None,
    mail_wording="",
    signals=(),
)


def voice(language: str) -> PageLocale:
    return replace(ENGLISH, language=language)


@pytest.mark.parametrize(
    ("source", "since", "said"),
    [
        ("the counter.", NOW, "since Monday 2 March 2026. Where we have it from: the counter."),
        ("the counter", None, "do not know since when. Where we have it from: the counter."),
        ("", NOW, "since Monday 2 March 2026. We do not know how it got there."),
        ("", None, "We do not know since when, or how it got there."),
    ],
)
def test_why_somebody_is_on_the_list_is_told_as_far_as_it_is_known(
    source: str, since: datetime | None, said: str
) -> None:
    contact_state = replace(STANDING, source=source, since=since)
    told = page_text.explain_listing(contact_state, ENGLISH)
    assert said in told
    assert ("That is why we ask you." in told) is (source == "")
    never_asked = replace(contact_state, campaign=0)
    assert "ask" not in page_text.explain_listing(never_asked, ENGLISH)


@pytest.mark.parametrize(("source", "said"), [("the counter", "the counter."), ("", None)])
def test_of_who_is_off_the_list_it_is_told_where_the_address_came_from(
    source: str, said: str | None
) -> None:
    removed = replace(STANDING, status=Status.REMOVED, reason=Reason.NO, source=source, since=NOW)
    assert page_text.explain_listing(removed, ENGLISH) == (said or "We do not know.")


@LANGUAGES
def test_every_status_and_reason_has_its_own_words(language: str) -> None:
    standings = [
        *(replace(STANDING, status=status) for status in Status if status is not Status.REMOVED),
        *(replace(STANDING, status=Status.REMOVED, reason=reason) for reason in Reason),
    ]
    said = {page_text.describe_status(one, voice(language)) for one in standings}
    assert len(said) == len(standings)


@LANGUAGES
def test_every_basis_has_its_own_words(language: str) -> None:
    bases = ["", *Basis]
    said = {
        page_text.describe_basis(replace(STANDING, basis=one), voice(language)) for one in bases
    }
    assert len(said) == len(bases)


@LANGUAGES
def test_every_button_says_what_it_does(language: str) -> None:
    told = voice(language)
    labels = {
        page_text.make_yes_label(told, sensitive=False),
        page_text.make_yes_label(told, sensitive=False, is_new=True),
        page_text.make_yes_label(told, sensitive=True),
        page_text.make_no_label(told),
    }
    assert len(labels) == 4


def test_moments_are_told_in_the_organisations_zone() -> None:
    summer = NOW + timedelta(days=60)
    assert ENGLISH.format_time(NOW) == "Monday 2 March 2026, 10:00"
    assert ENGLISH.format_time(summer) == "Friday 1 May 2026, 11:00"
    assert ENGLISH.format_time(None) == ENGLISH.format_day(None) == ""


@pytest.mark.parametrize(
    ("status", "reason", "basis", "said"),
    [
        (Status.UNCONFIRMED, "", "", ""),
        (Status.CUSTOMER, "", Basis.CUSTOMER, ""),
        (Status.CONFIRMED, "", Basis.THIN, ""),
        (Status.CONFIRMED, "", Basis.IMPORTED, ""),
        (Status.CONFIRMED, "", Basis.ANSWER, "Your Yes was recorded on"),
        (Status.CONFIRMED, "", Basis.SIGN_UP, "Your Yes was recorded on"),
        (Status.REMOVED, Reason.NO, "", "Your No was recorded on"),
        (Status.REMOVED, Reason.WITHDRAWN, "", "Your No was recorded on"),
        (Status.REMOVED, Reason.NO_RESPONSE, "", "You were taken off this list on"),
        (Status.REMOVED, Reason.BOUNCE, "", "You were taken off this list on"),
    ],
)
def test_what_was_recorded_earlier_is_told_before_the_question(
    status: Status, reason: str, basis: str, said: str
) -> None:
    contact_state = replace(STANDING, status=status, reason=reason, basis=basis)
    expected = f"{said} Monday 2 March 2026, 10:00" if said else ""
    assert page_text.make_earlier_answer_text(contact_state, ENGLISH) == expected
