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
_MERGED = N_("There it has another name: the mail greets without a name.")
_IN_DOUBT = N_("Have a look: the file may say that this person wants no mail.")


def fate_title(fate: Fate) -> str:
    """Return the few words for a fate."""
    return gettext(_TITLES[fate])


def fate_reason(fate: Fate) -> str:
    """Return what a fate means."""
    return gettext(_REASONS[fate])


def why(sight: Sight) -> str:
    """Return why a row has its fate, in one or more sentences."""
    return " ".join(filter(None, _sentences(sight, Fate(sight.fate))))


def _sentences(sight: Sight, fate: Fate) -> tuple[str, ...]:
    if fate is Fate.INVALID:
        return (sentence(unpacked(sight.said)),)
    doubt = _quoted(gettext(_IN_DOUBT), sight.said) if sight.said and not sight.mark else ""
    if sight.other:
        again = gettext(_AGAIN, line=sight.other)
        return again, gettext(_MERGED) if sight.merged else "", doubt
    if fate is Fate.OPTED_OUT and sight.mark:
        return (_quoted(gettext(_MARKS[sight.mark]), sight.said),)
    return fate_reason(fate), doubt


def _quoted(sentence: str, said: str) -> str:
    return f"{sentence} ({said})" if said else sentence
