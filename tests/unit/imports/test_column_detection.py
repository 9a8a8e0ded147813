"""Where the header is, and which column is what."""

from __future__ import annotations

import pytest

from repermit.errors import ListFileError
from repermit.imports.column_detection import DetectedColumns, check_mapping, find_columns
from repermit.imports.newsletter_tools import GENERIC, find_field


def found(*records: str, **mapping: str) -> DetectedColumns:
    sample = [(line, record.split(";")) for line, record in enumerate(records, 1) if record]
    return find_columns(sample, mapping)


def fields(*records: str, **mapping: str) -> list[str | None]:
    return [column.field for column in found(*records, **mapping).columns]


def refusal(*records: str, **mapping: str) -> str:
    with pytest.raises(ListFileError) as caught:
        found(*records, **mapping)
    return str(caught.value)


@pytest.mark.parametrize(
    "title",
    [
        "Email",
        "E-mailadres",
        "e-mail address",
        "E-Mail-Adresse",
        "Adresse e-mail",
        "Adresse de messagerie",
        "Courriel",
        "E-mail 2 Address",
        "E-Mail 3: Adresse",
        "E-mailadres 2",
        "E-mail 1 - Value",
        "Adresse électronique",
        "E-mail (werk)",
        "Subscriber",
        "Mail",
    ],
)
def test_a_column_of_addresses_is_known_by_its_title(title: str) -> None:
    assert fields(f"{title};x") == ["address", "remark"]


@pytest.mark.parametrize(
    "title", ["E-mail Type", "E-mail 1 - Label", "E-mail Display Name", "E-mailtype 2"]
)
def test_a_column_about_addresses_is_not_one_of_addresses(title: str) -> None:
    assert fields(f"email;{title}") == ["address", "remark"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "E-mail;Voornaam;Tussenvoegsel;Achternaam;Taal",
            "address first_name middle_name last_name language",
        ),
        ("E-Mail;Vorname;Nachname;Sprache", "address first_name last_name language"),
        ("Courriel;Prénom;Nom;Langue", "address first_name last_name language"),
        ("Email;First Name;Last Name;Language", "address first_name last_name language"),
        ("email;status;afgemeld op;bron;klant", "address status opted_out_at source customer"),
        ("email;Toestemming;Opt-in datum;Opt-in IP", "address consent consent_at consent_ip"),
        ("email;Op de lijst sinds", "address since"),
        ("email;On the list since", "address since"),
        ("email;Auf der Liste seit", "address since"),
        ("email;Sur la liste depuis", "address since"),
        ("email;Abonnee sinds;Hard bounce;Klacht", "address since cleaned_at complained_at"),
        ("email;Einwilligung am;Anmeldeformular", "address consent_at consent_source"),
        ("email;Désabonné le;Client", "address opted_out_at customer"),
        ("email;Nieuwsbrief ja/nee;Klant (j/n)", "address consent customer"),
        ("email;Newsletter (yes/no)", "address consent"),
        ("email;Nieuwsbrief ontvangen?", "address consent"),
        ("email;Wil je de nieuwsbrief?;AVG akkoord", "address consent consent"),
        ("email;Recevoir la newsletter;Mailing (j/n)", "address consent consent"),
        ("email;Actief;Aktiv;Active?;Estactif", "address active active active active"),
        ("email;Ingeschreven;Abonné;Angemeldet", "address active active active"),
        ("email;Geen nieuwsbrief;No newsletter", "address opted_out_at opted_out_at"),
        ("email;Nieuwsbrief afgemeld;Inactief", "address opted_out_at opted_out_at"),
        ("email;Email Opt Out;Overleden", "address opted_out_at opted_out_at"),
        (
            "email;Unsubscribed from all email;Nicht kontaktieren",
            "address opted_out_at opted_out_at",
        ),
        ("email;Opmerking;Notities;Notes;Tags", "address remark remark remark remark"),
        ("email;Bemerkung;Notizen;Remarque", "address remark remark remark"),
    ],
)
def test_titles_are_known_in_four_languages(header: str, expected: str) -> None:
    assert fields(header) == expected.split()


