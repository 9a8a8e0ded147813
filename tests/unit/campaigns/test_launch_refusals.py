"""Planning a campaign: each reason against its start, and all of them at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from repermit.campaigns.launch_refusals import check_description, plan_launch
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign, Wording
from repermit.db.models.evidence import Evidence
from repermit.db.models.mails import Mail
from repermit.rules.consent import Basis, CampaignState, Exclusion, Status
from repermit.rules.legal_grounds import NO_GROUNDS, AskingGround, Grounds, SpecialGround
from repermit.settings.definitions import CampaignRules, MailServer, Organisation, Settings
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_organisation,
    make_settings,
)
from tests.unit.emails.test_wording_validation import GOOD_TEXT

INSTANT = timedelta(microseconds=1)


def refusals(
    database: Database,
    *,
    settings: Settings | None = None,
    deadline: datetime = DEADLINE,
    starts_at: datetime | None = None,
    contacts: int = 1,
    **fields: Any,
) -> tuple[str, ...]:
    """Plan a campaign on a list with one contact; return what stands against it."""
    mailing_list = make_list(database, **fields)
    for _ in range(contacts):
        make_contact(database, mailing_list)
    planned = plan_launch(
        mailing_list,
        settings=settings or make_settings(),
        now=NOW,
        deadline=deadline,
        starts_at=starts_at,
    )
    return planned.refusals


def test_a_list_with_everything_may_be_launched(database: Database) -> None:
    assert refusals(database) == ()


@pytest.mark.parametrize(
    ("organisation", "reason"),
    [
        ({"name": ""}, "the settings do not say what your organisation is called"),
        ({"address": " \n "}, "the settings do not give your organisation’s postal address"),
        (
            {"email": "", "telephone": ""},
            "the settings give neither an e-mail address nor a telephone",
        ),
        (
            {"email": "nobody"},
            "your organisation’s e-mail address in the settings cannot be used: no @",
        ),
    ],
)
def test_who_asks_must_be_known_and_reachable(
    database: Database, organisation: dict[str, str], reason: str
) -> None:
    settings = make_settings(organisation=make_organisation(**organisation))
    (found,) = refusals(database, settings=settings)
    assert found.startswith(reason)


@pytest.mark.parametrize("given", [{"email": ""}, {"telephone": ""}])
def test_one_way_to_reach_the_organisation_suffices(
    database: Database, given: dict[str, str]
) -> None:
    settings = make_settings(organisation=make_organisation(**given))
    assert refusals(database, settings=settings) == ()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"privacy_url": ""}, "the list does not say where your privacy statement is"),
        ({"purpose": "", "frequency": "monthly"}, "the list does not say what people will get"),
        ({"purpose": "Nieuws"}, "the list does not say how often mail will come"),
        ({"sender": ""}, "the list does not say who sends it"),
        ({"sender": "De Linde"}, "the sender of the list cannot be used: no @ in the address"),
    ],
)
def test_what_is_sent_must_be_known(
    database: Database, fields: dict[str, Any], reason: str
) -> None:
    (found,) = refusals(database, **fields)
    assert found.startswith(reason)


def test_a_frequency_of_its_own_suffices(database: Database) -> None:
    assert refusals(database, purpose="Nieuws", frequency="zelden") == ()


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("https://ask.example.org", True),
        ("http://ask.example.org", False),
        ("http://localhost:8000", True),
        ("http://127.0.0.1:8000", True),
        ("http://127.8.8.8/ask", True),
        ("http://[::1]:8000", True),
        ("http://192.168.1.1", False),
        ("http://localhost.example.org", False),
        ("http:///x", False),
    ],
)
def test_answers_travel_protected_or_stay_on_this_machine(
    database: Database, url: str, accepted: bool
) -> None:
    found = refusals(database, settings=make_settings(public_url=url))
    assert (found == ()) is accepted
    assert all("must begin with https://" in reason for reason in found)


@pytest.mark.parametrize(
    ("beyond", "accepted"), [(-INSTANT, False), (timedelta(), False), (INSTANT, True)]
)
@pytest.mark.parametrize("starts_in", [None, timedelta(days=-1), timedelta(days=2)])
def test_the_deadline_leaves_people_the_minimum_of_days(
    database: Database, starts_in: timedelta | None, beyond: timedelta, accepted: bool
) -> None:
    starts_at = None if starts_in is None else NOW + starts_in
    deadline = max(NOW, starts_at or NOW) + timedelta(days=14) + beyond
    found = refusals(database, deadline=deadline, starts_at=starts_at)
    assert (found == ()) is accepted
    assert all("the deadline is too near: people need 14 days" in reason for reason in found)


def test_a_deadline_that_is_too_near_is_answered_with_the_nearest_one(database: Database) -> None:
    (found,) = refusals(database, deadline=NOW + timedelta(days=1))
    # 9:00 in UTC is 10:00 in Amsterdam.
    assert "it must be later than 2026-03-16 10:00" in found


@pytest.mark.parametrize(
    ("beyond", "accepted"), [(-INSTANT, True), (timedelta(), True), (INSTANT, False)]
)
def test_a_deadline_lies_a_year_ahead_at_most(
    database: Database, beyond: timedelta, accepted: bool
) -> None:
    """Mistyped as 9999 it could not be taken back: nobody would ever be removed for silence."""
    found = refusals(database, deadline=NOW + timedelta(days=366) + beyond)
    assert (found == ()) is accepted
    assert all("more than a year after the last mail" in reason for reason in found)


@pytest.mark.parametrize(
    ("beyond", "accepted"), [(-INSTANT, False), (timedelta(), False), (INSTANT, True)]
)
def test_a_deadline_lies_ahead_even_in_trials(
    database: Database, beyond: timedelta, accepted: bool
) -> None:
    settings = make_settings(campaign=CampaignRules(minimum_days=0))
    found = refusals(database, settings=settings, deadline=NOW + beyond)
    assert (found == ()) is accepted
    assert all(reason.endswith("2026-03-02 10:00, has passed") or beyond for reason in found)


@pytest.mark.parametrize("state", CampaignState)
def test_a_list_has_one_live_campaign(database: Database, state: CampaignState) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list)
    make_campaign(database, mailing_list, state=state)
    planned = plan_launch(mailing_list, settings=make_settings(), now=NOW, deadline=DEADLINE)
    expected = (f"a campaign is under way on this list already: it is {state}",)
    assert planned.refusals == (expected if state.is_live else ())


def test_there_must_be_somebody_to_ask(database: Database) -> None:
    assert refusals(database, contacts=0) == ("there is nobody to ask",)


def test_an_own_wording_must_pass_its_rules(database: Database) -> None:
    found = refusals(database, own_text="Click here! {{ yes_url }}")
    assert found
    assert all(reason.startswith("your own wording cannot be used: text: ") for reason in found)


@pytest.mark.parametrize("field", ["objection", "silence"])
def test_an_own_wording_of_before_is_launched_once_it_says_what_it_must(
    database: Database, field: str
) -> None:
    (found,) = refusals(database, own_text=GOOD_TEXT.replace(f"{{{{ {field} }}}}", ""))
    assert found.endswith(f" is missing: put {{{{ {field} }}}} in it")
    assert refusals(database, slug="other", own_text=GOOD_TEXT) == ()


def test_what_a_mail_cannot_say_yet_is_known_before_there_is_a_campaign(
    database: Database,
) -> None:
    settings = make_settings(organisation=make_organisation(name=""))
    organisation, mailing_list = check_description(make_list(database, purpose=""), settings)[:2]
    assert organisation.startswith("the settings do not say what your organisation is called")
    assert mailing_list.startswith("the list does not say what people will get")


def test_all_reasons_come_at_once(database: Database) -> None:
    found = refusals(
        database,
        settings=make_settings(public_url="http://example.org", organisation=Organisation()),
        deadline=NOW,
        contacts=0,
        purpose="",
        privacy_url="",
        sender="",
        own_text="Hello",
    )
    assert len(found) == 11


def test_a_plan_counts_who_is_asked_and_who_is_not(database: Database) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list, language="en")
    make_contact(database, mailing_list)
    make_contact(database, mailing_list, status=Status.CONFIRMED, basis=Basis.THIN)
    options: dict[str, Any] = {"settings": make_settings(), "now": NOW, "deadline": DEADLINE}
    planned = plan_launch(mailing_list, **options)
    assert (planned.asked, planned.languages) == (2, {"en": 1, "nl": 1})
    assert planned.excluded == {**dict.fromkeys(Exclusion, 0), Exclusion.CONFIRMED: 1}
    assert plan_launch(mailing_list, **options, include_thin=True).asked == 3


def test_a_plan_tells_what_regulators_hold_and_what_holds_until_a_yes(database: Database) -> None:
    mailing_list = make_list(database)
    planned = plan_launch(mailing_list, settings=make_settings(), now=NOW, deadline=DEADLINE)
    told = "\n".join(planned.notes)
    for word in (
        "ICO fined Honda in March 2017",
        "ACM supervises this rule (Telecommunicatiewet art. 11.7)",
        "your organisation to decide",
        "Until their Yes",
    ):
        assert word in told


@pytest.mark.parametrize("own", [{"own_subject": "Mogen wij?"}, {"own_text": "Mogen wij?"}, {}])
@pytest.mark.parametrize("language", ["nl", "de"])
def test_a_plan_tells_that_an_own_wording_is_not_translated(
    database: Database, own: dict[str, str], language: str
) -> None:
    mailing_list = make_list(database, **own)
    make_contact(database, mailing_list, language=language)
    planned = plan_launch(mailing_list, settings=make_settings(), now=NOW, deadline=DEADLINE)
    told = "\n".join(planned.notes)
    assert ("another (1 in de)" in told) is (bool(own) and language == "de")


@pytest.mark.parametrize("sensitive", [False, True])
def test_a_plan_tells_of_each_ground_of_the_law_that_nobody_gave(
    database: Database, sensitive: bool
) -> None:
    mailing_list = make_list(database, sensitive=sensitive)
    options: dict[str, Any] = {"settings": make_settings(), "now": NOW, "deadline": DEADLINE}
    given = Grounds(
        asking_ground=AskingGround.EARLIER_CONSENT, special_ground=SpecialGround.EXPLICIT_CONSENT
    )
    for grounds, told in (
        (NO_GROUNDS, (True, sensitive)),
        (replace(given, special_ground=""), (False, sensitive)),
        (replace(given, asking_ground=""), (True, False)),
        (given, (False, False)),
    ):
        notes = "\n".join(plan_launch(mailing_list, **options, grounds=grounds).notes)
        said = "on what ground of the law you ask" in notes, "(GDPR art. 9(1))" in notes
        assert said == told


def test_a_plan_writes_nothing(database: Database) -> None:
    mailing_list = make_list(database)
    plan_launch(mailing_list, settings=make_settings(), now=NOW, deadline=DEADLINE)
    for table in (Campaign, Mail, Evidence, Wording):
        assert not table.select().exists()


def test_a_plan_can_be_written_as_json(database: Database) -> None:
    mailing_list = make_list(database)
    planned = plan_launch(mailing_list, settings=make_settings(), now=NOW, deadline=DEADLINE)
    assert planned.to_json() == {
        "asked": 0,
        "excluded": dict.fromkeys(
            ["confirmed", "customer", "removed", "suppressed", "asked_before"], 0
        ),
        "left_out": {"opted_out": 0, "invalid": 0},
        "languages": {},
        "last_ask_at": "2026-03-02T09:00:00.000000+00:00",
        "reminder_at": None,
        "refusals": ["there is nobody to ask"],
        "notes": list(planned.notes),
    }


def test_a_mail_that_would_be_clipped_is_refused_whatever_makes_it_so_large(
    database: Database,
) -> None:
    (found,) = refusals(database, purpose="Nieuws, vier keer per jaar" + " en meer" * 6_000)
    assert found.startswith("the mail can grow to 1")
    assert "beyond 102,000" in found


def test_an_own_wording_whose_mail_would_be_clipped_is_refused(database: Database) -> None:
    (found,) = refusals(database, own_text=GOOD_TEXT + "\nwoord" * 10_000)
    assert found.startswith("the mail can grow to 1")
    (found,) = refusals(database, slug="other", own_text=GOOD_TEXT + " woord" * 25_000)
    assert found.startswith("your own wording cannot be used: text: it has 150,1")


# --- What Exchange Online thinks of the sender.


@pytest.mark.parametrize(
    ("server", "username", "sender", "is_told"),
    [
        ("smtp.office365.com", "praktijk@example.org", "Praktijk <praktijk@example.org>", False),
        ("smtp.office365.com", "Praktijk@Example.org", "praktijk@example.org", False),
        ("smtp.office365.com", "nieuws@example.org", "Praktijk <praktijk@example.org>", True),
        ("smtp.office365.com", "praktijk", "praktijk@example.org", True),
        # Nothing is known of who is let in without a login, or of other providers.
        ("smtp.office365.com", "", "praktijk@example.org", False),
        ("smtp.example.org", "nieuws@example.org", "praktijk@example.org", False),
        # What is wrong with an address is said elsewhere.
        ("smtp.office365.com", "nieuws@example.org", "nobody", False),
    ],
)
def test_a_sender_that_is_not_the_mailbox_is_told_of_before_the_launch(
    database: Database, server: str, username: str, sender: str, is_told: bool
) -> None:
    planned = plan_launch(
        make_list(database, sender=sender),
        settings=make_settings(mail=MailServer(server=server, username=username)),
        now=NOW,
        deadline=DEADLINE,
    )
    assert ("5.7.60" in "\n".join(planned.notes)) == is_told
