"""Step 2 of a campaign: handing a file in, looking at it, reading it otherwise, taking it in."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit import email_address
from repermit.db.connection import Database
from repermit.db.models.accounts import Access
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import, Upload
from repermit.db.models.lists import MailingList
from repermit.errors import AddressError
from repermit.imports import import_file, import_report, import_task, undo, uploads
from repermit.imports.readers import open_file
from repermit.imports.readers import rows as readers_rows
from repermit.imports.uploads import get_folder
from repermit.rules.consent import Fate, Reason
from repermit.settings.definitions import Settings
from repermit.web.admin import import_columns, row_fate_text
from repermit.web.admin.page_permissions import get_permissions
from tests.support import translatable_texts as sayings
from tests.support.admin_pages import admin_client, csrf_token, post, words_at
from tests.support.builders import NOW, make_campaign, make_contact, make_list, make_removed
from tests.support.list_files import write_workbook, write_zip
from tests.support.public_pages import Pages, words_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

EDGE = "the-edge-between-two-fields"
FILE = "/admin/lists/news/file"
MIXED = (
    "email,naam,opmerking\n"
    "a@example.org,Anna,\n"
    "info@example.org,,\n"
    "gone@example.org,,\n"
    "=cmd|' /C calc'!A0,Bert,\n"
    "c@example.org,Cees,wil geen mail meer\n"
    "a@example.org,Anne,\n"
)
ATTEST = "They bought from us, were told at the till, and get news of similar products."


@pytest.fixture(autouse=True)
def _no_files_left(settings: Settings) -> Iterator[None]:
    yield
    shutil.rmtree(get_folder(settings))


@pytest.fixture
def admin(pages: Pages) -> FlaskClient:
    return admin_client(pages)


@pytest.fixture(autouse=True)
def news(database: Database) -> MailingList:
    return make_list(database)


def hand_in(admin: FlaskClient, content: str | bytes, name: str = "list.csv") -> TestResponse:
    """Send a file as a browser does; the client would leave a large one open behind it."""
    data = content.encode() if isinstance(content, str) else content
    head = (
        f'--{EDGE}\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n'
        f"{csrf_token(admin)}\r\n"
        f'--{EDGE}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return admin.post(
        f"{FILE}/upload",
        data=b"".join((head.encode(), data, f"\r\n--{EDGE}--\r\n".encode())),
        content_type=f"multipart/form-data; boundary={EDGE}",
    )


def fields_of(page: TestResponse) -> dict[str, Any]:
    """Return what the page's form would send if nothing were changed."""
    return {
        "upload": re.findall(r'name="upload" value="([^"]*)"', page.text)[:1],
        "column": re.findall(r'name="column" value="([^"]*)"', page.text),
        "field": re.findall(r'<option value="([^"]*)" selected>', page.text),
    }


def send(admin: FlaskClient, act: str, **changed: Any) -> TestResponse:
    """Send the form of the page, with what is changed in it."""
    return post(admin, f"{FILE}/{act}", **{**fields_of(admin.get(FILE)), **changed})


def rows_in(page: TestResponse) -> list[str]:
    """Return the addresses that the page's table of rows shows."""
    return re.findall(r'<td class="address">(\S+)</td>', page.text)


def statuses() -> dict[str, str]:
    return {str(one.address): one.status for one in Contact.select()}


# --- Handing in. ----------------------------------------------------------------------------------


def test_the_page_asks_for_a_file(admin: FlaskClient) -> None:
    page = admin.get(FILE)
    assert 'type="file"' in page.text
    assert "At most 100 MB" in words_of(page)
    assert "taken in" not in words_of(page).replace("once it is taken in", "")


def test_a_file_that_is_handed_in_shows_what_would_become_of_it_and_changes_nothing(
    database: Database, news: MailingList, admin: FlaskClient
) -> None:
    make_removed(database, news, Reason.NO, "gone@example.org")
    answer = hand_in(admin, MIXED)
    assert (answer.status_code, answer.location) == (303, FILE)
    page = admin.get(FILE)
    said = words_of(page)
    assert "6 rows, of which 2 would come onto the list. Nothing is taken in yet." in said
    assert "Will be asked 1" in said
    assert "5 =cmd|' /C calc'!A0 Bert Invalid" in said
    assert "This address was taken off before, and is never asked again." in said
    assert "A remark says that this person wants no mail." in said
    assert "(opmerking: wil geen mail meer)" in said
    assert "This address stands in line 2 too, under another name" in said
    assert Contact.select().count() == 1
    assert not Import.select().exists()


def test_looking_at_its_rows_is_noted(admin: FlaskClient) -> None:
    hand_in(admin, MIXED)
    admin.get(FILE)
    noted = Access.select().get()
    assert (noted.act, noted.list) == ("looked", "news")


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "list.csv", "The file is empty. Expected: a list with one address on a line."),
        (b"x", "", "Choose a file first."),
    ],
)
def test_what_is_no_file_is_said_on_the_same_page(
    admin: FlaskClient, content: bytes, name: str, said: str
) -> None:
    answer = hand_in(admin, content, name)
    assert answer.status_code == 422
    assert said in words_of(answer)


def test_a_form_without_a_file_is_answered(admin: FlaskClient) -> None:
    assert post(admin, f"{FILE}/upload").status_code == 422


def test_a_file_too_large_is_refused(admin: FlaskClient) -> None:
    answer = hand_in(admin, bytes(uploads.MAX_SIZE + 1))
    assert answer.status_code == 422
    assert "The file is too large. Expected: at most 100 MB." in words_of(answer)


def test_what_cannot_be_read_says_where_and_can_be_deleted(admin: FlaskClient) -> None:
    hand_in(admin, 'email,naam\na@example.org,"Anna\nb@example.org,\n')
    page = admin.get(FILE)
    assert "Line 2: A quotation mark opens here and is not closed" in words_of(page)
    send(admin, "give-up")
    assert not Upload.select().exists()
    assert "nothing of it was taken in" in words_of(admin.get(FILE))


def test_looking_at_the_first_rows_of_a_file_that_cannot_be_read_is_noted(
    admin: FlaskClient,
) -> None:
    hand_in(admin, "wie,wat\nAnna,a (at) example.org\n")
    assert "a (at) example.org" in admin.get(FILE).text
    assert [one.act for one in Access.select()] == ["looked"]


def test_what_is_no_list_at_all_shows_no_columns(admin: FlaskClient) -> None:
    hand_in(admin, b"%PDF-1.7 and so on", "list.pdf")
    page = admin.get(FILE)
    assert "This file cannot be taken in yet" in words_of(page)
    assert "<select" not in page.text
    assert send(admin, "look").status_code == 303


# --- The columns. ---------------------------------------------------------------------------------


def test_the_columns_are_shown_as_recognised_with_their_first_cells(admin: FlaskClient) -> None:
    hand_in(admin, MIXED)
    page = admin.get(FILE)
    assert fields_of(page) == {
        "upload": [Upload.get().token],
        "column": ["email", "naam", "opmerking"],
        "field": ["address", "name", "remark"],
    }
    assert "Anna · Bert · Cees" in words_of(page)


