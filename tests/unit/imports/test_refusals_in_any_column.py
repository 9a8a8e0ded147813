"""Refusals are heard in whatever column they stand, and in whatever row."""

from __future__ import annotations

from pathlib import Path

import pytest

from repermit.imports.readers.rows import Row
from tests.support.list_files import as_csv, from_text, opened, write_workbook

UNKNOWN = (
    *("Opmerking 2", "Notitie 2", "Overige info", "Vrij veld", "Vrij veld 1", "Let op"),
    *("Mededeling", "Actie", "Reactie", "Contact", "Details", "Tekst", "Kenmerk"),
    *("Relatie-info", "Status2", "Free text", "Notes internes", ""),
)
BEYOND_THE_SAMPLE = 250


def rows_under(folder: Path, title: str, *texts: str, **mapping: str) -> list[Row]:
    cells = [["E-mailadres", title, "Stad"]]
    cells += [[f"a{number}@example.org", text, "Gent"] for number, text in enumerate(texts)]
    return list(from_text(folder, as_csv(cells, delimiter=";"), **mapping).rows())


def heard(folder: Path, title: str, text: str, **mapping: str) -> tuple[str, bool]:
    """Return the mark that a text under a title makes, and whether something is told of it."""
    (row,) = rows_under(folder, title, text, **mapping)
    return row.opted_out, bool(row.said)


@pytest.mark.parametrize("title", UNKNOWN)
def test_a_refusal_far_below_is_heard_under_whatever_title(tmp_path: Path, title: str) -> None:
    late = ("wil geen post", "overl. 2021", "liever niet", "lid")
    *before, first, second, third, last = rows_under(
        tmp_path, title, *[""] * BEYOND_THE_SAMPLE, *late
    )
    assert not any(row.opted_out or row.said for row in (*before, last))
    assert (first.opted_out, second.opted_out, third.opted_out) == ("remark", "remark", "")
    assert first.said == f"{title or 'column 2'}: wil geen post"
    assert third.said.endswith("liever niet")


def test_a_company_of_such_a_name_is_put_before_the_admin(tmp_path: Path) -> None:
    names = ("No Spam BV", "No Mail Today B.V.", "Stop Spam GmbH", "Geen Reclame N.V.", "No Pub SA")
    notes = ("No spam", "geen mail KG", "Geen mail AG", "geen mail meer bv", "keine Werbung KG")
    for title in ("Bedrijf", "Vrij veld", "Bron"):
        for name in (*names, "Kein Spam Heute e.V."):
            assert heard(tmp_path, title, name) == ("", True), name
        for note in (*notes, "no mail llc", "GEEN MAIL KG", "Keine Werbung GmbH"):
            assert heard(tmp_path, title, note) == ("remark", True), note
    assert heard(tmp_path, "Opmerkingen", "Geen mail Jansen BV") == ("remark", True)
    assert heard(tmp_path, "Opmerkingen", "No Spam BV") == ("remark", True)


@pytest.mark.parametrize("text", ["liever niet", "alleen post", "bezwaar"])
def test_a_doubtful_word_under_an_unknown_title_is_put_before_the_admin(
    tmp_path: Path, text: str
) -> None:
    rows = rows_under(tmp_path, "Vrij veld", "lid", "belt vaak", text)
    assert [row.said for row in rows] == ["", "", f"Vrij veld: {text}"]


@pytest.mark.parametrize(
    ("title", "text"),
    [
        *(("Straat", "Geen"), ("Straat", "Weg 12"), ("Plaats", "Nooitgedacht"), ("Plaats", "Post")),
        *(("Bedrijf", "De Nee"), ("Bedrijf", "Mailing Stoof"), ("Functie", "geen")),
        *(
            ("Functie", "marketing manager"),
            ("Telefoon", "+31 6 12345678"),
            ("Postcode", "1234 AB"),
        ),
        *(("Foto's", "nee"), ("SMS", "no"), ("Website", "https://example.org/unsubscribe?u=1")),
        *(("Voorletters", "G.P."), ("UUID", "3f2a9c1e-77aa-4b1d-9d01-0c5e1f2a3b4c")),
        *(("Link", "www.example.org/afmelden"), ("Afzender", "unsubscribe@example.org")),
    ],
)
def test_what_else_people_note_of_somebody_is_no_refusal(
    tmp_path: Path, title: str, text: str
) -> None:
    cells = [["E-mailadres", "Voornaam", title], ["a@example.org", "Jan", text]]
    (row,) = from_text(tmp_path, as_csv(cells)).rows()
    assert (row.opted_out, row.said) == ("", "")


