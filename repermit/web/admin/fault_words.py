"""How the record fails, in the page's language.

May import evidence and this room's showing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repermit.evidence import How
from repermit.web.admin.forms import N_
from repermit.web.admin.showing import gettext

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS: Mapping[How, str] = {
    How.EDITED: N_("Entry %(seq)s was edited."),
    How.MISSING: N_("Entry %(seq)s is missing."),
    How.INSERTED: N_("Entry %(seq)s was inserted."),
    How.REORDERED: N_("Entry %(seq)s is not the one that stood there: entries were reordered."),
    How.PART_ALTERED: N_("A part of entry %(seq)s was altered."),
    How.PART_MISSING: N_("A part of entry %(seq)s is missing, and no erasure accounts for it."),
    How.PART_INSERTED: N_("A part was inserted at entry %(seq)s."),
    How.PARTS_SWAPPED: N_("A part of entry %(seq)s was swapped with another entry’s."),
    How.WORDING_ALTERED: N_("The text of a mail or page was altered."),
    How.WORDING_MISSING: N_("The text of a mail or page is missing."),
    How.HEAD: N_("The end of the record does not match its last entry, %(seq)s."),
    How.TREE: N_("The tree over the record was altered from entry %(seq)s on; the entries hold."),
    How.CONTRADICTED: N_("What the database holds beside entry %(seq)s is not what it says."),
    How.UNVOUCHED: N_("The database holds something that no entry of the record accounts for."),
    How.REWRITTEN: N_("Entries were rewritten: your checkpoint, at entry %(seq)s, says otherwise."),
    How.CUT: N_("The record was cut off: entry %(seq)s and those after it are gone."),
    How.UNKNOWN_EVENT: N_("Entry %(seq)s tells of an event that repermit does not have."),
    How.IN_THE_FUTURE: N_("Entry %(seq)s has a time that has not come yet."),
    How.OUT_OF_ORDER: N_("Entry %(seq)s has an earlier time than an entry before it."),
    How.ERASED_WRONGLY: N_("Entry %(seq)s erased a proof that nobody may erase, or not yet."),
    How.PERSON_DELETED: N_("The person of whom entry %(seq)s tells was deleted from the database."),
    How.ASKED_AFTER_REMOVAL: N_("Somebody was asked after entry %(seq)s had taken them off."),
    How.MISCOUNTED: N_(
        "A count that pages show is not what there is. `repermit check --recount` counts all anew "
        "but for answers and removals by day."
    ),
    How.JOURNAL_CUT: N_("The journal of suppressions lacks lines that it had."),
    How.SUPPRESSION_DELETED: N_(
        "Somebody whom the journal of suppressions names may be asked again: that they may not was "
        "deleted. It is put back when repermit starts."
    ),
}


def fault_in_words(found: Mapping[str, Any]) -> str:
    """Return a fault, as it is kept in JSON, as a sentence."""
    return gettext(WORDS[How(found["how"])], seq=found["seq"])
