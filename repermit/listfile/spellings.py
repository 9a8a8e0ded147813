"""Abbreviations and misspellings of the words against mail, put into the usual spelling.

Imports nothing of repermit. The words are plain: small letters without accents.
"""

from __future__ import annotations

import re

# Dutch, English, German and French, as offices shorten them; a dot behind one belongs to it.
_SHORTENED = {
    "geen": r"gn|ge{3,5}n|genn|gneen",
    "niet": r"neit|niett|nt(?= (?:meer )?(?:e-?mail|mail|benader|aanschr))",
    "nicht": r"nciht|nihct|nich|nict",
    "not": r"nto",
    "niets": r"niks|nix|nikss|niest",
    "wil": r"wilt",
    "nieuwsbrief": (
        r"n(?:ie?u?w?s|ws|w) ?-?br(?:i?e?f?|ie[fv]\w{0,3})|newsbriefs?|e-nieuws|nieuwsmails?|"
        r"nieuws brieven|nieuwsbief|nieuwsb"
    ),
    "newsletter": (
        r"ne?wsl(?:tte?rs?|te?rs?|ett?|etr|t)?|news letters?|"
        r"(?<=\bkein )nl|(?<=\bkeine )nl|(?<=\bkeinen )nl"
    ),
    "rundbrief": r"rundschreiben|rundmails?|infobriefe?|infomails?|zusendung(?:en)?",
    "infolettre": r"lettres? d'infos?|lettres? infos?|info lettres?",
    "mail": r"e?-?(?:mial|meil|maill)s?|emial|emal|mailshots?|mailtjs|mailz",
    "mailing": r"maill?ins?g?|maling|meiling|mailngs?",
    "werbung": r"we?rbg",
    "envoyer": r"envoier|envoyez|envoie[sr]?",
    "aanschrijven": r"aanschr|aanschrijv",
    "anschreiben": r"anschr|anschreib",
    "benaderen": r"benad|benader",
    "contact": r"co?nta?ct|cntct|ctct",
    "abbestellt": r"abbest|abbestelt|abbestelld",
    "mailen": r"mialen|mailn|maillen|meilen|emailen",
    "overleden": (
        r"overl|ovl|overled|overldn|overle?dn|overleedn|overlee?de|overleeden|overlden|ovlden|"
        r"overlden|overledden"
    ),
    # "Verst" and "gest" are so only where nothing or a day follows: "verst. d. Sache".
    "verstorben": (
        r"(?:verst|gest)(?=\.?(?:\W*$| ?[,;/|()†!?:=]|(?: am| im| in| seit| ca| anfang| mitte|"
        r" ende)*\.? ?(?:\d|(?:jan(?:uar)?|feb(?:ruar)?|marz|mrz|apr(?:il)?|mai|juni?|juli?|"
        r"aug(?:ust)?|sept?(?:ember)?|okt(?:ober)?|nov(?:ember)?|dez(?:ember)?)\b)))|verstorb|gestorb"
    ),
    "decede": r"dcd|deced|dec'?d",
    "afgemeld": r"afgem|afgemlt|afgemelt|afgemeldt|afgmeld|afgemled",
    "uitgeschreven": r"uitgeschr|uitgesch|uitgeschrv|uitschr|uitgeschreve",
    "opgezegd": r"opgez|opgezgd|opgezecht|opgezegt",
    "abgemeldet": r"abgem|abgemeld|abgemeldt|abgemelded",
    "desabonne": r"desabo|desabon|desab",
    "desinscrit": r"desinscr|desinsc",
    "unsubscribed": r"unsubscr|unsubs",
}
_BY_NAME = dict(enumerate(_SHORTENED))
_SHORT = re.compile(
    r"(?<![\w@.])(?:" + "|".join(f"(?P<w{n}>{_SHORTENED[w]})" for n, w in _BY_NAME.items()) + r")"
    r"(?:\.(?!\w))?(?![\w@])"
)
# Long enough for one slip of the finger to leave no doubt which of them was meant.
_MISSPELT = (
    *("nieuwsbrief", "nieuwsbrieven", "newsletter", "newsletters", "rundbrief", "infolettre"),
    *("afgemeld", "afmelden", "afmelding", "uitgeschreven", "uitschrijven", "uitschrijving"),
    *("verstorben", "deceased", "unsubscribe", "unsubscribed"),
    *(
        "abgemeldet",
        "abmelden",
        "abmeldung",
        "desabonne",
        "desabonnee",
        "desinscrit",
        "desinscrite",
    ),
)
# Words of their own, some of which say the opposite.
_OTHERS = frozenset(
    "angemeldet anmelden anmeldung aangemeld aanmelden aanmelding afgebeld decreased diseased "
    "reabonne reabonnee".split()
)
_SHORTEST = 7


def _without_one(word: str) -> set[str]:
    """Return a word, and all that is left of it without one of its letters."""
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


# Two words that differ by one letter, or by the order of two, have one of these in common.
_MEANT = {piece: word for word in reversed(_MISSPELT) for piece in _without_one(word)}
_WORD = re.compile(rf"[^\W\d_]{{{_SHORTEST},}}")


def respell(text: str) -> str:
    """Return plain text with abbreviated and misspelt words in their usual spelling."""
    return _SHORT.sub(_usual, _WORD.sub(_meant, text))


def _usual(match: re.Match[str]) -> str:
    group = match.lastgroup or ""
    return _BY_NAME[int(group[1:])]


def _meant(match: re.Match[str]) -> str:
    word = match[0]
    if word in _OTHERS or word in _MISSPELT:
        return word
    return next((_MEANT[one] for one in sorted(_without_one(word)) if one in _MEANT), word)