@pytest.mark.parametrize(
    "header",
    [
        "Имейл;Име;Фамилия;Език;Статус",
        "E-mailová adresa;Jméno;Příjmení;Jazyk;Stav",
        "E-mailadresse;Fornavn;Efternavn;Sprog;Status",
        "Διεύθυνση e-mail;Όνομα;Επώνυμο;Γλώσσα;Κατάσταση",
        "Correo electrónico;Nombre;Apellidos;Idioma;Estado",
        "E-posti aadress;Eesnimi;Perekonnanimi;Keel;Staatus",
        "Sähköpostiosoite;Etunimi;Sukunimi;Kieli;Tila",
        "Seoladh ríomhphoist;Céadainm;Sloinne;Teanga;Stádas",
        "Adresa e-pošte;Ime;Prezime;Jezik;Stanje",
        "E-mail cím;Keresztnév;Vezetéknév;Nyelv;Állapot",
        "Indirizzo di posta elettronica;Nome;Cognome;Lingua;Stato",
        "El. pašto adresas;Vardas;Pavardė;Kalba;Būsena",
        "E-pasta adrese;Vārds;Uzvārds;Valoda;Statuss",
        "Indirizz tal-email;Isem;Kunjom;Lingwa;Stejtus",
        "Adres e-mail;Imię;Nazwisko;Język;Status",
        "Endereço de e-mail;Nome;Apelido;Idioma;Estado",
        "Adresă de e-mail;Prenume;Nume;Limbă;Stare",
        "E-mailová adresa;Meno;Priezvisko;Jazyk;Stav",
        "E-poštni naslov;Ime;Priimek;Jezik;Stanje",
        "E-postadress;Förnamn;Efternamn;Språk;Status",
    ],
)
def test_a_persons_titles_are_known_in_every_further_language(header: str) -> None:
    assert fields(header) == ["address", "first_name", "last_name", "language", "status"]


@pytest.mark.parametrize("title", ["Име", "Jméno", "Navn", "Όνομα", "Nombre", "Név", "Nome"])
def test_a_name_that_stands_alone_is_a_whole_one(title: str) -> None:
    assert fields(f"email;{title}") == ["address", "name"]


@pytest.mark.parametrize(
    "title",
    [
        *("Toestemming foto's", "SMS marketing", "Double opt-in", "Laatste nieuwsbrief"),
        *("SMS opt-out", "Do not call", "Unsubscribe link", "Marketing contact status"),
        *("Nieuwsbrief datum", "Newsletter language", "Consent photo", "Akkoord voorwaarden"),
    ],
)
def test_a_question_about_something_else_is_no_consent(title: str) -> None:
    assert fields(f"email;{title}") == ["address", "remark"]


def test_the_better_title_for_a_field_wins() -> None:
    assert fields("email;Voorletters;Voornaam") == ["address", "remark", "first_name"]
    assert fields("email;Voornaam;Voorletters") == ["address", "first_name", "remark"]


def test_every_column_that_says_no_counts() -> None:
    assert fields("email;blacklisted;afgemeld") == ["address", "opted_out_at", "opted_out_at"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("email;Naam;Voornaam", "address last_name first_name"),
        ("email;Name;Last name", "address first_name last_name"),
        ("email;Name;Given Name;Family Name", "address name first_name last_name"),
        ("email;Naam", "address name"),
        ("email;Full name;First name", "address name first_name"),
    ],
)
def test_a_name_beside_a_part_of_it_is_the_other_part(header: str, expected: str) -> None:
    assert fields(header) == expected.split()


def test_title_lines_stand_above_the_header() -> None:
    result = found(
        "Ledenlijst 2024", "", "Gemaakt door Jan;;", "Nr;E-mail;Naam", "1;a@example.org;A"
    )
    assert (result.header_line, result.first_line) == (4, 5)
    assert [column.title for column in result.columns] == ["Nr", "E-mail", "Naam"]


def test_a_header_alone_has_no_data() -> None:
    result = found("email;naam;")
    assert (result.header_line, result.first_line, len(result.columns)) == (1, 2, 2)


def test_a_header_of_unknown_titles_is_one_if_it_is_as_wide_as_the_data() -> None:
    result = found("Wie;Waar", "Jan;a@example.org", "Piet;b@example.org")
    assert result.header_line == 1
    assert [column.field for column in result.columns] == ["remark", "address"]


def test_a_title_line_is_no_header() -> None:
    result = found("Ledenlijst 2024", "a@example.org;Jan", "b@example.org;Piet")
    assert (result.header_line, result.first_line) == (0, 2)
    assert [column.field for column in result.columns] == ["address", "name"]


def test_only_the_likeliest_column_counts_under_unknown_titles() -> None:
    rows = ("a@example.org;z@example.org", "b@example.org;", "c@example.org;x")
    assert fields("Wie;Aanbrenger", *rows) == ["address", "remark"]


def test_columns_without_titles_are_known_by_content() -> None:
    rows = ("nl;a@example.org;Jan;actief;1", "fr;b@example.org;Piet;afgemeld;2")
    assert fields(*rows) == ["language", "address", "name", "status", "remark"]
    assert found(*rows).header_line == 0