def test_a_column_is_shown_with_what_only_later_rows_have(admin: FlaskClient) -> None:
    rows = "".join(f"p{n}@example.org,\n" for n in range(2000))
    hand_in(admin, f"email,opmerking\n{rows}late@example.org,bel eerst\n")
    _wait_while_it_works(admin)
    table = words_of(admin.get(FILE)).partition("Is it read rightly?")[2]
    assert "opmerking bel eerst" in table.partition("Where do these addresses")[0]


def test_a_column_can_be_left_unread(admin: FlaskClient) -> None:
    hand_in(admin, MIXED)
    send(admin, "look", field=["address", "name", ""])
    page = admin.get(FILE)
    assert fields_of(page)["field"] == ["address", "name", ""]
    assert "Will be asked 3" in words_of(page)


def test_a_file_whose_addresses_are_not_recognised_lets_one_choose_their_column(
    admin: FlaskClient,
) -> None:
    hand_in(admin, "wie,wat\nAnna,a (at) example.org\nBert,b (at) example.org\n")
    page = admin.get(FILE)
    assert "It is not known which column holds the e-mail addresses" in words_of(page)
    assert "You can also choose below what each column is." in words_of(page)
    assert fields_of(page)["column"] == ["1", "2"]
    send(admin, "look", field=["name", "address"])
    said = words_of(admin.get(FILE))
    assert "What would become of every row" in said
    assert "No @ in the address." in said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (["", "name", "remark"], "Say which column holds the e-mail addresses."),
        (["address", "name", "name"], "“Name” is chosen more than once."),
    ],
)
@pytest.mark.parametrize("act", ["look", "take-in"])
def test_columns_that_cannot_be_so_are_said_and_what_was_chosen_stays(
    admin: FlaskClient, act: str, fields: list[str], said: str
) -> None:
    hand_in(admin, MIXED)
    answer = send(admin, act, field=fields, source="our visitors’ book")
    assert answer.status_code == 422
    assert said in words_of(answer)
    assert fields_of(answer)["field"] == fields
    assert "our visitors’ book" in answer.text
    assert not Import.select().exists()


def test_a_field_that_there_is_none_of_changes_nothing(admin: FlaskClient) -> None:
    hand_in(admin, MIXED)
    send(admin, "look", field=["address", "shoe size", "remark"])
    assert fields_of(admin.get(FILE))["field"] == ["address", "name", "remark"]


def read_columns(path: Path, mapping: dict[str, str]) -> list[import_columns.ShownColumn]:
    return import_columns.list_columns(open_file.preview_file(path, mapping=mapping))


def mapping_after(path: Path, **changed: str) -> dict[str, str]:
    """Return the mapping after other fields were chosen for the columns of these titles."""
    return import_columns.make_mapping(
        path, import_columns.apply_choices(read_columns(path, {}), changed)
    )


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"status": ""},
        {"status": "", "actief": ""},
        {"bedrag": "status"},
        {"status": "remark", "bedrag": "status"},
        {"voornaam": "last_name", "achternaam": "first_name"},
        {"email": "", "email2": "address"},
        {"email2": "address"},
    ],
)
def test_whatever_is_chosen_for_the_columns_is_how_they_are_read(
    tmp_path: Path, changed: dict[str, str]
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "email,voornaam,achternaam,status,actief,bedrag,email2\n"
        "a@example.org,Anna,Berg,subscribed,ja,12,a2@example.org\n",
        "utf-8",
    )
    before = {column.name: column.field for column in read_columns(path, {})}
    after = read_columns(path, mapping_after(path, **changed))
    assert {column.name: column.field for column in after} == {**before, **changed}


def test_columns_without_a_title_or_with_the_same_are_called_by_their_number(
    tmp_path: Path,
) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email,naam,naam,\na@example.org,Anna,Berg,x\n", "utf-8")
    names = [column.name for column in read_columns(path, {})]
    assert names[:3] == ["email", "2", "3"]
    mapping = mapping_after(path, **{"2": "", "3": "last_name"})
    fields = [column.field for column in read_columns(path, mapping)]
    assert fields[:3] == ["address", "", "last_name"]


def test_columns_that_no_page_shows_are_read_for_a_no_whatever_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    titles = ["email", *(f"t{number}" for number in range(import_columns.MAX_COLUMNS))]
    path.write_text(f"{','.join(titles)}\na@example.org\n", "utf-8")
    assert len(read_columns(path, {})) == import_columns.MAX_COLUMNS
    (found,) = open_file.preview_file(path, mapping=mapping_after(path, t0=""))
    assert [column.field for column in found.columns][1:3] == [None, "remark"]
    assert found.columns[-1].field == "remark"


def test_sheets_without_addresses_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "list.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.csv", "email,naam\na@example.org,Anna\n")
        archive.writestr("two.csv", "E-mail adres,naam\nb@example.org,Bert\n")
    shown = read_columns(path, {})
    assert [(one.part, one.title) for one in shown] == [
        ("one.csv", "email"),
        ("one.csv", "naam"),
        ("two.csv", "E-mail adres"),
    ]
    assert not import_columns.find_wrong_choices(shown)
    mapping = import_columns.make_mapping(path, import_columns.apply_choices(shown, {"naam": ""}))
    assert {one.title: one.field for one in read_columns(path, mapping)} == {
        "email": "address",
        "naam": "",
        "E-mail adres": "address",
    }


# --- Row by row. ----------------------------------------------------------------------------------


def test_rows_are_filtered_by_fate_and_shown_a_page_at_a_time(admin: FlaskClient) -> None:
    hand_in(admin, "email\n" + "".join(f"p{n}@example.org\nbad{n}\n" for n in range(60)))
    page = admin.get(f"{FILE}?fate=invalid")
    assert rows_in(page)[::49] == ["bad0", "bad49"]
    following = re.search(r'href="([^"]*)" rel="next"', page.text)
    assert following is not None
    last = admin.get(following[1].replace("&amp;", "&"))
    assert rows_in(last)[::9] == ["bad50", "bad59"]
    assert 'rel="next"' not in last.text
    assert 'rel="prev"' in last.text


def test_a_fate_that_no_row_has_says_so(admin: FlaskClient) -> None:
    hand_in(admin, MIXED)
    assert "There is no such row." in words_of(admin.get(f"{FILE}?fate=customer"))
    assert admin.get(f"{FILE}?fate=nonsense&after=x").status_code == 200
    for name in ("fate=ask&after", "doubts", "off"):
        assert admin.get(f"{FILE}?{name}={'9' * 25}").status_code == 200


def test_a_file_with_a_header_alone_has_no_rows(admin: FlaskClient) -> None:
    hand_in(admin, "email,naam\n")
    assert "There is no row in this file." in words_of(admin.get(FILE))


