"""Step 1 of a campaign: the list's description for its readers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from wtforms import BooleanField, HiddenField, SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice
from wtforms.validators import DataRequired

from repermit.campaigns import delete_list as deletion
from repermit.campaigns import mailing_lists
from repermit.campaigns.mailing_lists import mentions_frequency
from repermit.db.models.lists import MailingList, find_list
from repermit.emails.sender_identity import join_sender, split_sender
from repermit.errors import ChangedMeanwhile, Refused, RepermitError
from repermit.i18n import catalogues
from repermit.i18n.lazy_text import N_
from repermit.rules import new_list_defaults
from repermit.web.admin.current_user import get_actor
from repermit.web.admin.forms import Form
from repermit.web.admin.list_translations import (
    list_further_languages,
    make_example,
    make_no_web_address_text,
)
from repermit.web.admin.mail_wording import flash_first_screen, flash_saved_list
from repermit.web.admin.rendering import (
    flash_message,
    get_page_language,
    gettext,
    make_step_fields,
    redirect_to,
    render_page,
)
from repermit.web.admin.result_text import make_sentence
from repermit.web.admin.setup_steps import list_setup_steps
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("list_form", __name__, url_prefix="/admin")

# An import of up to this many rows is undone while the page waits. A larger one is undone in the
# background within seconds, and then the admin deletes the list again.
_MAX_ROWS_AT_ONCE = 5000
_SENDER = ("sender_name", "sender_address")
_BRACKET = re.compile("[<>]")
_TEXTS = ("name", "purpose", "frequency", "privacy_url", "language")
_FIELDS = (*_TEXTS, "sender", "sensitive", "receipts")


class ListForm(Form):
    """The form for a list's description, as its readers see it.

    - `version`: that of the description when the page was opened.
    """

    version = HiddenField()
    name = StringField(N_("Name of the list"), [DataRequired(N_("Please fill this in."))])
    purpose = TextAreaField(N_("What will people get?"))
    frequency = StringField(N_("How often?"))
    sender_name = StringField(N_("Name of the sender"))
    sender_address = StringField(N_("E-mail address of the sender"))
    privacy_url = StringField(N_("Address of your privacy statement"))
    language = SelectField(
        N_("Language of the list"),
        choices=[
            SelectChoice(code, catalogues.language_name(code)) for code in catalogues.languages()
        ],
        default="nl",
    )
    sensitive = BooleanField(
        N_("Being on this list shows something about health, belief, politics or the like")
    )
    receipts = BooleanField(
        N_("Send a receipt by mail to whoever says Yes, or changes an answer"),
        default=new_list_defaults.RECEIPTS,
    )


class NewListForm(ListForm):
    """The form for a new list, which also needs a short name."""

    slug = StringField(N_("Short name"))


# Not below /lists/, since a list may be called "new".
@pages.get("/new-list")
def show_new() -> Response:
    """Show the form for a new list."""
    organisation = get_services().settings.organisation
    name = organisation.name if organisation.email else ""
    return _show_new_page(
        NewListForm(
            sender_name=name, sender_address=organisation.email, language=get_page_language()
        )
    )


@pages.post("/new-list")
def add_list() -> AnyResponse:
    """Add a list."""
    form = NewListForm(request.form)
    slug = _read_slug(form)
    if not _validate(form) or not _check_slug_free(form, slug):
        return _show_new_page(form, status=422)
    services = get_services()
    mailing_lists.add_list(
        services.database,
        slug,
        settings=services.settings,
        now=get_arrival(),
        actor=get_actor(),
        **_read_fields(form),
    )
    flash_message(gettext("The list is added."))
    flash_first_screen(find_list(slug))
    return _redirect_onward(slug)


@pages.get("/lists/<slug>/describe", endpoint="show")
def show_list(slug: str) -> Response:
    """Show a list's description, and the mail that its readers get."""
    mailing_list = find_list(slug)
    name, address = split_sender(mailing_list.sender)
    version = mailing_lists.make_version(mailing_list, _FIELDS)
    form = ListForm(obj=mailing_list, sender_name=name, sender_address=address, version=version)
    return _show_page(mailing_list, form)


