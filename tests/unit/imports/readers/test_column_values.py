"""What the value of a column means: yes, no, opted out, a language, a form on the web."""

from __future__ import annotations

import pytest
from babel import Locale

from repermit.i18n.catalogues import languages
from repermit.imports.readers import column_values
from repermit.imports.readers.column_values import (
    find_opt_out,
    is_doubtful_status,
    is_known_status,
    is_language,
    is_mark,
    is_pending,
    is_somebodys_ip,
    is_web_form,
    parse_language,
    says_no,
    says_yes,
)


@pytest.mark.parametrize(
    "text", ["ja", "Yes", "OUI", " j ", "1", "true", "wahr", "x", "✓", "klant"]
)
def test_a_plain_yes_is_one(text: str) -> None:
    assert says_yes(text)


@pytest.mark.parametrize("text", ["", "nee", "0", "K-10234", "Bakkerij Jansen", "?"])
def test_anything_else_is_no_yes(text: str) -> None:
    assert not says_yes(text)


@pytest.mark.parametrize("text", ["nee", "No", "nein", "NON", "0", "false", "opt-out", "Afgemeld"])
def test_a_no_and_an_opting_out_are_a_no(text: str) -> None:
    assert says_no(text)


@pytest.mark.parametrize("text", ["", "ja", "onbekend", "bounced", "?"])
def test_silence_is_not_a_no(text: str) -> None:
    assert not says_no(text)


@pytest.mark.parametrize("text", ["ja", "1", "true", "2024-03-01", "x", "✓", "te veel mail"])
def test_a_ticked_cell_is_a_mark(text: str) -> None:
    assert is_mark(text)


@pytest.mark.parametrize(
    "text", ["", " ", "nee", "0", "0000-00-00 00:00:00", "false", "-", "actief", "Subscribed"]
)
def test_an_empty_or_negative_cell_is_no_mark(text: str) -> None:
    assert not is_mark(text)


@pytest.mark.parametrize(
    ("status", "means"),
    [
        ("unsubscribed", "unsubscribed"),
        ("Uitgeschreven", "unsubscribed"),
        ("Afgemeld op eigen verzoek", "unsubscribed"),
        ("abgemeldet", "unsubscribed"),
        ("Désabonné", "unsubscribed"),
        ("blocklisted", "unsubscribed"),
        ("Opt-out", "unsubscribed"),
        ("unsubscribed (bounced)", "unsubscribed"),
        ("cleaned", "cleaned"),
        ("Hard bounce", "cleaned"),
        ("bounced", "cleaned"),
        ("junk", "complained"),
        ("Marked as spam", "complained"),
        ("abuse complaint", "complained"),
        ("soft bounce", ""),
        ("Non-subscribed", ""),
        ("not unsubscribed", ""),
        ("Inactief", "unsubscribed"),
        ("Radié", "unsubscribed"),
        ("inactive", "unsubscribed"),
        ("disabled", "unsubscribed"),
        ("Niet actief", "unsubscribed"),
        ("nicht mehr aktiv", "unsubscribed"),
        ("niet ingeschreven", ""),
        ("nee", "unsubscribed"),
        ("stop", "unsubscribed"),
        ("0", ""),
        ("niet afgemeld", ""),
        ("active", ""),
        ("NH", ""),
        ("", ""),
    ],
)
def test_a_status_says_whether_somebody_opted_out(status: str, means: str) -> None:
    assert find_opt_out(status) == means


@pytest.mark.parametrize("status", ["pending", "Unconfirmed", "niet bevestigd", "unbestätigt"])
def test_a_sign_up_that_was_never_completed_is_told(status: str) -> None:
    assert is_pending(status)
    assert not is_pending("active")


@pytest.mark.parametrize(
    ("text", "is_known"),
    [
        ("actief", True),
        ("afgemeld", True),
        ("pending", True),
        ("Utrecht", False),
        ("", False),
        ("nee", False),
    ],
)
def test_a_status_is_told_from_other_words(text: str, *, is_known: bool) -> None:
    assert is_known_status(text) is is_known


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("0", True),
        ("00", True),
        ("U", True),
        ("B", True),
        ("C", False),
        ("niet ingeschreven", True),
        ("Non-subscribed", False),
        ("niet afgemeld", False),
        ("1", False),
        ("actief", False),
        ("", False),
    ],
)
def test_a_status_that_may_mean_off_is_doubtful(text: str, *, is_one: bool) -> None:
    assert is_doubtful_status(text) is is_one


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("nl", True),
        ("NL", True),
        (" nl-BE ", True),
        ("en_GB", True),
        ("Nederlands", True),
        ("An", False),
        ("De Vries", False),
        ("nl vries", False),
        ("xx", False),
        ("", False),
    ],
)
def test_a_language_is_a_code_or_its_whole_name(text: str, *, is_one: bool) -> None:
    assert is_language(text) is is_one


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nl", "nl"),
        ("NL", "nl"),
        ("nl-NL", "nl"),
        ("en_GB", "en"),
        ("fr,nl", "fr"),
        ("Nederlands", "nl"),
        ("Dutch", "nl"),
        ("Deutsch", "de"),
        ("Französisch", "fr"),
        ("Français (Canada)", "fr"),
        ("eng", "en"),
        ("sw", "sw"),
        ("xx", ""),
        ("Klingon", ""),
        ("", ""),
    ],
)
def test_a_language_is_understood_by_code_and_by_name(text: str, code: str) -> None:
    assert parse_language(text) == code


