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
}


def fault_in_words(found: Mapping[str, Any]) -> str:
    """Return a fault, as it is kept in JSON, as a sentence."""
    return gettext(WORDS[How(found["how"])], seq=found["seq"])
