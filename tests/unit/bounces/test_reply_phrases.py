"""Every entry of data/reply_phrases.toml, in a reply by mail."""

from __future__ import annotations

import re
from email.message import EmailMessage
from typing import Any

import pytest

from repermit import package_files
from repermit.bounces.reply_text import detect_plain_answer, interpret_line

DATA: dict[str, dict[str, Any]] = package_files.load_data("reply_phrases.toml")

# What an expression that is no plain word stands for.
EXAMPLES = {
    "(se |me )?désabonner": "me désabonner",
    "gerne?": "gern",
    "dank u( wel)?": "dank u wel",
    "dank je( wel)?": "dank je wel",
    "goede\\w*": "goedendag",
    "liebe[rs]?": "lieber",
    "sehr geehrte\\w*": "sehr geehrte",
    "kein\\w*": "keine",
    "stop\\w*": "stoppen",
    "afmeld\\w*": "afmelden",
    "uitschrijv\\w*": "uitschrijven",
    "verwijder\\w*": "verwijderen",
    "schrap\\w*": "schrappen",
    "opzeg\\w*": "opzeggen",
    "unsubscri\\w*": "unsubscribe",
    "remov\\w*": "remove",
    "delet\\w*": "delete",
    "cancel\\w*": "cancel",
    "abmeld\\w*": "abmelden",
    "abbestell\\w*": "abbestellen",
    "lösch\\w*": "löschen",
    "entfern\\w*": "entfernen",
    "streich\\w*": "streichen",
    "austrag\\w*": "austragen",
    "désabon\\w*": "désabonner",
    "désinscri\\w*": "désinscrire",
    "supprim\\w*": "supprimer",
    "retir\\w*": "retirer",
    "enlev\\w*": "enlever",
    "_{5,}": "_______",
    "-{3,}": "-----",
    "={5,}": "=======",
    "\\*{5,}": "*******",
    "(op|on|am|le) .{6,200}(schreef|wrote|schrieb|a écrit|:$)": "Op 3 maart 2026 schreef De Linde:",
    "(op|on|am|le) (\\w{2,3}\\.? )?\\d{1,2}\\b.{0,200}$": "Op ma. 3 maart 2026 om 10:00",
    "(van|from|von|de|verzonden|sent|gesendet|envoyé)\\s?: ": "Von: De Linde",
    (
        "(sent|verstuurd|verzonden|gesendet|envoyé|von mein\\w*|get outlook|télécharge\\w*|"
        "download\\w*|outlook (voor|für|for|pour)) "
    ): "Verstuurd vanaf mijn iPhone",
    "met (vriendelijke|hartelijke) groet": "Met vriendelijke groet,",
    "groet(en|jes)?\\b": "Groetjes",
    "mvg\\b": "mvg",
    "regards\\b": "Regards,",
    "mfg\\b": "MfG",
    (
        "((alvast|heel|hartelijk|many) )?({thanks})( (alvast|in advance|im voraus|d avance))?"
    ): "hartelijk bedankt",
    (
        "(nog )?(een )?(fijne|prettige|goede|mooie) (dag|avond|middag|week|weekend|zondag)( nog)?"
    ): "nog een fijne dag",
    "have a (nice|good) (day|evening|weekend)": "have a nice weekend",
    "schönen (tag|abend)( noch)?": "schönen Abend noch",
    "bonne (journée|soirée)": "bonne soirée",
    "yours ": "Yours truly",
}


def spell_out(table: str, name: str) -> list[str]:
    """Return an example of each entry, which is the entry where it is plain words."""
    examples = [EXAMPLES.get(entry, entry) for entry in DATA[table][name]]
    assert [example for example in examples if re.search(r"[\[\](){}|?*+\\]", example)] == (
        ["*******"] if name == "end" else []
    )
    return examples


def answer(text: str) -> str:
    message = EmailMessage()
    message["From"] = "Ana Vos <ana@example.net>"
    message.set_content(text)
    return detect_plain_answer(message)


@pytest.mark.parametrize(
    ("name", "expected"), [("yes_words", "yes"), ("no_words", "no"), ("stop_words", "no")]
)
def test_each_word_is_a_plain_answer(name: str, expected: str) -> None:
    for words in spell_out("answers", name):
        assert answer(f"{words}\n") == expected, words
        assert answer(f"{words.upper()}!\n") == expected, words
        assert answer(f"{words} tulpen\n") == "", words


@pytest.mark.parametrize("name", ["thanks", "courtesy"])
def test_a_courtesy_leaves_an_answer_as_it_is(name: str) -> None:
    for words in spell_out("courtesies", name):
        assert answer(f"Ja\n{words}\n") == "yes", words
        if name == "thanks":
            assert answer(f"Nee, {words}\n") == "no", words


def test_a_salutation_stands_above_an_answer() -> None:
    for words in spell_out("courtesies", "salutation_words"):
        assert answer(f"{words} Linde,\nJa\n") == "yes", words
    assert answer("Tulpen Linde,\nJa\n") == ""


def test_a_word_that_may_change_an_answer_leaves_none() -> None:
    for words in spell_out("rest", "change_words"):
        assert answer(f"Ja\n{words.capitalize()}\n") == "", words
    assert answer("Ja\nTulp\n") == "yes"


def test_below_the_end_of_somebodys_own_lines_nothing_counts() -> None:
    for words in spell_out("rest", "end"):
        assert answer(f"Ja\n{words}\nmaar geen reclame\n") == "yes", words
    assert answer("Ja\ntulpen\nmaar geen reclame\n") == ""


def test_a_word_of_a_signature_changes_nothing() -> None:
    for word in DATA["name_words"]["words"].split():
        assert answer(f"Ja\nAna {word} Vos\n") == "yes", word


def test_a_word_of_two_meanings_counts_in_none_of_their_languages() -> None:
    for word, codes in DATA["ambiguous"].items():
        for code in codes:
            assert interpret_line(word, {code}, default=word) == "", (word, code)
