"""Why a row has its fate, in the page's language.

May import consent, importing, saying and this room's forms, showing and telling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.consent import Fate
from repermit.saying import unpacked
from repermit.web.admin.forms import N_
from repermit.web.admin.showing import gettext
from repermit.web.admin.telling import sentence

if TYPE_CHECKING:
    from collections.abc import Collection

    from repermit.importing import Sight

_TITLES = {
    Fate.ASK: N_("Will be asked"),
    Fate.ROLE: N_("Shared mailbox, asked too"),
    Fate.CONFIRMED: N_("Confirmed already"),
    Fate.CUSTOMER: N_("Customer"),
    Fate.OPTED_OUT: N_("Opted out"),
    Fate.SUPPRESSED: N_("Suppressed"),
    Fate.DUPLICATE: N_("Duplicate"),
    Fate.INVALID: N_("Invalid"),
}
_REASONS = {
    Fate.ASK: N_("No registered opt-in: will be asked."),
    Fate.ROLE: N_("A shared mailbox rather than one person’s: asked too, but have a look."),
    Fate.CONFIRMED: N_("The file shows that this person signed up. The proof is kept."),
    Fate.CUSTOMER: N_("A customer: may be mailed about similar products."),
    Fate.OPTED_OUT: N_("Opted out: will never be asked."),
    Fate.SUPPRESSED: N_("Taken off here before: is never asked again."),
    Fate.DUPLICATE: N_("Is on the list already."),
    Fate.INVALID: N_("Not an address that mail can reach."),
}
_MARKS = {
    "unsubscribed": N_("The file says that this person unsubscribed, or is not to be mailed."),
    "cleaned": N_("The file says that mail to this address bounced."),
    "complained": N_("The file says that this person reported a mail as spam."),
}
_AGAIN = N_("This address stands in line %(line)s too.")
_AGAIN_IN_PART = N_("This address stands in line %(line)s of %(part)s too.")
_MERGED = N_("There it has another name: the mail greets without a name.")
_IN_DOUBT = N_("Have a look: the file may say that this person wants no mail.")


def fate_title(fate: Fate) -> str:
    """Return the few words for a fate."""
    return gettext(_TITLES[fate])


def fate_reason(fate: Fate) -> str:
    """Return what a fate means."""
    return gettext(_REASONS[fate])


def why(sight: Sight, decided: Collection[str] = ()) -> str:
    """Return why a row has its fate, in one or more sentences.

    `decided` are the places that the admin leaves out, which no file says of them.
    """
    fate = Fate(sight.fate)
    if fate is Fate.OPTED_OUT and sight.place in decided:
        return _quoted(fate_reason(fate), sight.said)
    return " ".join(filter(None, _sentences(sight, fate)))


def apart_from_doubt(sight: Sight) -> str:
    """Return why a row in doubt has its fate, "" where it is simply asked or left out."""
    fate = Fate(sight.fate)
    if fate in (Fate.ASK, Fate.OPTED_OUT):
        return ""
    return " ".join(filter(None, _reasons(sight, fate)))


def _sentences(sight: Sight, fate: Fate) -> tuple[str, ...]:
    is_in_doubt = sight.said and not sight.mark and fate is not Fate.INVALID
    doubt = _quoted(gettext(_IN_DOUBT), sight.said) if is_in_doubt else ""
    return (*_reasons(sight, fate), doubt)


def _reasons(sight: Sight, fate: Fate) -> tuple[str, ...]:
    if fate is Fate.INVALID:
        return (sentence(unpacked(sight.said)),)
    if sight.other:
        return _again(sight.other), gettext(_MERGED) if sight.merged else ""
    if fate is Fate.OPTED_OUT and sight.mark:
        return (_quoted(gettext(_MARKS[sight.mark]), sight.said),)
    return (fate_reason(fate),)


def _again(other: str) -> str:
    part, _, line = other.rpartition(":")
    return gettext(_AGAIN_IN_PART, line=line, part=part) if part else gettext(_AGAIN, line=line)


def _quoted(sentence: str, said: str) -> str:
    return f"{sentence} ({said})" if said else sentence