def test_what_is_not_taken_in_can_be_downloaded_safe_for_a_spreadsheet(
    database: Database, news: MailingList, admin: FlaskClient
) -> None:
    make_removed(database, news, Reason.NO, "gone@example.org")
    hand_in(admin, MIXED)
    kept = Evidence.select().count()
    assert "Download 4 rows that are not taken in (CSV)" in words_at(admin, FILE)
    # A link of any website would do as much.
    assert admin.get(f"{FILE}/refused.csv").status_code == 405
    assert admin.head(f"{FILE}/refused.csv").status_code == 405
    assert Evidence.select().count() == kept
    answer = post(admin, f"{FILE}/refused.csv")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="refused-news.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert [(row["Line"], row["What becomes of it"]) for row in rows] == [
        ("5", "Invalid"),
        ("6", "Opted out"),
        ("4", "Suppressed"),
        ("7", "Duplicate"),
    ]
    assert rows[0]["E-mail address"] == "'=cmd|' /C calc'!A0"
    assert rows[0]["Reason"] == "No @ in the address."
    assert Access.select().where(Access.act == "exported").count() == 1
    entry = Evidence.get(Evidence.event == "exported")
    assert entry.list == "news"
    assert entry.actor.startswith("user:")
    told = json.loads(EvidencePart.get(EvidencePart.seq == entry.seq).json)
    assert (told["what"], told["rows"]) == ("refused", 4)


def test_what_is_not_taken_in_is_dutch_for_whoever_reads_dutch(admin: FlaskClient) -> None:
    hand_in(admin, MIXED)
    fields = {"csrf_token": csrf_token(admin)}
    dutch = {"Accept-Language": "nl"}
    text = admin.post(f"{FILE}/refused.csv", data=fields, headers=dutch).data.decode("utf-8-sig")
    row, *_ = csv.DictReader(io.StringIO(text), delimiter=";")
    assert row["Wat ermee gebeurt"] == "Ongeldig"
    assert row["Reden"] == "Geen @ in het adres."


def test_a_long_download_comes_in_pieces(admin: FlaskClient) -> None:
    hand_in(admin, "email\n" + "bad\n" * 3000)
    text = post(admin, f"{FILE}/refused.csv").data.decode("utf-8-sig")
    assert len(list(csv.reader(io.StringIO(text)))) == 3001


def test_there_is_nothing_to_download_before_it_was_looked_at(admin: FlaskClient) -> None:
    assert post(admin, f"{FILE}/refused.csv").status_code == 404
    hand_in(admin, "%PDF-1.7", "list.pdf")
    assert post(admin, f"{FILE}/refused.csv").status_code == 404


def test_columns_of_yes_and_no_and_people_who_never_subscribed_are_pointed_out(
    admin: FlaskClient,
) -> None:
    hand_in(
        admin, "email,vraag 7\na@example.org,ja\nb@example.org,nee\n", "nonsubscribed_export.csv"
    )
    said = words_of(admin.get(FILE))
    assert "The column “vraag 7” says Yes and No, and it is not known to what." in said
    assert "never subscribed in Mailchimp" in said


# --- Taking in. -----------------------------------------------------------------------------------


def test_taking_in_does_what_was_shown_and_deletes_the_file(admin: FlaskClient) -> None:
    hand_in(admin, MIXED)
    answer = send(admin, "take-in", source="visitors’ book", consent_text="Yes, mail me.")
    assert answer.location == FILE
    said = words_of(admin.get(FILE))
    assert "list.csv is taken in: 3 addresses are on the list now." in said
    assert "Files that were taken in" in said
    assert statuses() == {
        "a@example.org": "unconfirmed",
        "info@example.org": "unconfirmed",
        "gone@example.org": "unconfirmed",
    }
    assert {one.source for one in Contact.select()} == {"visitors’ book"}
    assert Evidence.get(Evidence.event == "imported").actor.startswith("user:")
    assert not Upload.select().exists()


def test_who_was_suppressed_before_is_counted_where_a_file_is_taken_in(
    database: Database, admin: FlaskClient, news: MailingList
) -> None:
    href = 'href="/admin/lists/news/suppressions"'
    hand_in(admin, "email\na@example.org\n")
    send(admin, "take-in")
    assert href not in admin.get(FILE).text
    make_removed(database, news, Reason.NO, "no@example.org")
    Contact.delete().where(Contact.address == "no@example.org").execute()
    hand_in(admin, "email\nb@example.org\nno@example.org\n", "more.csv")
    send(admin, "take-in")
    page = admin.get(FILE)
    assert "Suppressed 1" in words_of(page)
    assert page.text.count(href) == 1
    post(admin, f"{FILE}/undo")
    assert href not in admin.get(FILE).text


def test_what_was_changed_is_shown_again_before_it_is_taken_in(admin: FlaskClient) -> None:
    hand_in(admin, MIXED)
    send(admin, "take-in", field=["address", "name", ""])
    said = words_of(admin.get(FILE))
    assert "You changed how the file is read." in said
    assert "4 rows" not in said
    assert not Import.select().exists()
    send(admin, "take-in")
    assert Import.select().count() == 1


def test_customers_need_their_ground(admin: FlaskClient) -> None:
    hand_in(admin, "email,klant\na@example.org,ja\n")
    answer = send(admin, "take-in")
    assert answer.status_code == 422
    assert "say on what ground they may be mailed" in words_of(answer)
    send(admin, "take-in", attest=ATTEST)
    assert statuses() == {"a@example.org": "customer"}


def test_everybody_can_be_a_customer_but_not_on_a_sensitive_list(
    database: Database, admin: FlaskClient
) -> None:
    with database.atomic():
        MailingList.update(sensitive=True).execute()
    hand_in(admin, "email\na@example.org\n")
    answer = send(admin, "take-in", customers="y", attest=ATTEST)
    assert answer.status_code == 422
    assert "A sensitive list cannot have customers" in words_of(answer)
    hand_in(admin, "email,klant\na@example.org,ja\n")
    assert "choose “not read” for it" in words_of(admin.get(FILE))
    send(admin, "look", field=["address", ""])
    send(admin, "take-in")
    assert statuses() == {"a@example.org": "unconfirmed"}


def test_saying_that_all_are_customers_is_looked_at_first(admin: FlaskClient) -> None:
    hand_in(admin, "email\na@example.org\n")
    send(admin, "take-in", customers="y", attest=ATTEST)
    assert "Customer 1" in words_of(admin.get(FILE))
    send(admin, "take-in", customers="y", attest=ATTEST)
    assert statuses() == {"a@example.org": "customer"}


def test_a_file_that_cannot_be_read_is_not_taken_in(admin: FlaskClient) -> None:
    hand_in(admin, "wie,wat\nAnna,x\n")
    assert send(admin, "take-in").location == FILE
    assert send(admin, "take-in", field=["name", "address"]).location == FILE
    assert "What would become of every row" in words_of(admin.get(FILE))
    assert not Import.select().exists()


@pytest.mark.parametrize("act", ["look", "take-in", "give-up"])
@pytest.mark.parametrize("content", [MIXED, "%PDF-1.7"])
def test_a_page_that_was_about_another_file_does_nothing_to_this_one(
    admin: FlaskClient, act: str, content: str
) -> None:
    hand_in(admin, MIXED)
    earlier = fields_of(admin.get(FILE))
    hand_in(admin, content, "other.csv")
    before = Upload.get()
    answer = post(admin, f"{FILE}/{act}", **{**earlier, "field": ["address", "", ""]})
    assert (answer.status_code, answer.location) == (303, FILE)
    said = words_of(admin.get(FILE))
    assert "Another file was handed in meanwhile." in said
    assert "other.csv" in said
    assert (Upload.get().token, Upload.get().choices) == (before.token, before.choices)
    assert not Import.select().exists()


