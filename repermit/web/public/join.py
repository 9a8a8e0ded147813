"""Signing up: the form, and the page behind the link in the mail that follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, current_app, request

from repermit.answers import join, link_target
from repermit.answers.link_target import SignUpFacts, SignUpResult
from repermit.contacts import lookup as contacts_lookup
from repermit.db.models.lists import MailingList
from repermit.errors import AddressError
from repermit.rules.consent import Outcome
from repermit.web import error_pages, rendering
from repermit.web.api.authentication import Allowances
from repermit.web.client_address import Route, network_in_part, route_of
from repermit.web.public import page_text
from repermit.web.public.answer import list_fields, pressed_form, show_gone, show_result, voice_of
from repermit.web.rendering import ROUND, Reader, make_reader, page, public_url, render
from repermit.web.request_context import arrival, current_site, request_trace

pages = Blueprint("join", __name__)

_LONGEST_NAME = 100
_UNUSABLE = 422
_TOO_MANY = 429
_BURST = 20
_EACH = timedelta(minutes=3)
_CLIENTS = 3


@pages.get("/join/<name>")
def show_form(name: str) -> Response:
    """Show the form with which somebody signs up."""
    mailing_list = link_target.find_joinable_list(name, settings=current_site().settings)
    if mailing_list is None:
        return error_pages.not_found()
    return _form(mailing_list)


@pages.post("/join/<name>")
def take_form(name: str) -> Response:
    """Owe the address a mail; the page is the same whoever is on the list."""
    site = current_site()
    mailing_list = link_target.find_joinable_list(name, settings=site.settings)
    if mailing_list is None:
        return error_pages.not_found()
    reader = _reader_of_list(mailing_list)
    if wait := _wait():
        response = page("too_many.html", reader, status=_TOO_MANY)
        # RFC 6585 §4, in seconds.
        response.headers["Retry-After"] = str(wait)
        return response
    try:
        join.request_sign_up(
            site.database,
            mailing_list,
            address=request.form.get("address", ""),
            name=printable_name(request.form.get("name", "")),
            language=reader.language,
            now=arrival(),
        )
    except AddressError:
        return _form(mailing_list, status=_UNUSABLE)
    return page(
        "join_mail_sent.html",
        reader,
        **list_fields(contacts_lookup.list_facts(mailing_list), reader),
    )


class SignUpLimits:
    """How many may sign up from one network: twenty at once, and twenty an hour.

    Each of them sends a mail to an address that anybody can have typed. A relay that may be the
    client itself, with an address of its own invention, brings three times as many.
    """

    def __init__(self) -> None:
        self._clients = Allowances(burst=_BURST, each=_EACH)
        self._relays = Allowances(burst=_BURST * _CLIENTS, each=_EACH / _CLIENTS)

    def take(self, route: Route, *, now: datetime) -> int:
        """Take one sign-up; return 0, or how many seconds to wait if there is none left."""
        waits = (
            self._clients.take(_network_of(route.client), now=now),
            *(self._relays.take(_network_of(one), now=now) for one in route.doubtful_relays),
        )
        return max(waits)


def _network_of(address: str) -> str:
    # What has no network is a socket of this machine.
    return network_in_part(address) or "this machine"


def _wait() -> int:
    """Return for how many seconds nobody more may sign up from the network that asks."""
    kept: SignUpLimits = current_app.extensions["repermit.sign_ups"]
    return kept.take(route_of(request.environ), now=arrival())


@pages.get("/confirm/<token>")
def show_confirmation(token: str) -> Response:
    """Show what the press on the button will do; nothing is recorded by a GET."""
    uid = current_site().links.read("confirm", token)
    signed_up = join.find_sign_up(uid, now=arrival())
    if signed_up is None or signed_up.outcome is not Outcome.CONFIRM:
        return _done(signed_up)
    return _ask(signed_up, token)


@pages.post("/confirm/<token>")
def take_confirmation(token: str) -> Response:
    """Do what the button says; what sends none of their words asks for the page again."""
    uid = current_site().links.read("confirm", token)
    choice = request.form.get("choice", "")
    if choice in {page_text.NOT_ME, page_text.NO}:
        return _decline(uid, token)
    if choice == page_text.YES:
        return _confirm(uid, token)
    return show_confirmation(token)


def _confirm(uid: str, token: str) -> Response:
    """Put the holder of the address on the list."""
    site = current_site()
    before = join.find_sign_up(uid, now=arrival())
    wording = _wording(before, token) if before else ""
    if not rendering.is_as_now():
        return show_confirmation(token)
    signed_up = before and join.confirm_sign_up(
        site.database,
        uid=uid,
        arrived=arrival(),
        settings=site.settings,
        trace=request_trace(),
        page_wording=wording,
        language=_reader(before.sign_up).language,
        given_by=_reader(before.sign_up).given_by,
        mark=request.form.get(ROUND, ""),
        form=pressed_form(uid),
    )
    if signed_up is not None and signed_up.outcome in _ASKING:
        return _ask(signed_up, token)
    return _done(signed_up)


_ASKING = frozenset({Outcome.HOLD, Outcome.ASK})


def _decline(uid: str, token: str) -> Response:
    """Leave the holder of the address off the list, or take off whom this link has put there."""
    site = current_site()
    signed_up = join.decline_sign_up(
        site.database,
        uid=uid,
        arrived=arrival(),
        settings=site.settings,
        trace=request_trace(),
        form=pressed_form(uid),
    )
    if signed_up is not None and signed_up.outcome is Outcome.ASK:
        return _ask(signed_up, token)
    if signed_up is None or signed_up.outcome is not Outcome.CONFIRM:
        return _done(signed_up)
    about, reader = signed_up.sign_up, _reader(signed_up.sign_up)
    return page(
        "sign_up_declined.html",
        reader,
        statement=page_text.declined(signed_up, voice_of(reader)),
        address=about.address,
        **list_fields(about.mailing_list, reader),
    )


def _ask(signed_up: SignUpResult, token: str) -> Response:
    """Ask whether to put them on the list; once more, and why, where a program may have pressed."""
    reader = _reader(signed_up.sign_up)
    return page("confirm_sign_up.html", reader, **_confirm_fields(signed_up, reader, token))


def _done(signed_up: SignUpResult | None) -> Response:
    """Show what became of a sign-up."""
    if signed_up is not None and signed_up.outcome is Outcome.LATE:
        reader = _reader(signed_up.sign_up)
        return page(
            "sign_up_expired.html", reader, **list_fields(signed_up.sign_up.mailing_list, reader)
        )
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
        **list_fields(contacts_lookup.list_facts(mailing_list), reader),
    )


def _confirm_fields(signed_up: SignUpResult, reader: Reader, token: str) -> dict[str, Any]:
    about, voice = signed_up.sign_up.mailing_list, voice_of(reader)
    links = current_site().links
    return {
        **list_fields(about, reader),
        "address": signed_up.sign_up.address,
        "why": page_text.why_again(signed_up.signs, voice) if signed_up.mark else "",
        "mark": signed_up.mark,
        "labels": page_text.sign_up_labels(
            voice,
            sensitive=about.sensitive,
            is_representative=reader.is_representative,
        ),
        "confirm_url": public_url(f"/confirm/{token}", reader),
        "form_number": links.form_number(links.read("confirm", token), signed_up.form_version),
    }


def _wording(signed_up: SignUpResult, token: str) -> str:
    """Return the text around the button as it was shown, with a mark for the address."""
    # The same text, whether or not its language had to be chosen.
    sign_up = signed_up.sign_up
    reader = replace(_reader(sign_up), is_switched=False)
    fields = {**_confirm_fields(signed_up, reader, token), "address": "⟦address⟧"}
    return render(
        "sign_up_wording.html",
        language=reader.language,
        organisation=current_site().settings.organisation,
        privacy_url=sign_up.mailing_list.in_language(reader.language).privacy_url,
        **fields,
    )


def _reader(sign_up: SignUpFacts) -> Reader:
    return make_reader(request.path, language=sign_up.language, mailing_list=sign_up.mailing_list)


def _reader_of_list(mailing_list: MailingList) -> Reader:
    return make_reader(
        request.path,
        language=mailing_list.language,
        mailing_list=contacts_lookup.list_facts(mailing_list),
    )


def printable_name(name: str) -> str:
    """Return a name on one line, cut to what a name can be."""
    cleaned = "".join(sign if sign.isprintable() else " " for sign in name)
    return " ".join(cleaned.split())[:_LONGEST_NAME]
