"""Remarks as an office writes them: who wants no mail, who does, and what leaves it in doubt."""

from __future__ import annotations

import time

import pytest

from repermit.listfile.remarks import DOUBTFUL, REFUSED, plain, refusal_in


@pytest.mark.parametrize(
    "remark",
    [
        "wil geen mail meer",
        "uitgeschreven",
        "niet mailen",
        "do not mail",
        "keine Mails",
        "ne plus écrire",
        "afgemeld 3-5-2021",
        "geen nieuwsbrief",
        "Géén mail!",
        "wil niet meer gemaild worden",
        "niet meer benaderen",
        "Don't email",
        "dont mail",
        "do not contact",
        "doesn't want emails",
        "does not want to be contacted",
        "no newsletter please",
        "no more emails",
        "remove from list",
        "please remove me from the mailing list",
        "haal van de lijst",
        "van de lijst gehaald",
        "van de mailinglijst af",
        "möchte keine Newsletter",
        "will keine E-Mails erhalten",
        "bitte keine Werbung",
        "nicht anschreiben",
        "nicht mehr kontaktieren",
        "aus dem Verteiler löschen",
        "aus Verteiler nehmen",
        "abgemeldet am 3.5.2021",
        "hat sich ausgetragen",
        "ne pas contacter",
        "ne veut plus recevoir de mails",
        "ne souhaite pas recevoir la newsletter",
        "plus de mails",
        "pas de newsletter",
        "s'est désabonné",
        "désinscrite",
        "opt-out",
        "opted out 2020",
        "unsubscribed by phone",
        "nee bedankt",
        "No thanks",
        "non merci",
        "Nein danke",
        "overleden",
        "overleden 2019",
        "nieuwsbrief: nee",
        "mail: nee",
        "newsletter no",
        "maakt bezwaar",
        "wil geen contact meer",
        "wenst geen reclame",
        "stuur geen mails",
        "niets meer sturen",
        "stop",
        "STOP!",
        "stop mailing",
        "nichts mehr schicken",
        "nooit mailen",
        "Wil zich uitschrijven",
        "Werbewiderspruch vom 1.2.2020",
        "retirer de la liste",
        "liever geen mail",
        "graag geen mails",
        "geen mail graag",
        "heeft zich afgemeld voor de nieuwsbrief",
        "wants no mail",
        "never email",
        "Pas d'e-mails svp",
        "n'écrivez plus",
        "bitte vom Newsletter abmelden",
        "toestemming ingetrokken 2020",
        "geen nieuwsbrieven meer",
        "niet per mail benaderen",
        "not to be mailed",
        "gelöscht aus Liste",
        "geen e-mail",
        "no e-mail",
        "liever niet per mail",
    ],
)
def test_a_refusal_is_one_in_whatever_words(remark: str) -> None:
    assert refusal_in(remark) == REFUSED


@pytest.mark.parametrize(
    "remark",
    [
        "leest af en toe de nieuwsbrief",
        "wil graag mail",
        "graag per mail",
        "mail ok",
        "wel mailen",
        "geen bijzonderheden",
        "belt altijd 's ochtends",
        "nieuwe klant 2020",
        "Newsletter; Non-profit",
        "wants the newsletter",
        "möchte gerne Mails",
        "veut recevoir la newsletter",
        "contact via partner",
        "mag gemaild worden",
        "lid sinds 2004",
        "geen telefoon",
        "niet bellen",
        "keine Post",
        "rolstoel, geen trap",
        "-",
        "Jan is penningmeester",
        "no allergies",
        "ne pas oublier le chat",
        "parkt niet voor de deur",
        "not a member",
        "pays by mail order",
        "ja, mail",
        "",
        "  ",
    ],
)
def test_a_wish_for_mail_and_what_has_nothing_to_do_with_it_are_none(remark: str) -> None:
    assert refusal_in(remark) == ""


@pytest.mark.parametrize(
    "remark",
    [
        "Premium plus newsletter",
        "Newsletter no. 12",
        "geen bezwaar tegen nieuwsbrief",
        "wil geen telefoon maar mail",
        "hoeft geen papieren nieuwsbrief",
        "klaagt dat hij geen nieuwsbrief krijgt",
        "blocked drain",
        "no problem with mail",
        "niet afgemeld",
        "not unsubscribed",
        "geen mail ontvangen, opnieuw sturen",
        "niet vergeten te mailen",
        "man overleden, graag nieuwsbrief",
        "niet bellen maar mailen",
        "nee",
        "mailadres klopt niet",
        "geen nieuwsbrief per post",
        "recept uitgeschreven",
        "geen mailadres van partner",
        "mail niet aangekomen",
        "email no longer valid",
        "geweigerd",
        "geen interesse in cursus",
        "keine Mail erhalten",
        "bounced",
        "geen contact gehad",
        "betaling geblokkeerd",
        "stopt per 1-1",
        "mail komt terug",
    ],
)
def test_what_comes_near_a_refusal_is_doubtful(remark: str) -> None:
    assert refusal_in(remark) == DOUBTFUL


def test_of_a_doubtful_and_a_clear_half_the_clear_one_counts() -> None:
    assert refusal_in("recept uitgeschreven; wil geen mail") == REFUSED


@pytest.mark.parametrize("word", ["no ", "wil ", "mail niet ", "verwijder a b ", "n'", "e-", "a"])
def test_a_remark_as_long_as_a_book_is_read_at_once(word: str) -> None:
    started = time.process_time()
    assert refusal_in(word * 50_000 + ". geen mail") == REFUSED
    # It takes a few tenths; one repetition too many in a pattern would make it minutes.
    assert time.process_time() - started < 10


def test_words_are_compared_without_accents_capitals_and_spaces() -> None:
    assert plain(" N’ÉCRIVEZ\n plus ") == "n'ecrivez plus"
    assert plain("Don't, wouldn’t, dont") == "do not, would not, do not"