@pytest.mark.parametrize(
    ("title", "text"),
    [
        *(("SMS Marketing Consent", "UNSUBSCRIBED"), ("SMS Marketing: Status", "unsubscribed")),
        *(("WHATSAPP_STATUS", "afgemeld"), ("Push consent", "unsubscribed"), ("SMS", "STOP")),
        *(("HasOptedOutOfFax", "1"), ("Fax Opt Out", "true"), ("SMS opt-out", "yes")),
    ],
)
def test_who_left_another_channel_has_not_left_the_mail(
    tmp_path: Path, title: str, text: str
) -> None:
    assert heard(tmp_path, title, text) == ("", False)


@pytest.mark.parametrize(
    ("title", "text"),
    [
        *(("Email/SMS consent", "unsubscribed"), ("Nieuwsbrief of sms", "afgemeld")),
        *(("SMS", "wil geen mail meer"), ("Fax", "geen post en geen mail")),
    ],
)
def test_what_is_said_of_mail_under_another_channel_is_heard(
    tmp_path: Path, title: str, text: str
) -> None:
    assert heard(tmp_path, title, text)[1]


@pytest.mark.parametrize(
    "title",
    [
        *("Marketing emails delivered", "Marketing emails replied", "Marketing emails sent"),
        *("Marketing emails bounced", "Newsletters sent", "Zugestellte Marketing-E-Mails"),
    ],
)
def test_a_count_of_mails_is_no_answer(tmp_path: Path, title: str) -> None:
    for text in ("0", "3"):
        assert heard(tmp_path, title, text) == ("", False)


@pytest.mark.parametrize("title", ["May be sent newsletters", "Newsletter darf gesendet werden"])
def test_whether_a_newsletter_may_be_sent_is_a_question(tmp_path: Path, title: str) -> None:
    assert heard(tmp_path, title, "no") == ("unsubscribed", True)


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("Marketing contact status", "Marketing contact"),
        ("Marketingkontakt-Status", "Marketingkontakt"),
        ("Status marketingcontact", "Marketingcontact"),
    ],
)
def test_a_marketing_contact_is_nobody_to_look_at(tmp_path: Path, title: str, text: str) -> None:
    assert heard(tmp_path, title, text) == ("", False)


def test_a_bare_no_is_doubtful_beside_other_words_and_else_a_question(tmp_path: Path) -> None:
    rows = rows_under(tmp_path, "Reactie", "belt vaak", "lid", "nee")
    assert [row.said for row in rows] == ["", "", "Reactie: nee"]
    rows = rows_under(tmp_path, "Mag", "ja", "nee", "ja", "weet niet", "liever niet", "ja")
    assert [row.said for row in rows] == ["", "", "", "", "Mag: liever niet", ""]


@pytest.mark.parametrize(
    ("title", "texts", "asked"),
    [
        ("Country code", ("NLD", "AUS", "GBR", "AUS", "NLD"), False),
        ("Country", ("AUS", "AUS", "AUS"), False),
        ("Aanmelding", ("beurs", "uit", "website", "Off", "beurs"), False),
        ("Geluid", ("aan", "uit", "aan"), True),
        ("Heizung", ("ein", "aus", "an", "ein"), True),
    ],
)
def test_a_switch_is_asked_about_once_and_its_word_in_a_column_of_others_is_none(
    tmp_path: Path, title: str, texts: tuple[str, ...], *, asked: bool
) -> None:
    cells = [[f"a{number}@example.org", text] for number, text in enumerate(texts)]
    file = from_text(tmp_path, as_csv([["E-mailadres", title], *cells]))
    assert not any(row.opted_out or row.said for row in file.rows())
    assert [one.column for one in file.find_ambiguous_columns()] == [title] * asked
    rows = rows_under(tmp_path, "Opmerkingen", *texts)
    assert any(row.said for row in rows)


