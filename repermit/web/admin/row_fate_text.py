"""What becomes of the rows of a file, and why, in the page's language."""

from __future__ import annotations

from repermit.email_address import to_unicode_address
from repermit.i18n.lazy_text import N_, deserialize
from repermit.imports.import_report import (
    FATE_REASONS,
    IN_DOUBT,
    MARK_REASONS,
    QUESTION,
    add_quote,
    describe_stronger_row,
)
from repermit.imports.row_preview import PreviewRow
from repermit.imports.uploads import Choices
from repermit.rules.consent import Fate
from repermit.web.admin.rendering import gettext
from repermit.web.admin.result_text import make_sentence

FATE_TITLES = {
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
    **FATE_TITLES,
    Fate.ASK: N_("Not confirmed"),
    Fate.ROLE: N_("Shared mailbox, not confirmed"),
}


def make_fate_text(fate: Fate, *, is_imported: bool = False) -> str:
    """Return the title of a fate; `is_imported` for one in a file that was imported."""
    return gettext((_TITLES_TAKEN_IN if is_imported else FATE_TITLES)[fate])


def explain_row(row: PreviewRow, choices: Choices) -> str:
    """Explain a row's fate in one or more sentences.

    A row that the admin leaves out gets no sentence about an opt-out in the file.
    """
    fate = Fate(row.fate)
    if fate is Fate.OPTED_OUT and choices.leaves_out(row.place, row.said):
        return add_quote(make_sentence(FATE_REASONS[fate]), row.said)
    return " ".join(filter(None, _list_sentences(row, fate)))


def explain_doubtful_row(row: PreviewRow) -> str:
    """Explain the fate of a doubtful row, "" if it is simply asked or left out."""
    fate = Fate(row.fate)
    if fate in (Fate.ASK, Fate.OPTED_OUT) or not row.said:
        return ""
    return " ".join(filter(None, _list_reasons(row, fate)))


def _list_sentences(row: PreviewRow, fate: Fate) -> tuple[str, ...]:
    is_in_doubt = row.said and not row.mark and fate is not Fate.INVALID
    doubt = add_quote(make_sentence(IN_DOUBT), row.said) if is_in_doubt else ""
    return (*_list_reasons(row, fate), doubt, ask_what_is_meant(row))


def ask_what_is_meant(row: PreviewRow) -> str:
    """Return the question about an address that looks mistyped, "" for any other."""
    return make_sentence(QUESTION.fill(address=to_unicode_address(row.hint))) if row.hint else ""


def _list_reasons(row: PreviewRow, fate: Fate) -> tuple[str, ...]:
    if fate is Fate.INVALID:
        return (make_sentence(deserialize(row.said)),)
    if row.other:
        part, _, line = row.other.rpartition(":")
        reason = describe_stronger_row(line, part, is_merged=bool(row.merged))
        return (make_sentence(reason),)
    if fate is Fate.OPTED_OUT and row.mark:
        return (add_quote(make_sentence(MARK_REASONS[row.mark]), row.said),)
    return (make_sentence(FATE_REASONS[fate]),)
