"""repermit's own wording of an ask as templates with fields, for admins to begin theirs with.

May import nothing of repermit but its neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.messages.templating import render
from repermit.messages.values import OwnWording
from repermit.messages.wording import FIELDS

if TYPE_CHECKING:
    from repermit.messages.values import MailingListFacts


def usual_wording(mailing_list: MailingListFacts, *, language: str) -> OwnWording:
    """Return what `check_wording` takes and what says the same as repermit's own ask.

    Without HTML, which is made from the text.
    """
    fields = {field: f"{{{{ {field} }}}}" for field in FIELDS}
    # What the templates ask of a list, as they would find it.
    fields["sensitive"] = "yes" if mailing_list.sensitive else ""
    fields["frequency"] = fields["frequency"] if mailing_list.frequency else ""
    return OwnWording(
        subject=render("ask/subject.txt", fields, language=language).strip(),
        text=render("ask/body.txt", fields, language=language),
    )
