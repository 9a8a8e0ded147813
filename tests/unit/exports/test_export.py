"""An export as a whole: what is written, for whom, and that it is recorded."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from repermit.db.connection import Database, open_database
from repermit.db.migrations import upgrade_database
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.errors import Refused
from repermit.exports.export import ExportResult, write_export
from repermit.exports.export_rows import TOOL_FORMATS, ExportKind, FileFormat, Tool
from repermit.rules.consent import Basis, Reason, Status
from repermit.signed_links import Links
from tests.support.builders import NOW, make_contact, make_list, make_removed, make_settings, put_in
from tests.support.chain_faults import iter_chain_faults

# 23:30 UTC is the next day in the Netherlands.
LATE = datetime(2025, 12, 31, 23, 30, tzinfo=UTC)

TITLES = {
    Tool.MAILCHIMP: "Email Address,Full Name,Language,Basis,Opt-in Date,Unsubscribe URL",
    Tool.LAPOSTA: "email,volledige naam,taal,grondslag,toestemming sinds,afmeldlink",
    Tool.BREVO: "EMAIL;FULLNAME;LANGUAGE;BASIS;OPTIN_DATE;UNSUBSCRIBE_URL",
    Tool.MAILERLITE: "Email,Full name,Language,Basis,Opt-in date,Unsubscribe URL",
    Tool.OUTLOOK: "First Name,E-mail Address,Categories,Language,User 1,User 2,Web Page",
}
TAKE_OFF = {
    Tool.MAILCHIMP: "Email Address\r\nno@example.org\r\n",
    Tool.LAPOSTA: "email,afmelden\r\nno@example.org,ja\r\n",
    Tool.BREVO: "EMAIL\r\nno@example.org\r\n",
    Tool.MAILERLITE: "Email\r\nno@example.org\r\n",
    Tool.OUTLOOK: "First Name,E-mail Address\r\n,no@example.org\r\n",
}


def run(
    database: Database, mailing_list: MailingList, what: str, **options: Any
) -> tuple[ExportResult, bytes]:
    out = io.BytesIO()
    result = write_export(
        mailing_list,
        what,
        database=database,
        settings=make_settings(),
        now=NOW,
        actor="admin@example.org",
        out=out,
        **options,
    )
    return result, out.getvalue()


def table(data: bytes, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), delimiter=delimiter))


def make_kept(database: Database, mailing_list: MailingList, address: str, **more: Any) -> Contact:
    values = {"status": Status.CONFIRMED, "basis": Basis.ANSWER, "basis_at": LATE, **more}
    return make_contact(database, mailing_list, address, **values)


@pytest.mark.parametrize(
    ("what", "columns"),
    [
        ("keep", ["address", "name", "language", "basis", "since"]),
        ("removed", ["address", "name", "reason", "removed_at"]),
        ("unasked", ["address", "name", "reason"]),
    ],
)
def test_the_columns_are_those_that_are_promised(
    database: Database, what: str, columns: list[str]
) -> None:
    result, data = run(database, make_list(database), what)

    assert table(data) == [columns]
    assert result == ExportResult("news", ExportKind(what), FileFormat.CSV, None, 0, 0, (), 0)


def test_every_export_is_recorded(database: Database) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "a@example.org")

    run(database, mailing_list, "keep", with_links=True, tool="brevo")

    (entry,) = Evidence.select()
    (part,) = EvidencePart.select()
    assert (entry.event, entry.list, entry.actor) == ("exported", "news", "admin@example.org")
    assert entry.at == NOW
    assert json.loads(part.json) == {
        "what": "keep",
        "format": "csv",
        "tool": "brevo",
        "rows": 1,
        "with_links": True,
    }
    assert not list(iter_chain_faults())


def test_links_to_unsubscribe_come_when_asked_for(database: Database) -> None:
    mailing_list = make_list(database)
    contact = make_kept(database, mailing_list, "a@example.org")
    settings = make_settings()

    _, data = run(database, mailing_list, "keep", with_links=True)

    (row,) = csv.DictReader(io.StringIO(data.decode()))
    token = row["unsubscribe_url"].removeprefix("https://ask.example.org/no/")
    assert Links(settings.public_url, settings.secret_keys).read("no", token) == contact.uid


def test_the_same_rows_come_in_every_format(database: Database) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "+a@example.org", name="=1+1", language="nl")
    row = ["+a@example.org", "=1+1", "nl", "answer", "2025-12-31T23:30:00Z"]

    _, as_csv = run(database, mailing_list, "keep", format="csv")
    _, as_json = run(database, mailing_list, "keep", format="json")
    _, as_xlsx = run(database, mailing_list, "keep", format="xlsx")

    assert table(as_csv)[1] == ["'+a@example.org", "'=1+1", *row[2:]]
    assert [list(found.values()) for found in json.loads(as_json)] == [row]
    sheet = openpyxl.load_workbook(io.BytesIO(as_xlsx)).active
    assert [cell.value for cell in sheet[2]] == row


def test_removed_says_how_many_are_erased(database: Database) -> None:
    mailing_list = make_list(database)
    contact = make_removed(database, mailing_list, Reason.NO)
    with database.atomic():
        Contact.update(address=None, address_key=contact.uid, erased_at=NOW).execute()

    result, data = run(database, mailing_list, "removed")

    assert (result.rows, result.erased) == (0, 1)
    assert len(table(data)) == 1


def test_evidence_holds_the_parts_as_objects_in_json(database: Database) -> None:
    mailing_list = make_list(database)
    make_removed(database, mailing_list, Reason.NO, "no@example.org")

    _, data = run(database, mailing_list, "evidence", format="json")

    (record,) = json.loads(data)["entries"]
    parts = record["parts"]
    assert parts["consent"]["content"]["reason"] == "no"
    assert parts["person"]["content"]["address"] == "no@example.org"
    assert "trace" not in parts


# --- For a tool. --------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", Tool)
def test_a_tool_gets_its_own_titles(database: Database, tool: Tool) -> None:
    mailing_list = make_list(database)

    _, with_links = run(database, mailing_list, "keep", tool=tool, with_links=True)
    _, without = run(database, mailing_list, "keep", tool=tool)

    assert with_links.decode("utf-8-sig") == f"{TITLES[tool]}\r\n"
    delimiter = ";" if tool is Tool.BREVO else ","
    assert table(without, delimiter)[0] == TITLES[tool].split(delimiter)[:-1]


@pytest.mark.parametrize("tool", Tool)
def test_a_tool_gets_the_day_as_it_was_in_the_organisations_zone(
    database: Database, tool: Tool
) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "a@example.org", name="Zoë")

    _, data = run(database, mailing_list, "keep", tool=tool)

    (row,) = table(data, ";" if tool is Tool.BREVO else ",")[1:]
    assert {"a@example.org", "Zoë", "answer", "2026-01-01"} <= set(row)


@pytest.mark.parametrize("tool", Tool)
@pytest.mark.parametrize(
    "ground",
    [
        {"status": Status.CUSTOMER, "basis": Basis.CUSTOMER},
        {"basis": Basis.IMPORTED, "basis_at": None},
    ],
    ids=["customer", "no known moment"],
)
def test_a_tool_is_told_of_no_consent_that_was_not_given_then(
    database: Database, tool: Tool, ground: dict[str, Any]
) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "a@example.org", **ground)

    _, data = run(database, mailing_list, "keep", tool=tool)

    titles, row = table(data, ";" if tool is Tool.BREVO else ",")
    told = dict(zip(titles, row, strict=True))
    assert told[TOOL_FORMATS[tool].keep["since"]] == ""
    assert told[TOOL_FORMATS[tool].keep["basis"]] == ground["basis"]


@pytest.mark.parametrize("tool", Tool)
def test_a_tool_gets_of_the_removed_no_more_than_it_needs(database: Database, tool: Tool) -> None:
    mailing_list = make_list(database)
    make_removed(database, mailing_list, Reason.COMPLAINT, "no@example.org")

    _, data = run(database, mailing_list, "removed", tool=tool)

    assert data.decode("utf-8-sig") == TAKE_OFF[tool]


def test_outlook_gets_a_mark_and_one_category(database: Database) -> None:
    mailing_list = make_list(database, name="Nieuws, acties; en meer")
    make_kept(database, mailing_list, "a@example.org")

    _, data = run(database, mailing_list, "keep", tool="outlook")

    assert data.startswith(b"\xef\xbb\xbf")
    assert table(data)[1][2] == "Nieuws acties en meer"


def test_outlook_gets_no_category_that_tells_of_a_sensitive_list(database: Database) -> None:
    mailing_list = make_list(database, slug="hiv", name="Leven met hiv", sensitive=True)
    make_kept(database, mailing_list, "a@example.org")

    _, data = run(database, mailing_list, "keep", tool="outlook")

    assert b"hiv" not in data
    assert table(data)[1][2] == ""


def test_an_address_that_looks_like_a_formula_is_entered_by_hand(database: Database) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "=a@example.org")
    make_kept(database, mailing_list, "b@example.org")

    result, data = run(database, mailing_list, "keep", tool="mailchimp")

    assert (result.rows, result.by_hand) == (1, ("=a@example.org",))
    assert [row[0] for row in table(data)] == ["Email Address", "b@example.org"]


def test_a_tools_spreadsheet_needs_nothing_by_hand(database: Database) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "=a@example.org")

    result, data = run(database, mailing_list, "keep", tool="laposta", format="xlsx")

    assert (result.rows, result.by_hand) == (1, ())
    sheet = openpyxl.load_workbook(io.BytesIO(data)).active
    assert [cell.value for cell in sheet["A"]] == ["email", "=a@example.org"]


@pytest.mark.parametrize(
    ("what", "options", "says"),
    [
        ("removed", {"with_links": True}, "export keep"),
        ("unasked", {"tool": "brevo"}, "this file is not for a tool"),
        ("evidence", {"tool": "brevo"}, "this file is not for a tool"),
        ("keep", {"tool": "brevo", "format": "json"}, "brevo does not take json; it takes csv"),
        ("keep", {"tool": "laposta", "format": "json"}, "it takes csv or xlsx"),
    ],
)
def test_what_does_not_go_together_is_refused(
    database: Database, what: str, options: dict[str, Any], says: str
) -> None:
    mailing_list = make_list(database)

    with pytest.raises(Refused, match=says):
        run(database, mailing_list, what, **options)

    assert not Evidence.select().exists()


@profile(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(alphabet="=+-@;,\"' ab\uff1d", min_size=1, max_size=8), max_size=5))
def test_a_file_for_a_tool_reads_back_with_the_very_addresses(
    sqlite_url: str, names: list[str]
) -> None:
    with open_database(sqlite_url) as database:
        upgrade_database(database)
        mailing_list = make_list(database, slug=new_id())
        wanted = [f"{new_id()}@example.org" for _ in names]
        for address, name in zip(wanted, names, strict=True):
            make_kept(database, mailing_list, address, name=name)
        for tool in Tool:
            _, data = run(database, mailing_list, "keep", tool=tool)
            found = table(data, ";" if tool is Tool.BREVO else ",")[1:]
            place = 1 if tool is Tool.OUTLOOK else 0
            assert [row[place] for row in found] == sorted(wanted)
            assert not [cell for row in found for cell in row if cell.lstrip()[:1] in set("=+-@")]


class Counting(io.RawIOBase):
    """A file that keeps nothing."""

    size = 0

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)


@pytest.mark.exhaustive
@pytest.mark.parametrize("form", [FileFormat.CSV, FileFormat.JSON, FileFormat.XLSX])
def test_memory_stays_flat(sqlite_url: str, form: FileFormat) -> None:
    with open_database(sqlite_url) as database:
        upgrade_database(database)
        mailing_list = make_list(database)
        fill(database, mailing_list, 5_000)
        out = Counting()
        tracemalloc.start()
        try:
            write_export(
                mailing_list,
                "keep",
                database=database,
                settings=make_settings(),
                now=NOW,
                actor="admin@example.org",
                out=out,  # type: ignore[arg-type]
                format=form,
                with_links=True,
            )
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    # A page of rows takes two megabytes; held all at once, these would take ten.
    assert out.size > 250_000
    assert peak < 4_000_000


def fill(database: Database, mailing_list: MailingList, n: int) -> None:
    people = [
        {
            "list": mailing_list.id,
            "uid": new_id(),
            "subject": new_id(),
            "address": f"person{number:06}@example.org",
            "address_key": f"person{number:06}@example.org",
            "name": f"Persoon nummer {number}",
            "status": Status.CONFIRMED,
            "status_at": NOW,
            "basis": Basis.ANSWER,
        }
        for number in range(n)
    ]
    put_in(database, Contact, people)


class BreakingOff(io.RawIOBase):
    """A file that takes so many pieces, and then fails."""

    def __init__(self, pieces: int, failure: type[BaseException]) -> None:
        super().__init__()
        self.pieces = pieces
        self.failure = failure

    def write(self, data: Any) -> int:
        if not self.pieces:
            raise self.failure
        self.pieces -= 1
        return len(data)


@pytest.mark.parametrize("failure", [BrokenPipeError, GeneratorExit])
@pytest.mark.parametrize(("pieces", "rows"), [(0, None), (1, 1), (3, 3)])
def test_an_export_that_is_broken_off_is_recorded_as_far_as_it_came(
    database: Database, failure: type[BaseException], pieces: int, rows: int | None
) -> None:
    mailing_list = make_list(database)
    fill(database, mailing_list, 5)

    with pytest.raises(failure):
        write_export(
            mailing_list,
            "keep",
            database=database,
            settings=make_settings(),
            now=NOW,
            actor="admin@example.org",
            out=BreakingOff(pieces, failure),  # type: ignore[arg-type]
        )

    # The first piece is the titles; the row in hand counts, since some of it may have gone.
    told = [json.loads(part.json) for part in EvidencePart.select()]
    expected = [] if rows is None else [(rows, False)]
    assert [(one["rows"], one["whole"]) for one in told] == expected
    assert [one.event for one in Evidence.select()] == ["exported"] * len(told)
    assert not list(iter_chain_faults())


@pytest.mark.parametrize("what", ["keep", "removed"])
@pytest.mark.parametrize("form", FileFormat)
def test_a_domain_is_written_as_people_write_it(
    database: Database, what: str, form: FileFormat
) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "zoë@bücher.example.org")
    make_removed(database, mailing_list, Reason.NO, "zoë@xn--strae-oqa.example.org")
    expected = {"keep": "zoë@bücher.example.org", "removed": "zoë@straße.example.org"}[what]

    result, data = run(database, mailing_list, what, format=form)

    found = (
        openpyxl.load_workbook(io.BytesIO(data)).worksheets[0] if form is FileFormat.XLSX else None
    )
    text = str(list(found.values)) if found else data.decode()
    assert expected in text
    assert "xn--" not in text
    assert (result.rows, result.twice) == (1, 0)


@pytest.mark.parametrize("tool", Tool)
def test_a_tools_removals_have_both_forms_of_a_domain_and_its_keep_list_one(
    database: Database, tool: Tool
) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "a@bücher.example.org")
    for address in ("b@bücher.example.org", "c@example.org"):
        make_removed(database, mailing_list, Reason.NO, address)

    result, data = run(database, mailing_list, "removed", tool=tool)

    held = [row[1 if tool is Tool.OUTLOOK else 0] for row in table(data)[1:]]
    assert held == ["b@bücher.example.org", "b@xn--bcher-kva.example.org", "c@example.org"]
    assert (result.rows, result.twice) == (3, 1)

    result, data = run(database, mailing_list, "keep", tool=tool)

    assert (result.rows, result.twice) == (1, 0)
    assert "a@bücher.example.org" in data.decode()
