"""The commands on what mails and pages say: text list, text set, text reset."""

from __future__ import annotations

import pytest

from repermit.db.models.evidence import Evidence
from repermit.i18n import correctable_texts
from tests.support.desk import ATTEST, Desk, links_of
from tests.support.inbox import Inbox

pytestmark = pytest.mark.usefixtures("usual_texts")

YES = "Yes, keep sending me these mails"
USUAL = "Ja, blijf mij deze mails sturen"
KEY = correctable_texts.key_of(YES)


def test_texts_are_listed_with_their_keys(desk: Desk) -> None:
    out = desk.do("text", "list", "nl")
    assert f"{KEY}  {YES}\n{'':>16}  {USUAL}\n" in out
    assert desk.do("text", "list", "nl", "--corrected") == ""


@pytest.mark.parametrize("which", [YES, USUAL, KEY])
def test_a_text_is_corrected_by_any_of_its_names_and_reset(desk: Desk, which: str) -> None:
    assert desk.do("text", "set", "nl", which, "Ja, graag").startswith("Corrected: preview")
    document = desk.run("text", "list", "nl", "--corrected", "--json").document
    assert document["language"] == "nl"
    (told,) = document["texts"]
    assert told == {
        "key": KEY,
        "english": [YES],
        "numbers": [],
        "usual": [USUAL],
        "corrected": ["Ja, graag"],
    }
    assert "    corrected to  Ja, graag\n" in desk.do("text", "list", "nl", "--corrected")
    with desk.database():
        assert Evidence.get().actor.startswith("cli:")
    assert desk.do("text", "reset", "nl", "Ja, graag") == "It is as it was.\n"
    assert desk.run("text", "list", "nl", "--corrected", "--json").document["texts"] == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("set", "xx", YES, "Ja"), "there are no texts in xx; there are in: bg, cs, da,"),
        (("set", "nl", "No text says this", "Ja"), "no text says that; `repermit text list`"),
        (("set", "nl", YES, "Ja %(list)s"), "%(list)s is not filled in here"),
        (("set", "nl", YES, USUAL), "it says so already"),
        (("reset", "nl", YES), "it says so already"),
    ],
)
def test_what_makes_no_sense_is_refused(
    desk: Desk, arguments: tuple[str, ...], reason: str
) -> None:
    ran = desk.run("text", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert reason in ran.err


def test_an_empty_text_is_no_correction(desk: Desk) -> None:
    assert "`repermit text reset` takes it back" in desk.misused("text", "set", "nl", YES, " ")


def test_a_text_is_named_with_plain_blanks(desk: Desk) -> None:
    text = next(
        one for one in correctable_texts.texts_in("fr").values() if "\u00a0" in one.usual[0]
    )
    desk.do("text", "set", "fr", text.usual[0].replace("\u00a0", " "), text.usual[0] + " x")


def test_a_text_that_several_say_is_named_by_its_key(desk: Desk) -> None:
    texts = correctable_texts.texts_in("nl").values()
    said = [text.usual[0] for text in texts if not text.numbers]
    twice = next(one for one in said if said.count(one) > 1)
    ran = desk.run("text", "set", "nl", twice, "Iets")
    assert ran.code == 1
    assert "several texts say that: name one by its key (" in ran.err


def test_an_ask_stays_as_it_was_launched_while_its_pages_are_corrected(
    desk: Desk, inbox: Inbox
) -> None:
    desk.add_news()
    desk.do("import", "news", desk.file("email", "jan@example.org"))
    desk.do("launch", "news", "--deadline", "2026-04-20", "--attest", ATTEST)
    desk.do("text", "set", "nl", YES, "Ja, graag")
    desk.do("send")
    (mail,) = inbox.mails
    body = mail.message.get_body(("plain",))
    assert body is not None
    assert USUAL in body.get_content()
    with desk.pages() as client:
        assert ">Ja, graag</button>" in client.get(links_of(mail)["yes"]).text
