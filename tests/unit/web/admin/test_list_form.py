"""Step 1 of a campaign: adding a list and describing it, with the checks of the command line."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from repermit.db.connection import Database
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList, find_list
from repermit.settings.definitions import Organisation, Settings
from tests.support.admin_pages import admin_client, post, read_version
from tests.support.builders import make_campaign, make_list
from tests.support.public_pages import Pages, freeze_wording, words_of
from tests.unit.emails.test_wording_validation import GOOD_TEXT

if TYPE_CHECKING:
    from flask.testing import FlaskClient

NEW = "/admin/new-list"
DESCRIBE = "/admin/lists/news/describe"
FIELDS = {
    "name": "Nieuws van de praktijk",
    "slug": "",
    "purpose": "Nieuws over onze praktijk",
    "frequency": "vier keer per jaar",
    "sender_name": "Praktijk De Linde",
    "sender_address": "praktijk@example.org",
    "privacy_url": "https://www.example.org/privacy",
    "language": "nl",
}


def describe(client: FlaskClient, **changed: Any) -> Any:
    return post(client, DESCRIBE, **{**FIELDS, **changed})


# --- A new list. ----------------------------------------------------------------------------------


def test_a_new_list_is_described_in_one_form_which_knows_the_organisation(
    client: FlaskClient,
) -> None:
    page = client.get(NEW)
    assert page.status_code == 200
    assert 'name="sender_name" type="text" value="Praktijk De Linde"' in page.text
    assert (
        'name="sender_address" spellcheck="false" type="text" value="praktijk@example.org"'
        in page.text
    )


@pytest.mark.parametrize(("browser", "chosen"), [("en-GB", "en"), ("nl-NL, en;q=0.5", "nl")])
def test_a_new_list_is_in_the_language_of_the_page(
    client: FlaskClient, browser: str, chosen: str
) -> None:
    page = client.get(NEW, headers={"Accept-Language": browser})
    assert f'<option selected value="{chosen}">' in page.text


def test_an_organisation_without_an_address_leaves_the_sender_open(
    database: Database, settings: Settings
) -> None:
    client = admin_client(Pages(database, replace(settings, organisation=Organisation(name="X"))))
    page = client.get(NEW).text
    assert 'name="sender_name" type="text" value=""' in page
    assert 'name="sender_address" spellcheck="false" type="text" value=""' in page


def test_a_list_is_added_with_what_the_form_says_and_goes_on_to_the_file(
    client: FlaskClient,
) -> None:
    answer = post(client, NEW, **FIELDS, sensitive="y")
    assert answer.status_code == 303
    assert answer.location == "/admin/lists/nieuws-van-de-praktijk/file"
    added = find_list("nieuws-van-de-praktijk")
    assert (added.name, added.frequency) == ("Nieuws van de praktijk", "vier keer per jaar")
    assert added.sensitive
    entry = Evidence.get(Evidence.event == "list_added")
    assert entry.actor.startswith("user:")


def test_a_short_name_may_be_chosen(client: FlaskClient) -> None:
    post(client, NEW, **{**FIELDS, "slug": "news"})
    assert find_list("news").name == FIELDS["name"]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Новини от Щърково", "novini-ot-shtarkovo"),
        ("Ενημέρωση του ιατρείου", "enimerosi-toy-iatreioy"),
        ("Łódź & Straße", "lodz-strasse"),
        ("🌻", "list"),
    ],
)
def test_a_short_name_is_made_from_a_name_in_any_letters(
    client: FlaskClient, name: str, slug: str
) -> None:
    answer = post(client, NEW, **{**FIELDS, "name": name})
    assert answer.location == f"/admin/lists/{slug}/file"


def test_a_short_name_that_nobody_typed_is_numbered_where_it_is_taken(
    database: Database, client: FlaskClient
) -> None:
    slug, longest = "nieuws-van-de-praktijk", "a" * 63
    make_list(database, slug=slug)
    make_list(database, slug=longest)
    # The page's script writes into the field what would be made from the name.
    for typed, made in (("", f"{slug}-2"), (slug, f"{slug}-3")):
        answer = post(client, NEW, **{**FIELDS, "slug": typed})
        assert answer.location == f"/admin/lists/{made}/file"
    answer = post(client, NEW, **{**FIELDS, "name": "a" * 70})
    assert answer.location == f"/admin/lists/{'a' * 61}-2/file"


def test_whoever_wants_to_see_how_it_reads_stays(client: FlaskClient) -> None:
    answer = post(client, NEW, **{**FIELDS, "slug": "news"}, look="1")
    assert answer.location == f"{DESCRIBE}#reads"
    assert "The list is added." in words_of(client.get(DESCRIBE))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": " "}, "Please fill this in."),
        ({"slug": "Ons Nieuws"}, "Take small letters, digits and dashes"),
        ({"slug": "taken"}, "There is a list with this short name already."),
        ({"sender_address": "nobody"}, "No mail can come from this"),
        ({"sender_address": ""}, "No mail can come from this"),
        ({"sender_name": "De <b>"}, "A name cannot have < or > in it."),
        ({"privacy_url": "privacy.html"}, "This is no web address"),
        ({"language": "xx"}, "This cannot be used."),
    ],
)
def test_what_cannot_be_is_said_beside_its_field_and_nothing_typed_is_lost(
    database: Database, client: FlaskClient, changed: dict[str, str], said: str
) -> None:
    make_list(database, slug="taken")
    answer = post(client, NEW, **{**FIELDS, **changed})
    assert answer.status_code == 422
    assert said in words_of(answer)
    assert "vier keer per jaar" in answer.text
    assert MailingList.select().count() == 1


WIDE = {
    "name": "mmmmmmmm " * 5,
    "purpose": "mmmmmmmm " * 3,
    "frequency": "mmmmmmmm " * 4,
}
"""Words of which each takes much of a row; a longer purpose would be shortened."""


def test_names_that_push_an_answer_off_a_phone_are_told_where_they_are_typed(
    client: FlaskClient,
) -> None:
    told = "On a phone an answer is not seen at first"
    remedy = "A shorter name of the list, or of the organisation, brings it up."
    post(client, NEW, **{**FIELDS, "slug": "news"})
    assert told not in words_of(client.get(DESCRIBE))
    describe(client, **WIDE)
    said = words_of(client.get(DESCRIBE))
    assert told in said
    assert remedy in said
    post(client, NEW, **{**FIELDS, **WIDE, "slug": "wide"})
    assert told in words_of(client.get(DESCRIBE))
    describe(client)
    further = {"privacy_url": FIELDS["privacy_url"]} | WIDE
    post(client, f"{DESCRIBE}/in", language="pl", **further)
    assert told in words_of(client.get(DESCRIBE))
    # Whoever has not said all yet gets no mail, and no warning.
    describe(client, **WIDE, sender_address="", privacy_url="")
    assert told not in words_of(client.get(DESCRIBE))


LONG_PURPOSE = (
    "Nieuws over onze praktijk, onze openingstijden, ons team, en waar u in het weekend terechtkunt"
)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"purpose": LONG_PURPOSE},
            "“Nieuws over onze praktijk, onze openingstijden, ons…”. All of it stands below them",
        ),
        (
            {"purpose": "Praktijknieuws" * 9},
            "The purpose is too long to stand above the answers; it stands below them.",
        ),
        ({"purpose": "Nieuws over onze praktijk"}, ""),
    ],
    ids=["cut", "left out", "whole"],
)
def test_a_purpose_that_does_not_fit_above_the_answers_is_told_where_it_is_typed(
    client: FlaskClient, fields: dict[str, str], told: str
) -> None:
    post(client, NEW, **{**FIELDS, "slug": "news", **fields})
    said = words_of(client.get(DESCRIBE))
    assert told in said
    assert ("above the answers" in said.lower()) is bool(told)


def test_own_words_are_told_of_that_leave_no_room_for_a_long_name(client: FlaskClient) -> None:
    post(client, NEW, **{**FIELDS, "slug": "news"})
    own_text = f"{{{{ greeting }}}} {'Wilt u onze post? ' * 14}\n\n{GOOD_TEXT}"
    MailingList.update(own_text=own_text).execute()
    describe(client)
    assert "Put below the answers what need not stand above them." in words_of(client.get(DESCRIBE))


def test_while_a_campaign_is_under_way_it_is_told_of_what_is_saved(
    database: Database, client: FlaskClient
) -> None:
    post(client, NEW, **{**FIELDS, "slug": "news"})
    news = MailingList.get()
    freeze_wording(database, make_campaign(database, news), news, news.language)
    describe(client, **WIDE)
    assert "On a phone an answer is not seen at first" in words_of(client.get(DESCRIBE))


# --- A list that is there. ------------------------------------------------------------------------


def test_the_page_of_a_list_shows_how_it_reads(database: Database, client: FlaskClient) -> None:
    make_list(database)
    said = words_of(client.get(DESCRIBE))
    assert "How a recipient will read it" in said
    assert "Nieuws over onze praktijk, vier keer per jaar" in said


def test_what_is_still_to_be_said_is_named_and_there_is_no_example_yet(
    database: Database, client: FlaskClient
) -> None:
    make_list(database, purpose="", sender="", privacy_url="")
    said = words_of(client.get(DESCRIBE))
    assert (
        "this is still to be said: what people will get how often mail will come who sends it "
        "where your privacy statement is"
    ) in said
    assert "There is an example here once" in said


def test_a_change_is_saved_and_kept_as_evidence(database: Database, client: FlaskClient) -> None:
    make_list(database)
    answer = describe(client, name="Brief van de praktijk")
    assert answer.location == "/admin/lists/news/file"
    assert find_list("news").name == "Brief van de praktijk"
    assert Evidence.select().where(Evidence.event == "list_changed").count() == 1


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ("De Linde, huisartsen <a@example.org>", "De Linde, huisartsen", "a@example.org"),
        ("a@example.org", "", "a@example.org"),
        ("", "", ""),
    ],
)
def test_the_sender_is_a_name_and_an_address_and_stays_what_it_was(
    database: Database, client: FlaskClient, sender: str, name: str, address: str
) -> None:
    make_list(database, sender=sender)
    page = client.get(DESCRIBE).text
    assert f'name="sender_name" type="text" value="{name}"' in page
    assert f'name="sender_address" spellcheck="false" type="text" value="{address}"' in page
    assert describe(client, sender_name=name, sender_address=f" {address} ").status_code == 303
    assert find_list("news").sender == sender


def test_a_change_that_cannot_be_changes_nothing(database: Database, client: FlaskClient) -> None:
    make_list(database)
    answer = describe(client, sender_address="nobody", name="Something else")
    assert answer.status_code == 422
    assert "Something else" in answer.text
    assert find_list("news").name == "Nieuws van de praktijk"


def test_the_second_of_two_admins_is_told_and_saves_only_by_pressing_again(
    database: Database, client: FlaskClient
) -> None:
    make_list(database)
    version = {"version": read_version(client.get(DESCRIBE))}
    assert describe(client, **version, name="Brief van Anna").status_code == 303
    # An error in between does not make the page one of what was saved meanwhile.
    wrong = describe(client, **version, name="Brief van Bram", privacy_url="nowhere")
    answer = describe(client, version=read_version(wrong), name="Brief van Bram")
    assert answer.status_code == 422
    assert "This was changed elsewhere meanwhile, so nothing was saved" in words_of(answer)
    assert 'value="Brief van Bram"' in answer.text
    assert find_list("news").name == "Brief van Anna"
    assert describe(client, version=read_version(answer), name="Brief van Bram").status_code == 303
    assert find_list("news").name == "Brief van Bram"


def test_a_campaign_under_way_keeps_its_words(database: Database, client: FlaskClient) -> None:
    make_campaign(database, make_list(database))
    describe(client, name="Brief", look="1")
    said = words_of(client.get(DESCRIBE))
    assert "keeps the words with which it was launched" in said


def test_a_list_cannot_become_sensitive_in_the_middle_of_a_campaign(
    database: Database, client: FlaskClient
) -> None:
    make_campaign(database, make_list(database))
    answer = describe(client, sensitive="y")
    assert answer.status_code == 422
    assert "while a campaign is live" in words_of(answer)
    assert not find_list("news").sensitive


@pytest.mark.parametrize("is_sensitive", [False, True])
def test_what_is_settled_in_the_middle_of_a_campaign_is_not_offered_and_stays(
    database: Database, client: FlaskClient, *, is_sensitive: bool
) -> None:
    make_campaign(database, make_list(database, sensitive=is_sensitive))
    page = client.get(DESCRIBE)
    (box,) = re.findall(r'<input[^>]* id="sensitive"[^>]*>', page.text)
    assert " disabled" in box
    assert "It cannot be changed while a campaign is under way." in words_of(page)
    # A browser sends no box that is disabled.
    kept = re.findall(r'<input type="hidden" name="(sensitive)" value="(y)">', page.text)
    assert bool(kept) is is_sensitive
    assert describe(client, name="Brief", **dict(kept)).status_code == 303
    assert find_list("news").name == "Brief"
    assert find_list("news").sensitive is is_sensitive
