"""What mails of each kind say, before they are filled in."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from repermit.emails.frozen_draft import Draft
from repermit.emails.mail_types import OwnWording
from repermit.emails.make_draft import drop_once
from repermit.emails.replace_deadline import make_deadline_texts, replace_deadline
from repermit.errors import AddressError, WordingError
from repermit.i18n.catalogues import languages, load_translations
from repermit.i18n.dates import format_in_earlier_patterns
from repermit.package_files import find_asset
from tests.support.mail_builders import (
    AMSTERDAM,
    DEADLINE,
    SIGN_UP_ENDS,
    make_ask,
    make_confirm,
    make_facts,
    make_notice,
    make_practice,
    make_reminder,
)

LATER = DEADLINE + timedelta(days=45)
OWN_TEXT = """{{ greeting }}

{{ organisation }} & co vragen u iets over {{ list_name }}.
Antwoord voor {{ deadline }}: {{ yes_url }} of {{ no_url }}

{{ stop }} {{ privacy_url }} {{ me_url }}
{{ silence }}
{{ objection }}"""

OWN = OwnWording(text=OWN_TEXT)


@pytest.mark.parametrize("language", languages())
def test_an_ask_says_above_its_buttons_what_the_reader_must_know(language: str) -> None:
    draft = make_ask(language=language)
    for body, end in ((draft.text, "⟦yes_url⟧"), (draft.html, 'href="⟦yes_url⟧"')):
        above = body[: body.index(end)]
        for said in (
            "Praktijk De Linde",
            "De Lindepost",
            "Nieuws over onze praktijk",
            "vier keer per jaar",
            "22",
        ):
            assert said in above


@pytest.mark.parametrize("language", languages())
def test_an_ask_says_below_its_buttons_what_the_reader_may_want_to_know(language: str) -> None:
    draft = make_ask(language=language)
    for body, begin in ((draft.text, "⟦no_url⟧"), (draft.html, 'href="⟦no_url⟧"')):
        below = body[body.index(begin) :]
        for said in (
            "Praktijk De Linde",
            "Lindelaan 1",
            "1234 AB Utrecht",
            "030 123 45 67",
            "praktijk@example.org",
            "De Lindepost",
            "⟦reason⟧",
            "2026",
            "23",
        ):
            assert said in below


@pytest.mark.parametrize("language", languages())
def test_of_a_long_purpose_the_beginning_stands_above_the_buttons_with_how_often(
    language: str,
) -> None:
    purpose = "Nieuws over onze praktijk en alles wat daarbij komt kijken, in Utrecht en verder weg"
    text = make_ask(language=language, mailing_list=make_facts(purpose=purpose)).text
    above, below = text.split("⟦yes_url⟧")
    assert "Nieuws over onze praktijk en alles wat daarbij komt… (vier keer per jaar)" in above
    assert f"{purpose}\n" in below


def test_a_purpose_and_a_frequency_that_end_in_a_full_stop_bring_no_second_one() -> None:
    facts = make_facts(purpose="Nieuws.", frequency="vier keer per jaar.")
    text = make_ask(language="nl", mailing_list=facts).text
    assert "Het gaat om: Nieuws (vier keer per jaar). " in text


@pytest.mark.parametrize("kind", ["ask", "confirm"])
def test_what_is_not_known_leaves_no_empty_line_behind(kind: str) -> None:
    make = {"ask": make_ask, "confirm": make_confirm}[kind]
    draft = make(
        organisation=make_practice(telephone="", address="", email=""),
        mailing_list=make_facts(frequency=""),
    )
    assert "Telefoon" not in draft.text + draft.html
    assert "Hoe vaak" not in draft.text + draft.html
    assert "E-mail: post@example.org" in draft.text
    assert "\n\n\n" not in draft.text


@pytest.mark.parametrize("language", languages())
def test_yes_and_no_look_the_same(language: str) -> None:
    html = make_ask(language=language).html
    yes, no = re.findall(r'<tr>(<td class="press".*?</td>)</tr>', html, re.DOTALL)
    bare = [re.sub(r'href="[^"]*"|>[^<]+</a>', "", one) for one in (yes, no)]
    assert bare[0] == bare[1]
    assert 'href="⟦yes_url⟧"' in yes
    assert 'href="⟦no_url⟧"' in no


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("kind", ["ask", "confirm"])
def test_html_loads_nothing_and_names_its_language(kind: str, language: str) -> None:
    html = {"ask": make_ask, "confirm": make_confirm}[kind](language=language).html
    assert f'<html lang="{language}" dir="ltr"' in html
    assert 'role="presentation"' in html
    assert "prefers-color-scheme: dark" in html
    assert not re.search(r"<img|<script|<link|<form|url\(|@import|src=", html)
    assert len(html.encode()) < 102_000 - 20_000


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("kind", ["ask", "confirm"])
def test_a_sensitive_list_shows_nothing_outside_its_body(kind: str, language: str) -> None:
    facts = make_facts(name="Leven met hiv", purpose="Steun", sensitive=True)
    draft = {"ask": make_ask, "confirm": make_confirm}[kind](mailing_list=facts, language=language)
    found = re.search(
        '<title>(.*?)</title>.*<div class="preview".*?>(.*?)</div>', draft.html, re.DOTALL
    )
    assert found is not None
    for shown in (draft.subject, *found.groups()):
        assert shown
        for secret in ("hiv", "Steun", "Linde", "lindepost"):
            assert secret not in shown
    assert "Leven met hiv" in draft.text


@pytest.mark.parametrize("kind", ["ask", "confirm"])
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("nl", "artikel 9, lid 2, onder a"),
        ("en", "article 9(2)(a)"),
        ("de", "Artikel 9 Absatz 2 Buchstabe a"),
        ("fr", "article 9, paragraphe 2, point a)"),
    ],
)
def test_a_yes_on_a_sensitive_list_is_explicit_consent_in_words(
    kind: str, language: str, words: str
) -> None:
    make = {"ask": make_ask, "confirm": make_confirm}[kind]
    sensitive = make(mailing_list=make_facts(sensitive=True), language=language)
    other = make(language=language)
    assert words in sensitive.text
    assert words in sensitive.html
    assert words not in other.text + other.html


def test_facts_cannot_bring_marks_or_markup_or_lines_of_their_own() -> None:
    draft = make_ask(
        organisation=make_practice(name="A <b>&</b> ⟦yes_url⟧\r\nBcc: x", address=" a\x00b \n\nc"),
        mailing_list=make_facts(purpose="{{ no_url }} {% x %}"),
    )
    assert draft.organisation.name == "A <b>&</b> [yes_url] Bcc: x"
    assert draft.organisation.postal_lines == ("a b", "c")
    assert "A &lt;b&gt;&amp;&lt;/b&gt; [yes_url] Bcc: x" in draft.html
    assert "A <b>&</b> [yes_url] Bcc: x" in draft.text
    assert "{{ no_url }} {% x %}" in draft.text


def test_an_own_text_is_used_and_its_html_says_the_same() -> None:
    draft = make_ask(own=OwnWording(subject="{{ list_name }} & u", text=OWN_TEXT))
    assert draft.subject == "De Lindepost & u"
    assert draft.text.startswith("⟦greeting⟧\n\nPraktijk De Linde\nLindelaan 1\n")
    assert "& co vragen u iets over De Lindepost.\n" in draft.text
    assert "dinsdag 22 december 2026, 23:59 uur: ⟦yes_url⟧ of ⟦no_url⟧\n" in draft.text
    assert "<title>De Lindepost &amp; u</title>" in draft.html
    assert "Praktijk De Linde<br>\nLindelaan 1<br>\n" in draft.html
    assert "&amp; co vragen u iets over De Lindepost.<br>\n" in draft.html
    assert re.search(
        'class="button" href="⟦yes_url⟧".*>Ja, blijf mij deze mails sturen</a>', draft.html
    )
    assert re.search('class="button" href="⟦no_url⟧".*>Nee, stuur mij deze mails niet', draft.html)


def test_an_own_html_is_set_into_the_frame() -> None:
    own = OwnWording(
        text=OWN_TEXT,
        html="<p>{{ organisation }} {{ silence }} {{ stop }} {{ objection }}"
        ' <a href="{{ yes_url }}">{{ yes_label }}</a> <a href="{{ no_url }}">{{ no_label }}</a>'
        ' <a href="{{ privacy_url }}">privacy</a></p>',
    )
    draft = make_ask(own=own, organisation=make_practice(name="A & B"))
    assert '<table class="column"' in draft.html
    assert "<p style=" in draft.html
    assert "A &amp; B<br>\nLindelaan 1" in draft.html
    assert 'href="https://www.example.org/privacy"' in draft.html
    assert "prefers-color-scheme" in draft.html


@pytest.mark.parametrize("language", languages())
def test_an_own_text_says_what_silence_does_and_the_right_to_object_as_the_usual_ask_does(
    language: str,
) -> None:
    say = load_translations(language).gettext
    title = say("Your right to object")
    sentence = say(
        "You can object at any time, without a reason, to our using your data for these mails "
        "(GDPR, article 21). The link for No in our mails is enough, or a message to us: then we "
        "stop."
    )
    silence = say("If we have no answer from you by %(deadline)s, we take you off this list too.")
    for draft in (make_ask(language=language), make_ask(language=language, own=OWN)):
        assert f"{title}\n{sentence}\n" in draft.text
        assert silence % {"deadline": draft.phrases["deadline"]} in draft.text
        markup = html.unescape(draft.html)
        assert re.search(
            f"<h2[^>]*>{re.escape(title)}</h2>\\s*<p[^>]*>{re.escape(sentence)}</p>", markup
        )


def test_a_wording_that_may_not_be_used_is_refused_here_too() -> None:
    with pytest.raises(WordingError, match="the No is missing"):
        make_ask(own=OwnWording(text="{{ yes_url }}"))


def test_a_sender_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(AddressError):
        make_ask(organisation=make_practice(email="praktijk"))
    with pytest.raises(AddressError):
        make_confirm(organisation=make_practice(email="praktijk"))


# --- Reminders. ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", languages())
def test_a_reminder_says_all_that_an_ask_says_and_that_it_is_the_only_one(language: str) -> None:
    ask = make_ask(language=language, has_reminder=True)
    reminder = make_reminder(language=language)
    for said, more in ((ask.text, reminder.text), (ask.html, reminder.html)):
        before, after = set(said.splitlines()), set(more.splitlines())
        # In HTML the subject stands too, as the title.
        assert {
            line for line in before - after if not re.search("<title|aria-label", line)
        } == set()
        assert any(only_reminder(language) in line for line in after - before)
    assert reminder.phrases == ask.phrases
    assert reminder.kind == "reminder"
    assert reminder.subject != ask.subject


def only_reminder(language: str) -> str:
    """Return the sentence that says so, as the catalogue of the language has it."""
    body = (find_asset("templates") / "mail" / "reminder" / "body.txt").read_text("utf-8")
    found = re.search('_\\("(We have asked you this before[^"]+)"', body)
    assert found
    return load_translations(language).gettext(found[1])


@pytest.mark.parametrize("language", languages())
def test_a_reminder_of_a_sensitive_list_shows_nothing_outside_its_body(language: str) -> None:
    facts = make_facts(name="Leven met hiv", sensitive=True)
    draft = make_reminder(mailing_list=facts, language=language)
    assert "hiv" not in draft.subject
    assert "Linde" not in draft.subject
    assert "Leven met hiv" in draft.text


# --- Another deadline. --------------------------------------------------------------------------


def every_draft(language: str, deadline: datetime) -> list[Draft]:
    own = OwnWording(subject="{{ deadline }}?", text=OWN_TEXT)
    return [
        make_ask(language=language, deadline=deadline),
        make_ask(language=language, deadline=deadline, own=own),
        make_reminder(language=language, deadline=deadline),
    ]


@pytest.mark.everyday("-nl]", "-en]")
@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("later", [LATER, DEADLINE + timedelta(microseconds=1)])
def test_another_deadline_changes_nothing_else(language: str, later: datetime) -> None:
    for before, after in zip(
        every_draft(language, DEADLINE), every_draft(language, later), strict=True
    ):
        assert before != after
        assert replace_deadline(before, later) == after


def test_the_day_in_a_subject_changes_with_the_deadline_and_no_name_does() -> None:
    named = make_facts(name="22 dec", frequency="elke 22 dec")
    draft = make_ask(mailing_list=named)
    assert draft.subject == "22 dec: blijven ontvangen? Uiterlijk 22 dec"
    later = replace_deadline(draft, LATER)
    assert later == make_ask(mailing_list=named, deadline=LATER)
    assert later.subject == "22 dec: blijven ontvangen? Uiterlijk 5 feb"


@pytest.mark.parametrize("words", ["deadline", "short_deadline", "day"])
def test_a_day_that_a_list_or_its_admin_names_stays_where_the_deadline_moves(words: str) -> None:
    day = _free(make_ask().phrases[words])
    named = make_facts(purpose=f"de markt van {day}", frequency=day)
    organisation = make_practice(name=f"Comité {day}", address=f"{day} 1\n1234 AB Utrecht")
    own = OwnWording(subject=f"{day}: {{{{ day }}}}?", text=f"Tot {day}.\n{OWN_TEXT}\n{day}")
    about = {"mailing_list": named, "organisation": organisation}
    for fields in (about, about | {"own": own}):
        later = replace_deadline(make_ask(**fields), LATER)
        assert later == make_ask(**fields, deadline=LATER)
        assert later.text.count(day) == make_ask(**fields, deadline=LATER).text.count(day) > 0


@pytest.mark.parametrize("length", [21, 22, 23])
def test_a_subject_has_the_last_day_where_there_is_room(length: int) -> None:
    subject = make_ask(mailing_list=make_facts(name="x" * length)).subject
    assert len(subject) < 60
    assert subject.endswith("? Uiterlijk 22 dec") is (length < 23)


def test_a_sign_up_is_asked_for_and_need_not_be_typed() -> None:
    """Who comes too late for a Yes presses one button, and types no address."""
    text = make_confirm().text
    assert "heeft opgegeven" in text
    assert "ingevuld" not in text


@pytest.mark.parametrize("length", [10, 11, 12])
def test_a_subject_names_no_day_that_is_not_wholly_left(length: int) -> None:
    """A deadline at an hour has it in the subject too, or the subject has no day."""
    at_nine = datetime(2026, 12, 27, 8, tzinfo=UTC)
    subject = make_ask(mailing_list=make_facts(name="x" * length), deadline=at_nine).subject
    assert len(subject) < 60
    assert subject.endswith("? Uiterlijk 27 dec, 09:00 uur") is (length < 12)
    assert ("27 dec" in subject) is (length < 12)


# Of 21 and 19 characters.
_ORDINARY, _SHORT = "Nieuws van De Heelhof", "Nieuws van De Linde"


@pytest.mark.parametrize(("make", "name"), [(make_ask, _ORDINARY), (make_reminder, _SHORT)])
def test_a_subject_has_the_last_day_for_a_list_with_an_ordinary_name(
    make: Callable[..., Draft], name: str
) -> None:
    facts = make_facts(name=name)
    subjects = {
        language: make(language=language, mailing_list=facts).subject for language in languages()
    }
    assert max(map(len, subjects.values())) < 60
    assert not {language for language, subject in subjects.items() if "22" not in subject}


# "By" and "until" both: behind "may we continue?" they may say how long the mails would come. And
# what may be read as an appointment, or as a span of time.
_UNTIL = frozenset("До Do Bis Έως Kuni Iki Līdz T/m Até Termin: Termín: Délai Plazo:".split())


@pytest.mark.parametrize("make", [make_ask, make_reminder])
@pytest.mark.parametrize("sensitive", [False, True])
def test_no_subject_can_be_read_as_to_go_on_until_the_last_day(
    make: Callable[..., Draft], *, sensitive: bool
) -> None:
    facts = make_facts(name="News", sensitive=sensitive)
    for language in languages():
        subject = make(language=language, mailing_list=facts).subject
        assert not _UNTIL.intersection(subject.split()), subject


@pytest.mark.parametrize("make", [make_ask, make_reminder])
def test_a_subject_has_the_last_day_on_a_sensitive_list(make: Callable[..., Draft]) -> None:
    for language in languages():
        subject = make(language=language, mailing_list=make_facts(sensitive=True)).subject
        assert "22" in subject
        assert len(subject) < 60


# --- Whether it is asked once. ------------------------------------------------------------------


@pytest.mark.parametrize("language", languages())
def test_an_ask_says_that_it_is_asked_once_where_no_reminder_follows(language: str) -> None:
    gettext = load_translations(language).gettext
    once, repeated = (
        _free(gettext(text)) % {"organisation": make_practice().name}
        for text in ("%(organisation)s asks you once.", "%(organisation)s is asking you.")
    )
    assert once != repeated
    only = make_ask(language=language)
    followed = make_ask(language=language, has_reminder=True)
    reminder = make_reminder(language=language)
    for draft, said, unsaid in (
        (only, once, repeated),
        (followed, repeated, once),
        (reminder, repeated, once),
    ):
        for body, end in ((draft.text, "⟦yes_url⟧"), (draft.html, 'href="⟦yes_url⟧"')):
            plain = _free(body)
            assert said in plain[: plain.index(end)]
            assert unsaid not in plain
    assert drop_once(only) == followed


def _freeze_earlier(draft: Draft, patterns: Mapping[str, tuple[str, str]]) -> Draft:
    """Return a draft as an earlier version froze it, which did not keep how it says its deadline.

    `patterns` give, by the name of a field, what stands there now and what stood there then.
    """
    names = ("deadline", "short_deadline", "day")
    phrases = {name: words for name, words in draft.phrases.items() if name not in names}
    text, html = draft.text, draft.html
    for now, earlier in patterns.values():
        text = text.replace(now, earlier)
        named = [one.replace("\N{NO-BREAK SPACE}", "&nbsp;") for one in (now, earlier)]
        html = html.replace(named[0], named[1])
    return replace(draft, text=text, html=html, phrases=phrases, deadline_places="")


def _free(text: str) -> str:
    return text.replace("&nbsp;", " ").replace("\N{NO-BREAK SPACE}", " ")


def _expect_moved(earlier: Draft, deadline: datetime) -> None:
    """Expect such a draft to have another deadline, whichever way a space that holds is written.

    An hour stood behind a day with its year; it does as long as that wording lives.
    """
    new = make_ask(language=earlier.language, deadline=deadline)
    short, whole = (new.phrases[name] for name in ("short_deadline", "deadline"))
    moved = replace_deadline(earlier, deadline)
    new, moved = (
        replace(one, text=_free(one.text), html=_free(one.html), deadline_places="")
        for one in (new, moved)
    )
    if deadline.hour <= 20:
        short, whole = _free(short), _free(whole)
        text, html = (
            one.replace(whole, short).replace(short, whole) for one in (new.text, new.html)
        )
        new = replace(new, text=text, html=html)
    assert moved == new


@pytest.mark.parametrize(
    ("deadline", "whole", "short"),
    [
        (
            datetime(2026, 12, 27, 23, tzinfo=UTC),
            "nedjelja, 27. prosinca 2026., 24:00",
            "nedjelja, 27. prosinca",
        ),
        (
            datetime(2026, 12, 27, 22, 59, tzinfo=UTC),
            "nedjelja, 27. prosinca 2026., 23:59",
            "nedjelja, 27. prosinca",
        ),
        (
            datetime(2026, 12, 27, 11, tzinfo=UTC),
            "nedjelja, 27. prosinca 2026., 12:00",
            "nedjelja, 27. prosinca 2026., 12:00",
        ),
    ],
)
def test_a_deadline_in_the_words_of_an_earlier_version_is_replaced_too(
    deadline: datetime, whole: str, short: str
) -> None:
    draft = make_ask(language="hr", deadline=deadline)
    known = draft.phrases
    earlier = _freeze_earlier(
        draft,
        {
            "deadline": (known["deadline"], whole),
            "short_deadline": (known["short_deadline"], short),
        },
    )
    assert whole in earlier.text
    assert f"do {short}" in earlier.text
    later = deadline + timedelta(days=45)
    _expect_moved(earlier, later)


@pytest.mark.everyday("[hr]", "[pt]")
@pytest.mark.parametrize("language", languages())
def test_a_wording_of_an_earlier_version_is_replaced_in_every_language(language: str) -> None:
    deadline = datetime(2026, 6, 30, 22, tzinfo=UTC)
    first = deadline + timedelta(days=1)
    for earlier_deadline in (deadline, first, first + timedelta(hours=11)):
        draft = make_ask(language=language, deadline=earlier_deadline)
        words = format_in_earlier_patterns(
            earlier_deadline, language=language, zone=draft.zone_info
        )
        names = ("deadline", "short_deadline")
        patterns = {
            name: (draft.phrases[name], earlier) for name, earlier in zip(names, words, strict=True)
        }
        later = earlier_deadline + timedelta(days=40)
        earlier = _freeze_earlier(draft, patterns)
        _expect_moved(earlier, later)


def test_a_deadline_is_replaced_as_it_was_frozen_whatever_dates_look_like_now() -> None:
    """A pattern may change with a catalogue, or with the data of the Unicode consortium."""
    draft = make_ask()
    frozen = {"deadline": "22-12-2026 te 24:00", "short_deadline": "22-12-2026", "day": "22/12"}
    text, html, subject = draft.text, draft.html, draft.subject
    for name, words in frozen.items():
        now = draft.phrases[name]
        text, subject = (one.replace(now, words) for one in (text, subject))
        html = html.replace(now.replace("\N{NO-BREAK SPACE}", "&nbsp;"), words)
    phrases = {**draft.phrases, **frozen}
    # Nor did these versions keep where it says it.
    earlier = replace(
        draft, text=text, html=html, subject=subject, phrases=phrases, deadline_places=""
    )
    assert "22/12" in earlier.subject
    _expect_moved(earlier, LATER)


@pytest.mark.parametrize("language", languages())
def test_a_sign_ups_mail_says_until_when_and_that_a_reply_or_a_call_does_too(language: str) -> None:
    """Below the button, as an ask does: what stands above it is read at first sight."""
    draft = make_confirm(language=language)
    gettext = load_translations(language).gettext
    until = make_deadline_texts(SIGN_UP_ENDS, language, AMSTERDAM)["short_deadline"]
    last = gettext("You can confirm your sign-up until %(deadline)s.") % {"deadline": until}
    reply = gettext("You may also simply reply to this mail, or call %(telephone)s.")
    stop = gettext("You can withdraw your Yes at any time, as easily as you give it.")
    assert "8" in until
    for body in (draft.text, html.unescape(re.sub("</?strong[^>]*>", "", draft.html))):
        said = body[body.index("⟦confirm_url⟧") : body.index(stop)]
        assert last in said
        assert reply % {"telephone": "030 123 45 67"} in said


def test_a_wording_without_a_deadline_gets_one_for_the_record_alone() -> None:
    draft = make_confirm()
    assert replace_deadline(draft, LATER).deadline == LATER
    assert replace_deadline(draft, LATER).text == draft.text


# --- Notices. -----------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["paused_pilot", "paused_bounces", "paused_complaint"])
@pytest.mark.parametrize("language", languages())
def test_a_notice_says_what_happened_and_what_may_be_done(topic: str, language: str) -> None:
    draft = make_notice(topic=topic, mailing_list=make_facts(language=language))
    others = {
        make_notice(topic=one, mailing_list=make_facts(language=language)).text
        for one in ("paused_pilot", "paused_bounces", "paused_complaint")
    }
    assert len(others) == 3
    assert draft.language == language
    assert draft.deadline == DEADLINE
    for body in (draft.text, draft.html):
        for said in ("resume", "cancel"):
            assert f"repermit {said} lindepost" in body
        assert "https://ask.example.org/admin/lists/lindepost/" in body
        assert "De Lindepost" in body
        assert "23" in body
        assert "⟦" not in body


def test_a_notice_about_a_sensitive_list_shows_nothing_outside_its_body() -> None:
    facts = make_facts(name="Leven met hiv", sensitive=True)
    assert "hiv" not in make_notice(mailing_list=facts).subject


def test_a_notice_needs_somebody_to_go_to_and_something_to_say() -> None:
    with pytest.raises(AddressError):
        make_notice(organisation=make_practice(email=""))
    with pytest.raises(KeyError):
        make_notice(topic="another")
