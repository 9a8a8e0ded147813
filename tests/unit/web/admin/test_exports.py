"""Handing over: files, steps with their ticks, and the comparison with a tool's export."""

from __future__ import annotations

import codecs
import io
import json
import re
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from repermit.contacts.lookup import UNASKED_REASONS
from repermit.db.connection import Database
from repermit.db.models.accounts import Access
from repermit.db.models.campaigns import HandedOver
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.errors import Refused
from repermit.exports import evidence_export
from repermit.exports.export_rows import Tool
from repermit.rules.consent import Basis, CampaignState, Reason, Status
from repermit.settings.definitions import Settings
from repermit.web.admin.rendering import LANGUAGES, get_code_label, stream_output
from tests.support.admin_pages import ENGLISH, csrf_token
from tests.support.builders import NOW, make_campaign, make_contact, make_removed
from tests.support.one_time_links import correct_address
from tests.support.public_pages import Pages, words_of
from tests.unit.exports.test_export import fill

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

pytestmark = pytest.mark.usefixtures("mailing_list")

URL = "/admin/lists/news/handover/"


def look(client: FlaskClient, query: str = "") -> str:
    response = client.get(URL + query, headers=ENGLISH)
    assert response.status_code == 200
    return words_of(response)


def send(client: FlaskClient, to: str, /, **fields: Any) -> TestResponse:
    """Send a form, as somebody does who reads English."""
    return client.post(URL + to, data={**fields, "csrf_token": csrf_token(client)}, headers=ENGLISH)


# --- Files.


def test_without_a_tool_every_export_is_there_in_every_format(client: FlaskClient) -> None:
    html = client.get(URL, headers=ENGLISH).text
    for what in ("keep", "removed", "unasked", "evidence"):
        assert f'name="what" value="{what}"' in html
    assert html.count('<option value="xlsx">') == 4
    assert "Tick as done" not in html


@pytest.mark.parametrize("tool", Tool)
def test_a_tool_has_its_own_files_and_steps(client: FlaskClient, tool: Tool) -> None:
    html = client.get(f"{URL}?tool={tool}", headers=ENGLISH).text
    assert html.count(f'name="tool" value="{tool}"') >= 2
    assert "do not delete" in html
    assert "repermit" not in html.partition("<main")[2].partition("</main>")[0].replace(
        "name=", ""
    ).replace("/repermit", "")


