"""Knowing a purpose that says how often mail comes, in any official language of the Union.

Who consents must know to what (EDPB 05/2020 §64).
"""

from __future__ import annotations

import re

from repermit import package_files

# One pattern for each of twenty further languages, of whole words.
INTERVALS = tuple(
    phrase.replace("~", r"\s+(?:[\w-]+\s+){0,2}")
    for phrase in package_files.data("frequency_phrases.toml").values()
)

_UNITS = (
    r"dag|dagen|week|weken|maand|maanden|kwartaal|kwartalen|halfjaar|jaar|jaren|seizoen"
    r"|days?|weeks?|fortnight|months?|quarters?|seasons?|years?"
    r"|tage?|wochen?|monate?|monats|quartale?|halbjahre?|jahre?|jahres"
    r"|jours?|semaines?|mois|trimestres?|semestres?|ans?|années?|saisons?"
)
_BEFORE_UNITS = (
    r"per|elke?|iedere?|om de|in het|in een"
    r"|an?|each|every|in the"
    r"|pro|jede[nrsm]?|alle|im|in der|am"
    r"|par|chaque|tous les|toutes les"
)
_FREQUENCY = re.compile(
    # Four times a year; elke twee weken; alle drei Monate; tous les deux mois.
    rf"\b(?:(?:{_BEFORE_UNITS})\s+|l['’])(?:[\w-]+\s+){{0,2}}(?:{_UNITS})\b"
    # One word that says it.
    r"|\b(?:dagelijkse?|(?:twee)?wekelijkse?|(?:twee|drie)?maandelijkse?|(?:half)?jaarlijkse?"
    r"|daily|(?:bi-?)?weekly|fortnightly|(?:bi-?)?monthly|quarterly|yearly|annual(?:ly)?"
    r"|(?:zwei)?(?:täglich|wöchentlich|monatlich)\w*|vierteljährlich\w*|(?:halb)?jährlich\w*"
    r"|quotidienn?e?s?|hebdomadaires?|(?:bi)?mensuel(?:le)?s?|trimestriel(?:le)?s?"
    r"|semestriel(?:le)?s?|annuel(?:le)?s?)\b"
    # A newsletter named for its interval: maandbrief, kwartaalbericht, Monatsbrief.
    r"|\b(?:dag|week|maand|kwartaal)(?:brief|bericht|blad|nieuws)\w*"
    r"|\b(?:wochen|monats|quartals)(?:brief|post|nachrichten|newsletter)\w*"
    # No number, but a bound.
    r"|\b(?:hooguit|hoogstens|maximaal|ten hoogste|af en toe|nu en dan|een enkele keer"
    r"|at most|no more than|occasional(?:ly)?|now and then|from time to time"
    r"|höchstens|gelegentlich|ab und zu|hin und wieder|von zeit zu zeit"
    r"|au (?:plus|maximum)|de temps en temps|occasionnel\w*|de temps à autre)\b",
    re.IGNORECASE,
)


_FURTHER = re.compile("|".join(rf"\b(?:{one})(?!\w)" for one in INTERVALS), re.IGNORECASE)


def says_how_often(text: str) -> bool:
    """Say whether a text tells how often mail comes; a help to the admin, not a proof."""
    return bool(_FREQUENCY.search(text) or _FURTHER.search(text))
