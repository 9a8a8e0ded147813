"""In which words a page was shown, known again when a Yes comes from it.

A Yes is kept with the text of its page (GDPR art. 7(1)), which is made when it comes: it must be
the text that the person read.
"""

from __future__ import annotations

from flask import g, request

from repermit.setting_overrides import current_settings

TEXTS = "texts"
"""What the forms for a Yes send along: the version of the texts, if any was ever corrected."""


def version() -> str:
    """Return the version of the texts on the page that is being made; "" if all are as they come.

    That of the beginning of the request: if a text is corrected while the page is made, its Yes is
    asked for again.
    """
    known: str = g.get("texts", "")
    return known


def is_as_now() -> bool:
    """Say whether the page that sent a Yes was in the words that hold at this moment.

    Asked once the text of the page is made that is kept, since no later correction is in that then.
    """
    return request.form.get(TEXTS, "") == current_settings.version_of_texts()
