"""What use cases say, on a page in Dutch and on one in English."""

from __future__ import annotations

from datetime import UTC, datetime

from repermit.db.connection import Database
from repermit.i18n.lazy_text import LazyJoin, LazyText
from repermit.settings.definitions import Settings
from repermit.web.admin import result_text
from tests.support.public_pages import Pages

AT = datetime(2026, 12, 22, 16, 0, tzinfo=UTC)


SAID = (
    (LazyText(), "", ""),
    ("there is no address", "There is no address.", "There is no address."),
    (LazyText("no reply"), "No reply.", "Geen antwoord."),
    (
        LazyText("a deadline only moves later: it is %(deadline)s", deadline=AT),
        "A deadline only moves later: it is Tuesday 22 December 2026, 17:00.",
        (
            "Een uiterste dag kan alleen naar later worden verzet; de huidige uiterste dag is "
            "dinsdag 22 december 2026, 17:00 uur."
        ),
    ),
    (
        LazyText("a word of %(length)s characters: %(quoted)s…", length=1234, quoted="aaa"),
        "A word of 1,234 characters: aaa…",
        "Een woord van 1.234 tekens: aaa…",
    ),
    (
        LazyText("%(reason)s (%(reply)s)", reason="no", reply=LazyText("no reply")),
        "No (no reply).",
        "No (geen antwoord).",
    ),
    (
        LazyText("%(what)s", what=LazyJoin((LazyText("an image"), LazyText("a form")), by="; ")),
        "An image; a form.",
        "Een afbeelding; een formulier.",
    ),
    (
        LazyText("there is no list %(list)s", cli="; `repermit list add %(list)s`", list="news"),
        "There is no list news.",
        "Er is geen lijst news.",
    ),
)


def test_a_page_says_it_in_its_language(database: Database, settings: Settings) -> None:
    app = Pages(database, settings).app
    for language, column in (("en", 1), ("nl", 2)):
        with app.test_request_context("/admin/", headers={"Accept-Language": language}):
            assert [result_text.make_sentence(one[0]) for one in SAID] == [
                str(one[column]) for one in SAID
            ]
