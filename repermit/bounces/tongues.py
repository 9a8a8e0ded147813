"""A plain Yes or No in every official language of the Union, judged by who writes it.

Imports nothing of repermit. The same word may be a Yes, a No or neither: a Pole's "no" agrees, a
Greek's "ne" in Latin letters does too, while a Croat's refuses. So a word counts only for whoever
was asked in its language or is known to speak it; what is ambiguous, the admin reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

# Yes, No, and what may stand behind either: please, thank you.
_WORDS = {
    "bg": ("да", "не", "моля благодаря"),
    "cs": ("ano", "ne", "prosím děkuji díky"),
    "da": ("ja", "nej", "tak"),
    "de": ("ja", "nein", "bitte danke"),
    "el": ("ναι", "όχι οχι", "παρακαλώ ευχαριστώ"),  # noqa: RUF001  Greek
    "en": ("yes", "no", "please thanks"),
    "es": ("sí si", "no", "gracias"),
    "et": ("jah", "ei", "palun aitäh tänan"),
    "fi": ("kyllä joo", "ei", "kiitos"),
    "fr": ("oui", "non", "merci svp"),
    "ga": ("tá", "níl", ""),
    "hr": ("da", "ne", "molim hvala"),
    "hu": ("igen", "nem", "kérem köszönöm"),
    "it": ("sì si", "no", "grazie"),
    "lt": ("taip", "ne", "prašau ačiū"),
    "lv": ("jā", "nē", "lūdzu paldies"),
    "mt": ("iva", "le", "grazzi"),
    "nl": ("ja", "nee neen", "graag bedankt"),
    "pl": ("tak", "nie", "proszę dziękuję"),
    "pt": ("sim", "não nao", "obrigado obrigada"),
    "ro": ("da", "nu", "mulțumesc multumesc"),
    "sk": ("áno", "nie", "prosím ďakujem"),
    "sl": ("da", "ne", "prosim hvala"),
    "sv": ("ja", "nej", "tack"),
}

PLAIN = {
    language: {
        **dict.fromkeys(yes.split(), "yes"),
        **dict.fromkeys(no.split(), "no"),
    }
    for language, (yes, no, _) in _WORDS.items()
}
"""What each word means, by language."""

_THANKS = {language: frozenset(thanks.split()) for language, (_, _, thanks) in _WORDS.items()}

# "No" begins an agreement in Polish, Czech and Slovak, and is "but" in Bulgarian and the languages
# of its neighbours; "ja" is "I" and "and".
_OTHERWISE = {
    "no": frozenset({"bg", "cs", "hr", "pl", "sk", "sl"}),
    "ja": frozenset({"et", "hr", "pl", "sk"}),
}


def meant(line: str, languages: Collection[str], *, otherwise: str) -> str:
    """Return "yes" or "no" if a line plainly says so in one of these languages, or else "".

    `otherwise` is what it says to whoever knows nothing of its writer, which holds unless a word
    means something else in one of them. What two of them read in opposite ways means nothing.
    """
    words = line.split()
    found = {answer for one in languages if (answer := _in(words, one))}
    if len(found) == 1:
        return found.pop()
    is_doubtful = bool(_OTHERWISE.get(line, frozenset()).intersection(languages))
    return "" if found or is_doubtful else otherwise


def _in(words: list[str], language: str) -> str:
    if not words or not _THANKS.get(language, frozenset()).issuperset(words[1:]):
        return ""
    return PLAIN.get(language, {}).get(words[0], "")
