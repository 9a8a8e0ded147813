"""Why a row has its fate, and why a file cannot be read, in the page's language.

May import consent, importing and this room's forms and showing. What the rooms below say is
English; the sentences are listed here for the catalogue. One that is not comes as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from repermit.consent import Fate
from repermit.web.admin.forms import N_
from repermit.web.admin.showing import gettext

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

# What addresses and listfile say of a row that cannot be used.
SAID = (
    N_("no address"),
    N_("a control character in the address"),
    N_("the address is too long"),
    N_("no @ in the address"),
    N_("more than one @ in the address"),
    N_("a comma or semicolon before the @: whose address is meant cannot be known"),
    N_("a space in the address"),
    N_("too long before the @"),
    N_("nothing before the @"),
    N_("a comma where a dot should be"),
    N_("the domain is not complete"),
    N_("a domain that no mail can reach"),
    N_("a wrong character before the @"),
    N_("the domain is not valid"),
    N_("this line repeats the header"),
    N_("this line stands above the header"),
    N_("the file is empty"),
    N_("the file is too large"),
    N_("this ZIP is broken"),
    N_("there is no CSV in this ZIP"),
    N_("this ZIP is protected by a password"),
    N_("this workbook is protected by a password"),
    N_("this workbook is broken or not one that can be read"),
    N_("a quotation mark opens here and is not closed, which swallows the lines after it"),
    N_("a NUL character, which no text file has"),
    N_("reading the file was cut off; nothing has changed, so try again"),
    N_("an import cannot be taken back while a campaign is live"),
    # What was expected instead.
    N_("a list with one address on a line"),
    N_("at most 100 MB"),
    N_("a copy that can be unpacked"),
    N_("a copy saved without a password"),
    N_("the files in it, unpacked"),
    N_('a second " at the end of the value'),
    N_("an Excel (.xlsx) or LibreOffice (.ods) workbook, or a CSV"),
)

_WITH_VALUES = (
    (
        re.compile(r"this line has (?P<here>\d+) columns, the header has (?P<there>\d+)"),
        N_("this line has %(here)s columns, the header has %(there)s"),
    ),
    (
        re.compile(r"no column of this file is known to hold e-mail addresses .*", re.DOTALL),
        N_("It is not known which column holds the e-mail addresses: choose it below."),
    ),
    (
        re.compile(r"a sensitive list cannot use the customer basis.*", re.DOTALL),
        N_(
            "A sensitive list cannot have customers: being on it needs explicit consent "
            "(GDPR art. 9). If a column was taken for that of customers, choose “not read” for it."
        ),
    ),
    (
        re.compile(r"there is no column .*", re.DOTALL),
        N_("A column that was chosen is not in this file: choose again below."),
    ),
    (
        re.compile(r"the customer basis needs .*", re.DOTALL),
        N_("There are customers in this file: say on what ground they may be mailed."),
    ),
    (
        re.compile(r"nothing was imported into .*"),
        N_("There is no file that could be taken back."),
    ),
    (
        re.compile(r"(?P<file>.+) cannot be taken back: people from it have been mailed"),
        N_("%(file)s cannot be taken back: people from it have been mailed."),
    ),
    (
        re.compile(
            r"(?P<file>.+) cannot be taken back: people from it have answered or were taken off"
        ),
        N_("%(file)s cannot be taken back: people from it have answered or were taken off."),
    ),
)


def fate_title(fate: Fate) -> str:
    """Return the few words for a fate."""
    return gettext(_TITLES[fate])


def fate_reason(fate: Fate) -> str:
    """Return what a fate means."""
    return gettext(_REASONS[fate])


def in_words(said: str) -> str:
    """Return what a room below said; as it is, if there is no translation of it."""
    for pattern, text in _WITH_VALUES:
        if found := pattern.fullmatch(said):
            return gettext(text) % found.groupdict() if found.groupdict() else gettext(text)
    return gettext(said) if said else ""


def why(sight: Sight) -> str:
    """Return why a row has its fate, in one or more sentences."""
    return " ".join(filter(None, _sentences(sight, Fate(sight.fate))))


def _sentences(sight: Sight, fate: Fate) -> tuple[str, ...]:
    if fate is Fate.INVALID:
        said = in_words(sight.said)
        return (f"{said[:1].upper()}{said[1:]}.",)
    doubt = _quoted(gettext(_IN_DOUBT), sight.said) if sight.said and not sight.mark else ""
    if sight.other:
        again = gettext(_AGAIN, line=sight.other)
        return again, gettext(_MERGED) if sight.merged else "", doubt
    if fate is Fate.OPTED_OUT and sight.mark:
        return (_quoted(gettext(_MARKS[sight.mark]), sight.said),)
    return fate_reason(fate), doubt


def _quoted(sentence: str, said: str) -> str:
    return f"{sentence} ({said})" if said else sentence
