"""Every entry of data/remark_phrases.toml: each is read, is written as remarks are, and counts."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Any

import pytest

from repermit import package_files
from repermit.imports import remark_phrases
from repermit.imports.remark_phrases import DOUBTFUL, REFUSED, find_refusal, respell
from repermit.unicode_limits import normalize

DATA: dict[str, dict[str, Any]] = package_files.load_data("remark_phrases.toml")
EXPRESSIONS = {**DATA["refused"], **DATA["exceptions"], **DATA["doubtful"]}

# A remark for each list of words, of which one takes the place of the braces, and what it may say.
REMARKS: dict[str, tuple[str, set[str]]] = {
    "left_words": ("{}", {REFUSED}),
    "objections": ("{}", {REFUSED}),
    "dead": ("{}", {REFUSED}),
    "mail_words": ("geen {}", {REFUSED}),
    "send_along": ("niet {}", {REFUSED}),
    "send_words": ("niet meer {}", {REFUSED}),
    "not_words": ("wil {} mail", {REFUSED}),
    "want_words": ("{} niets meer", {REFUSED}),
    "turns": ("wil geen telefoon {} mail", {"", DOUBTFUL}),
    "arrived": ("geen mail {}", {"", DOUBTFUL}),
    "list_words": ("remove from {}", {REFUSED}),
    "remove_words": ("{} list", {REFUSED}),
    "off_list_words": ("verteiler {}", {REFUSED}),
    "between_not_and_send": ("niet {} benaderen", {REFUSED}),
    "send_or_get": ("niets {}", {REFUSED}),
    "stopped_words": ("marketing {}", {REFUSED}),
    "wanted_words": ("marketing not {}", {REFUSED}),
    "consent_words": ("sans {}", {REFUSED}),
    "withdrawn_words": ("consent {}", {REFUSED}),
    "by_mistake": ("{} afgemeld", {DOUBTFUL}),
    "belongings": ("{} opgezegd", {DOUBTFUL}),
    "papers": ("{} niet mailen", {DOUBTFUL}),
    "gladly": ("{} mail, geen post", {DOUBTFUL}),
    "privacy_words": ("{} verzoek", {DOUBTFUL}),
    "agreed_words": ("avg {}", {""}),
    "habits": ("{} niet meer", {""}),
    "kept_in": ("uit {} halen", {REFUSED}),
    "articles": ("uit {} systeem halen", {REFUSED}),
    "persons": ("haal {} eraf", {REFUSED}),
    "complaints": ("{} over mail", {DOUBTFUL}),
    "asked_words": ("{} removal", {REFUSED}),
    "off_words": ("asked {}", {REFUSED}),
    "please": ("{} remove", {REFUSED}),
    "take_off": ("please {}", {REFUSED}),
    "whom": ("please remove {}", {REFUSED}),
    "title_words": ("{}. overleden", {REFUSED}),
    "doubts_of_death": ("overleden {}", {DOUBTFUL}),
    "months": ("gest. {}", {REFUSED}),
    "warning_words": ("{}", {DOUBTFUL, REFUSED}),
    "only_words": ("{} papier", {DOUBTFUL}),
    "by_way_of": ("{} post", {DOUBTFUL}),
    "paper_words": ("only {}", {DOUBTFUL}),
    "printed_words": ("geen {}", {DOUBTFUL, REFUSED}),
    "signed_up": ("{}", {""}),
    "ways_words": ("{}", {""}),
}

# A remark for each expression.
EXAMPLES = {
    "left": ["afgemeld 3-5-2021"],
    "no_mail": ["geen nieuwsbrief"],
    "wants_none": ["wil geen mail meer"],
    "not_wanted": ["does not want to be contacted"],
    "do_not": ["niet meer mailen", "niet meesturen", "mailing niet meesturen"],
    "not_for": ["niet voor nieuwsbrief"],
    "not_to_get": ["ne souhaite pas recevoir", "not wish to receive", "ne pas recevoir"],
    "send_nothing": [
        *("niets meer sturen", "wil niets van ons horen", "wil niets meer van ons"),
        *("does not wish to receive anything", "stuur niets"),
    ],
    "mail_no": ["nieuwsbrief: nee", "newsletter off"],
    "no_in_short": ["k. werbung", "n. anschreiben"],
    "write_not": ["n'ecrivez plus"],
    "remove": ["remove from list"],
    "off_list": ["aus dem verteiler nehmen"],
    "out_of": ["uit systeem halen", "haal uit systeem", "haal mij eraf", "graag eraf"],
    "objects": ["bezwaar gemaakt"],
    "no_thanks": ["nee, dank u", "stop"],
    "died": ["dhr. is overleden"],
    "stopped": [
        *("nieuwsbrief gestopt op verzoek", "newsletter not wanted"),
        *("gestopt met de nieuwsbrief", "stop sending", "weigert mail", "geen contact"),
    ],
    "no_consent": ["geen toestemming", "opt-in: nee", "not consented"],
    "withdrew": [
        *("withdrew consent", "intrekking toestemming", "toestemming ingetrokken"),
        "widerruf vom 3.5.2020",
    ],
    "wants_off": ["wil er af", "mochte geloscht werden", "veut etre radie"],
    "asked_off": [
        *("asked to be removed", "removal requested", "op verzoek verwijderd"),
        *("verwijderd op eigen verzoek", "auf wunsch geloscht", "geloscht auf wunsch"),
        "supprime a sa demande",
        *("avg verzoek verwijderd", "right to be forgotten", "beroep op vergetelheid"),
        *("recht auf vergessenwerden", "droit a l'oubli"),
    ],
    "please_remove": [
        *("please remove", "bitte aus dem verteiler", "verwijder mij", "a supprimer"),
        "remove, please",
    ],
    "harmless": [
        "g-mail",
        *("overleden = nee", "avg", "avg akkoord 25-5-2018", "geen bezwaar"),
        *("factuur graag per post", "rookt niet meer"),
        *("woont niet meer in utrecht", "gestopt met roken", "komt terug in mei"),
    ],
    "wished": [
        *("wel mail, geen post", "mail: ja", "par mail, pas de courrier", "wil die wel"),
        *("weer aangemeld", "subscribed again", "heraangemeld"),
    ],
    "not_really": [
        *("niet afgemeld", "geen verzoek verwijdering", "per ongeluk afgemeld"),
        *("afgemeld per ongeluk", "nog niet gemaild", "mail niet erg", "huur opgezegd"),
        *("factuur niet mailen", "bezwaar tegen factuur", "recept uitgeschreven"),
        *("overleden?", "geen post, wel mail"),
    ],
    "company": ["no spam bv"],
    "agreed": ["akkoord 25-5-2018", "e-mail en post"],
    "death_sign": ["d. 2021", "verst. kunde"],
    "short_no": ["afm", "g mail", "g. post", "k. mail", "p. de pub"],
    "warning": [
        *("erven", "without consent", "accord pas", "is dood", "† 2020", "wil niets meer"),
        *("not want this", "wil niets weten", "stelt dit niet op prijs"),
        *("verzichtet auf newsletter", "te veel mail", "alleen per post", "graag per post"),
        *("post only", "geen folders", "nl: nee", "geen nl", "pas de nl"),
        *("excl. nieuwsbrief", "klacht over mail", "pas de news", "kein verteiler"),
        *("geen acties", "ni mailen", "wil vergeten worden"),
        *("nooit meer",),
    ],
    "warning_clause": [
        *(
            "nee",
            "uit",
            "dood sinds 2020",
            "passed 2019",
            "passed",
            "late mr jones",
            "feu m dupont",
            "wil dit niet",
        ),
        *("ne veut rien", "wants no more", "plus rien", "laat met rust", "geen behoefte"),
        *("ongewenst", "verzichtet", "uit lijst", "niet gebruiken", "per post"),
        *("mag niet gebruikt worden", "deleted 2019", "complained", "weg"),
        *("zegt lidmaatschap op", "heeft afgezegd"),
    ],
    "about_mail": [
        *("uitnodiging", "einladung", "invitation"),
        *("communicatie", "comms", "benachrichtigung", "notification", "toezending"),
        *("updates", "junk", "envoi", "lettre"),
        *("mail", "nieuwsbrief", "newsletter", "courrier", "abonnee", "contact"),
    ],
}


def strings() -> list[tuple[str, str]]:
    """Return each string of the file, behind the name of its entry."""
    return [
        (name, string)
        for entries in DATA.values()
        for name, entry in entries.items()
        for string in ([entry] if isinstance(entry, str) else entry)
    ]


def plain_words(words: list[str]) -> list[str]:
    """Return those that are no expressions."""
    return [word for word in words if re.fullmatch(r"[\w ]+", word)]


def test_each_name_is_given_once_and_each_word_and_part_is_used() -> None:
    named = {"words", "parts", "refused", "exceptions", "doubtful"}
    assert DATA.keys() == {"abbreviations", "misspellings", *named}
    given = Counter(name for table in named for name in DATA[table])
    used = {name for _, string in strings() for name in re.findall(r"\{([a-z_]+)\}", string)}
    assert max(given.values()) == 1
    assert used <= given.keys()
    assert {*DATA["words"], *DATA["parts"]} - used == set()


def test_each_entry_is_in_small_letters_without_accents() -> None:
    for name, string in strings():
        letters = normalize("NFKD", re.sub(r"\\\w", "", string))
        assert letters == letters.casefold(), (name, string)
        assert not any(map(unicodedata.combining, letters)), (name, string)


@pytest.mark.parametrize("usual", DATA["abbreviations"])
def test_each_abbreviation_is_put_into_the_usual_spelling(usual: str) -> None:
    for short in plain_words(DATA["abbreviations"][usual]):
        # A long one is first compared with the long words, without its dot: "abgemeld".
        known = {f"{usual} a"}
        if len(short) >= remark_phrases._MIN_LETTERS:
            known |= {f"{word}. a" for word in DATA["misspellings"]["words"].split()}
        assert respell(f"{short}. a") in known, short


def test_each_long_word_is_known_without_one_of_its_letters() -> None:
    words = DATA["misspellings"]["words"].split()
    for word in words:
        assert respell(word[:4] + word[5:]) in words, word


def test_a_word_of_its_own_is_no_misspelling() -> None:
    for word in DATA["misspellings"]["never_one"].split():
        assert respell(word) == word


@pytest.mark.parametrize("name", DATA["words"])
def test_each_word_counts_in_a_remark(name: str) -> None:
    remark, expected = REMARKS[name]
    for word in plain_words(DATA["words"][name]):
        assert find_refusal(remark.format(word)) in expected, word
    assert find_refusal(remark.format("tulpen")) not in expected - {""}, remark


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_each_expression_is_found_in_its_example(name: str) -> None:
    for string, example in zip(EXPRESSIONS[name], EXAMPLES[name], strict=True):
        assert re.search(remark_phrases._EXPRESSIONS.fill_in(string), respell(example)), (
            string,
            example,
        )


@pytest.mark.parametrize("name", DATA["refused"])
def test_each_example_of_a_refusal_opts_out(name: str) -> None:
    assert {example: find_refusal(example) for example in EXAMPLES[name]} == dict.fromkeys(
        EXAMPLES[name], REFUSED
    )
