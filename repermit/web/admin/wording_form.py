"""The form of a mail's own wording: as blocks in plain words, or as the template that it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from wtforms import SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice

from repermit.contacts import lookup
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import ListText, MailingList
from repermit.email_address import to_unicode_address
from repermit.emails.wording_form_blocks import (
    Block,
    BlockKind,
    find_brackets,
    join_blocks,
    read_labels,
    split_wording,
    write_labels,
)
from repermit.i18n import catalogues
from repermit.i18n.lazy_text import N_
from repermit.web.admin.forms import Form
from repermit.web.admin.rendering import LANGUAGES, get_page_language, gettext, name_language

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

PARTS = ("own_subject", "own_text", "own_html")
"""The fields of the form that are the wording, as a list has them."""

PREVIEW_FIELDS = ("language", "kind", "shape", "shade", "reader")
"""Those that say what of it is to be looked at."""

BLOCKS, TEMPLATE = "blocks", "template"
"""The views of the form: fields in brackets in blocks, and the template that they are."""


class OwnWordingForm(Form):
    """A mail's own wording, always as a template.

    `view` is how it is to be shown, where it can be; what was typed is read as it was shown then.
    """

    own_subject = StringField(N_("Subject"))
    own_text = TextAreaField(N_("Text"))
    own_html = TextAreaField(N_("HTML"))

    def __init__(
        self, typed: MultiDict[str, str] | None = None, *, view: str = "", **kwargs: Any
    ) -> None:
        super().__init__(typed, **kwargs)
        sent: Mapping[str, str] = typed or {}
        self.view = TEMPLATE if (view or sent.get("view")) == TEMPLATE else BLOCKS
        self._was_in_blocks = sent.get("view") == BLOCKS
        if self._was_in_blocks:
            self.own_subject.data = _read_fields(self.own_subject.data or "")
            self.own_text.data = join_blocks(_read_blocks(sent))

    @property
    def blocks(self) -> list[ShownBlock] | None:
        """Return the text as blocks; None where the template itself is to be shown."""
        return _show_blocks(read_text(self, "own_text")) if self.view == BLOCKS else None

    @property
    def is_in_blocks(self) -> bool:
        """Say whether the form is shown without any template."""
        return (
            self.view == BLOCKS
            and not read_text(self, "own_html")
            and self.subject_in_brackets is not None
            and self.blocks is not None
        )

    @property
    def subject_in_brackets(self) -> str | None:
        """Return the subject with its fields in brackets; None if it cannot be."""
        return _write_brackets(self.own_subject.data or "")

    def say(self, text: str) -> str:
        """Return a sentence with the fields that it names as the form shows them."""
        return _name_fields(text) if self.is_in_blocks else text

    def refuse_unknown_brackets(self) -> bool:
        """Say whether something in brackets is no field, which is then an error of the text."""
        parts = ("own_subject", "own_text") if self._was_in_blocks else ()
        names = [name for part in parts for name in find_brackets(read_text(self, part))]
        for name in dict.fromkeys(names):
            self.refuse(
                "own_text",
                gettext(
                    "There is no field [%(name)s]. Choose one of the fields below, or write it "
                    "without brackets.",
                    name=name,
                ),
            )
        return bool(names)

    def make_editor_values(self) -> dict[str, Any]:
        """Return what the templates need to show the wording, with its errors in their words."""
        is_in_blocks = self.is_in_blocks
        say = _name_fields if is_in_blocks else str
        for part in PARTS:
            self[part].errors = [say(error) for error in self[part].errors]
        return {
            "form": self,
            "fields": [(say(name), *about) for name, about in list_field_titles().items()],
            "blocks": self.blocks if is_in_blocks else None,
            "is_unsplit": self.view == BLOCKS and not is_in_blocks,
            "labels": list_labels(get_page_language()),
        }


class WordingForm(OwnWordingForm):
    """The own wording, and what of it is to be looked at."""

    reader = SelectField(N_("As it reads for"), validate_choice=False)
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

    def __init__(
        self,
        typed: MultiDict[str, str] | None = None,
        *,
        mailing_list: MailingList,
        readers: Iterable[Contact] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(typed, **kwargs)
        spoken = lookup.read_list_facts(mailing_list).languages
        self.language.choices = [SelectChoice(choice, name_language(choice)) for choice in spoken]
        if self.language.data not in spoken:
            self.language.data = mailing_list.language
        self._readers = {str(one.id): one for one in readers}
        self.reader.choices = [
            SelectChoice(
                number, f"{one.name}, {to_unicode_address(str(one.address))}".removeprefix(", ")
            )
            for number, one in self._readers.items()
        ]
        for field in (self.reader, self.kind, self.shape, self.shade):
            field.choices = [
                SelectChoice(choice.value, gettext(choice.label)) for choice in field.choices
            ]
            known = [choice.value for choice in field.choices] or [""]
            field.data = field.data if field.data in known else known[0]

    @property
    def chosen_reader(self) -> Contact | None:
        """Return who the mail is looked at as, None if there is nobody to be asked."""
        return self._readers.get(self.reader.data)


def read_text(form: Form, name: str) -> str:
    """Return a text with plain line ends, "" for one of blanks alone."""
    typed = (form[name].data or "").replace("\r\n", "\n")
    return typed if typed.strip() else ""


def fill_list(mailing_list: MailingList, form: WordingForm) -> MailingList:
    """Put what is typed into a list in memory, which nobody saves; return it."""
    for name in PARTS:
        setattr(mailing_list, name, read_text(form, name))
    return mailing_list


def make_version(saved: MailingList | ListText) -> str:
    """Return a digest that changes with the wording that is saved."""
    return sha256(repr([getattr(saved, name) for name in PARTS]).encode()).hexdigest()[:16]


# --- The blocks of the form, and its fields in brackets. ------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ShownBlock:
    """A block as the form has it: the name of its input, and its words with fields in brackets.

    Of a fixed one, `text` is the template that it is, and `fields` what stands in it.
    """

    name: str
    kind: BlockKind
    text: str
    fields: list[str]

    @property
    def rows(self) -> int:
        """Return how many lines its box has, so that all of it is seen on a wide screen."""
        return sum(len(line) // _LETTERS + 1 for line in self.text.split("\n"))


_LETTERS = 52
_BLOCK_NAME = re.compile(r"block-(\d{1,4})-([a-z]+)-(\d{1,4})")


def _show_blocks(text: str) -> list[ShownBlock] | None:
    blocks = split_wording(text) if text else []
    if blocks is None:
        return None
    shown = []
    for number, block in enumerate(blocks):
        is_fixed = block.kind is BlockKind.FIXED
        words = block.text if is_fixed else _write_brackets(block.text)
        if words is None:
            return None
        name = f"block-{number}-{block.kind}-{block.gap}"
        shown.append(ShownBlock(name=name, kind=block.kind, text=words, fields=block.fields))
    return shown


def _read_blocks(typed: Mapping[str, str]) -> list[Block]:
    """Return the blocks that a form sent, in their order."""
    found = ((_BLOCK_NAME.fullmatch(name), text) for name, text in typed.items())
    blocks = {
        int(match[1]): Block(
            kind=BlockKind(match[2]),
            text=_read_fields(text.replace("\r\n", "\n")),
            gap=int(match[3]),
        )
        for match, text in found
        if match and match[2] in set(BlockKind)
    }
    return [_join_heading(blocks[number]) for number in sorted(blocks)]


def _join_heading(block: Block) -> Block:
    """Return a heading as the one line that it is."""
    is_heading = block.kind in {BlockKind.TITLE, BlockKind.HEADING}
    return replace(block, text=" ".join(block.text.split())) if is_heading else block


def _write_brackets(template: str) -> str | None:
    """Return a template with its fields in brackets; None if it cannot be read back from that."""
    written = write_labels(template, list_labels(get_page_language()))
    return written if written is not None and _read_fields(written) == template else None


def _read_fields(text: str) -> str:
    # Somebody may change the language of the pages while a form is open.
    return read_labels(text, map(list_labels, LANGUAGES))


def _name_fields(text: str) -> str:
    labels = list_labels(get_page_language())
    return re.sub(r"\{\{ (\w+) \}\}", lambda match: f"[{labels.get(match[1], match[1])}]", text)


def list_labels(language: str) -> Mapping[str, str]:
    """Return the placeholder in brackets of each field, in a language of the pages."""
    translate = catalogues.load_translations(language).gettext
    return {field: translate(label) for field, label in _LABELS.items()}


_LABELS = {
    "yes_url": N_("link for Yes"),
    "no_url": N_("link for No"),
    "silence": N_("what happens without an answer"),
    "organisation": N_("who asks, in lines"),
    "objection": N_("the right to object"),
    "stop": N_("how to stop"),
    "privacy_url": N_("link to the privacy statement"),
    "explicit_consent": N_("what a Yes means"),
    "greeting": N_("Dear …"),
    "reason": N_("why they get this mail"),
    "deadline": N_("last day and time"),
    "list_name": N_("name of the list"),
    "purpose": N_("what people get"),
    "frequency": N_("how often"),
    "organisation_name": N_("your name"),
    "yes_label": N_("words for Yes"),
    "no_label": N_("words for No"),
    "me_url": N_("link to what is held"),
    "address": N_("the reader’s address"),
    "reply_to": N_("address for replies"),
    "short_deadline": N_("last day without the year"),
    "day": N_("last day in short"),
    "telephone": N_("your telephone number"),
}


def list_field_titles() -> dict[str, tuple[str, ...]]:
    """Return the title of each placeholder; required ones come first."""
    needed, more = gettext("Needed"), gettext("As you like")
    titles = {
        "yes_url": (needed, gettext("Link for Yes")),
        "no_url": (needed, gettext("Link for No")),
        "silence": (
            needed,
            gettext("What happens without an answer, and the last day"),
        ),
        "organisation": (needed, gettext("Your name, address and how to reach you: several lines")),
        "objection": (needed, gettext("The right to object (GDPR), with its heading")),
        "stop": (needed, gettext("How to stop at any time")),
        "privacy_url": (needed, gettext("Link to your privacy statement")),
        "explicit_consent": (more, gettext("What a Yes means; needed on a sensitive list")),
        "greeting": (more, gettext("Dear …, with the name if it is known")),
        "reason": (more, gettext("Why they get this mail, and since when they are on the list")),
        "deadline": (more, gettext("Until when answers count")),
        "list_name": (more, gettext("Name of the list")),
        "purpose": (more, gettext("What people get")),
        "frequency": (more, gettext("How often")),
        "organisation_name": (more, gettext("Your name alone, for within a sentence")),
        "yes_label": (more, gettext("Words of the button for Yes")),
        "no_label": (more, gettext("Words of the button for No")),
        "me_url": (more, gettext("Link to what is held about the reader")),
        "address": (more, gettext("The reader’s own address")),
        "reply_to": (more, gettext("Address for replies")),
        "short_deadline": (more, gettext("The same without the year")),
        "day": (more, gettext("The same as short as can be, for the subject")),
        "telephone": (more, gettext("Your telephone number")),
    }
    return {f"{{{{ {name} }}}}": title for name, title in titles.items()}
