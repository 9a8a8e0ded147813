"""The files of this world: each named nasty, and the right fate for each of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.imports import Import
from repermit.errors import ListFileError
from repermit.rules.consent import Fate, Status
from tests.support.builders import make_list
from tests.support.import_helpers import ATTEST, everything, on_list, take_in
from tests.support.list_files import MAILCHIMP_TITLES, as_csv, write_ods, write_workbook, write_zip

ASK, CONFIRMED, CUSTOMER, ROLE = Fate.ASK, Fate.CONFIRMED, Fate.CUSTOMER, Fate.ROLE
INVALID, OPTED_OUT, DUPLICATE = Fate.INVALID, Fate.OPTED_OUT, Fate.DUPLICATE

SHEET = [["E-mail", "Naam"], ["an@example.org", "An"], ["AN@example.org", "An"], ["x", ""]]
SHEET_FATES = [(2, ASK), (3, DUPLICATE), (4, INVALID)]


@dataclass(frozen=True)
class Nasty:
    """A file, the fates of its rows by line, and who is on the list afterwards, by name."""

    name: str
    content: bytes
    fates: list[tuple[int, Fate]]
    names: dict[str, str]
    file: str = "list.csv"


def text(
    name: str,
    content: str,
    fates: list[tuple[int, Fate]],
    names: dict[str, str],
    *,
    encoding: str = "utf-8",
) -> Nasty:
    return Nasty(name, content.encode(encoding), fates, names)


ZOE = {"zoe@example.org": "Zoë Müller"}

NASTIES = (
    # Encodings.
    text("UTF-8", "email;naam\nzoe@example.org;Zoë Müller\n", [(2, ASK)], ZOE),
    text(
        "UTF-8 with a BOM",
        "email;naam\nzoe@example.org;Zoë Müller\n",
        [(2, ASK)],
        ZOE,
        encoding="utf-8-sig",
    ),
    text(
        "UTF-16 with a BOM",
        "email\tnaam\r\nzoe@example.org\tZoë Müller\r\n",
        [(2, ASK)],
        ZOE,
        encoding="utf-16",
    ),
    text(
        "UTF-16 without a BOM",
        "email;naam\r\nzoe@example.org;Zoë Müller\r\n",
        [(2, ASK)],
        ZOE,
        encoding="utf-16-le",
    ),
    text(
        "UTF-16, big end first",
        "\ufeffemail;naam\r\nzoe@example.org;Zoë Müller\r\n",
        [(2, ASK)],
        ZOE,
        encoding="utf-16-be",
    ),
    text(
        "Windows-1252",
        "email;naam\r\nzoe@example.org;Zoë Müller\r\neuro@example.org;Jan € Jansen\r\n",
        [(2, ASK), (3, ASK)],
        {**ZOE, "euro@example.org": "Jan € Jansen"},
        encoding="cp1252",
    ),
    text(
        "Windows-1252 that shows only after a megabyte of ASCII",
        "email;naam\n" + f"junk;{'x' * 2_000}\n" * 600 + "zoe@example.org;Zoë Müller\n",
        [*((line, INVALID) for line in range(2, 602)), (602, ASK)],
        ZOE,
        encoding="cp1252",
    ),
    # Delimiters and quoting.
    text("commas", "email,naam\na@example.org,An\n", [(2, ASK)], {"a@example.org": "An"}),
    text("semicolons", "email;naam\na@example.org;An\n", [(2, ASK)], {"a@example.org": "An"}),
    text("tabs", "email\tnaam\na@example.org\tAn\n", [(2, ASK)], {"a@example.org": "An"}),
    text(
        "sep=; on the first line",
        "sep=;\r\nemail;naam\r\na@example.org;Jansen, An\r\n",
        [(3, ASK)],
        {"a@example.org": "Jansen, An"},
    ),
    text(
        "a quoted comma",
        'email,naam\na@example.org,"Jansen, An"\n',
        [(2, ASK)],
        {"a@example.org": "Jansen, An"},
    ),
    text(
        "a comma or semicolon before the @, which would leave somebody else's address",
        'email;naam\njan,jansen@example.org;A\n"jan;jansen2@example.org";B\n'
        "tel 0612345678, jansen7@example.org;C\n,jansen9@example.org;D\n"
        '"""quo,ted""@example.org";E\n"quo,ted"@example.org;F\n'
        "Jan, Piet <jan@example.org>;\nz@example.org,;Z\n",
        [*((line, INVALID) for line in range(2, 8)), (8, ASK), (9, ASK)],
        {"jan@example.org": "Jan, Piet", "z@example.org": "Z"},
    ),
    text("UTF-32", "email;naam\nzoe@example.org;Zoë Müller\n", [(2, ASK)], ZOE, encoding="utf-32"),
    text(
        "a quoted line break",
        'email,naam\na@example.org,"An\nJansen"\nb@example.org,Bo\n',
        [(2, ASK), (4, ASK)],
        {"a@example.org": "An Jansen", "b@example.org": "Bo"},
    ),
    text(
        "CR LF and a forged header in a name",
        'email,naam\r\na@example.org,"An\r\nBcc: x@example.net"\r\n',
        [(2, ASK)],
        {"a@example.org": "An Bcc: x@example.net"},
    ),
    # Ends of lines, and what stands above the rows.
    text(
        "lines that end in CR alone",
        "email;naam\ra@example.org;An\rb@example.org;Bo\r",
        [(2, ASK), (3, ASK)],
        {"a@example.org": "An", "b@example.org": "Bo"},
    ),
    text(
        "title lines above the header",
        "Ledenlijst 2026\n\nemail;naam\na@example.org;An\n",
        [(4, ASK)],
        {"a@example.org": "An"},
    ),
    text(
        "no header at all",
        "Kees Jansen;a@example.org\nEls de Vries;b@example.org\n",
        [(1, ASK), (2, ASK)],
        {"a@example.org": "Kees Jansen", "b@example.org": "Els de Vries"},
    ),
    text("a header alone", "email;naam\n", [], {}),
    text(
        "a last line without an end, and blank ones",
        "email\na@example.org\n\n \nb@example.org",
        [(2, ASK), (5, ASK)],
        {"a@example.org": "", "b@example.org": ""},
    ),
    text(
        "a line with a column too many",
        "email,naam\na@example.org,Jansen,An\nb@example.org,Bo\n",
        [(2, INVALID), (3, ASK)],
        {"b@example.org": "Bo"},
    ),
    # Addresses.
    text(
        "duplicates in other case",
        "email,naam\nJan@Example.org,Jan\njan@example.ORG,Jan\n",
        [(2, ASK), (3, DUPLICATE)],
        {"Jan@example.org": "Jan"},
    ),
    text(
        "one address under two names",
        "email,naam\nfam@example.org,Jan\nfam@example.org,Els\n",
        [(2, ASK), (3, DUPLICATE)],
        {"fam@example.org": ""},
    ),
    text(
        "an IDN and its A-label",
        "email,naam\nhans@straße.example.org,Hans\nhans@xn--strae-oqa.example.org,Hans\n",
        [(2, ASK), (3, DUPLICATE)],
        {"hans@xn--strae-oqa.example.org": "Hans"},
    ),
    text(
        "an address of 300 characters",
        f"email\n{'x' * 288}@example.org\na@example.org\n",
        [(2, INVALID), (3, ASK)],
        {"a@example.org": ""},
    ),
    text(
        "addresses as address books write them",
        "email\nJan Jansen <jan@example.org>\nmailto:els@example.org\n'bo@example.org';\n",
        [(2, ASK), (3, ASK), (4, ASK)],
        {"jan@example.org": "Jan Jansen", "els@example.org": "", "bo@example.org": ""},
    ),
    text(
        "two addresses in one cell",
        "email,naam\na@example.org; b@example.org,An\n",
        [(2, ASK), (2, ASK)],
        {"a@example.org": "An", "b@example.org": "An"},
    ),
    text(
        "no address, half an address, two signs",
        "email,naam\n,An\na@,Bo\na@@example.org,Cy\nd@example.org,Di\n",
        [(2, INVALID), (3, INVALID), (4, INVALID), (5, ASK)],
        {"d@example.org": "Di"},
    ),
    text(
        "a shared mailbox",
        "email\ninfo@example.org\n",
        [(2, ROLE)],
        {"info@example.org": ""},
    ),
    text(
        "a formula in a name and for an address",
        'email,naam\na@example.org,"=HYPERLINK(""http://x"")"\n=1+1,Bo\n',
        [(2, ASK), (3, INVALID)],
        {"a@example.org": '=HYPERLINK("http://x")'},
    ),
    # What the rows say of consent.
    text(
        "opted out, in two of a status's words",
        "email,status\na@example.org,unsubscribed\nb@example.org,afgemeld\nc@example.org,actief\n",
        [(2, OPTED_OUT), (3, OPTED_OUT), (4, ASK)],
        {"c@example.org": ""},
    ),
    text(
        "opted out in one row, on the list in another",
        "email,status\na@example.org,active\nA@example.org,unsubscribed\n",
        [(2, DUPLICATE), (3, OPTED_OUT)],
        {},
    ),
    text(
        "“toestemming: ja” without date and source, and “nee”",
        "email,toestemming\na@example.org,ja\nb@example.org,nee\n",
        [(2, ASK), (3, OPTED_OUT)],
        {"a@example.org": ""},
    ),
    text(
        "customers",
        "email,klant\na@example.org,ja\nb@example.org,\n",
        [(2, CUSTOMER), (3, ASK)],
        {"a@example.org": "", "b@example.org": ""},
    ),
    text(
        "a small practice: who is not active, and what the assistant noted",
        "Voornaam;Achternaam;E-mail;Actief;Opmerking\r\n"
        "An;Jansen;an@example.org;ja;\r\n"
        "Bo;De Vries;bo@example.org;nee;\r\n"
        "Cy;Smit;cy@example.org;Ja;wil geen mail meer\r\n"
        "Di;Kok;di@example.org;;wil graag mail\r\n"
        "Ed;Vos;ed@example.org;J;afgemeld 3-5-2021\r\n",
        [(2, ASK), (3, OPTED_OUT), (4, OPTED_OUT), (5, ASK), (6, OPTED_OUT)],
        {"an@example.org": "An Jansen", "di@example.org": "Di Kok"},
        encoding="cp1252",
    ),
    text(
        "ein Verein",
        "Name;E-Mail-Adresse;Newsletter erwünscht?;Bemerkung\r\n"
        "Hans;hans@example.org;ja;\r\n"
        "Eva;eva@example.org;nein danke;\r\n"
        "Ute;ute@example.org;;bitte keine Mails\r\n"
        "Max;max@example.org;;möchte gerne Mails\r\n",
        [(2, ASK), (3, OPTED_OUT), (4, OPTED_OUT), (5, ASK)],
        {"hans@example.org": "Hans", "max@example.org": "Max"},
        encoding="cp1252",
    ),
    text(
        "une association",
        "Prénom;Nom;Courriel;Recevoir la newsletter;Remarques\n"
        "Eva;Petit;eva@example.org;oui;\n"
        "Luc;Grand;luc@example.org;non;\n"
        "Zoé;Roux;zoe@example.org;;Ne plus écrire !\n",
        [(2, ASK), (3, OPTED_OUT), (4, OPTED_OUT)],
        {"eva@example.org": "Eva Petit"},
    ),
    text(
        "a shop",
        "Email,Accepts Marketing,Notes\na@example.org,yes,\nb@example.org,no,\n"
        "c@example.org,yes,do not mail\nd@example.org,yes,Asked to be removed from the list\n"
        "e@example.org,yes,doesn't want emails\n",
        [(2, ASK), (3, OPTED_OUT), (4, OPTED_OUT), (5, OPTED_OUT), (6, OPTED_OUT)],
        {"a@example.org": ""},
    ),
    text(
        "a status that is switched off",
        "email;Status\na@example.org;Actief\nb@example.org;Inactief\nc@example.org;niet actief\n"
        "d@example.org;geblokkeerd\ne@example.org;opted out\nf@example.org;disabled\n",
        [(2, ASK), *((line, OPTED_OUT) for line in range(3, 8))],
        {"a@example.org": ""},
    ),
    text(
        "“Mail: nee” beside the address",
        "Naam;Mailadres;Mail\nAn;an@example.org;ja\nBo;bo@example.org;nee\n",
        [(2, ASK), (3, OPTED_OUT)],
        {"an@example.org": "An"},
    ),
    text(
        "an answer in one's own words",
        "email;Wil je de nieuwsbrief ontvangen?\na@example.org;Ja, graag!\n"
        "b@example.org;liever niet\nc@example.org;nee bedankt\nd@example.org;\n",
        [(2, ASK), (3, OPTED_OUT), (4, OPTED_OUT), (5, ASK)],
        {"a@example.org": "", "d@example.org": ""},
    ),
    text(
        "“subscribed: no”",
        "email,subscribed\na@example.org,yes\nb@example.org,no\nc@example.org,2020-01-01\n",
        [(2, ASK), (3, OPTED_OUT), (4, ASK)],
        {"a@example.org": "", "c@example.org": ""},
    ),
    text(
        "no header, and names that begin like languages",
        "An Jansen;an@example.org;\nDe Vries;de@example.org;\nLa Roi;la@example.org;afgemeld\n",
        [(1, ASK), (2, ASK), (3, OPTED_OUT)],
        {"an@example.org": "An Jansen", "de@example.org": "De Vries"},
    ),
    text(
        "a CRM's opt-out, and what is about telephone calls",
        "First Name,Email,Email Opt Out,Do Not Call\na,a@example.org,true,false\n"
        "b,b@example.org,false,true\nc,c@example.org,0,0\n",
        [(2, OPTED_OUT), (3, ASK), (4, ASK)],
        {"b@example.org": "b", "c@example.org": "c"},
    ),
    text(
        "a parish: photographs, the newsletter, and who has died",
        "Voornaam;Emailadres;Toestemming foto;Nieuwsbrief per mail;Overleden\n"
        "An;a@example.org;nee;ja;\nBo;b@example.org;ja;nee;\nCy;c@example.org;ja;ja;12-3-2020\n",
        [(2, ASK), (3, OPTED_OUT), (4, OPTED_OUT)],
        {"a@example.org": "An"},
    ),
    text(
        "a tag that says it",
        'email,tags\na@example.org,"vip, unsubscribed"\nb@example.org,"vip, newsletter"\n',
        [(2, OPTED_OUT), (3, ASK)],
        {"b@example.org": ""},
    ),
    Nasty(
        "a file of those who left, by its name",
        b"a@example.org\nb@example.org\n",
        [(1, OPTED_OUT), (2, OPTED_OUT)],
        {},
        file="unsubscribed_x.csv",
    ),
    Nasty(
        "a file of bounces, by its name",
        b"email\na@example.org\n",
        [(2, OPTED_OUT)],
        {},
        file="cleaned_x.csv",
    ),
    text(
        "Mailchimp's two times",
        as_csv(
            [
                MAILCHIMP_TITLES,
                ["a@example.org", "An", "", "2", "2021-05-04 10:00:00", "81.2.69.142"] + [""] * 6,
                ["b@example.org", "Bo", "", "2", "", "", "2021-05-04 10:00:00", "81.2.69.142"]
                + [""] * 4,
            ]
        ),
        [(2, CONFIRMED), (3, ASK)],
        {"a@example.org": "An", "b@example.org": "Bo"},
    ),
)

