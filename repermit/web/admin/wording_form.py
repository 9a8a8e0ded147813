"""The form of a mail's own wording: as blocks of plain text, or as a template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wtforms import HiddenField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice

from repermit.campaigns import mailing_lists
from repermit.contacts import lookup
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
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
from repermit.package_files import load_data
from repermit.web.admin.forms import Form
from repermit.web.admin.rendering import LANGUAGES, get_page_language, gettext, name_language

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

PARTS = ("own_subject", "own_text", "own_html")
"""The fields of the form that hold the wording, named as a list's columns."""

PREVIEW_FIELDS = ("language", "kind", "shape", "shade", "reader")
"""The fields of the form that choose which preview to show."""

BLOCKS, TEMPLATE = "blocks", "template"
"""The views of the form: blocks with fields in brackets, or the template itself."""


class OwnWordingForm(Form):
    """The form of a mail's own wording; its data are always a template.

    - `typed`: the submitted form, read in the view that it was shown in.
    - `view`: the view to show, if the wording can be shown so.
    - `version`: that of the saved texts when the page was opened.
    """

    version = HiddenField()
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
        """Return the text as blocks; None if the template is to be shown."""
        return _show_blocks(read_text(self, "own_text")) if self.view == BLOCKS else None

    @property
    def is_in_blocks(self) -> bool:
        """Return whether the whole form is shown as blocks, without any template."""
        return (
            self.view == BLOCKS
            and not read_text(self, "own_html")
            and self.subject_in_brackets is not None
            and self.blocks is not None
        )

    @property
    def subject_in_brackets(self) -> str | None:
        """Return the subject with its fields in brackets; None if that is not possible."""
        return _write_brackets(self.own_subject.data or "")

    def say(self, text: str) -> str:
        """Return a sentence that names fields as the form shows them."""
        return _name_fields(text) if self.is_in_blocks else text

    def refuse_unknown_brackets(self) -> bool:
        """Add an error for each bracketed name that is no field; return whether there are any."""
        parts = ("own_subject", "own_text") if self._was_in_blocks else ()
        found = [(part, name) for part in parts for name in find_brackets(read_text(self, part))]
        for part, name in dict.fromkeys(found):
            self.refuse(
                part,
                gettext(
                    "There is no field [%(name)s]. Choose one of the fields below, or write it "
                    "without brackets.",
                    name=name,
                ),
            )
        return bool(found)

    def make_editor_values(self) -> dict[str, Any]:
        """Return the template's fields for the editor, with field names in errors as shown."""
        is_in_blocks = self.is_in_blocks
        name_fields = _name_fields if is_in_blocks else str
        for part in PARTS:
            self[part].errors = [name_fields(error) for error in self[part].errors]
        return {
            "form": self,
            "fields": [(name_fields(name), *about) for name, about in list_field_titles().items()],
            "blocks": self.blocks if is_in_blocks else None,
            "is_unsplit": self.view == BLOCKS and not is_in_blocks,
            "labels": list_labels(get_page_language()),
        }


class WordingForm(OwnWordingForm):
    """The form of the list's own wording, with the choice of a preview."""

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
        languages = lookup.read_list_facts(mailing_list).languages
        self.language.choices = [SelectChoice(code, name_language(code)) for code in languages]
        if self.language.data not in languages:
            self.language.data = mailing_list.language
        self._readers = {str(contact.id): contact for contact in readers}
        self.reader.choices = [
            SelectChoice(
                number,
                f"{contact.name}, {to_unicode_address(str(contact.address))}".removeprefix(", "),
            )
            for number, contact in self._readers.items()
        ]
        for field in (self.reader, self.kind, self.shape, self.shade):
            field.choices = [
                SelectChoice(choice.value, gettext(choice.label)) for choice in field.choices
            ]
            values = [choice.value for choice in field.choices] or [""]
            field.data = field.data if field.data in values else values[0]

    @property
    def chosen_reader(self) -> Contact | None:
        """Return the contact that the preview is for; None if there is nobody to ask."""
        return self._readers.get(self.reader.data)


