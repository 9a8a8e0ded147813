"""The forms for one person on a list: an answer, a request, somebody to be added.

May import consent, messages and what the admin's pages share.
"""

from __future__ import annotations

from typing import Any

from wtforms import BooleanField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired

from repermit import messages
from repermit.consent import Basis
from repermit.web.admin.forms import N_, Form
from repermit.web.admin.showing import gettext

_given = DataRequired(N_("Please fill this in."))


class _Form(Form):
    """A form whose choices are in the page's language too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self:
            if isinstance(field, SelectField):  # which a RadioField is too
                field.choices = [
                    SelectChoice(one.value, gettext(one.label)) for one in field.choices
                ]


class AnswerForm(_Form):
    """An answer that somebody gave by phone, letter or reply."""

    answer = RadioField(
        N_("What did they say?"),
        [InputRequired(N_("Please choose."))],
        choices=[
            SelectChoice("yes", N_("Yes, I want this mail")),
            SelectChoice("no", N_("No, no more mail")),
        ],
    )
    note = StringField(N_("How, when and to whom?"), [_given])
    representative = BooleanField(N_("The legal representative answered, such as a parent"))


class RequestForm(_Form):
    """A request to be taken off."""

    reason = StringField(N_("How did they ask for it?"), [_given])


class AddForm(_Form):
    """Somebody to be added by hand."""

    address = StringField(N_("E-mail address"), [_given])
    name = StringField(N_("Name"))
    language = SelectField(
        N_("Language"),
        choices=[
            SelectChoice("", N_("that of the list")),
            *(SelectChoice(one, messages.language_name(one)) for one in messages.languages()),
        ],
        default="",
    )
    source = StringField(N_("Where is the address from? The person reads this."), [_given])
    basis = RadioField(
        N_("On what ground may this person be mailed?"),
        choices=[
            SelectChoice("", N_("None yet: the next campaign asks them")),
            SelectChoice(
                str(Basis.IMPORTED), N_("They signed up, and I have the text of the form")
            ),
            SelectChoice(
                str(Basis.THIN), N_("They signed up, but I do not have the text of the form")
            ),
            SelectChoice(str(Basis.CUSTOMER), N_("They are a customer")),
        ],
        default="",
    )
    basis_at = StringField(N_("On which day did they sign up, or buy?"))
    proof = TextAreaField(N_("What shows it?"))
    wording = TextAreaField(N_("The text of the form"))