def test_nobody_is_told_to_act_before_a_deadline_that_has_passed(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    campaign = make_campaign(database, mailing_list, state=CampaignState.OPEN)
    soon = "Take them off elsewhere as soon as you can."
    assert f"{soon} Do not wait for the deadline." in look(client)
    with database.atomic():
        campaign.state = CampaignState.CLOSED
        campaign.save()
    said = look(client)
    assert soon in said
    assert "Do not wait for the deadline." not in said


def test_an_unknown_tool_is_none(client: FlaskClient) -> None:
    assert "What to do in" not in look(client, "?tool=other")


def test_a_file_is_sent_recorded_and_noted(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    for name in ("a", "b"):
        make_contact(
            database, mailing_list, f"{name}@example.net", status=Status.CONFIRMED, basis="answer"
        )
    response = send(client, "export", what="keep", format="csv", tool="mailchimp", with_links="yes")
    assert response.status_code == 200
    assert response.headers["Content-Disposition"] == (
        'attachment; filename="news-keep-mailchimp.csv"'
    )
    title, *rows = response.text.splitlines()
    assert title.startswith("Email Address,")
    assert [row.partition(",")[0] for row in rows] == ["a@example.net", "b@example.net"]
    assert "https://ask.example.org/no/" in rows[0]
    (entry,) = Evidence.select()
    assert entry.event == "exported"
    assert entry.actor.startswith("user:")
    assert {one.act for one in Access.select()} == {"exported_keep"}


def test_a_download_that_is_broken_off_is_in_the_evidence(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    fill(database, mailing_list, 5_000)
    response = send(client, "export", what="keep", format="csv")
    assert next(response.iter_encoded())
    response.close()
    assert [one.event for one in Evidence.select()] == ["exported"]
    told = json.loads(EvidencePart.get().json)
    assert told["whole"] is False
    assert 0 < told["rows"] < 5_000


@pytest.mark.parametrize("form", ["csv", "json", "xlsx"])
@pytest.mark.parametrize("what", ["keep", "removed", "unasked", "evidence"])
def test_each_export_can_be_had_in_each_format(
    database: Database, mailing_list: MailingList, client: FlaskClient, what: str, form: str
) -> None:
    make_removed(database, mailing_list, Reason.NO)
    response = send(client, "export", what=what, format=form)
    assert response.status_code == 200
    assert f'filename="news-{what}.{form}"' in response.headers["Content-Disposition"]
    if form == "xlsx":
        assert zipfile.is_zipfile(io.BytesIO(response.data))
    elif form == "json":
        assert isinstance(response.json, dict if what == "evidence" else list)
    else:
        assert "," in response.text


@pytest.mark.parametrize(
    ("language", "head"),
    [
        ("nl", "E-mailadres;Naam;Taal;Grond;Sinds;Link om zich af te melden"),
        ("en", "E-mail address,Name,Language,Ground,Since,Link to unsubscribe"),
    ],
)
def test_a_table_for_people_has_headings_and_divider_of_their_language(
    database: Database, mailing_list: MailingList, client: FlaskClient, language: str, head: str
) -> None:
    make_contact(database, mailing_list, "a@example.net", status=Status.CONFIRMED, basis="answer")
    fields = {"what": "keep", "with_links": "yes", "csrf_token": csrf_token(client)}
    headers = {"Accept-Language": language}
    table = client.post(f"{URL}export", data={**fields, "format": "csv"}, headers=headers)
    # Without the mark Excel takes its letters for others.
    assert table.data.startswith(codecs.BOM_UTF8)
    assert table.data.decode("utf-8-sig").splitlines()[0] == head
    book = client.post(f"{URL}export", data={**fields, "format": "xlsx"}, headers=headers)
    strings = zipfile.ZipFile(io.BytesIO(book.data)).read("xl/worksheets/sheet1.xml").decode()
    for title in head.replace(";", ",").split(","):
        assert f">{title}<" in strings


@pytest.mark.parametrize(
    ("language", "rows"),
    [
        (
            "nl",
            ("Nederlands;Ja in een campagne;2026-03-02 10:00", "antwoordde niet;2026-03-02 10:00"),
        ),
        ("en", ("Dutch,Yes in a campaign,2026-03-02 10:00", "did not answer,2026-03-02 10:00")),
    ],
)
def test_a_table_for_people_has_words_below_its_headings(
    database: Database,
    mailing_list: MailingList,
    client: FlaskClient,
    language: str,
    rows: tuple[str, str],
) -> None:
    given = {"status": Status.CONFIRMED, "basis": "answer", "language": "nl"}
    make_contact(database, mailing_list, "a@example.net", **given)
    make_removed(database, mailing_list, Reason.NO_RESPONSE)
    for what, expected in zip(("keep", "removed"), rows, strict=True):
        fields = {"what": what, "format": "csv", "csrf_token": csrf_token(client)}
        table = client.post(f"{URL}export", data=fields, headers={"Accept-Language": language})
        assert table.text.splitlines()[1].endswith(expected)


def test_each_code_of_a_table_has_words(settings: Settings, database: Database) -> None:
    app = Pages(database, settings).app
    for language in LANGUAGES:
        with app.test_request_context("/admin/", headers={"Accept-Language": language}):
            for kind, codes in (("basis", Basis), ("reason", (*Reason, *UNASKED_REASONS))):
                said = [get_code_label(kind, code) for code in codes]
                assert set(said).isdisjoint({*codes} - {"customer"}), said


def test_programs_and_tools_find_the_titles_that_they_know(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_contact(database, mailing_list, "a@example.net", status=Status.CONFIRMED, basis="answer")
    record = send(client, "export", what="evidence", format="csv")
    assert record.text.startswith("seq,at,event,")
    (row,) = json.loads(send(client, "export", what="keep", format="json").text)
    assert row["address"] == "a@example.net"
    assert send(client, "export", what="keep", format="csv", tool="mailchimp").text.startswith(
        "Email Address,"
    )


def test_excel_is_offered_first_and_the_buttons_say_how_many(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    for address in ("a@example.net", "b@example.net"):
        make_contact(database, mailing_list, address, status=Status.CONFIRMED, basis="answer")
    make_removed(database, mailing_list, Reason.NO)
    html = client.get(URL, headers=ENGLISH).text
    first = re.findall(r'<select[^>]*name="format">\s*<option value="(\w+)"', html)
    assert first == ["xlsx", "xlsx", "xlsx", "json"]
    counts = re.findall(r"Download \((\d+)\)</button>", html)
    entries = json.loads(send(client, "export", what="evidence", format="json").text)["entries"]
    assert counts == ["2", "1", "0", str(len(entries))]


def test_entries_are_not_counted_where_a_page_would_wait_for_it(
    database: Database,
    mailing_list: MailingList,
    client: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_removed(database, mailing_list, Reason.NO)
    monkeypatch.setattr(evidence_export, "_MAX_COUNTED", 0)
    html = client.get(URL, headers=ENGLISH).text
    assert re.findall(r"Download(?: \((\d+)\))?</button>", html) == ["0", "1", "0", ""]


@pytest.mark.parametrize(
    "fields",
    [
        {"what": "everything", "format": "csv"},
        {"what": "keep", "format": "pdf"},
        {"what": "keep", "format": "csv", "tool": "other"},
        {},
    ],
)
def test_what_no_form_asks_for_is_refused(client: FlaskClient, fields: dict[str, str]) -> None:
    assert send(client, "export", **fields).status_code == 400


def test_what_does_not_go_together_is_said_and_nothing_is_recorded(client: FlaskClient) -> None:
    response = send(client, "export", what="keep", format="json", tool="brevo")
    assert response.status_code == 422
    assert "Brevo does not take json; it takes" in words_of(response)
    assert not Evidence.select().exists()
    assert not Access.select().exists()


def test_what_a_spreadsheet_would_take_for_a_formula_is_shown_for_its_own_csv(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    for address in ("=a@example.net", "-b@example.net", "c@example.net"):
        make_removed(database, mailing_list, Reason.NO, address)
    said = look(client, "?tool=mailchimp")
    assert "Enter them by hand: -b@example.net =a@example.net" in said
    assert {one.act for one in Access.select()} == {"by_hand"}
    assert "Enter them by hand" not in look(client)
    assert Access.select().count() == 1


def test_a_download_that_fails_breaks_off(database: Database) -> None:
    def write(out: BinaryIO) -> None:
        out.write(b"a line\n")
        raise Refused("too much")

    pieces = stream_output(write, database=database)
    assert next(pieces) == b"a line\n"
    with pytest.raises(Refused):
        next(pieces)


def test_a_download_that_nobody_reads_on_ends(database: Database) -> None:
    ended = []

    def write(out: BinaryIO) -> None:
        try:
            out.writelines(b"x" * 65536 for _ in range(1000))
        finally:
            ended.append("early")

    pieces = stream_output(write, database=database)
    next(pieces)
    pieces.close()
    assert ended == ["early"]


# --- Steps.


def test_a_step_is_ticked_and_unticked(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_campaign(database, mailing_list, state=CampaignState.CLOSED, closed_at=NOW)
    assert "Tick as done" in look(client, "?tool=laposta")
    send(client, "tick", tool="laposta", step="removed-1", done="yes")
    response = send(client, "tick", tool="laposta", step="removed-1", done="yes")
    assert response.location.endswith("/handover/?tool=laposta#removed-1")
    (tick,) = HandedOver.select()
    assert tick.by.startswith("user:")
    assert "Done on Monday 2 March 2026" in look(client, "?tool=laposta")
    assert "Done on" not in look(client, "?tool=brevo")
    send(client, "tick", tool="laposta", step="removed-1", done="no")
    assert not HandedOver.select().exists()
    assert [one.event for one in Evidence.select()] == ["handed_over", "not_handed_over"]


@pytest.mark.parametrize(
    "fields",
    [
        {"tool": "other", "step": "removed-1"},
        {"tool": "laposta", "step": "removed-99"},
        {},
    ],
)
def test_what_is_no_step_cannot_be_ticked(
    database: Database, mailing_list: MailingList, client: FlaskClient, fields: dict[str, str]
) -> None:
    make_campaign(database, mailing_list, state=CampaignState.CLOSED, closed_at=NOW)
    assert send(client, "tick", done="yes", **fields).status_code == 400


def test_without_a_campaign_there_is_nothing_to_tick(client: FlaskClient) -> None:
    assert "Tick as done" not in look(client, "?tool=laposta")
    assert send(client, "tick", tool="laposta", step="removed-1").status_code == 400


# --- The comparison.


def upload(text: str, name: str = "export.csv") -> tuple[io.BytesIO, str]:
    return io.BytesIO(text.encode()), name


def test_a_tools_export_is_compared_and_nothing_is_kept_of_it(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_removed(database, mailing_list, Reason.NO, "no@example.net")
    for name in ("yes", "lost"):
        make_contact(
            database, mailing_list, f"{name}@example.net", status=Status.CONFIRMED, basis="answer"
        )
    file = upload("Email\nno@example.net\nyes@example.net\nnew@example.net\n")
    response = send(client, "compare", file=file, tool="mailchimp")
    assert response.status_code == 200
    said = words_of(response)
    for text in (
        "Compared with export.csv",
        "3 rows in the file",
        "Should not be there: 1",
        "2 no@example.net said No",
        "Are not on this list: 1",
        "Are missing there: 1",
        "lost@example.net Yes in a campaign",
    ):
        assert text in said
    assert "?tool=mailchimp" in response.text
    assert {one.act for one in Access.select()} == {"compared"}


def test_a_former_address_is_said_to_be_corrected(
    database: Database, mailing_list: MailingList, settings: Settings, client: FlaskClient
) -> None:
    correct_address(
        database, settings, make_contact(database, mailing_list, "old@example.net"), "a@example.net"
    )
    said = words_of(send(client, "compare", file=upload("Email\nold@example.net\n")))
    assert "2 old@example.net an earlier address: this person has corrected it" in said


def test_a_long_list_of_findings_is_cut(mailing_list: MailingList, client: FlaskClient) -> None:
    rows = "\n".join(f"a{n}@example.net" for n in range(203))
    said = words_of(send(client, "compare", file=upload(f"Email\n{rows}\n")))
    assert "Are not on this list: 203" in said
    assert "And 3 more." in said
    assert mailing_list.slug == "news"


def test_a_tool_that_holds_the_same_has_nothing_left_to_do(
    database: Database, mailing_list: MailingList, client: FlaskClient
) -> None:
    make_contact(database, mailing_list, "a@example.net", status=Status.CONFIRMED, basis="answer")
    response = send(client, "compare", file=upload("Email\na@example.net\n"))
    assert "Nothing is left to do" in words_of(response)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "Choose a file first."),
        ({"file": upload("", "")}, "Choose a file first."),
        ({"file": upload("", "empty.csv")}, "The file is empty."),
        (
            {"file": upload("one,two\nthree,four\n")},
            "holds the e-mail addresses. Expected: a title such as E-mail above that column. ",
        ),
    ],
)
def test_a_file_that_cannot_be_compared_is_said(
    client: FlaskClient, fields: dict[str, Any], said: str
) -> None:
    response = send(client, "compare", **fields)
    assert response.status_code == 422
    assert said in words_of(response)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("..", "list"), (f"{'é' * 150}.csv", f"{'é' * 100}.csv")],
)
def test_a_name_that_no_file_can_have_is_no_mistake(
    client: FlaskClient, name: str, shown: str
) -> None:
    file = upload("Email\na@example.net\n", name)
    assert f"Compared with {shown}" in words_of(send(client, "compare", file=file))


def test_a_name_with_folders_in_it_leads_nowhere(client: FlaskClient) -> None:
    file = upload("Email\na@example.net\n", "../../list.csv")
    assert "Compared with list.csv" in words_of(send(client, "compare", file=file))
