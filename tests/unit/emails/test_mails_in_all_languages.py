"""Every mail in every language: what is true of all of them, whoever translated it."""

from __future__ import annotations

import html
import re

import pytest
from justhtml import StrictModeError

from repermit.emails.mail_types import OwnWording
from repermit.i18n.catalogues import languages, load_translations
from tests.support.english_left import english_in
from tests.support.html_validity import flaws_of
from tests.support.mail_builders import make_ask
from tests.unit.emails.test_snapshots import KINDS, REQUESTED, TO_THE_ADMIN, make_mail
from tests.unit.emails.test_wording_validation import GOOD_HTML, GOOD_TEXT

# As the mail of one person; a list's name of usual length included.
_LONGEST_SUBJECT = 100
_LARGEST = 60_000
_LINK = re.compile(r'<a\b[^>]*href="([^"]+)"[^>]*>([^<]*)</a>')


@pytest.mark.everyday("[nl]", "[en]", "[el]")
@pytest.mark.parametrize("language", languages())
def test_a_mail_is_whole_and_in_its_language_alone(language: str) -> None:
    for kind in KINDS:
        for sensitive in ("", "-sensitive"):
            mail = make_mail(f"{kind}-{language}{sensitive}")
            for part in (mail.subject, mail.text, mail.html):
                assert not re.search(r"%\(|[⟦⟧]|\{\{|\{\w+\}\s*[,.]|\bNone\b", part), (kind, part)
            # Gmail drops <html>, and what it says of the language.
            assert len(re.findall(f'<(?:html|div)[^>]* lang="{language}"', mail.html)) == 2
            assert 0 < len(mail.subject) <= _LONGEST_SUBJECT
            assert len(mail.raw) < _LARGEST
            assert f"\r\nContent-Language: {language}\r\n".encode() in mail.raw
            if language != "en":
                assert english_in(f"{mail.subject} {mail.text}", language) == [], kind


@pytest.mark.everyday("[nl]", "[en]", "[el]")
@pytest.mark.parametrize("language", languages())
def test_the_html_is_valid_and_can_be_read_aloud(language: str) -> None:
    for kind in KINDS:
        sensitive = "" if kind in TO_THE_ADMIN else "-sensitive"
        mail = make_mail(f"{kind}-{language}{sensitive}")
        assert flaws_of(mail.html) == [], kind
        headings = re.findall(r"<(h\d)\b", mail.html)
        assert headings == ["h1", *["h2"] * (len(headings) - 1)]
        assert "@media (prefers-color-scheme: dark)" in mail.html
        assert f'aria-label="{html.escape(mail.subject)}"' in mail.html


def test_english_that_was_left_is_found() -> None:
    english = "We are sorry that this happened."
    assert english_in(f"To jest {english}", "pl") == ["We are sorry that this happened"]
    assert english_in(load_translations("pl").gettext(english), "pl") == []


def test_own_words_are_valid_html_too() -> None:
    for own in (OwnWording(text=GOOD_TEXT), OwnWording(text=GOOD_TEXT, html=GOOD_HTML)):
        assert flaws_of(make_ask(own=own).html) == []


@pytest.mark.parametrize(
    ("markup", "flaw"),
    [
        ("<ul><p>a</p></ul>", "<p> in <ul>"),
        ("<p><img src=x></p>", "<img> in <p>"),
        ("<table><tr><td>a</table>", "a table that is read aloud as one"),
        ("<p style='background:url(x)'>a</p>", "a style that loads something"),
        ("<p align=left>a</p>", "align of <p>"),
    ],
)
def test_what_html_does_not_allow_is_found(markup: str, flaw: str) -> None:
    page = "<!doctype html><html><head><title>a</title></head><body><div>{}</div></body></html>"
    assert flaw in flaws_of(page.format(markup))
    with pytest.raises(StrictModeError):
        flaws_of(page.format("<p>a</div>"))
    with pytest.raises(StrictModeError):
        flaws_of(page.format("<!--[if mso]></div><![endif]-->"))


@pytest.mark.parametrize("language", languages())
def test_text_and_html_lead_to_the_same_pages_in_the_same_order(language: str) -> None:
    for kind in ("ask", "reminder", "join_confirmation", "yes_receipt", "no_receipt", *REQUESTED):
        for sensitive in ("", "-sensitive"):
            mail = make_mail(f"{kind}-{language}{sensitive}")
            links = _LINK.findall(mail.html)
            # A program that makes links of addresses is not misled by what stands around them.
            alone = re.findall(r"^https://\S+$", mail.text, re.MULTILINE)
            assert alone == re.findall(r"https://\S+", mail.text)
            assert alone == [html.unescape(target) for target, _ in links]
            # A list of links, as it is read aloud, tells where each leads; the text says the same.
            labels = [html.unescape(label) for _, label in links]
            assert len(set(labels)) == len(labels)
            for label, target in zip(labels, alone, strict=True):
                assert not label.startswith("https:")
                assert f"\n{label}\n{target}\n" in mail.text