@pytest.mark.parametrize(
    "names", [("An Jansen", "De Vries"), ("An", "Bo"), ("De Vries", "La Fontaine")]
)
def test_names_that_begin_like_codes_of_languages_are_names(names: tuple[str, str]) -> None:
    first, second = names
    assert fields(f"{first};a@example.org", f"{second};b@example.org") == ["name", "address"]


@pytest.mark.parametrize("codes", [("nl", "fr"), ("NL", "fr-BE"), ("nl_NL", "Deutsch")])
def test_codes_and_names_of_languages_are_languages(codes: tuple[str, str]) -> None:
    first, second = codes
    assert fields(f"{first};a@example.org", f"{second};b@example.org") == ["language", "address"]


def test_a_column_without_a_title_is_no_name_if_a_refusal_is_in_it() -> None:
    rows = ("An;a@example.org;", "Bo;b@example.org;wil geen mail", "Cy;c@example.org;belt vaak")
    assert fields(*rows) == ["name", "address", "remark"]


def test_what_has_no_other_meaning_is_read_for_remarks_unless_the_admin_says_otherwise() -> None:
    header, row = "email;Veld 7;Straat;Opmerking", "a@example.org;;Kerkstraat;lid"
    assert fields(header, row) == ["address", "remark", "remark", "remark"]
    assert fields(header, row, remark="") == ["address", None, None, None]
    assert fields(header, row, remark="Veld 7\nOpmerking\n") == [
        *("address", "remark", None, "remark")
    ]


def test_a_number_among_several_columns_is_that_of_one_without_a_title() -> None:
    # Another sheet of the same workbook has no title over its second column.
    assert fields("email;Naam", "a@example.org;Jan", remark="2\n") == ["address", "name"]
    assert fields("email;;x", "a@example.org;lid;y", remark="2\n") == ["address", "remark", None]
    assert fields("email;x;x", "a@example.org;y;z", remark="2\n") == ["address", "remark", None]


@pytest.mark.parametrize("header", [(), ("Wie;email;Mag",)])
def test_a_yes_or_no_to_what_nobody_knows_may_be_a_question(header: tuple[str, ...]) -> None:
    result = found(*header, "An;a@example.org;ja", "Bo;b@example.org;nee", "Cy;c@example.org;")
    assert result.unknown == (2,)
    assert [column.field for column in result.columns] == [
        "remark" if header else "name",
        "address",
        "remark",
    ]


@pytest.mark.parametrize("answers", [("ja", "ja"), ("", ""), ("", "nee")])
def test_a_column_that_so_far_says_nothing_else_may_be_a_question(answers: tuple[str, str]) -> None:
    first, second = answers
    assert found("email;Mag", f"a@example.org;{first}", f"b@example.org;{second}").unknown == (1,)


@pytest.mark.parametrize("answers", [("1", "0"), ("nee", "Utrecht")])
def test_a_column_that_says_something_else_is_no_question(answers: tuple[str, str]) -> None:
    first, second = answers
    assert found("email;Mag", f"a@example.org;{first}", f"b@example.org;{second}").unknown == ()


def test_a_column_that_a_tool_means_nothing_by_is_no_question() -> None:
    header = "EMAIL;DOUBLE_OPT-IN;ADDED_TIME;MODIFIED_TIME"
    assert found(header, "a@example.org;No;2024-01-01;2024-01-01").unknown == ()


def test_a_column_about_something_else_than_mail_is_no_question() -> None:
    assert found("email;Foto's", "a@example.org;ja", "b@example.org;nee").unknown == ()


def test_a_column_that_the_admin_says_is_none_is_no_question() -> None:
    assert found("email;Klant", "a@example.org;ja", "b@example.org;nee", customer="").unknown == ()


@pytest.mark.parametrize(
    ("title", "field"),
    [
        *((title, "consent") for title in ("Mag gemaild", "Mag gemaild worden?", "Mag je mailen")),
        *((title, "consent") for title in ("Mogen we je mailen?", "Mag e-mail (j/n)", "Mail ok")),
        *((title, "consent") for title in ("May we email you?", "Okay to email", "Can email")),
        *((title, "consent") for title in ("Dürfen wir mailen?", "Darf angemailt werden")),
        *((title, "consent") for title in ("Mail erlaubt?", "Accepte les e-mails")),
        *((title, "opted_out_at") for title in ("Mag niet gemaild worden", "Mag geen mail")),
        ("Darf nicht angemailt werden", "opted_out_at"),
        *((title, "remark") for title in ("Magazine", "Laatst gemaild", "Mag gebeld")),
    ],
)
def test_whether_one_may_mail_is_asked_in_many_ways(title: str, field: str | None) -> None:
    assert fields(f"email;{title}") == ["address", field]


