"""The page behind "what we hold about you", and the links that go to the address itself.

Whoever has a mail that was forwarded sees no more here than the mail says. GET shows, POST acts;
the link is the authority.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, TypeVar

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from repermit.answers import link_target
from repermit.answers.link_target import Standing
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import find_list
from repermit.errors import AddressError
from repermit.i18n import catalogues
from repermit.imports import uploads
from repermit.privacy import data_links, my_data, not_the_person, rectification
from repermit.privacy.data_links import Held, Link, Opened, Recipient
from repermit.reports import data_recipients, register_notes
from repermit.web.public import my_data_text, page_text
from repermit.web.public.answer import (
    contact_fields,
    language_of_nobody,
    list_fields,
    pressed_form,
    reader_of,
    show_gone,
    voice_of,
)
from repermit.web.public.join import printable_name
from repermit.web.rendering import Reader, language_names, make_reader, page, public_url
from repermit.web.request_context import arrival, current_site, request_trace

pages = Blueprint("my_data", __name__)


@pages.get("/me/<token>")
def show_in_part(token: str) -> Response:
    """Show what somebody to whom a mail was forwarded may see too."""
    standing = link_target.find_standing(current_site().links.read("me", token))
    if standing is None or standing.is_gone:
        return show_gone(standing)
    return _show_in_part(standing)


def _show_in_part(standing: Standing) -> Response:
    reader = reader_of(standing)
    return page(
        "my_data_summary.html",
        reader,
        status_words=page_text.status_in_words(standing, voice_of(reader)),
        **contact_fields(standing, reader),
    )


@pages.post("/me/<token>")
def take_wish(token: str) -> Response:
    """Send a link to the address itself, or take off who is not the person meant."""
    standing = link_target.find_standing(current_site().links.read("me", token))
    if standing is None or standing.is_gone:
        return show_gone(standing)
    act = {"link": _send_link, "not_me": _take_off}.get(request.form.get("do", ""))
    if act is None:
        raise BadRequest
    return act(standing, reader_of(standing))


def _send_link(standing: Standing, reader: Reader) -> Response:
    data_links.ask_for_link(
        current_site().database, uid=standing.uid, language=reader.language, now=arrival()
    )
    return page("data_link_sent.html", reader, **contact_fields(standing, reader))


def _take_off(standing: Standing, reader: Reader) -> Response:
    site = current_site()
    is_said = not_the_person.say_not_the_person(
        site.database,
        uid=standing.uid,
        settings=site.settings,
        now=arrival(),
        trace=asdict(request_trace()),
        form=pressed_form(standing.uid),
    )
    if not is_said:
        return _show_in_part(standing)
    return page("not_me.html", reader, **contact_fields(standing, reader))


@pages.get("/fresh/<token>")
def show_fresh(token: str) -> Response:
    """Show a button: a scanner that opens the link neither uses it up nor sees anything."""
    link = _find("fresh", token)
    if link is None or link.state != "good":
        return show_over(link)
    return page("open_data_link.html", _reader_of_link(link), **_link_fields(link, "fresh", token))


@pages.post("/fresh/<token>")
def open_fresh(token: str) -> Response:
    """Use the link up and show everything."""
    site = current_site()
    opened = data_links.open_link(site.database, uid=site.links.read("fresh", token), now=arrival())
    return show_over(_find("fresh", token)) if opened is None else show_held(opened)


@pages.get("/address/<token>")
def show_address(token: str) -> Response:
    """Show what the press on the button will do to an address; a GET changes nothing."""
    link = _find("address", token)
    if link is None or link.state != "good":
        return show_over(link)
    return page(
        "change_address.html", _reader_of_link(link), **_link_fields(link, "address", token)
    )


@pages.post("/address/<token>")
def confirm_address(token: str) -> Response:
    """Let the new address count."""
    site = current_site()
    moved = rectification.confirm_new_address(
        site.database,
        uid=site.links.read("address", token),
        settings=site.settings,
        now=arrival(),
        trace=asdict(request_trace()),
    )
    if moved is None or moved.outcome in {"used", "late"}:
        return show_over(moved.link if moved else None)
    template = "address_changed.html" if moved.outcome == "moved" else "address_in_use.html"
    return page(template, _reader_of_link(moved.link), **_link_fields(moved.link, "address", token))


def show_over(link: Link | None) -> Response:
    """Say that a link was used or its hour is over; of one that is forgotten nothing is known.

    Whoever reads an address that is not the contact's, such as a mistyped one, gets no link to the
    contact's page.
    """
    if link is None:
        return page(
            "link_ended.html", make_reader(request.path, language=language_of_nobody()), link=None
        )
    reader = _reader_of_link(link)
    return page(
        "link_ended.html", reader, link=link, me_url=_me_url(link, reader) if link.is_own else ""
    )


def _find(kind: Any, token: str) -> Link | None:
    purpose = "see" if kind == "fresh" else "address"
    uid = current_site().links.read(kind, token)
    return data_links.find_link(uid, purpose, now=arrival())


def _link_fields(link: Link, kind: str, token: str) -> dict[str, Any]:
    reader = _reader_of_link(link)
    return {
        **list_fields(link.mailing_list, reader),
        "address": link.address,
        "ends_at": voice_of(reader).moment(link.ends_at),
        "action": public_url(f"/{kind}/{token}", reader),
    }


def _reader_of_link(link: Link) -> Reader:
    return make_reader(request.path, language=link.language, mailing_list=link.mailing_list)


def _me_url(link: Link, reader: Reader) -> str:
    return public_url(f"/me/{current_site().links.token('me', link.uid)}", reader)


# --- What a link for one use has opened: everything held, and what may be done about it. ----------


opened_link_pages = Blueprint("opened_link", __name__)

_Found = TypeVar("_Found")

_ACTS = ("show", "correct", "address", "download", "leave", "delete")
_FILE = "what-is-held.json"
_UNUSABLE = 422


@opened_link_pages.post(f"/held/<any({', '.join(_ACTS)}):act>")
def act_on_held(act: str) -> Response:
    """Do what a button of these pages says, as long as the hour lasts."""
    token = request.form.get("authority", "")
    authority = current_site().links.read("held", token)
    opened = _still(data_links.find_opened(authority, now=arrival()))
    return {
        "show": show_held,
        "correct": _correct,
        "address": _ask_new_address,
        "download": _download,
        "leave": _show_leaving,
        "delete": _delete,
    }[act](opened)


def show_held(opened: Opened, *, said: str = "", wrong: str = "", status: int = 200) -> Response:
    """Show everything; `said` is what was done, `wrong` what cannot be an address."""
    held = _held(opened)
    reader = _reader(opened)
    return page(
        "my_data.html",
        reader,
        status=status,
        said=said,
        wrong=wrong,
        given=request.form.get("address", "") if wrong else "",
        **_held_fields(held, reader, _recipients(opened)),
        **_opened_fields(opened, reader),
    )


def _correct(opened: Opened) -> Response:
    language = request.form.get("language", "")
    changed = _still(
        rectification.correct(
            current_site().database,
            authority=opened.authority,
            name=printable_name(request.form.get("name", "")),
            language=catalogues.pick_language(language, otherwise=opened.language),
            now=arrival(),
            trace=asdict(request_trace()),
        )
    )
    gettext = voice_of(_reader(opened)).gettext
    said = gettext("It is corrected.") if changed else gettext("There was nothing to correct.")
    return show_held(opened, said=said)


def _ask_new_address(opened: Opened) -> Response:
    reader = _reader(opened)
    gettext = voice_of(reader).gettext
    try:
        is_asked = _still(
            rectification.ask_new_address(
                current_site().database,
                authority=opened.authority,
                address=request.form.get("address", ""),
                language=reader.language,
                now=arrival(),
            )
        )
    except AddressError:
        wrong = gettext("This is not a whole email address. Please write it like name@example.org.")
        return show_held(opened, wrong=wrong, status=_UNUSABLE)
    if not is_asked:
        return show_held(opened, said=gettext("There was nothing to correct."))
    return page("change_address_mail_sent.html", reader, **_opened_fields(opened, reader))


def _download(opened: Opened) -> Response:
    document = my_data.document(
        _held(opened),
        organisation=current_site().settings.organisation,
        recipients=[one for _, one in _recipients(opened)],
        now=arrival(),
    )
    response = Response(
        json.dumps(document, ensure_ascii=False, indent=2) + "\n", content_type="application/json"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{_FILE}"'
    return response


def _show_leaving(opened: Opened) -> Response:
    reader = _reader(opened)
    return page("delete_my_data.html", reader, **_opened_fields(opened, reader))


def _delete(opened: Opened) -> Response:
    site = current_site()
    key = Contact.get_by_id(opened.contact).address_key
    is_done = not_the_person.delete(
        site.database, authority=opened.authority, settings=site.settings, now=arrival()
    )
    _still(is_done or None)
    mailing_list = find_list(opened.mailing_list.slug)
    uploads.forget_in_upload(mailing_list, key, settings=site.settings)
    reader = _reader(opened)
    return page("data_deleted.html", reader, **list_fields(opened.mailing_list, reader))


class _OverError(Exception):
    """The hour is over, or its person was erased, be it between two steps of one request."""


@opened_link_pages.app_errorhandler(_OverError)
def _show_over(_error: _OverError) -> Response:
    return page("link_ended.html", make_reader("", language=language_of_nobody()), link=None)


def _still(found: _Found | None) -> _Found:
    """Return what was found, or end the request with the page that says that time is over."""
    if found is None:
        raise _OverError
    return found


def _held(opened: Opened) -> Held:
    return _still(
        my_data.everything_held(
            authority=opened.authority, settings=current_site().settings, now=arrival()
        )
    )


def _recipients(opened: Opened) -> list[tuple[str, Recipient]]:
    """Return who gets the data as the record of processing names them, each with their key.

    Who the organisation is itself has no name.
    """
    mailing_list = find_list(opened.mailing_list.slug)
    known = data_recipients.list_recipients(
        mailing_list,
        settings=current_site().settings,
        notes=register_notes.read_notes(mailing_list),
    )
    return [
        (
            one.key,
            Recipient(
                role=one.role,
                name="" if one.is_own else one.name or one.server,
                country=one.country,
                safeguard=one.safeguard if one.is_abroad else "",
            ),
        )
        for one in known
    ]


def _reader(opened: Opened) -> Reader:
    return make_reader("", language=opened.language, mailing_list=opened.mailing_list)


def _opened_fields(opened: Opened, reader: Reader) -> dict[str, Any]:
    """Return what every page that a link has opened needs."""
    links = current_site().links
    return {
        **list_fields(opened.mailing_list, reader),
        "authority": links.token("held", opened.authority),
        "receipt_url": public_url(f"/receipt/{links.token('receipt', opened.uid)}", reader),
        "acts": {act: public_url(f"/held/{act}", reader) for act in _ACTS},
        "ends_at": voice_of(reader).moment(opened.ends_at),
    }


def _languages_to_choose(held: Held, reader: Reader) -> dict[str, str]:
    """Return the languages that somebody may choose, the one that is held of them among these."""
    offered = language_names(reader.mailing_list)
    kept = {**language_names()}.get(held.language)
    return {**offered, held.language: kept} if kept else offered


def _held_fields(
    held: Held, reader: Reader, recipients: list[tuple[str, Recipient]]
) -> dict[str, Any]:
    voice, retention = voice_of(reader), current_site().settings.retention
    names = {key: one.name for key, one in recipients}
    return {
        "held": held,
        "language_name": language_names().get(held.language, held.language),
        "language_names": _languages_to_choose(held, reader),
        "status_words": page_text.status_in_words(held, voice),
        "status_at": voice.moment(held.status_at),
        "basis_words": page_text.basis_in_words(held, voice),
        "basis_at": voice.moment(held.basis_at),
        "since": voice.day(held.since),
        "happened": my_data_text.happenings(held, voice),
        "opened_links": my_data_text.openings_in_words(held.openings, voice)
        if held.openings
        else [],
        "suppressions": [
            my_data_text.suppression_in_words(one, voice) for one in held.suppressions
        ],
        "looks": [voice.moment(at) for at, _what in held.looks],
        "source": my_data_text.source_in_words(held, voice),
        "recipients": [my_data_text.recipient_in_words(one, voice) for _, one in recipients],
        "handed_on": [my_data_text.handed_on_in_words(one, voice, names) for one in held.handed_on],
        "terms": [my_data_text.term_in_words(one, voice, retention) for one in held.terms],
    }