@pages.post("/lists/<slug>/describe")
def save_list(slug: str) -> AnyResponse:
    """Change a list's description."""
    mailing_list, form, services = find_list(slug), ListForm(request.form), get_services()
    if not _validate(form):
        return _show_page(mailing_list, form, status=422)
    try:
        changed = mailing_lists.change_list(
            services.database,
            mailing_list,
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
            since=form.version.data or "",
            **_read_fields(form),
        )
    except ChangedMeanwhile as refusal:
        form.version.data = mailing_lists.make_version(find_list(slug), _FIELDS)
        return _show_page(mailing_list, form, status=422, refusal=make_sentence(refusal.said))
    except RepermitError as refusal:
        return _show_page(mailing_list, form, status=422, refusal=make_sentence(refusal.said))
    flash_saved_list(changed)
    return _redirect_onward(slug)


@pages.post("/lists/<slug>/delete")
def delete_list(slug: str) -> AnyResponse:
    """Delete a list that was never launched, if the box was ticked."""
    mailing_list, services = find_list(slug), get_services()
    if not request.form.get("sure"):
        text = gettext("Nothing was changed: tick that you are sure, then press.")
        flash_message(text, kind="problem")
        return redirect_to("list_form.show", slug=slug)
    try:
        deletion.delete_list(
            services.database,
            mailing_list,
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
            max_rows=_MAX_ROWS_AT_ONCE,
        )
    except Refused as error:
        flash_message(make_sentence(error.said), kind="problem")
        return redirect_to("list_form.show", slug=slug)
    flash_message(gettext("The list is deleted, with all that its files had brought."))
    return redirect_to("dashboard.show")


def _redirect_onward(slug: str) -> AnyResponse:
    if "look" in request.form:
        return redirect_to("list_form.show", slug=slug, _anchor="reads")
    return redirect_to("imports.show", slug=slug)


def _read_fields(form: ListForm) -> Any:
    """Return the list's fields from the form; a field that was not sent is empty."""
    texts = {name: form[name].data or "" for name in _TEXTS}
    name, address = ((form[part].data or "").strip() for part in _SENDER)
    texts["sender"] = join_sender(name, address)
    return texts | {"sensitive": form.sensitive.data, "receipts": form.receipts.data}


def _validate(form: ListForm) -> bool:
    """Return whether the form can be saved; errors are added to their fields."""
    form.validate()
    for name in mailing_lists.find_wrong_fields(**_read_fields(form)):
        form.refuse("sender_address" if name == "sender" else name, _make_error_text(name))
    if _BRACKET.search(form.sender_name.data or ""):
        form.refuse("sender_name", gettext("A name cannot have < or > in it."))
    return not form.errors


def _make_error_text(name: str) -> str:
    return {
        "privacy_url": make_no_web_address_text(),
        "sender": gettext("No mail can come from this; write it as: news@example.org"),
    }.get(name, gettext("This cannot be used."))


def _read_slug(form: NewListForm) -> str:
    """Return the slug as typed, or one made from the name."""
    typed: str = (form.slug.data or "").strip()
    name: str = form.name.data or ""
    return (
        mailing_lists.find_free_slug(name)
        if typed in {"", mailing_lists.suggest_slug(name)}
        else typed
    )


def _check_slug_free(form: NewListForm, slug: str) -> bool:
    if not mailing_lists.is_slug(slug):
        form.refuse("slug", gettext("Take small letters, digits and dashes, such as: news"))
    elif MailingList.get_or_none(MailingList.slug == slug) is not None:
        form.refuse("slug", gettext("There is a list with this short name already."))
    return not form.slug.errors


def _list_missing(mailing_list: MailingList) -> list[str]:
    """Return what the list's description still lacks for a campaign."""
    text = f"{mailing_list.purpose} {mailing_list.frequency}"
    lacks = (
        (mailing_list.purpose, gettext("what people will get")),
        (mailing_list.frequency or mentions_frequency(text), gettext("how often mail will come")),
        (mailing_list.sender, gettext("who sends it")),
        (mailing_list.privacy_url, gettext("where your privacy statement is")),
    )
    return [label for is_filled_in, label in lacks if not is_filled_in]


def _show_new_page(form: NewListForm, *, status: int = 200) -> Response:
    return render_page("list_form/new.html", status=status, form=form, setup=list_setup_steps())


def _show_page(
    mailing_list: MailingList, form: ListForm, *, status: int = 200, refusal: str = ""
) -> Response:
    return render_page(
        "list_form/list.html",
        status=status,
        form=form,
        **make_step_fields(mailing_list),
        refusal=refusal,
        lacks=_list_missing(mailing_list),
        example=make_example(mailing_list, mailing_list.language),
        further=list_further_languages(mailing_list),
        why_kept=make_sentence(deletion.explain_kept(mailing_list)),
    )
