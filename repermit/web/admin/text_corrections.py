"""Corrections of the texts of mails and pages, one text at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, request
from wtforms import TextAreaField

from repermit.errors import Refused
from repermit.i18n import catalogues, correctable_texts
from repermit.i18n.correctable_texts import Text
from repermit.setting_overrides import text_corrections
from repermit.web.admin.current_user import get_actor
from repermit.web.admin.forms import Form
from repermit.web.admin.rendering import (
    flash_message,
    format_number,
    get_page_language,
    gettext,
    name_language,
    redirect_to,
    render_page,
)
from repermit.web.admin.result_text import make_sentence
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("text_corrections", __name__, url_prefix="/admin/texts")

PAGE_SIZE = 40
"""The number of texts on a page."""

_WRONG = 422


@pages.get("/", endpoint="show")
def show_texts() -> Response:
    """Show the texts of mails and pages in a language, all or those found by a search."""
    language = catalogues.choose_language(
        request.args.get("language", ""), default=get_page_language()
    )
    search = request.args.get("wanted", "").strip()
    only_corrected = bool(request.args.get("corrected"))
    corrections = text_corrections.read_corrections(language)
    texts = [
        text
        for text in correctable_texts.texts_in(language).values()
        if text.has(search, corrections.get(text.key, ()))
        and (not only_corrected or text.key in corrections)
    ]
    start = _find_position(texts, request.args.get("after", ""))
    return render_page(
        "text_corrections/show.html",
        language_code=language,
        languages=[(code, name_language(code)) for code in catalogues.languages()],
        wanted=search,
        only_corrected=only_corrected,
        count=len(texts),
        texts=texts[start : start + PAGE_SIZE],
        changed=corrections,
        begins=start,
        last_key=texts[start + PAGE_SIZE - 1].key if len(texts) > start + PAGE_SIZE else "",
    )


@pages.get("/<language>/<key>")
def show_text(language: str, key: str) -> Response:
    """Show the form for correcting one text."""
    text = _find_text(language, key)
    corrected = text_corrections.read_corrections(language).get(key)
    return _show_page(text, _make_form(text, corrected or text.usual), is_corrected=bool(corrected))


@pages.post("/<language>/<key>")
def save_text(language: str, key: str) -> AnyResponse:
    """Save the correction of a text, or delete it."""
    text = _find_text(language, key)
    names = _list_field_names(text)
    typed = [request.form.get(name, "") for name in names]
    if request.form.get("usual"):
        typed = [""] * len(names)
    try:
        text_corrections.save_correction(
            get_services().database, text, typed, now=get_arrival(), actor=get_actor()
        )
    except Refused as refusal:
        form = _make_form(text, typed)
        form.refuse(names[0], make_sentence(refusal.said))
        is_corrected = key in text_corrections.read_corrections(language)
        return _show_page(text, form, status=_WRONG, is_corrected=is_corrected)
    flash_message(gettext("Saved. Mails and pages say so from now on."))
    return redirect_to("text_corrections.show", language=language, corrected="yes")


def _find_text(language: str, key: str) -> Text:
    if language not in catalogues.languages():
        abort(404)
    return correctable_texts.texts_in(language).get(key) or abort(404)


def _find_position(texts: Sequence[Text], after: str) -> int:
    """Return the position after the text with the key `after`; 0 if it is not there."""
    keys = [text.key for text in texts]
    return keys.index(after) + 1 if after in keys else 0


def _list_field_names(text: Text) -> list[str]:
    return [f"form_{number}" for number in range(len(text.usual))]


def _make_form(text: Text, forms: Sequence[str]) -> Form:
    """Return a form with a field for each plural form of a text."""
    labels = [
        gettext("What it says for %(number)s", number=format_number(number))
        for number in text.numbers
    ] or [gettext("What it says")]
    fields: dict[str, Any] = {
        name: TextAreaField(label)
        for name, label in zip(_list_field_names(text), labels, strict=True)
    }
    form_class: type[Form] = type("TextForm", (Form,), fields)
    return form_class(data=dict(zip(fields, forms, strict=True)))


def _show_page(text: Text, form: Form, *, is_corrected: bool, status: int = 200) -> Response:
    return render_page(
        "text_corrections/text.html",
        status=status,
        form=form,
        text=text,
        is_corrected=is_corrected,
        language_name=name_language(text.language),
    )
