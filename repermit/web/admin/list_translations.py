"""Step 1 of a campaign, for further languages: the list's description in each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from wtforms import StringField, TextAreaField

from repermit.campaigns import list_translations, mailing_lists, preview
from repermit.contacts import lookup
from repermit.db.models.lists import ListText, MailingList, find_list
from repermit.emails.mail_types import Mail
from repermit.errors import ChangedMeanwhile, RepermitError
from repermit.i18n import catalogues
from repermit.i18n.lazy_text import N_
from repermit.web.admin import mail_wording
from repermit.web.admin.current_user import get_actor
from repermit.web.admin.rendering import (
    flash_message,
    gettext,
    make_step_fields,
    name_language,
    ngettext,
    redirect_to,
    render_page,
)
from repermit.web.admin.result_text import make_sentence
from repermit.web.admin.wording_form import OwnWordingForm, read_text
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("list_translations", __name__, url_prefix="/admin/lists/<slug>/describe/in")


class TextForm(OwnWordingForm):
    """The form for a list's description in another language."""

    name = StringField(N_("Name of the list"))
    purpose = TextAreaField(N_("What will people get?"))
    frequency = StringField(N_("How often?"))
    privacy_url = StringField(N_("Address of your privacy statement"))


@dataclass(frozen=True, kw_only=True)
class FurtherLanguage:
    """A language in which a list can be described.

    - `lacks`: the missing fields of a description that was begun.
    - `readers`: how many people read it, and get no mail in it for now.
    """

    code: str
    name: str
    text: ListText
    lacks: list[str]
    readers: int

    @property
    def read(self) -> str:
        """Return a text with the number of its readers, "" for none."""
        count_text = ngettext("one person reads it", "%(count)s people read it", self.readers)
        return count_text if self.readers else ""

    @property
    def is_begun(self) -> bool:
        """Return whether the list has any text in this language."""
        return self.text.id is not None


def list_further_languages(mailing_list: MailingList) -> list[FurtherLanguage]:
    """Return every language but the list's own, in the order of their own names."""
    text_by_language = {text.language: text for text in lookup.list_translations(mailing_list)}
    reader_counts = list_translations.count_untranslated(mailing_list)
    return [
        FurtherLanguage(
            code=code,
            name=name_language(code),
            text=text_by_language.get(code)
            or list_translations.find_translation(mailing_list, code),
            lacks=_list_missing(text_by_language[code], mailing_list)
            if code in text_by_language
            else [],
            readers=reader_counts.get(code, 0),
        )
        for code in catalogues.languages()
        if code != mailing_list.language
    ]


def make_no_web_address_text() -> str:
    """Return the error text for an invalid web address."""
    return gettext("This is no web address; one looks like https://www.example.org/privacy")


@pages.get("", endpoint="show")
def show_translation(slug: str) -> Response:
    """Show a list's description in another language."""
    mailing_list = find_list(slug)
    text = list_translations.find_translation(mailing_list, _read_language(mailing_list))
    form = TextForm(obj=text, version=_make_version(text), view=request.args.get("view", ""))
    return _show_page(mailing_list, form)


@pages.post("", endpoint="save")
def save_translation(slug: str) -> AnyResponse:
    """Change the list's texts in another language; if all are empty, the list's own are used."""
    mailing_list, form, services = find_list(slug), TextForm(request.form), get_services()
    language, typed = _read_language(mailing_list), _read_fields(form)
    if mailing_lists.find_wrong_fields(**typed):
        form.refuse("privacy_url", make_no_web_address_text())
    if form.refuse_unknown_brackets() or form.errors:
        return _show_page(mailing_list, form, status=422)
    try:
        text = list_translations.change_translation(
            services.database,
            mailing_list,
            language,
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
            since=form.version.data or "",
            **typed,
        )
    except ChangedMeanwhile as refusal:
        text = list_translations.find_translation(mailing_list, language)
        form.version.data = _make_version(text)
        note = ("problem", make_sentence(refusal.said))
        return _show_page(mailing_list, form, status=422, notes=[note])
    except RepermitError as refusal:
        form.refuse(_find_refused_field(typed), make_sentence(refusal.said))
        return _show_page(mailing_list, form, status=422)
    lacks = _list_missing(text, mailing_list)
    if any(typed.values()) and lacks:
        intro = gettext("Until this is said too, nobody gets a mail in this language:")
        flash_message(f"{intro} {', '.join(lacks)}", kind="warning")
        return redirect_to("list_translations.show", slug=slug, language=language)
    flash_message(gettext("Saved."))
    mail_wording.flash_first_screen(mailing_list, language)
    return redirect_to("list_form.show", slug=slug, _anchor="languages")