# Files that are no use: what is in them, and a word of what is said of it.
USELESS = (
    ("an empty file", "list.csv", b"", "empty"),
    ("nothing but blank lines", "list.csv", b"\r\n \r\n", "empty"),
    ("a NUL", "list.csv", b"email\na@example.org\nb\0@example.org\n", "NUL"),
    ("a PNG named .csv", "list.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(64), "PNG"),
    ("no column of addresses", "list.csv", b"naam,plaats\nAn,Utrecht\n", "address"),
    ("a quotation mark that stays open", "list.csv", b'email,naam\na@example.org,"An\n', "quot"),
    ("a PDF", "list.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
    ("half a spreadsheet", "list.xlsx", b"PK\x03\x04" + bytes(40), "damaged|spreadsheet|ZIP"),
)


@pytest.mark.parametrize("nasty", NASTIES, ids=lambda nasty: nasty.name)
def test_every_row_of_a_nasty_file_has_its_fate(
    database: Database, tmp_path: Path, nasty: Nasty
) -> None:
    path = tmp_path / nasty.file
    path.write_bytes(nasty.content)
    check(database, path, nasty.fates, nasty.names)


@pytest.mark.parametrize("kind", ["xlsx", "ods"])
def test_every_row_of_a_spreadsheet_has_its_fate(
    database: Database, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"list.{kind}"
    if kind == "xlsx":
        write_workbook(path, {"Leden": SHEET})
    else:
        write_ods(path, SHEET)
    check(database, path, SHEET_FATES, {"an@example.org": "An"})


def test_every_row_of_mailchimps_zip_has_its_fate(database: Database, tmp_path: Path) -> None:
    def member(address: str) -> str:
        return as_csv([MAILCHIMP_TITLES, [address] + [""] * (len(MAILCHIMP_TITLES) - 1)])

    path = write_zip(
        tmp_path / "audience.zip",
        {
            "cleaned_members_1.csv": member("cleaned@example.org"),
            "subscribed_members_1.csv": member("in@example.org"),
            "unsubscribed_members_1.csv": member("IN@example.org"),
        },
    )
    check(database, path, [(2, OPTED_OUT), (2, DUPLICATE), (2, OPTED_OUT)], {})


def test_a_sheet_of_those_who_left_asks_nobody(database: Database, tmp_path: Path) -> None:
    sheets = {"Leden": SHEET[:2], "Afgemeld": [["E-mail"], ["AN@example.org"], ["b@example.org"]]}
    path = write_workbook(tmp_path / "leden.xlsx", sheets)
    check(database, path, [(2, DUPLICATE), (2, OPTED_OUT), (3, OPTED_OUT)], {})


@pytest.mark.parametrize(
    ("file", "content", "said"), [case[1:] for case in USELESS], ids=[case[0] for case in USELESS]
)
def test_a_file_that_is_no_use_says_why_and_changes_nothing(
    *, database: Database, tmp_path: Path, file: str, content: bytes, said: str
) -> None:
    news = make_list(database)
    path = tmp_path / file
    path.write_bytes(content)
    before = everything()
    with pytest.raises(ListFileError, match=f"(?i){said}"):
        take_in(database, news, path)
    assert everything() == before
    assert Import.select().count() == 0


def test_there_are_as_many_nasties_as_were_promised() -> None:
    assert len({nasty.name for nasty in NASTIES}) + len(USELESS) + 3 >= 25


def check(
    database: Database, path: Path, fates: list[tuple[int, Fate]], names: dict[str, str]
) -> None:
    """Import a file and compare the fate of each of its rows, and the list afterwards."""
    news = make_list(database)
    result = take_in(database, news, path, attest=ATTEST)
    reported = [(line, fate) for line, fate in fates if fate not in {ASK, CONFIRMED, CUSTOMER}]
    shown = [(problem.line, problem.fate) for problem in result.problems if problem.line]
    assert shown == reported[: len(shown)]
    assert len(shown) == min(len(reported), 10_000)
    assert result.fates == {fate: sum(found == fate for _, found in fates) for fate in Fate}
    assert result.rows == len(fates)
    contacts = Contact.select().where(Contact.list == news)
    assert {contact.address: contact.name for contact in contacts} == names
    statuses = sorted(status for status, _, _ in on_list(news).values())
    assert statuses == sorted(STATUS[fate] for _, fate in fates if fate in STATUS)


STATUS = {
    ASK: Status.UNCONFIRMED,
    ROLE: Status.UNCONFIRMED,
    CONFIRMED: Status.CONFIRMED,
    CUSTOMER: Status.CUSTOMER,
}
