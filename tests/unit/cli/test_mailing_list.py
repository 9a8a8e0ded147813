"""Lists from the command line."""

from __future__ import annotations

import re

import pytest

from repermit.db.connection import proxy
from tests.support.builders import make_campaign, make_contact
from tests.support.desk import Desk
from tests.unit.emails.test_wording_validation import GOOD_TEXT


def test_a_list_is_added_changed_and_shown(desk: Desk) -> None:
    own = desk.file("May we, {{ organisation_name }} asks?", name="subject.txt")
    desk.do("list", "add", "news", "--name", "News", "--language", "en")
    added = desk.run("list", "show", "news", "--json").document
    changes = ("--purpose", "News, monthly", "--frequency", "12 times a year", "--own-subject", own)
    assert desk.do("list", "set", "news", *changes) == "Changed news.\n"
    shown = desk.run("list", "show", "news", "--json").document
    assert (
        added
        | {
            "purpose": "News, monthly",
            "frequency": "12 times a year",
            "own_subject": "May we, {{ organisation_name }} asks?\n",
        }
        == shown
    )


def test_who_adds_a_list_is_told_what_it_still_lacks(desk: Desk) -> None:
    added, title, *lacks = desk.do("list", "add", "news", "--name", "News").splitlines()
    assert (added, title) == ("Added news.", "Before a launch:")
    assert [re.sub(r".* --([a-z-]+) ….*", r"\1", lack) for lack in lacks] == [
        "privacy-url",
        "purpose",
        "frequency",
        "sender",
    ]


def test_who_adds_a_list_that_lacks_nothing_is_told_no_more(desk: Desk) -> None:
    facts = ("--purpose", "News, monthly", "--privacy-url", "https://example.org/privacy")
    sender = ("--sender", "News <news@example.org>")
    assert desk.do("list", "add", "news", "--name", "N", *facts, *sender) == "Added news.\n"


def test_a_list_is_shown_line_by_line(desk: Desk) -> None:
    desk.add_news(own_text="One\n\nTwo\n", languages=())
    lines = desk.do("list", "show", "news").splitlines()
    assert "name:         Nieuws van de praktijk" in lines
    assert "sensitive:    no" in lines
    assert lines[-5:-1] == ["own text:     One", "", "              Two", "own html:"]


def test_a_list_shows_where_people_sign_up_a_sensitive_one_without_its_name(desk: Desk) -> None:
    desk.add_news()
    url = desk.run("list", "show", "news", "--json").document["sign_up_url"]
    assert url.endswith("/join/news")
    desk.do("list", "set", "news", "--sensitive")
    coded = desk.run("list", "show", "news", "--json").document["sign_up_url"]
    assert re.fullmatch(re.escape(url).removesuffix("news") + "[0-9a-f]{16}", coded)


def test_who_gives_own_words_is_told_if_a_phone_does_not_show_both_answers(desk: Desk) -> None:
    desk.add_news()
    high, low = (
        desk.file("{{ greeting }} " + "Ja? " * count, "", GOOD_TEXT, name=f"{count}.txt")
        for count in (20, 90)
    )
    assert not desk.run("list", "set", "news", "--own-text", high).err
    told = desk.run("list", "set", "news", "--own-text", low).err
    assert told.startswith("Mind: A phone cuts the mail of the list news (nl) short")
    facts = ("--name", "N", "--purpose", "P", "--privacy-url", "https://example.org/privacy")
    sender = ("--sender", "News <news@example.org>")
    told = desk.run("list", "add", "other", *facts, *sender, "--own-text", low).err
    assert told.startswith("Mind: A phone cuts the mail of the list other (nl) short")


def test_a_list_that_is_there_already_is_refused(desk: Desk) -> None:
    desk.add_news()
    assert "there is a list of this short name already" in desk.refused(
        "list", "add", "news", "--name", "N"
    )


def test_an_own_wording_that_lacks_something_is_refused_with_what(desk: Desk) -> None:
    desk.add_news()
    own = desk.file("Hello", name="body.txt")
    reason = desk.refused("list", "set", "news", "--own-text", own)
    assert reason.startswith("repermit: your own wording cannot be used:\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "body.txt cannot be read: No such file or directory"),
        (b"\xff\xfe\xff", "body.txt is no UTF-8 text; save it as plain text in UTF-8"),
    ],
)
def test_an_own_wording_that_cannot_be_read_is_refused(
    desk: Desk, content: bytes | None, reason: str
) -> None:
    desk.add_news()
    path = desk.folder / "body.txt"
    if content:
        path.write_bytes(content)
    assert reason in desk.refused("list", "set", "news", "--own-text", str(path))


def test_who_changes_a_list_under_way_is_told_what_stays(desk: Desk) -> None:
    desk.add_news()
    with desk.news() as (database, news):
        make_campaign(database, news)
    assert "keeps the wording" in desk.do("list", "set", "news", "--name", "Other news")


def test_a_list_is_described_in_a_further_language(desk: Desk) -> None:
    desk.add_news(languages=())
    with desk.news() as (database, news):
        make_contact(database, news, language="de")
    lines = desk.do("list", "show", "news").splitlines()
    assert lines[-3:] == [
        "",
        "Who reads another language gets the list's own: 1 in de.",
        "`repermit list set news --in … --purpose … --privacy-url …` gives them theirs.",
    ]
    assert "gets the list's own: 1 in de." in desk.do("status", "news")
    assert desk.run("list", "show", "news", "--json").document["read_otherwise"] == {"de": 1}
    half = desk.do("list", "set", "news", "--in", "de", "--purpose", "Neues, monatlich")
    assert half.splitlines() == [
        "Changed news.",
        "Nobody gets a mail in de before it has --privacy-url too.",
    ]
    url = ("--privacy-url", "https://www.example.org/de")
    assert desk.do("list", "set", "news", "--in", "de", *url) == "Changed news.\n"
    assert desk.do("list", "show", "news").splitlines()[-4:] == [
        "",
        "In de:",
        "purpose:      Neues, monatlich",
        "privacy url:  https://www.example.org/de",
    ]
    shown = desk.run("list", "show", "news", "--json").document
    assert (shown["texts"]["de"]["purpose"], shown["read_otherwise"]) == ("Neues, monatlich", {})
    assert "gets the list's own" not in desk.do("status", "news")


def test_what_is_the_same_in_all_languages_is_not_said_in_one(desk: Desk) -> None:
    desk.add_news()
    said = desk.misused("list", "set", "news", "--in", "de", "--sensitive", "--sender", "x")
    assert "--sender, --sensitive is the same in all languages: give it without --in" in said
    assert "this is the list’s own language" in desk.refused(
        "list", "set", "news", "--in", "nl", "--name", "N"
    )


def test_a_sensitive_list_is_added_and_nothing_stays_open(desk: Desk) -> None:
    desk.do(
        "list",
        "add",
        "groep",
        "--name",
        "Groep",
        "--sensitive",
        "--purpose",
        "Nieuws, vier keer per jaar",
    )
    assert proxy.obj.is_closed()