def test_two_columns_of_text_may_be_a_town_as_well() -> None:
    assert fields("a@example.org;Jan;Utrecht", "b@example.org;Piet;Gent") == [
        "address",
        "remark",
        "remark",
    ]


def test_without_titles_each_column_of_addresses_counts() -> None:
    assert fields("a@example.org;b@example.org", "c@example.org;") == ["address", "address"]


def test_rows_may_be_shorter_than_others() -> None:
    assert fields("a@example.org;Jan", "b@example.org") == ["address", "name"]


def test_a_misleading_title_yields_to_content() -> None:
    assert fields("Mail;Contact", "ooit;a@example.org", "?;b@example.org") == ["remark", "address"]
    assert fields("Mail;E-mail", "ja;a@example.org") == ["remark", "address"]


def test_a_yes_or_no_under_a_title_of_addresses_says_whether_to_mail() -> None:
    assert fields("Mail;Contact", "ja;a@example.org", "nee;b@example.org") == ["consent", "address"]


def test_a_title_is_believed_where_nothing_is_better() -> None:
    assert fields("Mail;Naam", "onbekend;Jan") == ["address", "name"]


def test_a_column_with_few_addresses_is_not_one_of_addresses() -> None:
    rows = ("x;a@example.org", "y;geen", "z;geen")
    assert "not known which column" in refusal("Wie;Opmerking", *rows)


def test_without_addresses_the_refusal_says_what_there_is() -> None:
    text = refusal("Naam;Plaats;", "Jan;Gent")
    assert text.startswith("line 1: it is not known which column")
    assert "(its first line: Naam, Plaats)" in text
    assert "--map address=COLUMN" in text


def test_without_addresses_under_a_header_the_refusal_names_the_columns() -> None:
    text = refusal("Lijst", "Naam;Adres", "a@example.org;x", "b;c", "d;e")
    assert text.startswith("line 2: it is not known which column")
    assert "(its columns: Naam, Adres)" in text


@pytest.mark.parametrize("column", ["Adres", "adres ", "2", "B", "b"])
def test_a_column_is_mapped_by_title_number_or_letter(column: str) -> None:
    rows = ("Naam;Adres", "Jan;a@example.org")
    assert fields(*rows, address=column) == ["name", "address"]


def test_a_mapping_goes_before_what_is_recognised() -> None:
    assert fields("email;mail2;naam", address="mail2") == ["remark", "address", "name"]
    assert fields("email;naam;bijnaam", name="bijnaam") == ["address", "remark", "name"]


def test_a_further_column_that_says_no_takes_nothing_from_the_others() -> None:
    rows = ("email;Nieuwsbrief;Mag", "a@example.org;nee;ja")
    assert fields(*rows, consent="Mag") == ["address", "consent", "consent"]
    assert fields(*rows, consent="") == ["address", None, "remark"]


def test_an_empty_mapping_says_that_no_column_is_that() -> None:
    rows = ("Ledenlijst;;", "email;klant;naam", "a@example.org;ja;Jan")
    result = found(*rows, customer="")
    assert result.header_line == 2
    assert [column.field for column in result.columns] == ["address", None, "name"]


def test_a_mapped_title_finds_the_header() -> None:
    result = found("Lijst", "Correspondentie;x", "niets;y", address="correspondentie")
    assert (result.header_line, result.first_line) == (2, 3)


@pytest.mark.parametrize(
    ("column", "expected"), [("Post", "Post"), ("0", "0"), ("3", "3"), ("AA", "AA")]
)
def test_a_column_that_is_not_there_is_refused(column: str, expected: str) -> None:
    text = refusal("email;naam", name=column)
    assert text == f"there is no column {expected!r} in this file; expected one of: email, naam"


def test_a_place_that_is_not_there_is_refused_where_there_are_no_titles() -> None:
    assert "expected a number from 1 to 2" in refusal("a@example.org;Jan", name="C")


def test_an_unknown_field_is_refused_with_the_nearest() -> None:
    with pytest.raises(ListFileError, match="no field 'adress'; did you mean address"):
        check_mapping({"adress": "1"})
    with pytest.raises(ListFileError, match="no field 'zzz'; expected one of address"):
        check_mapping({"zzz": "1"})
    check_mapping({"address": "1", "since": "B"})


def test_a_tool_that_is_not_known_uses_the_general_titles() -> None:
    assert found("email;naam").tool is GENERIC
    assert GENERIC.find_field("naam") == find_field("naam")
