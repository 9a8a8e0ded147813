"""What mail programs make a link of, and what they do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit import package_files
from repermit.emails.allowed_html import mark_fields, normalize_text
from repermit.emails.autolinks import check_word_length, find_glued_fields, find_other_links

REPLIES = "praktijk@example.org"
WORDS = package_files.load_data("dotted_words.toml")
LETTERS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=12)


def against(text: str) -> list[str]:
    return list(find_other_links(normalize_text(mark_fields(text)), reply_to=REPLIES))


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("bit.ly/abc", "bit.ly/abc"),
        ("evil.io", "evil.io"),
        ("EVIL.IO", "EVIL.IO"),
        ("evil.Com", "evil.Com"),
        ("evil.photography", "evil.photography"),
        ("evil.co.uk", "evil.co.uk"),
        ("evil.io:8080/x", "evil.io:8080/x"),
        ("evil.io?x=1", "evil.io?x=1"),
        ("evil.io#x", "evil.io#x"),
        ("@evil.io", "evil.io"),
        (".evil.io", "evil.io"),
        ("-evil.io-", "evil.io"),
        ("(evil.io)", "evil.io"),
        ("praktijk-de-linde.nl", "praktijk-de-linde.nl"),
        ("xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai"),
        (
            "\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444",
            "\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444",
        ),
        ("einde.Begin/x", "einde.Begin/x"),
        ("www.linde", "www.linde"),
        ("WWW.example.com", "WWW.example.com"),
        ("https://x", "https://x"),
        ("ftp://example.org", "ftp://example.org"),
        ("\\\\server\\share", "\\\\server\\share"),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("data:text/html,x", "data:text/html,x"),
        ("vbscript:x", "vbscript:x"),
        ("tel:0301234567", "tel:0301234567"),
        ("sms:0612345678", "sms:0612345678"),
        ("mailto:x", "mailto:x"),
        ("url(x)", "url(x)"),
        ("URL ( 'x' )", "URL ( 'x' )"),
        ("@import x", "@import x"),
        ("93.184.216.34", "93.184.216.34"),
        ("93.184.216.34/x", "93.184.216.34/x"),
        ("1.2.3.4:80/x", "1.2.3.4:80/x"),
        ("a:bad.de", "bad.de"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("::1", "::1"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
        ("::ffff:93.184.216.34", "::ffff:93.184.216.34"),
        ("\uff45\uff56\uff49\uff4c\uff0e\uff49\uff4f", "evil.io"),
        ("evil。io", "evil.io"),
        ("ev\u200bil.\u00adio", "evil.io"),
        ("evil&#46;io", "evil.io"),
        ("evil&period;io", "evil.io"),
        ("{{ organisation_name }}.nl", "{{ organisation_name }}.nl"),
        ("https://{{ list_name }}", "https://{{ list_name }}"),
        ("{{ organisation }}.evil", "{{ organisation }}.evil"),
    ],
)
def test_a_link_is_found_and_quoted(written: str, found: str) -> None:
    (reason,) = against(f"Zie {written} voor meer")
    assert found in reason


@pytest.mark.parametrize(
    "text",
    [
        "d.w.z. dit", "t.n.v. ons", "e.g. this", "z.B. das", "i.p.v. dat", "a.u.b.", "u.a.",
        "c.-à-d.",
        "nr.5", "art.6 AVG", "om 12.30 uur", "12.30u", "07.30-08.15", "op 1.2.2026", "01.12.2026",
        "2.000", "€ 1.234.567", "v2.0", "02.123.45.67", "01.23.45.67.89", "1.2.3", "999.1.1.1",
        "10:00", "12:30:45", "16::", "a::", "ja/nee", "en/of", "24/7", "wacht...dan", "wacht… dan",
        "Bel ons.Wij helpen", "einde.Begin", "J.Jansen", "J.A.Jansen", "St.Gallen", "1.Wij vragen",
        "z.Hd. Frau Müller", "J. Jansen, M.Sc.", "Dr.med. Weber", "tel.nr. 030 123 45 67",
        "p.ex. un atelier",
        "Tel: 030 123 45 67", "tel: 030", "data: naam en adres", "de url van de praktijk",
        "{{ organisation_name }}. Wij vragen", "{{ reply_to }}", "mailto:{{ reply_to }}",
        "Mail naar {{ reply_to }}.", "{{ list_name }}.Wij", "@ de praktijk", "@linde", "C:",
    ],
)  # fmt: skip
def test_ordinary_writing_is_no_link(text: str) -> None:
    assert against(text) == []


@pytest.mark.parametrize("name", ["einde.begin", "verslag.pdf", "H.de", "EINDE.BEGIN", "bijv.een"])
def test_what_may_be_no_link_is_said_to_need_a_blank(name: str) -> None:
    hint = "(if it is none, put a blank after the full stop)"
    said = f"what mail programs make a link of: {name} {hint}"
    assert against(f"Het {name} Vries") == [said]


@given(name=LETTERS, ending=LETTERS)
def test_any_word_before_any_ending_is_a_link(name: str, ending: str) -> None:
    abbreviated = {"tel.nr", "dr.med", "dr.ir", "prof.dr", "mr.dr"}
    assert len(against(f"{name}.{ending}")) == (f"{name}.{ending}" not in abbreviated)
    assert len(against(f"{name}.{ending}/x")) == 1


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("ander@example.org", "ander@example.org"),
        ("mailto:ander@example.org", "ander@example.org"),
        ("ander\uff20example\uff0eorg", "ander@example.org"),
        ("an\u00adder&commat;example.org", "ander@example.org"),
        ("ander@{{ list_name }}", "ander@{{ list_name }}"),
        ("x+praktijk@example.org", "x+praktijk@example.org"),
        ("praktijk@example.org.evil", "praktijk@example.org.evil"),
    ],
)
def test_another_mail_address_is_found_and_quoted(written: str, found: str) -> None:
    said = f"another mail address than the one for replies: {found}"
    assert said in against(f"Mail {written} dan")


def test_the_address_for_replies_is_no_other() -> None:
    assert (
        against("Mail praktijk@example.org, Praktijk@Example.org of (praktijk@example.org).") == []
    )


@pytest.mark.parametrize("field", ["yes_url", "no_url", "me_url", "privacy_url"])
@pytest.mark.parametrize(
    "form",
    [
        "x{}", "{}x", "{}&x=1", "{}.evil", "{}/x", "{}?x", "{}#x", "{}.", "{},", "{}:", ":{}",
        "({}.)",
        "https://evil.io/{}", "{}@evil.io", "evil@{}", "{0}{0}", "{}-", "%{}", "({})x", "x({})",
        '"{}"/x', "\u200bx\u2060{}", "{}\u200bx", "{}}}", "•{}",
    ],
)  # fmt: skip
def test_a_link_that_something_is_glued_to_is_refused(field: str, form: str) -> None:
    text = f"Ja {form} nee".replace("{}", f"{{{{ {field} }}}}").replace("{0}", f"{{{{ {field} }}}}")
    (reason,) = find_glued_fields(normalize_text(mark_fields(text)))
    assert reason.startswith(f"{{{{ {field} }}}} must stand apart, a blank on both sides: ")


def test_what_is_glued_is_quoted() -> None:
    assert list(find_glued_fields("ja: x⟦no_url⟧&a, en")) == [
        "{{ no_url }} must stand apart, a blank on both sides: x{{ no_url }}&a,"
    ]


def test_a_blank_that_the_engine_takes_away_is_none() -> None:
    assert list(find_glued_fields(normalize_text(mark_fields("x {{- no_url }} y"))))
    assert list(find_glued_fields(normalize_text(mark_fields("x {{ no_url -}} y"))))
    assert not list(find_glued_fields(normalize_text(mark_fields("x {{ no_url }} y"))))


@pytest.mark.parametrize(
    "form",
    [
        "{}", " {} ", "a\n{}\nb", "a\t{}\tb", "a\r\n{}\r\nb", "({})", "[{}]", "<{}>", '"{}"',
        "'{}'",
        "“{}”", "„{}“", "«{}»", "({}).", "({}),", '"{}"?', "«\u00a0{}\u00a0»",
    ],
)  # fmt: skip
def test_a_link_may_stand_between_blanks_quotes_and_brackets(form: str) -> None:
    for field in ("yes_url", "no_url", "me_url", "privacy_url"):
        assert not list(
            find_glued_fields(normalize_text(mark_fields(form.format(f"{{{{ {field} }}}}"))))
        )


@given(before=LETTERS, after=LETTERS)
def test_any_letters_beside_a_link_are_refused(before: str, after: str) -> None:
    assert list(find_glued_fields(f"{before}⟦yes_url⟧"))
    assert list(find_glued_fields(f"⟦yes_url⟧{after}"))
    assert not list(find_glued_fields(f"{before} ⟦yes_url⟧ {after}"))


@pytest.mark.parametrize(
    ("form", "refused"),
    [
        ("{{ reply_to }}", False), ("({{ reply_to }}).", False), ("Mail:{{ reply_to }},", False),
        ("mailto:{{ reply_to }}", False), ("x{{ reply_to }}", True), ("x+{{ reply_to }}", True),
        ("{{ reply_to }}x", True), ("{{ reply_to }}.evil", True), ("{{ reply_to }}-x", True),
        ("{{ reply_to }}{{ list_name }}", True), ("evil@{{ reply_to }}", True),
        ("{{ organisation }}", False), ("{{ organisation }}.", False),
        ("({{ organisation }})", False),
        ("{{ organisation }}x", True), ("{{ organisation }}-x", True),
        ("x{{ organisation }}", False),
        ("{{ organisation }}.evil", True), ("{{ organisation }}{{ stop }}", True),
    ],
)  # fmt: skip
def test_a_mail_address_cannot_be_made_another(form: str, refused: bool) -> None:
    assert bool(list(find_glued_fields(normalize_text(mark_fields(f"Mail {form} dan"))))) is refused


@pytest.mark.parametrize("letter", ["a", "a.", "a@", "www.", "1:", "⟦"])
def test_a_word_without_end_is_named_by_its_beginning(letter: str) -> None:
    reason = check_word_length(f"a {letter * 50_000} b")
    assert reason.startswith(f"a word of {len(letter) * 50_000:,} characters: {letter}")
    assert len(reason) < 100


@pytest.mark.parametrize(("length", "refused"), [(199, False), (200, False), (201, True)])
def test_a_word_may_be_as_long_as_words_can_be(length: int, refused: bool) -> None:
    assert bool(check_word_length(f"a {'x' * length} b")) is refused
    assert check_word_length("") == ""


@pytest.mark.parametrize("ending", WORDS["known_endings"].split())
def test_each_known_ending_makes_a_link_also_with_a_capital(ending: str) -> None:
    (found,) = against(f"ons.{ending.capitalize()}")
    assert found.startswith("a link that is not one of the fields")


@pytest.mark.parametrize("abbreviation", WORDS["abbreviations"].split())
def test_each_abbreviation_is_none(abbreviation: str) -> None:
    assert not against(f"Vraag {abbreviation} om raad")
    assert against(f"Vraag a{abbreviation} om raad")
