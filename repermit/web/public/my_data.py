"""The page "what we hold about you", and the links that are sent to the address itself.

A reader of a forwarded mail sees no more here than the mail says. GET shows, POST acts; the link is
the authority.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from repermit.answers import link_target
from repermit.answers.link_target import ContactState
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import find_list
from repermit.email_address import to_unicode_address
from repermit.errors import AddressError
from repermit.i18n import catalogues
from repermit.imports import uploads
from repermit.privacy import data_links, my_data, not_the_person, rectification
from repermit.privacy.data_links import Link, OpenedLink
from repermit.privacy.my_data import HeldData
from repermit.reports.data_recipients import Recipient, list_recipients
from repermit.rules.consent import Status
from repermit.web.public import my_data_text, page_text
from repermit.web.public.answer import (
    choose_unknown_language,
    make_contact_context,
    make_contact_fields,
    make_list_fields,
    make_locale,
    read_pressed_form,
    show_gone,
)
from repermit.web.public.join import clean_name
from repermit.web.rendering import (
    PageContext,
    list_language_names,
    make_context,
    make_public_url,
    render_page,
)
from repermit.web.request_context import get_arrival, get_services, make_trace

pages = Blueprint("my_data", __name__)


@pages.get("/me/<token:token>")
def show_in_part(token: str) -> Response:
    """Show the data that a reader of a forwarded mail may see too."""
    contact_state = link_target.find_contact_state(get_services().links.read("me", token))
    if contact_state is None or contact_state.is_gone:
        return show_gone(contact_state)
    return _show_partial_page(contact_state)


def _show_partial_page(contact_state: ContactState) -> Response:
    context = make_contact_context(contact_state)
    return render_page(
        "my_data_summary.html",
        context,
        status_words=page_text.describe_status(contact_state, make_locale(context)),
        **make_contact_fields(contact_state, context),
    )


@pages.post("/me/<token:token>")
def take_wish(token: str) -> Response:
    """Send a link to the address itself, or remove it for a reader who is not the contact."""
    contact_state = link_target.find_contact_state(get_services().links.read("me", token))
    if contact_state is None or contact_state.is_gone:
        return show_gone(contact_state)
    act = {"link": _send_link, "not_me": _remove_contact}.get(request.form.get("do", ""))
    if act is None:
        raise BadRequest
    return act(contact_state, make_contact_context(contact_state))


def _send_link(contact_state: ContactState, context: PageContext) -> Response:
    data_links.ask_for_link(
        get_services().database, uid=contact_state.uid, language=context.language, now=get_arrival()
    )
    return render_page(
        "data_link_sent.html", context, **make_contact_fields(contact_state, context)
    )


def _remove_contact(contact_state: ContactState, context: PageContext) -> Response:
    services = get_services()
    is_said = not_the_person.say_not_the_person(
        services.database,
        uid=contact_state.uid,
        settings=services.settings,
        now=get_arrival(),
        trace=make_trace(),
        form=read_pressed_form(contact_state.uid),
    )
    if not is_said:
        return _show_partial_page(contact_state)
    return render_page("not_me.html", context, **make_contact_fields(contact_state, context))


@pages.get("/fresh/<token:token>")
def show_fresh(token: str) -> Response:
    """Show a button: a scanner that opens the link neither uses it up nor sees anything."""
    return _show_button("open_data_link.html", "fresh", token)


@pages.post("/fresh/<token:token>")
def open_fresh(token: str) -> Response:
    """Use the link up and show everything."""
    services = get_services()
    opened = data_links.open_link(
        services.database, uid=services.links.read("fresh", token), now=get_arrival()
    )
    return show_expired_link(_find_link("fresh", token)) if opened is None else show_held(opened)


@pages.get("/address/<token:token>")
def show_address(token: str) -> Response:
    """Show what the press on the button will do to an address; a GET changes nothing."""
    return _show_button("change_address.html", "address", token)


@pages.post("/address/<token:token>")
def confirm_address(token: str) -> Response:
    """Confirm the new address."""
    services = get_services()
    moved = rectification.confirm_new_address(
        services.database,
        uid=services.links.read("address", token),
        settings=services.settings,
        now=get_arrival(),
        trace=make_trace(),
    )
    if moved is None or moved.outcome in {"used", "late"}:
        return show_expired_link(moved.link if moved else None)
    template = "address_changed.html" if moved.outcome == "moved" else "address_in_use.html"
    return render_page(
        template,
        _make_link_context(moved.link),
        has_left=moved.has_left,
        **_make_link_fields(moved.link, "address", token),
    )


def show_expired_link(link: Link | None) -> Response:
    """Show that a link was used or has expired; None stands for a deleted link.

    A link that was sent to another address than the contact's, such as a mistyped one, does not
    lead to a page of the contact.
    """
    if link is None:
        return render_page(
            "link_ended.html",
            make_context(request.path, language=choose_unknown_language()),
            link=None,
        )
    context = _make_link_context(link)
    return render_page(
        "link_ended.html",
        context,
        link=link,
        me_url=make_public_url(f"/me/{get_services().links.token('me', link.uid)}", context)
        if link.is_own
        else "",
    )


def _show_button(template: str, kind: str, token: str) -> Response:
    link = _find_link(kind, token)
    if link is None or link.state != "good":
        return show_expired_link(link)
    return render_page(template, _make_link_context(link), **_make_link_fields(link, kind, token))


def _find_link(kind: Any, token: str) -> Link | None:
    purpose = "see" if kind == "fresh" else "address"
    uid = get_services().links.read(kind, token)
    return data_links.find_link(uid, purpose, now=get_arrival())


def _make_link_fields(link: Link, kind: str, token: str) -> dict[str, Any]:
    context = _make_link_context(link)
    return {
        **make_list_fields(link.mailing_list, context),
        "address": link.address,
        "ends_at": make_locale(context).format_time(link.ends_at),
        "action": make_public_url(f"/{kind}/{token}", context),
    }


def _make_link_context(link: Link) -> PageContext:
    return make_context(request.path, language=link.language, mailing_list=link.mailing_list)


# --- The pages behind an opened one-time link: all stored data, and what to do with them. ---------


opened_link_pages = Blueprint("opened_link", __name__)

_Found = TypeVar("_Found")

_ACTIONS = ("show", "correct", "address", "download", "leave", "delete")
_FILE_NAME = "what-is-held.json"
_UNUSABLE = 422


@opened_link_pages.post(f"/held/<any({', '.join(_ACTIONS)}):act>")
def act_on_held(act: str) -> Response:
    """Perform the act of a button on these pages, until the link expires."""
    token = request.form.get("authority", "")
    authority = get_services().links.read("held", token)
    opened = _require_current(data_links.find_access(authority, now=get_arrival()))
    return {
        "show": show_held,
        "correct": _correct_name,
        "address": _ask_new_address,
        "download": _download_data,
        "leave": _show_leaving,
        "delete": _erase_data,
    }[act](opened)


def show_held(
    opened: OpenedLink, *, confirmation: str = "", wrong: str = "", status: int = 200
) -> Response:
    """Show all stored data.

    - `confirmation`: the result of an act, "" for none.
    - `wrong`: the error of an invalid address, "" for none.
    """
    held_data = _read_held_data(opened)
    context = _make_context(opened)
    return render_page(
        "my_data.html",
        context,
        status=status,
        said=confirmation,
        wrong=wrong,
        given=request.form.get("address", "") if wrong else "",
        **_make_held_fields(held_data, context, _list_recipients(opened)),
        **_make_opened_fields(opened, context),
    )


def _correct_name(opened: OpenedLink) -> Response:
    language = request.form.get("language", "")
    changed = _require_current(
        rectification.correct_data(
            get_services().database,
            authority=opened.authority,
            name=clean_name(request.form.get("name", "")),
            language=catalogues.choose_language(language, default=opened.language),
            now=get_arrival(),
            trace=make_trace(),
        )
    )
    gettext = make_locale(_make_context(opened)).gettext
    confirmation = (
        gettext("It is corrected.") if changed else gettext("There was nothing to correct.")
    )
    return show_held(opened, confirmation=confirmation)


def _ask_new_address(opened: OpenedLink) -> Response:
    context = _make_context(opened)
    gettext = make_locale(context).gettext
    try:
        is_asked = _require_current(
            rectification.ask_new_address(
                get_services().database,
                authority=opened.authority,
                address=request.form.get("address", ""),
                language=context.language,
                now=get_arrival(),
            )
        )
    except AddressError:
        wrong = gettext("This is not a whole email address. Please write it like name@example.org.")
        return show_held(opened, wrong=wrong, status=_UNUSABLE)
    if not is_asked:
        return show_held(opened, confirmation=gettext("There was nothing to correct."))
    return render_page(
        "change_address_mail_sent.html", context, **_make_opened_fields(opened, context)
    )


def _download_data(opened: OpenedLink) -> Response:
    document = my_data.make_document(
        _read_held_data(opened),
        organisation=get_services().settings.organisation,
        recipients=[
            my_data.DisclosedRecipient(
                role=recipient.role,
                name=recipient.public_name,
                country=recipient.country,
                safeguard=recipient.safeguard_abroad,
            )
            for recipient in _list_recipients(opened)
        ],
        now=get_arrival(),
    )
    response = Response(
        json.dumps(document, ensure_ascii=False, indent=2) + "\n", content_type="application/json"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{_FILE_NAME}"'
    return response


def _show_leaving(opened: OpenedLink) -> Response:
    context = _make_context(opened)
    is_removed = Contact.get_by_id(opened.contact).status == Status.REMOVED
    return render_page(
        "delete_my_data.html",
        context,
        is_removed=is_removed,
        **_make_opened_fields(opened, context),
    )


def _erase_data(opened: OpenedLink) -> Response:
    services = get_services()
    key = Contact.get_by_id(opened.contact).address_key
    is_done = not_the_person.erase_own_data(
        services.database, authority=opened.authority, settings=services.settings, now=get_arrival()
    )
    _require_current(is_done or None)
    mailing_list = find_list(opened.mailing_list.slug)
    uploads.forget_in_upload(mailing_list, key, settings=services.settings)
    context = _make_context(opened)
    removed_at = Contact.get_by_id(opened.contact).status_at
    return render_page(
        "delete_my_data_done.html",
        context,
        is_suppressed=link_target.is_suppressed(opened.uid),
        proof_until=my_data_text.format_last_day_of_proof(
            removed_at, make_locale(context), services.settings.retention
        ),
        **make_list_fields(opened.mailing_list, context),
    )


class _ExpiredError(Exception):
    """The link has expired, or its contact was erased, even during the request."""


@opened_link_pages.app_errorhandler(_ExpiredError)
def _show_expired(_error: _ExpiredError) -> Response:
    return render_page(
        "link_ended.html", make_context("", language=choose_unknown_language()), link=None
    )


def _require_current(current: _Found | None) -> _Found:
    """Return a value that is not None; otherwise end the request with the expired-link page."""
    if current is None:
        raise _ExpiredError
    return current


def _read_held_data(opened: OpenedLink) -> HeldData:
    return _require_current(
        my_data.gather_held_data(
            authority=opened.authority, settings=get_services().settings, now=get_arrival()
        )
    )


def _list_recipients(opened: OpenedLink) -> tuple[Recipient, ...]:
    return list_recipients(opened.mailing_list.slug, get_services().settings)


def _make_context(opened: OpenedLink) -> PageContext:
    return make_context("", language=opened.language, mailing_list=opened.mailing_list)


def _make_opened_fields(opened: OpenedLink, context: PageContext) -> dict[str, Any]:
    """Return the template's fields of every page behind an opened link."""
    links = get_services().links
    return {
        **make_list_fields(opened.mailing_list, context),
        "authority": links.token("held", opened.authority),
        "receipt_url": make_public_url(f"/receipt/{links.token('receipt', opened.uid)}", context),
        "acts": {act: make_public_url(f"/held/{act}", context) for act in _ACTIONS},
        "ends_at": make_locale(context).format_time(opened.ends_at),
    }


