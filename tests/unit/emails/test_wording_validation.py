"""What an own wording must have, and what it may not have; every reason is named."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.emails.mail_types import OwnWording
from repermit.emails.wording_to_html import (
    text_to_html,
)
from repermit.emails.wording_validation import (
    ALL_FIELDS,
    SUBJECT_FIELDS,
    check_wording,
    make_default_wording,
)
from repermit.errors import WordingError
from tests.support.mail_builders import make_ask, make_ask_values, make_facts, make_practice

NEEDED = ("yes_url", "no_url", "silence", "organisation", "objection", "stop", "privacy_url")
GOOD_TEXT = "Beste lezer,\n" + "\n".join(f"{{{{ {field} }}}}" for field in NEEDED)
GOOD_HTML = """<p>Beste lezer, {{ organisation }} {{ silence }} {{ stop }}</p>
{{ objection }}
<p><a class="button" href="{{ yes_url }}">Ja</a> <a class="button" href="{{ no_url }}">Nee</a></p>
<p><a href="{{ privacy_url }}">Privacy</a></p>"""


def reasons_against(own: OwnWording, **facts: Any) -> tuple[str, ...]:
    try:
        check_wording(own, organisation=make_practice(), mailing_list=make_facts(**facts))
    except WordingError as error:
        return error.reasons
    return ()


def with_text(added: str) -> tuple[str, ...]:
    return reasons_against(OwnWording(text=f"{GOOD_TEXT}\n{added}"))


def with_html(added: str) -> tuple[str, ...]:
    return reasons_against(OwnWording(text=GOOD_TEXT, html=f"{GOOD_HTML}\n{added}"))


@pytest.mark.parametrize(
    "own",
    [
        OwnWording(),
        OwnWording(subject="Een vraag van {{ organisation_name }}"),
        OwnWording(text=GOOD_TEXT),
        OwnWording(subject="Ja of nee?", text=GOOD_TEXT, html=GOOD_HTML),
    ],
)
def test_a_good_wording_is_accepted(own: OwnWording) -> None:
    assert reasons_against(own) == ()


@pytest.mark.parametrize("field", NEEDED)
def test_what_is_missing_is_named_in_text_and_html(field: str) -> None:
    mark = f"{{{{ {field} }}}}"
    text = reasons_against(OwnWording(text=GOOD_TEXT.replace(mark, "")))
    html = reasons_against(OwnWording(text=GOOD_TEXT, html=GOOD_HTML.replace(mark, "")))
    assert [one for one in text if one.endswith(f" is missing: put {mark} in it")]
    assert all(one.startswith("text: ") for one in text)
    assert [one for one in html if one.endswith(f" is missing: put {mark} in it")]
    assert all(one.startswith("HTML: ") for one in html)


@pytest.mark.parametrize("field", ["silence", "objection", "stop", "organisation"])
def test_a_field_in_a_comment_or_an_attribute_is_missing(field: str) -> None:
    mark = f"{{{{ {field} }}}}"
    html = GOOD_HTML.replace(mark, f"<!-- {mark} --><i lang='{mark}'>x</i>")
    reasons = reasons_against(OwnWording(text=GOOD_TEXT, html=html))
    assert [one for one in reasons if f"put {mark} in it" in one]


@pytest.mark.parametrize("field", ["yes_url", "no_url", "privacy_url"])
def test_a_link_that_is_only_written_out_in_html_is_missing(field: str) -> None:
    html = GOOD_HTML.replace(f'href="{{{{ {field} }}}}"', 'href="{{ me_url }}"')
    reasons = reasons_against(OwnWording(text=GOOD_TEXT, html=f"{html}{{{{ {field} }}}}"))
    assert [one for one in reasons if f"put {{{{ {field} }}}} in it" in one]


def test_a_sensitive_list_needs_the_explicit_consent_in_words() -> None:
    own = OwnWording(text=GOOD_TEXT, html=GOOD_HTML)
    what = "what a Yes means on a sensitive list is missing: put {{ explicit_consent }} in it"
    assert reasons_against(own, sensitive=True) == (f"text: {what}", f"HTML: {what}")
    own = OwnWording(
        text=f"{GOOD_TEXT} {{{{ explicit_consent }}}}",
        html=f"{GOOD_HTML} {{{{ explicit_consent }}}}",
    )
    assert reasons_against(own, sensitive=True) == ()


def test_html_without_a_text_is_refused() -> None:
    assert reasons_against(OwnWording(html=GOOD_HTML)) == (
        "HTML: there is no text of your own beside it, and both must say the same",
    )


@pytest.mark.parametrize(
    "link",
    [
        "https://shop.example.org/x",
        "HTTP://example.org",
        "ftp://example.org",
        "www.example.com",
        "example.nl",
        "praktijk-de-linde.nl/afspraak",
        "tel:0301234567",
    ],
)
def test_another_link_is_refused_and_named(link: str) -> None:
    reason = f"a link that is not one of the fields: {link}"
    assert with_text(f"Zie {link} voor meer") == (f"text: {reason}",)
    assert with_html(f"<p>Zie {link} voor meer</p>") == (f"HTML: {reason}",)
    assert with_html(f'<p><a href="{link}">meer</a></p>') == (f"HTML: {reason}",)


@pytest.mark.parametrize(
    "text", ["Bel ons.Wij helpen graag", "om 12.30 uur", "d.w.z. dit", "2.000"]
)
def test_ordinary_full_stops_are_no_links(text: str) -> None:
    assert with_text(text) == ()


@pytest.mark.parametrize("address", ["ander@example.org", "mailto:ander@example.org"])
def test_another_mail_address_is_refused_and_named(address: str) -> None:
    assert with_text(f"Mail {address}.") == (
        "text: another mail address than the one for replies: ander@example.org",
    )


def test_the_address_for_replies_may_stand_in_it() -> None:
    assert with_text("Mail praktijk@example.org of mailto:Praktijk@example.org.") == ()
    assert with_html('<a href="mailto:praktijk@example.org">praktijk@example.org</a>') == ()
    assert with_html('<a href="mailto:{{ reply_to }}">{{ reply_to }}</a>') == ()


@pytest.mark.parametrize(
    "offer",
    [
        "korting", "ledenkorting", "10% ", "10 %", "€ 5", "5,00 euro", "20€", "gratis",
        "sale", "Rabatt", "Neukundenrabatt", "kostenlos", "réduction", "réductions", "gratuit",
        "soldes", "discount", "for free", "voucher", "cadeaubon", "Geschenk", "bon d’achat",
    ],
)  # fmt: skip
def test_an_offer_is_refused_and_named(offer: str) -> None:
    reason = f"an offer, which makes the mail advertising: {offer.strip()}"
    assert with_text(f"Nu {offer} voor u") == (f"text: {reason}",)
    assert with_html(f"<p>Nu {offer} voor u</p>") == (f"HTML: {reason}",)
    assert reasons_against(OwnWording(subject=f"Nu {offer} voor u")) == (f"subject: {reason}",)


def test_an_offer_hidden_by_markup_is_found() -> None:
    assert with_html("<p>kor<b>ting</b> en gr&#97;tis</p>") == (
        "HTML: an offer, which makes the mail advertising: korting",
        "HTML: an offer, which makes the mail advertising: gratis",
    )


@pytest.mark.parametrize(
    ("hidden", "found"),
    [
        ("<p>ev<b>il</b>.<i>io</i></p>", "evil.io"),
        ("<p>evil&#46;io</p>", "evil.io"),
        ("<p>ev&shy;il&#8203;.io</p>", "evil.io"),
        ("<p>\uff45\uff56\uff49\uff4c\uff0e\uff49\uff4f</p>", "evil.io"),
        ("<p>javascript:x</p>", "javascript:x"),
        ("<p>url(x)</p>", "url(x)"),
    ],
)
def test_a_link_hidden_by_markup_is_found(hidden: str, found: str) -> None:
    assert with_html(hidden) == (f"HTML: a link that is not one of the fields: {found}",)


@pytest.mark.parametrize("link", ["evil.io", "bit.ly/abc", "93.184.216.34", "data:text/html,x"])
def test_each_part_says_where_a_link_was_found(link: str) -> None:
    reason = f"a link that is not one of the fields: {link}"
    assert with_text(f"Zie {link} dan") == (f"text: {reason}",)
    assert with_html(f"<p>Zie {link} dan</p>") == (f"HTML: {reason}",)
    assert reasons_against(OwnWording(subject=f"Zie {link} dan")) == (f"subject: {reason}",)


@pytest.mark.parametrize("form", ["x{}", "{}&x=1", "{}.evil", "https://evil.io/{}"])
@pytest.mark.parametrize("field", ["yes_url", "no_url", "privacy_url", "me_url"])
def test_nothing_may_be_glued_to_the_link_of_a_field(field: str, form: str) -> None:
    glued = form.format(f"{{{{ {field} }}}}")
    said = f"{{{{ {field} }}}} must stand apart, a blank on both sides: {glued}"
    assert f"text: {said}" in with_text(glued)
    assert f"HTML: {said}" in with_html(f"<p>{glued}</p>")
    href = f"HTML: a link that is not one of the fields: {glued}"
    assert href in with_html(f'<p><a href="{glued}">x</a></p>')


def test_who_asks_and_how_to_reach_them_comes_in_by_fields() -> None:
    for added in (
        "{{ organisation }}",
        "Mail {{ reply_to }}.",
        "Meer: {{ privacy_url }} (website)",
    ):
        assert with_text(added) == ()
        assert with_html(f"<p>{added}</p>") == ()


@pytest.mark.parametrize("sign", ["⟦", "⟧", "⟦yes_url⟧", "&lobrk;", "&#10214;", "&#x27e7;"])
def test_the_marks_of_frozen_wordings_are_refused(sign: str) -> None:
    reason = "⟦ and ⟧ may not stand in it: write [ and ]"
    assert f"text: {reason}" in with_text(f"a {sign} b")
    assert f"HTML: {reason}" in with_html(f"<p>a {sign} b</p>")
    assert f"subject: {reason}" in reasons_against(OwnWording(subject=f"a {sign} b"))


def test_a_field_spelt_as_references_does_not_count() -> None:
    html = GOOD_HTML.replace("{{ stop }}", "&#123;&#123; stop }}")
    assert reasons_against(OwnWording(text=GOOD_TEXT, html=html)) == (
        "HTML: the way to stop is missing: put {{ stop }} in it",
    )


def test_a_reason_is_given_once() -> None:
    assert with_text("gratis, evil.io, gratis, evil.io") == (
        "text: a link that is not one of the fields: evil.io",
        "text: an offer, which makes the mail advertising: gratis",
    )


def test_an_unknown_field_is_named_with_those_there_are() -> None:
    (reason,) = with_text("{{ naam }}")
    assert reason.startswith("text: there is no field {{ naam }} here; there are address, d")


def test_a_field_of_one_contact_may_not_stand_in_the_subject() -> None:
    (reason,) = reasons_against(OwnWording(subject="{{ greeting }}"))
    assert reason.startswith(
        "subject: there is no field {{ greeting }} here; there are day, deadline, "
    )


@pytest.mark.parametrize(
    "code",
    [
        "{{ stop|upper }}",
        "{{ stop.x }}",
        "{{ stop() }}",
        "{{ 1 }}",
        "{{ 'https://example.org' }}",
        "{{ stop if deadline else stop }}",
        "{{ stop[0] }}",
        "{{ stop ~ stop }}",
        "{{ (stop) }}",
    ],
)
def test_only_bare_fields_may_stand_in_a_template(code: str) -> None:
    assert "text: only the bare name of a field may stand between {{ and }}" in with_text(code)


@pytest.mark.parametrize("code", ["{% if stop %}x{% endif %}", "{# x #}", "{% raw %}x{% endraw %}"])
def test_statements_and_comments_are_refused(code: str) -> None:
    (first, *_) = with_text(code)
    assert first.startswith("text: only fields such as {{ deadline }} may stand in it")


def test_beside_a_statement_only_what_is_missing_is_called_missing() -> None:
    own = OwnWording(text=GOOD_TEXT.replace("{{ stop }}", "") + "{% if deadline %}x{% endif %}")
    _, *missing = reasons_against(own)
    assert missing == ["text: the way to stop is missing: put {{ stop }} in it"]


def test_a_broken_template_is_refused_with_its_line() -> None:
    (reason,) = reasons_against(OwnWording(subject="{{ list_name"))
    assert reason == (
        "subject: line 1 cannot be read: look at the braces in it, and write a field like "
        "{{ deadline }} (unexpected end of template, expected 'end of print statement'.)"
    )


@pytest.mark.parametrize(
    ("subject", "refused"),
    [("x" * 119, False), ("x" * 120, False), ("x" * 121, True), ("a\nb", True)],
)
def test_a_subject_is_one_line_of_at_most_120_characters(subject: str, refused: bool) -> None:
    expected = ("subject: it must be one line of at most 120 characters",) if refused else ()
    assert reasons_against(OwnWording(subject=subject)) == expected


@pytest.mark.parametrize("field", sorted(SUBJECT_FIELDS - {"day", "deadline"}))
def test_the_subject_of_a_sensitive_list_shows_no_field_that_tells(field: str) -> None:
    own = OwnWording(subject=f"Vraag {{{{ {field} }}}}")
    reason = f"subject: the list is sensitive, so the subject may not show {{{{ {field} }}}}"
    assert reasons_against(own, sensitive=True) == (reason,)
    assert reasons_against(own) == ()


@pytest.mark.parametrize("shown", ["Multiple-sklerose", "MULTIPLE sklerose", "Multiplesklerose"])
def test_nor_is_it_named_with_other_hyphens(shown: str) -> None:
    reason = "subject: the list is sensitive, so the subject may not show its name"
    own = OwnWording(subject=f"{shown}: blijft u?")
    assert reasons_against(own, sensitive=True, name="Multiple Sklerose") == (reason,)


def test_the_subject_of_a_sensitive_list_does_not_name_it() -> None:
    own = OwnWording(subject="Blijft u DE LINDEPOST lezen? Voor {{ deadline }}")
    reason = "subject: the list is sensitive, so the subject may not show its name"
    assert reasons_against(own, sensitive=True) == (reason,)
    assert reasons_against(OwnWording(subject="Een vraag, {{ deadline }}"), sensitive=True) == ()


def test_every_reason_is_given_at_once() -> None:
    own = OwnWording(subject="gratis", text="https://example.org", html="<img>")
    assert len(reasons_against(own)) == 1 + 1 + 7 + 1 + 7


def test_every_field_there_is_can_be_used() -> None:
    text = GOOD_TEXT + "".join(f"\n{{{{ {field} }}}}" for field in sorted(ALL_FIELDS))
    draft = make_ask(own=OwnWording(text=text, subject="{{ purpose }} {{ frequency }}"))
    used = set(re.findall("⟦([a-z_]+)⟧", draft.text))
    assert used == {"greeting", "reason", "address", "yes_url", "no_url", "me_url"}
    assert make_ask_values().yes_url.isascii()


@pytest.mark.parametrize("sensitive", [False, True])
def test_the_usual_words_keep_the_headings_and_buttons_of_the_usual_mail(sensitive: bool) -> None:
    mailing_list = make_facts(sensitive=sensitive)
    usual = make_default_wording(mailing_list, language="nl", longest_day="30 sep")
    own, ours = (make_ask(own=one, mailing_list=mailing_list).html for one in (usual, OwnWording()))
    for tag in ("h1", "h2", "li"):
        pattern = rf"(?s)<{tag}[^>]*>(.*?)</{tag}>"
        assert re.findall(pattern, own) == re.findall(pattern, ours)
        assert re.findall(pattern, own)
    assert own.count('class="button"') == ours.count('class="button"') == 2
    assert make_ask(own=usual, mailing_list=mailing_list).text.count("#") == 0


@given(words=st.text(st.characters(exclude_categories=["C"]), max_size=80))
def test_the_html_of_an_accepted_text_is_accepted_itself(words: str) -> None:
    text = f"{GOOD_TEXT}\n\n{words}"
    own = OwnWording(text=text, html=text_to_html(text))
    if not reasons_against(OwnWording(text=text)):
        assert reasons_against(own) == ()


# --- Templates that nobody writes. ---------------------------------------------------------------


MAX_SIZE = 102_000


@pytest.mark.parametrize(("octets", "refused"), [(-1, False), (0, False), (1, True)])
def test_a_template_is_not_larger_than_a_mail_may_be(octets: int, refused: bool) -> None:
    # Letters of two octets, since octets are counted.
    room = MAX_SIZE + octets - len(GOOD_TEXT)
    text = GOOD_TEXT + " ë" * (room // 3) + "x" * (room % 3)
    assert len(text.encode()) == MAX_SIZE + octets
    reason = "text: it has 102,001 octets, and a whole mail may have 102,000: make it shorter"
    assert reasons_against(OwnWording(text=text)) == ((reason,) if refused else ())


@pytest.mark.parametrize("part", ["subject", "text", "html"])
def test_of_a_template_that_is_too_large_nothing_else_is_said(part: str) -> None:
    reasons = reasons_against(OwnWording(**{part: "gratis " * 30_000}))
    assert reasons[0].endswith(
        ": it has 210,000 octets, and a whole mail may have 102,000: make it shorter"
    )
    assert not [one for one in reasons if "gratis" in one]


@pytest.mark.parametrize(
    ("reference", "quoted"),
    [
        ("&#" + "1" * 5000 + ";", "&#" + "1" * 18),
        ("&#12345678;", "&#12345678"),
        ("&#xFFFFFFF;", "&#xFFFFFFF"),
    ],
)
def test_a_reference_to_no_character_is_refused(reference: str, quoted: str) -> None:
    assert with_text(f"a {reference} b") == (f"text: {quoted} is no character",)
    assert with_html(f"<p>a {reference} b</p>") == (f"HTML: {quoted} is no character",)
    assert with_text("&#1234567; &#xFFFFFF;") == ()


@pytest.mark.parametrize(
    "code",
    [
        "{{ " + "(" * 20_000,
        "{{ a" + ".a" * 20_000 + " }}",
        "{{ " + "[" * 20_000 + " }}",
        "{{" * 9_000,
    ],
    ids=["parentheses", "attributes", "lists", "braces"],
)
def test_a_template_that_is_nested_without_end_is_refused(code: str) -> None:
    assert "text: only the bare name of a field may stand between {{ and }}" in with_text(code)


@pytest.mark.exhaustive
@pytest.mark.counted_first
@pytest.mark.parametrize(
    "unit",
    [
        " ", "\t\n ", "{%", "{#", "{{", "{{- a ", "<", "<!--", "</a>", "x</a>", "<script>", "<p a ",
        "&#", "\u0301\u0316", "\ufdfa ", "1", "1,", "a", "url(", "{{ stop }} ", "x{{ yes_url }}",
        "<b>" * 9_000 + "</i>" * 9_000,
        f"<{'a' * 40_000}{' b' * 20_000}>",
        *(f"{(letters * 200)[:199]} " for letters in ("1", "a.", "::", "@", "-a.", "1,")),
    ],
    ids=lambda unit: ascii(unit[:12]),
)  # fmt: skip
def test_every_template_that_may_be_is_answered_soon(unit: str) -> None:
    template = unit * ((MAX_SIZE - len(GOOD_HTML) - 1) // len(unit.encode()))
    began = time.process_time()
    with_html(template)
    with_text(template)
    assert time.process_time() - began < 8
