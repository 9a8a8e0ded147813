"""What becomes of the rows of a file, and why, in the page's language."""

from __future__ import annotations

from repermit.email_address import to_unicode_address
from repermit.i18n.lazy_text import N_, deserialize
from repermit.imports.row_preview import PreviewRow
from repermit.imports.uploads import Choices
from repermit.rules.consent import Fate
from repermit.web.admin.rendering import gettext
from repermit.web.admin.result_text import make_sentence

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
# For a file that was imported: a campaign may have asked its people since, or not.
_TITLES_TAKEN_IN = {
    **_TITLES,
    Fate.ASK: N_("Not confirmed"),
    Fate.ROLE: N_("Shared mailbox, not confirmed"),
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
    "remark": N_("A remark says that this person wants no mail."),
    "cleaned": N_("The file says that mail to this address bounced."),
    "complained": N_("The file says that this person reported a mail as spam."),
}
_AGAIN = N_("This address stands in line %(line)s too.")
_AGAIN_IN_PART = N_("This address stands in line %(line)s of %(part)s too.")
_MERGED = N_("There it has another name: the mail greets without a name.")
_MISTYPED = N_("Did you mean %(address)s?")
_IN_DOUBT = N_("Have a look: the file may say that this person wants no mail.")


def make_fate_text(fate: Fate, *, is_imported: bool = False) -> str:
    """Return the title of a fate; `is_imported` for one in a file that was imported."""
    return gettext((_TITLES_TAKEN_IN if is_imported else _TITLES)[fate])


def explain_fate(fate: Fate) -> str:
    """Explain a fate in a sentence."""
    return gettext(_REASONS[fate])


def explain_row(row: PreviewRow, choices: Choices) -> str:
    """Explain a row's fate in one or more sentences.

    A row that the admin leaves out gets no sentence about an opt-out in the file.
    """
    fate = Fate(row.fate)
    if fate is Fate.OPTED_OUT and choices.leaves_out(row.place, row.said):
        return _add_quote(explain_fate(fate), row.said)
    return " ".join(filter(None, _list_sentences(row, fate)))


def explain_doubtful_row(row: PreviewRow) -> str:
    """Explain the fate of a doubtful row, "" if it is simply asked or left out."""
    fate = Fate(row.fate)
    if fate in (Fate.ASK, Fate.OPTED_OUT) or not row.said:
        return ""
    return " ".join(filter(None, _list_reasons(row, fate)))


def _list_sentences(row: PreviewRow, fate: Fate) -> tuple[str, ...]:
    is_in_doubt = row.said and not row.mark and fate is not Fate.INVALID
    doubt = _add_quote(gettext(_IN_DOUBT), row.said) if is_in_doubt else ""
    return (*_list_reasons(row, fate), doubt, ask_what_is_meant(row))


def ask_what_is_meant(row: PreviewRow) -> str:
    """Return the question about an address that looks mistyped, "" for any other."""
    return gettext(_MISTYPED, address=to_unicode_address(row.hint)) if row.hint else ""


def _list_reasons(row: PreviewRow, fate: Fate) -> tuple[str, ...]:
    if fate is Fate.INVALID:
        return (make_sentence(deserialize(row.said)),)
    if row.other:
        return _make_duplicate_text(row.other), gettext(_MERGED) if row.merged else ""
    if fate is Fate.OPTED_OUT and row.mark:
        return (_add_quote(gettext(_MARKS[row.mark]), row.said),)
    return (explain_fate(fate),)


def _make_duplicate_text(place: str) -> str:
    part, _, line = place.rpartition(":")
    return gettext(_AGAIN_IN_PART, line=line, part=part) if part else gettext(_AGAIN, line=line)


def _add_quote(sentence: str, quote: str) -> str:
    return f"{sentence} ({quote})" if quote else sentence
