"""What all forms of the admin's pages share: texts in the page's language.

Forms prove that they are ours by the guard, so that these are plain forms without a token of their
own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import wtforms

from repermit.i18n import catalogues
from repermit.i18n.lazy_text import N_
from repermit.web.admin.rendering import gettext, page_language

# What wtforms itself says of a choice that it did not offer, so that catalogues know it.
N_("Not a valid choice.")


class _Texts:
    """The catalogue of the page, as wtforms asks for it."""

    def gettext(self, text: str) -> str:
        return gettext(text)

    def ngettext(self, singular: str, plural: str, count: int) -> str:
        # Not the one of `showing`, which fills in: wtforms does so itself, with names of its own.
        catalogue = catalogues.translations(page_language())
        return catalogue.ngettext(singular, plural, count)


class Form(wtforms.Form):  # type: ignore[misc]
    """A form whose labels and messages are marked with N_ and shown in the page's language."""

    class Meta:
        """Where texts come from."""

        def get_translations(self, _form: Any) -> _Texts:
            """Return the catalogue of the page."""
            return _Texts()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self:
            field.label.text = gettext(field.label.text)

    def validate(self, extra_validators: Mapping[str, Sequence[Any]] | None = None) -> bool:
        """Say whether all is as it should be; what is not stands at its field."""
        is_valid: bool = super().validate(extra_validators)
        for field in self:
            field.errors = [gettext(str(error)) for error in field.errors]
        return is_valid

    def refuse(self, name: str, reason: str) -> None:
        """Write at a field, or at the form under a field's name, what speaks against it."""
        field = self[name]
        field.errors = [*field.errors, reason]