def test_what_the_admin_says_is_not_to_be_read_is_not(tmp_path: Path) -> None:
    assert heard(tmp_path, "Vrij veld", "wil geen post", remark="") == ("", False)
    assert heard(tmp_path, "Vrij veld", "wil geen post", remark="Stad\n") == ("", False)
    assert heard(tmp_path, "Vrij veld", "wil geen post", remark="Stad") == ("remark", True)


def test_a_column_whose_meaning_another_takes_over_is_still_heard(tmp_path: Path) -> None:
    assert heard(tmp_path, "Abonnee sinds", "opgezegd 2019", since="Stad") == ("remark", True)
    assert heard(tmp_path, "Abonnee sinds", "opgezegd 2019", since="") == ("", False)


# --- Beyond the last title.


@pytest.mark.parametrize("at", [0, BEYOND_THE_SAMPLE])
def test_in_a_sheet_what_stands_beyond_the_last_title_is_heard(tmp_path: Path, at: int) -> None:
    cells = [["E-mailadres", "Stad"]]
    cells += [[f"a{number}@example.org", "Gent"] for number in range(BEYOND_THE_SAMPLE + 10)]
    cells[at + 1] += ["", "wil geen post"]
    cells[at + 2] += ["liever niet"]
    rows = list(opened(write_workbook(tmp_path / "a.xlsx", {"Blad1": cells})).rows())
    assert (rows[at].opted_out, rows[at].said) == ("remark", "column 4: wil geen post")
    assert (rows[at + 1].opted_out, rows[at + 1].said) == ("", "column 3: liever niet")
    assert [row for row in rows if row.said] == rows[at : at + 2]


# --- Columns with a meaning of their own.


@pytest.mark.parametrize(
    ("title", "text"),
    [
        *(("Lid sinds", "opgezegd 2019"), ("Lid sinds", "overleden"), ("Klant", "wil geen post")),
        *(("Klant sinds", "opgezegd 2019"), ("Herkomst", "wil geen post"), ("Taal", "geen mail")),
        *(("Taal", "nl, wil geen post"), ("Tussenvoegsel", "overleden"), ("Bron", "afgemeld 2020")),
        *(("Toestemming op", "uitgeschreven"), ("Opt-in IP", "geen mail"), ("Formulier", "stop")),
    ],
)
def test_a_refusal_in_a_column_of_something_else_is_heard(
    tmp_path: Path, title: str, text: str
) -> None:
    assert heard(tmp_path, title, text) == ("remark", True)


@pytest.mark.parametrize(
    ("title", "text"),
    [("Lid sinds", "d. 2021"), ("Klant sinds", "gestopt"), ("Bron", "bezwaar"), ("Taal", "†")],
)
def test_a_doubtful_word_in_a_column_of_something_else_is_shown(
    tmp_path: Path, title: str, text: str
) -> None:
    assert heard(tmp_path, title, text)[1]


@pytest.mark.parametrize(
    ("title", "text"),
    [
        *(("Lid sinds", "3-5-2020"), ("Lid sinds", "nee"), ("Lid sinds", "2020-05-03 10:00:00")),
        *(("Klant", "nee"), ("Klant", "K-17"), ("Klant sinds", "1998"), ("Taal", "no")),
        *(("Taal", "NO"), ("Taal", "Nederlands"), ("Bron", "beurs"), ("Bron", "nieuwsbrief 2019")),
        *(("Tussenvoegsel", "van der"), ("Opt-in IP", "192.0.2.7"), ("Toestemming op", "nee")),
        ("Aanmeldpagina", "https://example.org/stop/afmelden"),
    ],
)
def test_what_belongs_in_a_column_is_no_refusal(tmp_path: Path, title: str, text: str) -> None:
    assert heard(tmp_path, title, text) == ("", False)