def _list_languages(held_data: HeldData, context: PageContext) -> dict[str, str]:
    """Return the languages to choose from, including the contact's stored one."""
    available = list_language_names(context.mailing_list)
    stored_name = {**list_language_names()}.get(held_data.language)
    return {**available, held_data.language: stored_name} if stored_name else available


def _make_held_fields(
    held_data: HeldData, context: PageContext, recipients: tuple[Recipient, ...]
) -> dict[str, Any]:
    locale, retention = make_locale(context), get_services().settings.retention
    names = {item.key: item.public_name for item in recipients}
    return {
        "held": held_data,
        "shown_address": to_unicode_address(held_data.address),
        "language_name": list_language_names().get(held_data.language, held_data.language),
        "language_names": _list_languages(held_data, context),
        "status_words": page_text.describe_status(held_data, locale),
        "status_at": locale.format_time(held_data.status_at),
        "basis_words": page_text.describe_basis(held_data, locale),
        "basis_at": locale.format_past_time(held_data.basis_at),
        "since": locale.format_day(held_data.since),
        "happened": my_data_text.list_history(held_data, locale),
        "opened_links": my_data_text.describe_openings(held_data.openings, locale)
        if held_data.openings
        else [],
        "suppressions": [
            my_data_text.describe_suppression(item, locale) for item in held_data.suppressions
        ],
        "looks": [locale.format_time(timestamp) for timestamp, _what in held_data.looks],
        "looked_at_many": locale.format_time(held_data.looks_at_many[-1][0])
        if held_data.looks_at_many
        else "",
        "source": my_data_text.describe_source(held_data, locale),
        "recipients": [my_data_text.describe_recipient(item, locale) for item in recipients],
        "handed_on": [
            my_data_text.describe_disclosure(item, locale, names) for item in held_data.handed_on
        ],
        "terms": [
            my_data_text.describe_retention(item, locale, retention) for item in held_data.terms
        ],
    }
