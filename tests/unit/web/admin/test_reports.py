"""The papers on the admin's pages: looked at, taken along, filled in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from repermit.db.connection import open_database
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import RegisterNotes, find_list
from repermit.evidence.chain_reader import read_consents
from repermit.reports import register_notes
from repermit.settings.definitions import Settings
from tests.support.admin_pages import ENGLISH, post, words_at
from tests.support.builders import make_list, make_settings
from tests.support.public_pages import Pages, words_of
from tests.support.report_campaign import SECRET, make_rich

if TYPE_CHECKING:
    from flask.testing import FlaskClient

AT = "/admin/lists/news/papers"


@pytest.fixture
def pages(sqlite_url: str) -> Iterator[Pages]:
    settings: Settings = make_settings(database=sqlite_url)
    with open_database(sqlite_url) as opened:
        yield Pages(opened, settings)


def test_the_page_names_the_three_and_what_is_missing(pages: Pages, client: FlaskClient) -> None:
    make_list(pages.database)
    said = words_at(client, f"{AT}/")
    assert "5 things are still to be filled in." in said
    assert "There is no campaign on this list yet." in said
    post(client, f"{AT}/answers/", own="hosting", measures="none", **{"joint-controllers": "none"})
    assert "Nothing is missing." in words_at(client, f"{AT}/")
    assert client.get(f"{AT}/report").status_code == 404


@pytest.mark.parametrize("paper", ["register", "report", "breach"])
def test_looking_changes_nothing_and_taking_along_is_an_entry(
    pages: Pages, client: FlaskClient, paper: str
) -> None:
    make_rich(pages.database)
    before = Evidence.select().count()
    response = client.get(f"{AT}/{paper}", headers=ENGLISH)
    assert response.status_code == 200
    assert SECRET not in response.text
    assert " style=" not in response.text
    assert Evidence.select().count() == before
    page = post(client, f"{AT}/{paper}", format="html")
    assert page.headers["Content-Disposition"] == f'attachment; filename="news-{paper}.html"'
    assert page.text.startswith("<!doctype html>")
    document = json.loads(post(client, f"{AT}/{paper}", format="json").text)
    assert document["list"] == "news"
    assert post(client, f"{AT}/{paper}", format="pdf").status_code == 400
    made = list(Evidence.select().where(Evidence.event == "paper_made"))
    assert [one.actor.partition(":")[0] for one in made] == ["user", "user"]
    said = read_consents([made[0].seq])[made[0].seq]
    assert said["sha256"] == hashlib.sha256(page.data).hexdigest()


def test_a_paper_is_in_the_language_of_the_page(pages: Pages, client: FlaskClient) -> None:
    make_list(pages.database)
    dutch = client.get(f"{AT}/register", headers={"Accept-Language": "nl"})
    assert "Register van verwerkingsactiviteiten" in dutch.text


def test_the_clock_of_a_breach_starts_when_it_was_noticed(
    pages: Pages, client: FlaskClient
) -> None:
    make_list(pages.database)
    said = words_at(client, f"{AT}/breach?day=2026-03-02&time=09:30")
    assert "The authority has to know by Thursday 5 March 2026, 09:30" in said
    assert "By Thursday 5 March 2026, 09:30:" in said
    taken = post(client, f"{AT}/breach", format="json", day="2026-03-02", time="")
    assert json.loads(taken.text)["discovered_at"] == "2026-03-01T23:00:00.000000+00:00"


@pytest.mark.parametrize(
    ("day", "time", "said"),
    [
        ("2026-03-02", "10:01", "This has not come yet."),
        ("2025-03-30", "02:30", "This is no day and time that there was."),
        ("soon", "", "This is no day and time that there was."),
    ],
)
def test_a_moment_that_has_not_been_starts_no_clock(
    pages: Pages, client: FlaskClient, day: str, time: str, said: str
) -> None:
    make_list(pages.database)
    response = client.get(f"{AT}/breach?day={day}&time={time}", headers=ENGLISH)
    assert response.status_code == 422
    assert said in words_of(response)
    assert f'value="{day}"' in response.text


def test_what_only_the_organisation_knows_is_filled_in(pages: Pages, client: FlaskClient) -> None:
    news = make_list(pages.database)
    given = {
        "hosting.name": "A Host",
        "hosting.country": "NL",
        "hosting.agreement": "2025-05-02",
        "new.name": "A Printer B.V.",
        "new.country": "US",
        "new.safeguard": "",
        "measures": "none",
        "nobody.name": "not asked for",
    }
    response = post(client, f"{AT}/answers/", **given)
    assert response.headers["Location"].endswith(f"{AT}/register")
    again = {"new.name": "A printer, b v", "new.country": "DE", "own": "nobody"}
    post(client, f"{AT}/answers/", **again)
    post(client, f"{AT}/answers/", **{"new.name": "…"})
    notes = register_notes.read_notes(find_list("news"))
    assert set(notes.processors) == {"hosting", "a-printer-b-v", "a-printer-b-v-2", "other"}
    assert notes.get("hosting", "country") == "NL"
    shown = client.get(f"{AT}/answers/", headers=ENGLISH).text
    assert 'value="A Host"' in shown
    assert '<option value="NL" selected>Netherlands</option>' in shown
    post(client, f"{AT}/answers/", own="hosting", **{"hosting.agreement": "2025-05-02"})
    assert register_notes.read_notes(news).get("hosting", "agreement") == register_notes.OWN
    assert "checked" in client.get(f"{AT}/answers/", headers=ENGLISH).text
    assert RegisterNotes.select().count() == 1


def test_what_no_browser_sends_is_refused(pages: Pages, client: FlaskClient) -> None:
    make_list(pages.database)
    response = post(client, f"{AT}/answers/", **{"hosting.country": "Holland"})
    assert response.status_code >= 400
    assert not RegisterNotes.select().exists()
