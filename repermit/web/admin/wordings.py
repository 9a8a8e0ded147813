"""The form of a mail's own wording, and the fields that may stand in it.

May import config, messages and this room's forms and showing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wtforms import SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice

from repermit import contacts
from repermit.web.admin.announcing import language_name
from repermit.web.admin.forms import N_, Form
from repermit.web.admin.showing import gettext

if TYPE_CHECKING:
    from repermit.models import MailingList

PARTS = ("own_subject", "own_text", "own_html")
"""The fields of the form that are the wording, as a list has them."""

LOOKED = ("language", "kind", "shape", "shade")
"""Those that say what of it is to be looked at."""


class WordingForm(Form):
    """The own wording, and what of it is to be looked at."""

    own_subject = StringField(N_("Subject"))
    own_text = TextAreaField(N_("Text"))
    own_html = TextAreaField(N_("HTML"))
    language = SelectField(N_("Language"), validate_choice=False)
    kind = SelectField(
        N_("Which mail"),
        choices=[
            SelectChoice("ask", N_("The question")),
            SelectChoice("reminder", N_("The reminder")),
        ],
        validate_choice=False,
    )
    shape = SelectField(
        N_("Form"),
        choices=[
            SelectChoice("html", N_("Laid out")),
            SelectChoice("text", N_("Plain text")),
        ],
        validate_choice=False,
    )
    shade = SelectField(
        N_("Colours"),
        choices=[SelectChoice("light", N_("Light")), SelectChoice("dark", N_("Dark"))],
        validate_choice=False,
    )

    def __init__(self, *args: Any, mailing_list: MailingList, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        spoken = contacts.list_facts(mailing_list).languages
        self.language.choices = [SelectChoice(one, language_name(one)) for one in spoken]
        if self.language.data not in spoken:
            self.language.data = mailing_list.language
        for field in (self.kind, self.shape, self.shade):
            field.choices = [SelectChoice(one.value, gettext(one.label)) for one in field.choices]
            known = [one.value for one in field.choices]
            field.data = field.data if field.data in known else known[0]


def typed_in(form: Form, name: str) -> str:
    """Return a text with plain line ends, "" for one of blanks alone."""
    typed = (form[name].data or "").replace("\r\n", "\n")
    return typed if typed.strip() else ""


def put_into(mailing_list: MailingList, form: WordingForm) -> MailingList:
    """Put what is typed into a list in memory, which nobody saves; return it."""
    for name in PARTS:
        setattr(mailing_list, name, typed_in(form, name))
    return mailing_list


def field_titles() -> dict[str, tuple[str, ...]]:
    """Return what each field stands for; those without which there is no mail first."""
    needed, more = gettext("Needed"), gettext("As you like")
    titles = {
        "yes_url": (needed, gettext("Link for Yes")),
        "no_url": (needed, gettext("Link for No")),
        "deadline": (needed, gettext("Until when answers count")),
        "organisation": (needed, gettext("Your name, address and how to reach you: several lines")),
        "stop": (needed, gettext("How to stop at any time")),
        "privacy_url": (needed, gettext("Link to your privacy statement")),
        "explicit_consent": (more, gettext("What a Yes means; needed on a sensitive list")),
        "greeting": (more, gettext("Dear …, with the name if it is known")),
        "reason": (more, gettext("Why they get this mail, and since when they are on the list")),
        "list_name": (more, gettext("Name of the list")),
        "purpose": (more, gettext("What people get")),
        "frequency": (more, gettext("How often")),
        "organisation_name": (more, gettext("Your name alone, for within a sentence")),
        "yes_label": (more, gettext("Words of the button for Yes")),
        "no_label": (more, gettext("Words of the button for No")),
        "me_url": (more, gettext("Link to what is held about the reader")),
        "address": (more, gettext("The reader’s own address")),
        "reply_to": (more, gettext("Address for replies")),
    }
    return {f"{{{{ {name} }}}}": title for name, title in titles.items()}