def read_text(form: Form, name: str) -> str:
    """Return a field's text with LF line ends, "" for blanks only."""
    typed = (form[name].data or "").replace("\r\n", "\n")
    return typed if typed.strip() else ""


def fill_list(mailing_list: MailingList, form: WordingForm) -> MailingList:
    """Put the typed wording into a list in memory, which is not saved; return the list."""
    for name in PARTS:
        setattr(mailing_list, name, read_text(form, name))
    return mailing_list


def make_wording_version(mailing_list: MailingList) -> str:
    """Return the version of a list's own wording."""
    return mailing_lists.make_version(mailing_list, PARTS)


# --- The blocks of the form, and its fields in brackets. ------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ShownBlock:
    """A block of the form: the name of its input, and its text with fields in brackets.

    A fixed block has its template as `text`, and the fields in it as `fields`.
    """

    name: str
    kind: BlockKind
    text: str
    fields: list[str]

    @property
    def rows(self) -> int:
        """Return the height of its text box in lines, which shows all of it on a wide screen."""
        return sum(len(line) // _CHARACTERS_PER_LINE + 1 for line in self.text.split("\n"))


_PLACEHOLDERS = load_data("placeholders.toml")
_CHARACTERS_PER_LINE = 52
_BLOCK_NAME = re.compile(r"block-(\d{1,4})-([a-z]+)-(\d{1,4})")


def _show_blocks(text: str) -> list[ShownBlock] | None:
    blocks = split_wording(text) if text else []
    if blocks is None:
        return None
    shown_blocks = []
    for number, block in enumerate(blocks):
        is_fixed = block.kind is BlockKind.FIXED
        shown_text = block.text if is_fixed else _write_brackets(block.text)
        if shown_text is None:
            return None
        name = f"block-{number}-{block.kind}-{block.gap}"
        shown_blocks.append(
            ShownBlock(name=name, kind=block.kind, text=shown_text, fields=block.fields)
        )
    return shown_blocks


def _read_blocks(typed: Mapping[str, str]) -> list[Block]:
    """Return the blocks that a form sent, in their order."""
    matches = ((_BLOCK_NAME.fullmatch(name), text) for name, text in typed.items())
    blocks = {
        int(match[1]): Block(
            kind=BlockKind(match[2]),
            text=_read_fields(text.replace("\r\n", "\n")),
            gap=int(match[3]),
        )
        for match, text in matches
        if match and match[2] in set(BlockKind)
    }
    return [_join_heading(blocks[number]) for number in sorted(blocks)]


def _join_heading(block: Block) -> Block:
    """Join a heading's text to one line; other blocks are unchanged."""
    is_heading = block.kind in {BlockKind.TITLE, BlockKind.HEADING}
    return replace(block, text=" ".join(block.text.split())) if is_heading else block


def _write_brackets(template: str) -> str | None:
    """Return a template with its fields in brackets; None if that cannot be read back."""
    labelled = write_labels(template, list_labels(get_page_language()))
    return labelled if labelled is not None and _read_fields(labelled) == template else None


def _read_fields(text: str) -> str:
    # In every language, since the pages' language may change while a form is open.
    return read_labels(text, map(list_labels, LANGUAGES))


def _name_fields(text: str) -> str:
    labels = list_labels(get_page_language())
    return re.sub(r"\{\{ (\w+) \}\}", lambda match: f"[{labels.get(match[1], match[1])}]", text)


def list_labels(language: str) -> Mapping[str, str]:
    """Return the placeholder in brackets of each field, in a language of the pages."""
    translate = catalogues.load_translations(language).gettext
    return {field: translate(entry["label"]) for field, entry in _PLACEHOLDERS.items()}


def list_field_titles() -> dict[str, tuple[str, ...]]:
    """Return the title of each placeholder; required ones come first."""
    needed, optional = gettext("Needed"), gettext("As you like")
    return {
        f"{{{{ {name} }}}}": (needed if "needed" in entry else optional, gettext(entry["title"]))
        for name, entry in _PLACEHOLDERS.items()
    }