def test_a_page_that_does_not_say_which_file_it_is_about_does_nothing(admin: FlaskClient) -> None:
    hand_in(admin, MIXED)
    post(admin, f"{FILE}/give-up")
    assert Upload.select().exists()


def test_handing_a_file_in_and_deleting_it_are_entries(admin: FlaskClient) -> None:
    hand_in(admin, MIXED)
    send(admin, "give-up")
    assert not Upload.select().exists()
    acts = [(one.event, one.list) for one in Evidence.select().order_by(Evidence.seq)]
    assert acts == [("handed_in", "news"), ("given_up", "news")]
    assert all(one.actor.startswith("user:") for one in Evidence.select())


def test_waiting_for_a_file_is_asked_for_in_the_background(
    news: MailingList, admin: FlaskClient, settings: Settings
) -> None:
    assert admin.get(f"{FILE}/state.json").json == {"is_busy": False}
    hand_in(admin, MIXED)
    assert admin.get(f"{FILE}/state.json").json == {"is_busy": False}
    kept = uploads.find_upload(news, settings=settings)
    assert kept is not None
    kept.task.forget_result()
    with closing(kept.task.lock()):  # type: ignore[type-var]
        assert admin.get(f"{FILE}/state.json").json == {"is_busy": True}
        assert f'data-again="{FILE}/state.json"' in admin.get(FILE).text
    state = admin.application.view_functions["imports.show_state"]
    assert get_permissions(state).in_the_background


def test_without_a_file_there_is_nothing_to_do(admin: FlaskClient) -> None:
    for act in ("look", "take-in", "give-up"):
        assert post(admin, f"{FILE}/{act}").status_code == 404


def test_whoever_comes_while_a_file_is_read_is_told_so(
    news: MailingList, admin: FlaskClient, settings: Settings
) -> None:
    hand_in(admin, MIXED)
    kept = uploads.find_upload(news, settings=settings)
    assert kept is not None
    kept.task.forget_result()
    assert "was cut off" in words_of(admin.get(FILE))
    with closing(kept.task.lock()):  # type: ignore[type-var]
        assert "The file is being read" in words_of(admin.get(FILE))
        post(admin, f"{FILE}/give-up", upload=kept.upload.token)
        assert "being worked with" in words_of(admin.get(FILE))
        assert hand_in(admin, MIXED).status_code == 422
        kept.task.save_progress({"takes_in": True})
        assert "The file is being taken in" in words_of(admin.get(FILE))
    send(admin, "look")
    assert "What would become of every row" in words_of(admin.get(FILE))


@pytest.mark.exhaustive
def test_a_large_file_is_read_meanwhile_and_then_shown(admin: FlaskClient) -> None:
    portrait = "x" * 300
    rows = "".join(f"person{number}@example.org,{portrait}\n" for number in range(7_000))
    assert hand_in(admin, f"email,portrait\n{rows}").status_code == 303
    assert "is being read" in words_of(admin.get(FILE))
    _wait_while_it_works(admin)
    said = words_of(admin.get(FILE))
    assert "7,000 rows, of which 7,000 would come onto the list" in said
    send(admin, "take-in")
    _wait_while_it_works(admin)
    assert "Not confirmed 7,000" in words_of(admin.get(FILE))
    assert Contact.select().count() == 7_000


def _wait_while_it_works(admin: FlaskClient) -> None:
    """Wait for the process beside the page, as the page itself does; a minute is for ever."""
    until = time.monotonic() + 60
    while admin.get(f"{FILE}/state.json").json == {"is_busy": True}:
        assert time.monotonic() < until
        time.sleep(0.1)


# --- Taking back. ---------------------------------------------------------------------------------


def test_the_last_file_can_be_taken_back(admin: FlaskClient) -> None:
    hand_in(admin, MIXED)
    send(admin, "take-in")
    assert post(admin, f"{FILE}/undo").location == FILE
    said = words_of(admin.get(FILE))
    assert "Took back list.csv. Contacts taken back: 3; put back as they were: 0;" in said
    assert "taken back:" in said
    assert "Take the last file back" not in said
    assert statuses() == {}


def test_a_large_file_is_taken_back_beside_the_page(database: Database, admin: FlaskClient) -> None:
    hand_in(admin, MIXED)
    send(admin, "take-in")
    record = Import.get()
    record.counts = json.dumps({**json.loads(record.counts), "rows": 1_000_000})
    record.save()
    assert post(admin, f"{FILE}/undo").location == FILE
    page = admin.get(FILE)
    assert "list.csv is being taken back: 0 of 4 so far." in words_of(page)
    assert f'data-again="{FILE}/state.json"' in page.text
    assert 'type="file"' not in page.text
    assert "Take the last file back" not in words_of(page)
    assert admin.get(f"{FILE}/state.json").json == {"is_busy": True}
    launching = admin.get("/admin/lists/news/launch")
    assert "A file is being taken back from this list" in words_of(launching)
    # Whoever presses again, in another window, changes nothing of that.
    assert post(admin, f"{FILE}/undo").location == FILE
    assert len(statuses()) == 3
    undo.finish_undos(database)
    assert statuses() == {}
    assert "taken back:" in words_of(admin.get(FILE))
    assert admin.get(f"{FILE}/state.json").json == {"is_busy": False}


def test_what_cannot_be_taken_back_says_why(
    database: Database, news: MailingList, admin: FlaskClient
) -> None:
    answer = post(admin, f"{FILE}/undo")
    assert answer.status_code == 422
    assert "There is no file that could be taken back." in words_of(answer)
    hand_in(admin, MIXED)
    send(admin, "take-in")
    said = words_of(admin.get(FILE))
    assert "Take the last file back" in said
    assert re.search(r"Not confirmed \d", said)
    assert "Will be asked" not in said
    make_campaign(database, news)
    assert "Take the last file back" not in words_of(admin.get(FILE))
    assert "while a campaign is live" in words_of(post(admin, f"{FILE}/undo"))


# --- Who, and in which words. ---------------------------------------------------------------------


@pytest.mark.exhaustive
def test_every_reason_against_an_address_has_its_words() -> None:
    wrong = (
        "", "a\x07@b.nl", "x" * 400 + "@b.nl", "a.b.nl", "a@b@c.nl", "a,b@c.nl", "a b@c.nl",
        "x" * 65 + "@b.nl", "@b.nl", "a@b,nl", "a@b", "a@b.local", "a\\@b.nl", "a@b_c.nl",
    )  # fmt: skip
    said: set[str] = set()
    for text in wrong:
        with pytest.raises(AddressError) as refused:
            email_address.parse(text)
        said.add(refused.value.reason)
    assert len(said) > 10
    assert said <= set(sayings.said())


def test_every_fate_and_every_field_has_its_words() -> None:
    assert set(row_fate_text.FATE_TITLES) == set(import_report.FATE_REASONS) == set(Fate)
    assert set(import_columns._LABELS) == set(readers_rows.FIELDS)


