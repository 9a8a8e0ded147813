"""repermit's own wording of an ask as templates with fields, for admins to begin theirs with."""

from __future__ import annotations

from repermit.emails.mail_values import MailingListFacts, OwnWording
from repermit.emails.template_engine import render
from repermit.emails.wording_validation import FIELDS


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