@pytest.mark.parametrize("code", [*languages(), "ar", "ru", "uk"])
def test_a_language_is_understood_by_its_own_name(code: str) -> None:
    name = Locale(code).languages[code]
    assert {parse_language(name), parse_language(name.upper())} == {code}


@pytest.mark.parametrize(
    "source",
    ["https://www.example.org/nieuwsbrief", "Webformulier", "Sign-up form", "Pop-up", "website"],
)
def test_a_form_on_the_web_is_a_source_that_proves(source: str) -> None:
    assert is_web_form(source)


@pytest.mark.parametrize(
    "source",
    ["", "import", "CSV upload of form answers", "API", "Beurs 2019", "papieren formulier"],
)
def test_an_import_and_a_fair_are_not(source: str) -> None:
    assert not is_web_form(source)


@pytest.mark.parametrize(
    "ip", ["192.0.2.7", "46.140.110.82", "125.0.0.1", "172.32.0.1", "172.15.9.9", "2001:db8::1"]
)
def test_a_real_ip_is_somebodys(ip: str) -> None:
    assert is_somebodys_ip(ip)


@pytest.mark.parametrize(
    "ip",
    [
        *("", "-", ".".join("0000"), "127.0.0.1", "::", "::1", "1.2.3", "300.1.1.1"),
        # The site's own network, as a server behind a proxy notes it.
        *("10.1.2.3", "172.16.0.1", "172.31.9.9", "192.168.1.4", "169.254.0.1", "fd00::1"),
        "fe80::1",
    ],
)
def test_a_filled_in_ip_is_nobodys(ip: str) -> None:
    assert not is_somebodys_ip(ip)


def test_every_octet_is_read_by_both_paths_alike() -> None:
    for first in range(1, 256):
        assert is_somebodys_ip(f"{first}.255.199.0") is (first not in {10, 127})
    assert not is_somebodys_ip("10.256.1.1")
    assert not is_somebodys_ip("10.01.1.1")


# --- Every further language of the Union. --------------------------------------------------------


def test_no_word_is_a_yes_in_one_language_and_a_no_in_another() -> None:
    assert not column_values.YES & column_values.NO
    assert {text for text in column_values.YES if says_no(text)} == set()
    assert {text for text in column_values.NO if says_yes(text)} == set()


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        *(("Да", "Не"), ("Ναι", "Όχι")),  # noqa: RUF001  Bulgarian and Greek
        *(("Ano", "Ne"), ("Ja", "Nej"), ("Sí", "No"), ("Jah", "Ei")),
        *(("Kyllä", "Ei"), ("Da", "Ne"), ("Igen", "Nem"), ("Sì", "No"), ("Taip", "Ne")),
        *(("Jā", "Nē"), ("Iva", "Le"), ("Tak", "Nie"), ("Sim", "Não"), ("Da", "Nu")),
        *(("Áno", "Nie"), ("Da", "Ne"), ("Ja", "Nej")),
    ],
)
def test_yes_and_no_are_known_in_every_further_language(yes: str, no: str) -> None:
    assert says_yes(yes)
    assert says_no(no)
    assert not says_no(yes)
    assert not says_yes(no)
    assert find_opt_out(no) == "unsubscribed"


@pytest.mark.parametrize(
    "status",
    [
        *("Отписан", "Odhlášen", "Odhlásený", "Frameldt", "Διαγραφή", "Dado de baja", "Loobunud"),
        *("Peruutettu", "Díliostáilte", "Odjavljen", "Leiratkozott", "Disiscritto", "Atsisakė"),
        *("Atteicies", "Wypisany", "Subscrição cancelada", "Dezabonat", "Avregistrerad"),
    ],
)
def test_an_opting_out_is_known_in_every_further_language(status: str) -> None:
    assert find_opt_out(status) == "unsubscribed"


@pytest.mark.parametrize("status", sorted(column_values.STILL_ON))
def test_who_is_still_on_has_not_opted_out(status: str) -> None:
    assert find_opt_out(status) == ""
    assert not is_mark(status)
