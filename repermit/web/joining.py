"""Signing up: the form, and the page behind the link in the mail that follows.

May import answers and what lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from repermit import answers, contacts
from repermit.consent import Outcome
from repermit.errors import AddressError
from repermit.web import mistakes, words
from repermit.web.answering import list_fields, show_gone, show_result, voice_of
from repermit.web.rendering import Reader, make_reader, page, public_url, render
from repermit.web.site import arrival, current_site, request_trace

if TYPE_CHECKING:
    from repermit.answers import SignedUp, SignUpFacts
    from repermit.models import MailingList

pages = Blueprint("joining", __name__)

_LONGEST_NAME = 100
_UNUSABLE = 422


@pages.get("/join/<name>")
def show_form(name: str) -> Response:
    """Show the form with which somebody signs up."""
    mailing_list = answers.find_joinable(name, settings=current_site().settings)
    if mailing_list is None:
        return mistakes.not_found()
    return _form(mailing_list)


@pages.post("/join/<name>")
def take_form(name: str) -> Response:
    """Owe the address a mail; the page is the same whoever is on the list."""
    site = current_site()
    mailing_list = answers.find_joinable(name, settings=site.settings)
    if mailing_list is None:
        return mistakes.not_found()
    reader = _reader_of_list(mailing_list)
    try:
        answers.sign_up(
            site.database,
            mailing_list,
            address=request.form.get("address", ""),
            name=_printable(request.form.get("name", "")),
            language=reader.language,
            now=arrival(),
        )
    except AddressError:
        return _form(mailing_list, status=_UNUSABLE)
    return page("joined.html", reader, **list_fields(contacts.list_facts(mailing_list), reader))


@pages.get("/confirm/<token>")
def show_confirmation(token: str) -> Response:
    """Show what the press on the button will do; nothing is recorded by a GET."""
    uid = current_site().links.read("confirm", token)
    signed_up = answers.look_up_sign_up(uid, now=arrival())
    if signed_up is None or signed_up.outcome is not Outcome.CONFIRM:
        return _done(signed_up)
    reader = _reader(signed_up.sign_up)
    return page("confirm.html", reader, **_confirm_fields(signed_up.sign_up, reader, token))


@pages.post("/confirm/<token>")
def take_confirmation(token: str) -> Response:
    """Put the holder of the address on the list."""
    site = current_site()
    uid = site.links.read("confirm", token)
    before = answers.look_up_sign_up(uid, now=arrival())
    signed_up = before and answers.confirm_sign_up(
        site.database,
        uid=uid,
        arrived=arrival(),
        settings=site.settings,
        trace=request_trace(),
        page_wording=_wording(before.sign_up, token),
    )
    return _done(signed_up)


def _done(signed_up: SignedUp | None) -> Response:
    """Show what became of a sign-up."""
    if signed_up is not None and signed_up.outcome is Outcome.LATE:
        reader = _reader(signed_up.sign_up)
        return page("expired.html", reader, **list_fields(signed_up.sign_up.mailing_list, reader))
    standing = signed_up.standing if signed_up else None
    if signed_up is None or standing is None or standing.is_gone:
        return show_gone(standing)
    return show_result(_reader(signed_up.sign_up), standing, signed_up.outcome)


def _form(mailing_list: MailingList, *, status: int = 200) -> Response:
    reader = _reader_of_list(mailing_list)
    return page(
        "join.html",
        reader,
        status=status,
        is_unusable=status == _UNUSABLE,
        given_address=request.form.get("address", ""),
        given_name=request.form.get("name", ""),
        **list_fields(contacts.list_facts(mailing_list), reader),
    )


def _confirm_fields(sign_up: SignUpFacts, reader: Reader, token: str) -> dict[str, Any]:
    about = sign_up.mailing_list
    return {
        **list_fields(about, reader),
        "address": sign_up.address,
        "yes_label": words.yes_label(voice_of(reader), sensitive=about.sensitive, is_new=True),
        "confirm_url": public_url(f"/confirm/{token}", reader),
    }


def _wording(sign_up: SignUpFacts, token: str) -> str:
    """Return the text around the button as it was shown, with a mark for the address."""
    reader = _reader(sign_up)
    fields = {**_confirm_fields(sign_up, reader, token), "address": "⟦address⟧"}
    return render(
        "confirm_wording.html",
        language=reader.language,
        organisation=current_site().settings.organisation,
        privacy_url=sign_up.mailing_list.privacy_url,
        **fields,
    )


def _reader(sign_up: SignUpFacts) -> Reader:
    return make_reader(request.path, language=sign_up.language, mailing_list=sign_up.mailing_list)


def _reader_of_list(mailing_list: MailingList) -> Reader:
    return make_reader(
        request.path,
        language=mailing_list.language,
        mailing_list=contacts.list_facts(mailing_list),
    )


def _printable(name: str) -> str:
    """Return a name on one line, cut to what a name can be."""
    cleaned = "".join(sign if sign.isprintable() else " " for sign in name)
    return " ".join(cleaned.split())[:_LONGEST_NAME]