def test_words_that_leave_a_row_in_doubt_are_shown_with_it(
    database: Database, news: MailingList, admin: FlaskClient
) -> None:
    make_contact(database, news, "here@example.org")
    hand_in(
        admin,
        "email,opmerking\na@example.org,mail niet bekend\nhere@example.org,mail niet bekend\n",
    )
    said = words_of(admin.get(FILE))
    doubt = "Have a look: the file may say that this person wants no mail. (opmerking: mail niet"
    assert f"No registered opt-in: will be asked. {doubt}" in said
    assert f"This address is on the list already. {doubt}" in said


def test_an_address_in_another_part_is_said_to_stand_in_that_part(
    admin: FlaskClient, tmp_path: Path
) -> None:
    sheets = {"Leden": (("email",), ("a@example.org",), ("b@example.org",), ("b@example.org",)),
              "Afgemeld": (("email",), ("c@example.org",), ("a@example.org",))}  # fmt: skip
    path = tmp_path / "leden.xlsx"
    write_workbook(path, sheets)
    hand_in(admin, path.read_bytes(), name=path.name)
    _wait_while_it_works(admin)
    said = words_of(admin.get(FILE))
    assert "Leden, 2 a@example.org Duplicate This address stands in line 3 of Afgemeld too." in said
    assert "Leden, 4 b@example.org Duplicate This address stands in line 3 too." in said


@pytest.mark.parametrize(
    ("cells", "language", "words"),
    [
        (("40271", "mrt"), "en", "1 cell is a number of days, as spreadsheets keep dates (40271)."),
        (("40271", "mrt"), "en", "no date can be read in 1 cell. The day counts as unknown."),
        (("40271", "40272"), "en", "2 cells are numbers of days"),
        (("maart", "mrt"), "en", "no date can be read in 2 cells. Their days count as unknown."),
        (("40271", "mrt"), "nl", "staat in 1 cel een dagnummer"),
        (("40271", "mrt"), "nl", "is in 1 cel geen datum te lezen."),
    ],
)
def test_one_cell_of_a_column_of_dates_is_counted_as_one(
    admin: FlaskClient, cells: tuple[str, str], language: str, words: str
) -> None:
    first, second = cells
    hand_in(admin, f"email,klant sinds\na@example.org,{first}\nb@example.org,{second}\n")
    page = admin.get(FILE, headers={"Accept-Language": language})
    assert words in words_of(page)


def test_people_who_never_subscribed_are_left_out_by_a_tick_that_can_be_taken_back(
    admin: FlaskClient, tmp_path: Path
) -> None:
    name = "nonsubscribed_x.csv"
    people = {"subscribed_x.csv": "a@example.org", name: "b@example.org"}
    members = {part: f"Email Address\n{address}\n" for part, address in people.items()}
    path = write_zip(tmp_path / "audience.zip", members)
    hand_in(admin, path.read_bytes(), name=path.name)
    _wait_while_it_works(admin)
    assert f"Ask nobody in {name}" in words_of(admin.get(FILE))
    for decision, count in (({f"decide-{name}:*": "no"}, 1), ({}, 2)):
        send(admin, "look", doubt=f"{name}:*", **decision)
        _wait_while_it_works(admin)
        page = admin.get(FILE)
        assert f"Will be asked ({count})" in words_of(page)
        assert f"Ask nobody in {name}" in words_of(page)
        assert ('value="no" checked' in page.text) == bool(decision)


@pytest.mark.parametrize(
    ("second", "language", "words"),
    [
        ("nl", "en", "In the column “taal”, 1 cell names no language that is known (klingon)."),
        ("??", "en", "In the column “taal”, 2 cells name no language that is known (klingon)."),
        ("nl", "nl", "In de kolom “taal” noemt 1 cel geen bekende taal (klingon)."),
        ("??", "nl", "In de kolom “taal” noemen 2 cellen geen bekende taal (klingon)."),
    ],
)
def test_a_language_that_nobody_knows_is_named(
    admin: FlaskClient, second: str, language: str, words: str
) -> None:
    hand_in(admin, f"email,taal\na@example.org,klingon\nb@example.org,{second}\nc@example.org,\n")
    assert words in words_of(admin.get(FILE, headers={"Accept-Language": language}))


# --- Rows to look at. -----------------------------------------------------------------------------

DOUBTS = (
    "email,naam,opmerking\n"
    'a@example.org,Anna,"geen post, wel mail"\n'
    "b@example.org,Bert (overl. 2021),\n"
    "c@example.org,Cees,wil geen nwsbrf\n"
    "d@example.org,Dora,wil post\n"
)
"""Two to be looked at, in lines 2 and 3; one who is off, and one who is not."""


def test_rows_that_may_say_no_stand_at_the_top_with_line_and_reason(admin: FlaskClient) -> None:
    hand_in(admin, DOUBTS)
    said = words_of(admin.get(FILE))
    top = said[
        said.index("Have a look at these rows") : said.index("One person is not asked because")
    ]
    assert "2 people will be asked although the file may say that they want no mail." in top
    assert "opmerking: geen post, wel mail a@example.org Do not ask Ask all the same" in top
    assert "naam: Bert (overl. 2021) b@example.org Do not ask Ask all the same" in top
    assert "No registered opt-in" not in top
    assert "c@example.org" not in top
    assert "d@example.org" not in top


def test_a_file_without_such_rows_has_no_such_part(admin: FlaskClient) -> None:
    hand_in(admin, MIXED)
    assert "Have a look at these rows" not in words_of(admin.get(FILE))
    send(admin, "take-in")
    assert statuses()


def test_nothing_is_taken_in_before_they_were_looked_at(admin: FlaskClient) -> None:
    hand_in(admin, DOUBTS)
    page = send(admin, "take-in")
    assert page.status_code == 422
    assert "Some people in this file may want no mail: look at their rows first." in words_of(page)
    assert statuses() == {}
    send(admin, "take-in", looked="y", doubt=["2", "3"])
    assert statuses() == dict.fromkeys(
        ("a@example.org", "b@example.org", "d@example.org"), "unconfirmed"
    )


def test_what_was_ticked_stays_ticked_where_the_file_is_not_taken_in(admin: FlaskClient) -> None:
    """Whoever was ticked would be asked after all, once the page is sent as it then is."""
    hand_in(admin, DOUBTS)
    page = send(admin, "take-in", doubt=["2", "3"], **{"decide-3": "no"})
    assert page.status_code == 422
    assert re.findall(r'name="decide-(\d+)" value="no" checked', page.text) == ["3"]
    send(admin, "look", doubt=["2", "3"], **{"decide-2": "no"})
    send(admin, "take-in", doubt=["2", "3"], **{"decide-3": "no"})
    page = send(admin, "take-in")
    assert page.status_code == 422
    assert re.findall(r'name="decide-(\d+)" value="no" checked', page.text) == ["3"]


@pytest.mark.parametrize("fields", [{}, {"looked": "y", "customers": "y"}])
def test_each_mistake_leads_to_its_field(admin: FlaskClient, fields: dict[str, str]) -> None:
    hand_in(admin, DOUBTS)
    page = send(admin, "take-in", doubt=["2", "3"], **fields)
    assert page.status_code == 422
    (place,) = re.findall(r'<li><a href="#([\w-]+)">', page.text)
    assert place == ("attest" if fields else "looked")
    assert re.findall(rf'<(?:input|textarea)[^>]* id="{place}"', page.text)


