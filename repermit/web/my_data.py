"""The page behind "what we hold about you", and the links that go to the address itself.

Whoever has a mail that was forwarded sees no more here than the mail says. GET shows, POST acts;
the link is the authority.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from repermit.answers import lookup
from repermit.answers.lookup import Standing
from repermit.privacy import data_links, not_the_person, rectification
from repermit.privacy.data_links import Link
from repermit.web import page_text
from repermit.web.answer import (
    contact_fields,
    language_of_nobody,
    list_fields,
    pressed_form,
    reader_of,
    show_gone,
    voice_of,
)
from repermit.web.opened_link import show_held
from repermit.web.rendering import Reader, make_reader, page, public_url
from repermit.web.request_context import arrival, current_site, request_trace

pages = Blueprint("holding", __name__)


@pages.get("/me/<token>")
def show_in_part(token: str) -> Response:
    """Show what somebody to whom a mail was forwarded may see too."""
    standing = lookup.look_up(current_site().links.read("me", token))
    if standing is None or standing.is_gone:
        return show_gone(standing)
    return _show_in_part(standing)


def _show_in_part(standing: Standing) -> Response:
    reader = reader_of(standing)
    return page(
        "me.html",
        reader,
        status_words=page_text.status_in_words(standing, voice_of(reader)),
        **contact_fields(standing, reader),
    )


@pages.post("/me/<token>")
def take_wish(token: str) -> Response:
    """Send a link to the address itself, or take off who is not the person meant."""
    standing = lookup.look_up(current_site().links.read("me", token))
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
    return page("link_sent.html", reader, **contact_fields(standing, reader))


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
    return page("fresh.html", _reader_of_link(link), **_link_fields(link, "fresh", token))


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
    return page("address.html", _reader_of_link(link), **_link_fields(link, "address", token))


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
    template = "moved.html" if moved.outcome == "moved" else "taken.html"
    return page(template, _reader_of_link(moved.link), **_link_fields(moved.link, "address", token))


def show_over(link: Link | None) -> Response:
    """Say that a link was used or its hour is over; of one that is forgotten nothing is known.

    Whoever reads an address that is not the contact's, such as a mistyped one, gets no link to the
    contact's page.
    """
    if link is None:
        return page(
            "over.html", make_reader(request.path, language=language_of_nobody()), link=None
        )
    reader = _reader_of_link(link)
    return page("over.html", reader, link=link, me_url=_me_url(link, reader) if link.is_own else "")


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