@pages.post("/view")
def change_view(slug: str) -> Response:
    """Show the typed wording as a template or as blocks; nothing is saved."""
    form = TextForm(request.form, view=request.form.get("show", ""))
    return _show_page(find_list(slug), form, notes=mail_wording.list_kept_notes())


@pages.post("/begin")
def insert_default(slug: str) -> Response:
    """Fill empty fields with the default wording in this language; nothing is saved."""
    mailing_list, form = find_list(slug), TextForm(request.form)
    mail_wording.insert_default_wording(mailing_list, form, _read_language(mailing_list))
    return _show_page(mailing_list, form)


@pages.post("/complete")
def insert_missing(slug: str) -> Response:
    """Append the required fields that the text lacks, in this language; nothing is saved."""
    mailing_list, form = find_list(slug), TextForm(request.form)
    note = mail_wording.complete_wording(mailing_list, form, _read_language(mailing_list))
    return _show_page(mailing_list, form, notes=[note])


def _read_language(mailing_list: MailingList) -> str:
    """Return the requested language, by default the first that is not the list's own."""
    further_languages = [code for code in catalogues.languages() if code != mailing_list.language]
    requested = request.values.get("language", "")
    return requested if requested in further_languages else further_languages[0]


def _read_fields(form: TextForm) -> Any:
    typed = {name: form[name].data or "" for name in list_translations.TRANSLATION_FIELDS}
    return typed | {name: read_text(form, name) for name in ("own_text", "own_html")}


def _make_version(text: ListText) -> str:
    return mailing_lists.make_version(text, list_translations.TRANSLATION_FIELDS)


def _find_refused_field(typed: Any) -> str:
    """Return the field that gets a refusal: the HTML if only that is given, else the text."""
    return "own_html" if typed["own_html"] and not typed["own_text"] else "own_text"


def _list_missing(text: ListText, mailing_list: MailingList) -> list[str]:
    labels = {
        "purpose": gettext("what people will get"),
        "privacy_url": gettext("where your privacy statement is"),
        "frequency": gettext("how often mail will come"),
    }
    return [labels[name] for name in lookup.find_missing_texts(text, mailing_list)]


def _show_page(
    mailing_list: MailingList,
    form: TextForm,
    *,
    status: int = 200,
    notes: list[tuple[str, str]] | None = None,
) -> Response:
    language = _read_language(mailing_list)
    text = list_translations.find_translation(mailing_list, language)
    return render_page(
        "list_translations/show.html",
        status=status,
        notes=notes,
        **form.make_editor_values(),
        version=_make_version(text),
        samples=_render_samples(mailing_list, text) if form.is_in_blocks else {},
        lacks_fields=mail_wording.lacks_fields(mailing_list, form),
        **make_step_fields(mailing_list),
        language_code=language,
        language_name=name_language(language),
        own_language=name_language(mailing_list.language),
        example=make_example(mailing_list, language),
    )


def _render_samples(mailing_list: MailingList, text: ListText) -> dict[str, str]:
    """Return the samples of a mail in this language, as if it were the list's own."""
    sampled = find_list(mailing_list.slug)
    for name in ("language", "name", "purpose", "frequency", "privacy_url"):
        setattr(sampled, name, getattr(text, name) or getattr(sampled, name))
    return mail_wording.render_samples(sampled)


def make_example(mailing_list: MailingList, language: str) -> Mail | None:
    """Return the present mail in a language, None if nobody would get one in it."""
    settings, now = get_services().settings, get_arrival()
    try:
        return preview.preview_mail(mailing_list, settings=settings, now=now, language=language)
    except RepermitError:
        return None