def test_a_row_that_the_admin_leaves_out_is_not_said_to_be_off_by_the_file(
    admin: FlaskClient,
) -> None:
    hand_in(admin, DOUBTS)
    send(admin, "look", doubt=["2", "3"], **{"decide-3": "no"})
    said = words_of(admin.get(FILE))
    row = said[said.index("3 b@example.org Bert (overl. 2021) Opted out") :].partition("4 c@")[0]
    assert "Opted out: will never be asked. (naam: Bert (overl. 2021))" in row
    assert "The file says" not in row
    # Nor in what can be downloaded of it.
    download = post(admin, f"{FILE}/refused.csv").text.splitlines()
    (line,) = [one for one in download if "b@example.org" in one]
    assert "The file says" not in line


def test_that_the_file_is_to_be_looked_at_anew_is_said_on_the_page_that_shows_it(
    admin: FlaskClient, news: MailingList, settings: Settings
) -> None:
    """Not on the page that waits for it, which goes on by itself and would take it away."""
    hand_in(admin, DOUBTS)
    send(admin, "take-in", looked="y", field=["address", "name", ""])
    kept = uploads.find_upload(news, settings=settings)
    assert kept is not None
    outcome = kept.task.result
    assert outcome is not None
    kept.task.forget_result()
    with closing(kept.task.lock()):  # type: ignore[type-var]
        page = words_of(admin.get(FILE))
    assert "The file is being read" in page
    assert "Look at what becomes of it now." not in page
    kept.task.save_result(outcome)
    assert "Look at what becomes of it now." in words_of(admin.get(FILE))
    assert "Look at what becomes of it now." not in words_of(admin.get(FILE))


def test_who_is_ticked_is_not_asked_and_can_be_unticked(admin: FlaskClient) -> None:
    hand_in(admin, DOUBTS)
    send(admin, "look", doubt=["2", "3"], **{"decide-3": "no"})
    assert statuses() == {}
    page = admin.get(FILE)
    assert "One person will be asked although" in words_of(page)
    assert re.findall(r'name="decide-(\d+)" value="no" checked', page.text) == ["3"]
    send(admin, "look", doubt=["2", "3"], **{"decide-2": "no"})
    assert re.findall(r'name="decide-(\d+)" value="no" checked', admin.get(FILE).text) == ["2"]
    send(admin, "take-in", looked="y", doubt=["2", "3"], **{"decide-2": "no"})
    assert statuses().keys() == {"b@example.org", "d@example.org"}


def test_what_is_decided_of_rows_holds_at_once(admin: FlaskClient) -> None:
    """Each choice says what it does, so that the file need not be looked at a second time."""
    hand_in(admin, DOUBTS)
    send(admin, "take-in", doubt=["2", "3"], **{"decide-2": "ask", "decide-3": "no"})
    assert statuses().keys() == {"a@example.org", "d@example.org"}


def test_what_was_decided_of_rows_that_are_not_shown_stays(
    admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repermit.web.admin.import_preview.MAX_DOUBTFUL", 1)
    hand_in(admin, DOUBTS)
    page = admin.get(FILE)
    assert re.findall(r'type="radio" name="decide-(\d+)" value="no"', page.text) == ["2"]
    send(admin, "look", doubt=["2"], **{"decide-2": "no"})
    further = re.findall(r'href="([^"]*doubts=[^"]*)"', admin.get(FILE).text)[0]
    assert re.findall(r'type="radio" name="decide-(\d+)" value="no"', admin.get(further).text) == [
        "3"
    ]
    send(admin, "look", doubt=["3"], **{"decide-3": "no"})
    send(admin, "take-in")
    assert statuses().keys() == {"d@example.org"}


def test_whoever_is_to_be_asked_all_the_same_is_decided_on_too(admin: FlaskClient) -> None:
    hand_in(admin, DOUBTS)
    send(admin, "look", doubt=["2", "3"], **{"decide-2": "ask"})
    page = admin.get(FILE)
    assert re.findall(r'name="decide-(\d+)" value="ask" checked', page.text) == ["2"]
    assert "One person will be asked although" in words_of(page)
    # With a decision for each, nothing has to be ticked besides.
    send(admin, "take-in", doubt=["2", "3"], **{"decide-2": "ask", "decide-3": "ask"})
    assert statuses().keys() == {"a@example.org", "b@example.org", "d@example.org"}


def test_the_addresses_of_one_line_get_one_decision(admin: FlaskClient) -> None:
    rows = "a@example.org; b@example.org,An\nc@example.org,Cees\n"
    hand_in(admin, f"email,naam\n{rows}")
    page = admin.get(FILE, query_string={"text": "example"})
    assert re.findall(r'type="checkbox" name="decide-(\d)"', page.text) == ["2", "3"]
    assert ": a@example.org, b@example.org<" in page.text
    assert words_of(page).count("One decision for all addresses of this line.") == 2
    send(admin, "look", doubt=["2", "3"], **{"decide-2": "no"})
    page = admin.get(FILE)
    assert page.text.count('type="radio" name="decide-2" value="no"') <= 1
    send(admin, "take-in")
    assert statuses().keys() == {"c@example.org"}


# --- Whom a remark opts out, and rows with the same remark.

REMARKS = (
    "email,naam,opmerking,status\n"
    "a@example.org,Anna,geen post,\n"
    "b@example.org,Bert,geen post,\n"
    "c@example.org,Cees,wil geen mail,\n"
    "d@example.org,Dora,geen post,afgemeld\n"
    'e@example.org,Eva,"geen post, wel mail",\n'
    'f@example.org,Finn,"geen post, wel mail",\n'
    "g@example.org,Gijs,,\n"
)
"""Two and one whom a remark opts out, one who is off by a status too, and two to be looked at."""


def _read_off_by_remark(page: TestResponse) -> str:
    found: str = re.findall(r'<details id="off".*?</details>', page.text, re.DOTALL)[0]
    return found


def _read_file_facts() -> dict[str, Any]:
    """Return what the record says of the file."""
    parts = EvidencePart.select().where(EvidencePart.part == "consent")
    (facts,) = [one for one in (json.loads(part.json) for part in parts) if "size" in one]
    return dict(facts)


def _send_remarks(admin: FlaskClient, act: str, **decided: str) -> TestResponse:
    """Send the form with decisions on remarks, which stand there by their words."""
    names = {f"decide-{said}": value for said, value in decided.items()}
    return send(admin, act, looked="y", remark=list(decided), **names)


def test_whom_a_remark_opts_out_stand_apart_with_equal_remarks_as_one(admin: FlaskClient) -> None:
    hand_in(admin, REMARKS)
    page = admin.get(FILE)
    off = _read_off_by_remark(page)
    assert "3 people are not asked because of a remark" in off
    assert "and 1 more with the same remark" in off
    assert re.findall(r'name="(?:remark|doubt)" value="([^"]*)"', off) == [
        "opmerking: geen post",
        "4",
    ]
    assert re.findall(r'value="([^"]*)" checked', off) == ["", ""]
    assert "d@example.org" not in off
    assert "No mail, by a remark (3)" in words_of(admin.get(f"{FILE}?fate=opted_out"))
    send(admin, "take-in", looked="y")
    assert statuses().keys() == {"e@example.org", "f@example.org", "g@example.org"}


def test_one_whom_a_remark_opts_out_can_be_asked_all_the_same(admin: FlaskClient) -> None:
    hand_in(admin, REMARKS)
    decided = {"doubt": ["4"], "decide-4": "ask"}
    send(admin, "look", **decided)
    page = admin.get(FILE)
    assert "2 people are not asked because of a remark" in _read_off_by_remark(page)
    assert re.findall(r'name="decide-(4)" value="ask" checked', page.text) == ["4"]
    send(admin, "take-in", looked="y", **decided)
    assert "c@example.org" in statuses()
    assert _read_file_facts()["asked_by_hand"] == 1


def test_one_decision_is_enough_for_all_with_the_same_remark(admin: FlaskClient) -> None:
    hand_in(admin, REMARKS)
    decided = {"opmerking: geen post": "ask", "opmerking: geen post, wel mail": "no"}
    _send_remarks(admin, "look", **decided)
    page = admin.get(FILE)
    shown = re.findall(r'name="decide-(opmerking[^"]*)" value="(\w+)" checked', page.text)
    assert dict(shown) == decided
    # Who is off by a status too is not asked.
    _send_remarks(admin, "take-in", **decided)
    assert statuses().keys() == {"a@example.org", "b@example.org", "g@example.org"}
    facts = _read_file_facts()
    assert (facts["asked_by_hand"], facts["opted_out_by_hand"]) == (2, 2)


def test_one_of_many_with_a_remark_can_be_left_out_by_its_row(admin: FlaskClient) -> None:
    hand_in(admin, REMARKS)
    said = "opmerking: geen post, wel mail"
    page = admin.get(FILE, query_string={"said": said})
    assert addresses_in(page) == ["e@example.org", "f@example.org"]
    boxes = re.findall(r'name="doubt" value="(\d+)" form="reading-form"', page.text)
    assert boxes == ["6", "7"]
    decided = {"remark": [said], f"decide-{said}": "ask", "doubt": boxes, "decide-7": "no"}
    send(admin, "take-in", **decided)
    assert statuses().keys() == {"e@example.org", "g@example.org"}


def test_a_remark_that_is_decided_on_needs_no_tick(admin: FlaskClient) -> None:
    hand_in(admin, REMARKS)
    said = "opmerking: geen post, wel mail"
    assert send(admin, "take-in").status_code == 422
    send(admin, "take-in", remark=[said], **{f"decide-{said}": "ask"})
    assert statuses().keys() == {"e@example.org", "f@example.org", "g@example.org"}


# --- Slips in the domain of an address.

SLIPS = "email,naam\nAnna@gmial.com,Anna\nb@hotmial.com,Bert\nc@example.org,Cees\n"
WRONG_ENDINGS = "email\na@planet.n\nb@ziggo.nl.nl\nc@kpnmail.nll\n"


def test_a_mistyped_domain_is_put_before_the_admin_with_what_may_be_meant(
    admin: FlaskClient,
) -> None:
    hand_in(admin, SLIPS)
    said = words_of(admin.get(FILE))
    top = said[said.index("Have a look at these rows") : said.index("Is it read rightly?")]
    assert "2 addresses look mistyped" in top
    assert "Did you mean Anna@gmail.com?" in top
    assert "Did you mean b@hotmail.com?" in top
    assert "c@example.org" not in top
    page = send(admin, "take-in")
    assert page.status_code == 422
    assert "Some addresses look mistyped: look at their rows first." in words_of(page)


def test_a_mistyped_ending_is_put_before_the_admin_too(admin: FlaskClient) -> None:
    hand_in(admin, WRONG_ENDINGS)
    said = words_of(admin.get(FILE))
    assert "3 addresses look mistyped" in said
    for meant in ("a@planet.nl", "b@ziggo.nl", "c@kpnmail.nl"):
        assert f"Did you mean {meant}?" in said


def test_a_mistyped_address_of_somebody_who_may_want_no_mail_counts_once(
    admin: FlaskClient,
) -> None:
    hand_in(admin, DOUBTS.replace("a@example.org", "a@gmial.com"))
    said = words_of(admin.get(FILE))
    assert "2 people will be asked although the file may say that they want no mail." in said
    assert "looks mistyped" not in said
    assert "Did you mean a@gmail.com?" in said


def test_a_slip_can_be_mended_left_out_or_asked_as_it_is(admin: FlaskClient) -> None:
    hand_in(admin, SLIPS)
    decided = {"doubt": ["2", "3"], "decide-2": "mend", "decide-3": "no"}
    send(admin, "look", **decided)
    page = admin.get(FILE)
    assert "Anna@gmail.com" in rows_in(page)
    assert re.findall(r'value="(\w+)" checked> <span>', page.text) == ["no", "mend"][::-1]
    send(admin, "take-in", **decided)
    assert statuses() == {"Anna@gmail.com": "unconfirmed", "c@example.org": "unconfirmed"}
    parts = EvidencePart.select().where(EvidencePart.part == "consent")
    facts = [json.loads(one.json) for one in parts]
    assert [one["corrected_by_hand"] for one in facts if "corrected_by_hand" in one] == [1]


def test_a_mended_address_that_stands_in_the_file_already_is_asked_once(
    admin: FlaskClient,
) -> None:
    hand_in(admin, "email\nanna@gmial.com\nanna@gmail.com\n")
    send(admin, "look", doubt=["2"], **{"decide-2": "mend"})
    send(admin, "take-in", doubt=["2"], **{"decide-2": "mend"})
    assert statuses() == {"anna@gmail.com": "unconfirmed"}


# --- Finding rows, and leaving one out.


def addresses_in(page: TestResponse) -> list[str]:
    """Return the addresses that the page's table of rows shows, without names."""
    return [cell for cell in rows_in(page) if "@" in cell]


def chips_in(page: TestResponse) -> list[str]:
    """Return the filters of the page, without their counts those of fates."""
    return re.findall(r"<li><a href=[^>]*>([^<]*\(\d+\))</a></li>", page.text)


def test_the_first_filter_is_of_the_rows_to_look_at(admin: FlaskClient) -> None:
    hand_in(admin, DOUBTS + "info@example.org,,\n")
    page = admin.get(FILE)
    assert chips_in(page)[:2] == ["Have a look (3)", "All (5)"]
    assert addresses_in(admin.get(f"{FILE}?look=yes")) == [
        "a@example.org", "b@example.org", "info@example.org",
    ]  # fmt: skip


LOOK_AT = (
    f"{DOUBTS}e@gmial.com,Eva,\nf@gmial.com,Fer,niet afgemeld\n"
    "info@example.org,,\nkantoor@example.org,,\n"
)
"""Three who may want no mail, one of them mistyped; one mistyped; two shared mailboxes."""


def test_the_kinds_of_rows_to_look_at_add_up_to_the_first_filter(admin: FlaskClient) -> None:
    hand_in(admin, LOOK_AT)
    page = admin.get(FILE)
    assert chips_in(page)[0] == "Have a look (6)"
    said = words_of(page)
    assert "3 people will be asked although the file may say that they want no mail." in said
    assert "One address looks mistyped" in said
    assert "2 shared mailboxes are asked too" in said
    finer = chips_in(admin.get(f"{FILE}?look=yes"))[len(chips_in(page)) :]
    assert finer == ["May want no mail (3)", "Shared mailbox (2)", "Looks mistyped (1)"]
    for kind, found in (
        ("doubtful", ["a@example.org", "b@example.org", "f@gmial.com"]),
        ("mistyped", ["e@gmial.com"]),
        ("role", ["info@example.org", "kantoor@example.org"]),
    ):
        assert addresses_in(admin.get(f"{FILE}?look=yes&reason={kind}")) == found


def test_a_row_that_was_looked_at_counts_in_neither(admin: FlaskClient) -> None:
    hand_in(admin, LOOK_AT)
    decided = {"doubt": ["2", "3", "6"], "decide-2": "ask", "decide-3": "no", "decide-6": "mend"}
    send(admin, "look", **decided)
    page = admin.get(FILE)
    assert chips_in(page)[0] == "Have a look (3)"
    assert "One person will be asked although" in words_of(page)
    assert "mistyped" not in words_of(page)
    assert addresses_in(admin.get(f"{FILE}?look=yes")) == [
        "f@gmial.com", "info@example.org", "kantoor@example.org",
    ]  # fmt: skip


def test_without_such_rows_the_first_filter_is_all(admin: FlaskClient) -> None:
    hand_in(admin, "email\na@example.org\n")
    assert chips_in(admin.get(FILE)) == ["All (1)", "Will be asked (1)"]


def test_rows_of_a_fate_are_filtered_by_their_reason(admin: FlaskClient) -> None:
    hand_in(admin, "email\nbad\na@b@example.org\nworse\na@example.org\n")
    page = admin.get(f"{FILE}?fate=invalid")
    finer = chips_in(page)[len(chips_in(admin.get(FILE))) :]
    assert sorted(chip.rpartition(" ")[2] for chip in finer) == ["(1)", "(2)"]
    links = re.findall(r'href="([^"]*reason=[^"]*)"', page.text)
    found = [rows_in(admin.get(link.replace("&amp;", "&"))) for link in links]
    assert sorted(found) == [["a@b@example.org"], ["bad", "worse"]]


def test_a_duplicate_on_the_list_is_told_from_one_in_the_file(
    database: Database, news: MailingList, admin: FlaskClient
) -> None:
    make_contact(database, news, "here@example.org")
    hand_in(admin, "email\nhere@example.org\na@example.org\na@example.org\n")
    chips = chips_in(admin.get(f"{FILE}?fate=duplicate"))
    assert chips[-2:] == ["On the list already (1)", "Twice in the file (1)"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cees", ["c@example.org"]),
        ("B@EX", ["b@example.org"]),
        ("example", ["a@example.org", "b@example.org", "c@example.org", "d@example.org"]),
        ("%", []),
        ("_", []),
        ("\\", []),
    ],
)
def test_rows_are_found_by_a_part_of_address_or_name(
    admin: FlaskClient, text: str, found: list[str]
) -> None:
    hand_in(admin, DOUBTS)
    page = admin.get(FILE, query_string={"text": text})
    assert addresses_in(page) == found
    assert f'name="text" value="{text}"' in page.text


def test_ticks_are_kept_while_other_rows_are_looked_at(admin: FlaskClient) -> None:
    people = "\n".join(f"p{number:03}@example.org" for number in range(120))
    hand_in(admin, f"email\n{people}\n")
    first = admin.get(FILE)
    place = re.findall(r'name="doubt" value="(\d+)" form="reading-form"', first.text)[0]
    kept = send(admin, "ticks", doubt=[place], **{f"decide-{place}": "no"})
    assert kept.status_code == 204
    others = admin.get(f"{FILE}?text=p119")
    other = re.findall(r'name="doubt" value="(\d+)" form="reading-form"', others.text)[0]
    send(admin, "ticks", doubt=[other], **{f"decide-{other}": "no"})
    again = admin.get(FILE)
    ticked = re.findall(r'name="decide-(\d+)" value="no" checked', again.text)
    assert ticked == [place, other]
    assert words_of(again).count("✓ Do not ask") == 1
    # One is unticked; the other stays ticked until the file is taken in.
    fields = {**fields_of(again), "doubt": [place, other], f"decide-{other}": "no"}
    fields.pop(f"decide-{place}", None)
    post(admin, f"{FILE}/look", **fields)
    send(admin, "take-in")
    assert len(statuses()) == 119
    assert "p119@example.org" not in statuses()


def test_one_row_can_be_left_out(admin: FlaskClient) -> None:
    hand_in(admin, "email,naam\na@example.org,Anna\nb@example.org,Bert\n")
    page = admin.get(f"{FILE}?text=bert")
    (place,) = re.findall(r'name="doubt" value="(\d+)" form="reading-form"', page.text)
    send(admin, "look", doubt=[place], **{f"decide-{place}": "no"})
    page = admin.get(FILE)
    assert "Opted out (1)" in chips_in(page)
    assert re.findall(r'name="decide-(\d+)" value="no" checked', page.text) == ["3"]
    send(admin, "take-in")
    assert statuses() == {"a@example.org": "unconfirmed"}


# --- Half taken in. -------------------------------------------------------------------------------


class _Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def test_how_far_a_file_is_taken_in_is_shown_and_it_can_be_taken_back_meanwhile(
    database: Database, admin: FlaskClient, news: MailingList, tmp_path: Path, settings: Settings
) -> None:
    def kill() -> None:
        raise _Killed

    path = tmp_path / "half.csv"
    path.write_text("email\na@example.org\nb@example.org\n", "utf-8")
    with pytest.raises(_Killed):
        import_file.import_file(
            database,
            news,
            path,
            settings=settings,
            now=NOW,
            actor="admin@example.org",
            on_staged=kill,
        )
    import_task.finish_imports(
        database, settings=settings, now=NOW, step=1, should_stop=iter((False, True)).__next__
    )
    page = admin.get(FILE)
    assert "half.csv is being taken in: 1 of 2 addresses so far." in words_of(page)
    assert f'data-again="{FILE}/state.json"' in page.text
    assert 'type="file"' not in page.text
    assert admin.get(f"{FILE}/state.json").json == {"is_busy": True}
    for path_, form in (
        ("/admin/lists/news/handover/export", {"what": "keep", "format": "csv"}),
        ("/admin/lists/news/papers/register", {"format": "html"}),
        ("/admin/lists/news/suppressions/export", {"format": "csv"}),
    ):
        answer = post(admin, path_, **form)
        assert answer.status_code in {409, 422}, path_
        assert "A file is being taken into this list" in words_of(answer)
    assert post(admin, f"{FILE}/undo").location == FILE
    assert "Took back half.csv. Contacts taken back: 1;" in words_of(admin.get(FILE))
    assert statuses() == {}
    assert admin.get(f"{FILE}/state.json").json == {"is_busy": False}
