"""Signing up: the form, and the page behind the link in the mail that follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from flask import Blueprint, Response, current_app, request

from repermit.answers import join, link_target
from repermit.answers.link_target import PageShown, SignUpResult
from repermit.contacts import lookup as contacts_lookup
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.errors import AddressError, LinkError
from repermit.rules.consent import Outcome, Status
from repermit.web import error_pages, rendering
from repermit.web.api.authentication import RateLimits
from repermit.web.client_address import Route, mask_network, read_route
from repermit.web.public import page_text
from repermit.web.public.answer import (
    make_contact_fields,
    make_list_fields,
    make_locale,
    read_pressed_form,
    show_gone,
    show_result,
)
from repermit.web.rendering import (
    CONFIRMATION_FIELD,
    PageContext,
    make_context,
    make_public_url,
    render,
    render_page,
)
from repermit.web.request_context import get_arrival, get_services, make_trace

pages = Blueprint("join", __name__)

_MAX_NAME_LENGTH = 100
_UNUSABLE = 422
_TOO_MANY = 429
_SIGN_UP_BURST = 20
_SIGN_UP_INTERVAL = timedelta(minutes=3)
_CLIENTS = 3


@pages.get("/join/<path:name>")
def show_form(name: str) -> Response:
    """Show the form with which somebody signs up."""
    mailing_list = link_target.find_joinable_list(name, settings=get_services().settings)
    if mailing_list is None:
        return error_pages.show_not_found()
    return _show_form_page(mailing_list)


@pages.post("/join/<name>")
def take_form(name: str) -> Response:
    """Enqueue a mail to the address; the page does not tell who is on the list."""
    services = get_services()
    mailing_list = link_target.find_joinable_list(name, settings=services.settings)
    if mailing_list is None:
        return error_pages.show_not_found()
    context = _make_list_context(mailing_list)
    if wait := _take_sign_up():
        response = render_page("too_many.html", context, status=_TOO_MANY)
        # RFC 6585 §4, in seconds.
        response.headers["Retry-After"] = str(wait)
        return response
    try:
        join.request_sign_up(
            services.database,
            mailing_list,
            address=request.form.get("address", "") or _find_known_address(mailing_list),
            name=clean_name(request.form.get("name", "")),
            language=context.language,
            now=get_arrival(),
        )
    except AddressError:
        return _show_form_page(mailing_list, status=_UNUSABLE)
    return render_page(
        "join_mail_sent.html",
        context,
        **make_list_fields(contacts_lookup.read_list_facts(mailing_list), context),
    )


def _find_known_address(mailing_list: MailingList) -> str:
    """Return the address of the contact whose link the form came from; "" without one."""
    try:
        uid = get_services().links.read("yes", request.form.get("link", ""))
    except LinkError:
        return ""
    contact = Contact.get_or_none(uid=uid, list=mailing_list)
    return (contact.address or "") if contact else ""


class SignUpLimits:
    """The rate limits of sign-ups from one network: twenty at once, and twenty an hour.

    Each sign-up sends a mail to an address that anybody can have typed. For a relay that may be the
    client itself, with an invented client address, the limits are three times as high.
    """

    def __init__(self) -> None:
        self._clients = RateLimits(burst=_SIGN_UP_BURST, each=_SIGN_UP_INTERVAL)
        self._relays = RateLimits(
            burst=_SIGN_UP_BURST * _CLIENTS, each=_SIGN_UP_INTERVAL / _CLIENTS
        )

    def take_sign_up(self, route: Route, *, now: datetime) -> int:
        """Count one sign-up; return 0, or the seconds to wait if the limit is reached."""
        waits = (
            self._clients.take_request(_get_network(route.client), now=now),
            *(
                self._relays.take_request(_get_network(relay), now=now)
                for relay in route.doubtful_relays
            ),
        )
        return max(waits)


def _get_network(address: str) -> str:
    # An address without a network is a socket of this machine.
    return mask_network(address) or "this machine"


def _take_sign_up() -> int:
    """Count one sign-up of the request's network; return the seconds to wait, or 0."""
    limits: SignUpLimits = current_app.extensions["repermit.sign_ups"]
    return limits.take_sign_up(read_route(request.environ), now=get_arrival())


@pages.get("/confirm/<token:token>")
def show_confirmation(token: str) -> Response:
    """Show the question of the sign-up mail; a GET records nothing."""
    uid = get_services().links.read("confirm", token)
    signed_up = join.find_sign_up(uid, now=get_arrival())
    if signed_up is None or signed_up.outcome is not Outcome.CONFIRM:
        return _show_outcome(signed_up)
    return _show_question(signed_up, token)


@pages.post("/confirm/<token:token>")
def take_confirmation(token: str) -> Response:
    """Act on the pressed button; a request without a known choice gets the page again."""
    uid = get_services().links.read("confirm", token)
    choice = request.form.get("choice", "")
    if choice in {page_text.NOT_ME, page_text.NO}:
        return _decline_sign_up(uid, token, is_no=choice == page_text.NO)
    if choice == page_text.YES:
        return _confirm_sign_up(uid, token)
    return show_confirmation(token)


def _confirm_sign_up(uid: str, token: str) -> Response:
    """Put the holder of the address on the list."""
    services = get_services()
    try:
        signed_up = join.confirm_sign_up(
            services.database,
            uid=uid,
            arrived_at=get_arrival(),
            settings=services.settings,
            trace=make_trace(),
            page=partial(_describe_page, token=token),
            confirmation_token=request.form.get(CONFIRMATION_FIELD, ""),
            form=read_pressed_form(uid),
        )
    except _WordsChanged:
        return show_confirmation(token)
    if signed_up is not None and signed_up.outcome in _ASKING_OUTCOMES:
        return _show_question(signed_up, token)
    return _show_outcome(signed_up)


_ASKING_OUTCOMES = frozenset({Outcome.HOLD, Outcome.ASK})


class _WordsChanged(Exception):
    """A Yes comes from a page whose words have changed since."""


def _describe_page(signed_up: SignUpResult, *, token: str) -> PageShown:
    """Return the page that the reader of a sign-up mail was shown; raises _WordsChanged."""
    wording, context = _make_wording(signed_up, token), _make_context(signed_up)
    if not rendering.is_wording_shown(wording):
        raise _WordsChanged
    return PageShown(wording=wording, language=context.language, given_by=context.given_by)


def _decline_sign_up(uid: str, token: str, *, is_no: bool) -> Response:
    """Decline a sign-up, or remove the contact that this link has put on the list, or says No."""
    services = get_services()
    signed_up = join.decline_sign_up(
        services.database,
        uid=uid,
        arrived_at=get_arrival(),
        settings=services.settings,
        trace=make_trace(),
        is_no=is_no,
        form=read_pressed_form(uid),
    )
    if signed_up is not None and signed_up.outcome is Outcome.ASK:
        return _show_question(signed_up, token)
    if signed_up is None or signed_up.outcome is not Outcome.CONFIRM:
        return _show_outcome(signed_up)
    context = _make_context(signed_up)
    fields = {"address": signed_up.address, **make_list_fields(signed_up.mailing_list, context)}
    if signed_up.contact_state is not None and signed_up.contact_state.status is not Status.REMOVED:
        fields = make_contact_fields(signed_up.contact_state, context)
    return render_page(
        "sign_up_declined.html",
        context,
        link_ends=make_locale(context).format_time(signed_up.ends_at),
        **fields,
    )


def _show_question(signed_up: SignUpResult, token: str) -> Response:
    """Show the question of a sign-up; if a Yes may be a program's, ask again and say why."""
    context = _make_context(signed_up)
    # For the wording to be stored it is not known why a Yes is asked for again.
    wording = _make_wording(replace(signed_up, signals=()), token)
    return render_page(
        "confirm_sign_up.html",
        context,
        shown_digest=rendering.digest_shown_wording(wording),
        **_make_confirm_fields(signed_up, context, token),
    )


def _show_outcome(signed_up: SignUpResult | None) -> Response:
    """Show the result of a sign-up."""
    if signed_up is not None and signed_up.outcome is Outcome.LATE:
        context = _make_context(signed_up)
        return render_page(
            "sign_up_expired.html",
            context,
            **make_list_fields(signed_up.mailing_list, context),
        )
    contact_state = signed_up.contact_state if signed_up else None
    if signed_up is None or contact_state is None or contact_state.is_gone:
        return show_gone(contact_state)
    return show_result(_make_context(signed_up), contact_state, signed_up.outcome)


def _show_form_page(mailing_list: MailingList, *, status: int = 200) -> Response:
    context = _make_list_context(mailing_list)
    return render_page(
        "join.html",
        context,
        status=status,
        is_unusable=status == _UNUSABLE,
        given_address=request.form.get("address", ""),
        given_name=request.form.get("name", ""),
        **make_list_fields(contacts_lookup.read_list_facts(mailing_list), context),
    )


def _make_confirm_fields(
    signed_up: SignUpResult, context: PageContext, token: str
) -> dict[str, Any]:
    list_facts, locale = signed_up.mailing_list, make_locale(context)
    links = get_services().links
    return {
        **make_list_fields(list_facts, context),
        "address": signed_up.address,
        "why": page_text.explain_asking_again(signed_up.signals, locale)
        if signed_up.confirmation_token
        else "",
        "mark": signed_up.confirmation_token,
        "labels": page_text.make_sign_up_labels(locale, sensitive=list_facts.sensitive),
        "confirm_url": make_public_url(f"/confirm/{token}", context),
        "form_number": links.form_number(links.read("confirm", token), signed_up.form_version),
    }


def _make_wording(signed_up: SignUpResult, token: str) -> str:
    """Return the text around the button as it was shown, with a placeholder for the address."""
    # The same text, whether or not its language had to be chosen.
    context = replace(_make_context(signed_up), is_switched=False)
    fields = {**_make_confirm_fields(signed_up, context, token), "address": "⟦address⟧"}
    return render(
        "sign_up_wording.html",
        language=context.language,
        organisation=get_services().settings.organisation,
        privacy_url=signed_up.mailing_list.in_language(context.language).privacy_url,
        **fields,
    )


def _make_context(signed_up: SignUpResult) -> PageContext:
    return make_context(
        request.path, language=signed_up.language, mailing_list=signed_up.mailing_list
    )


def _make_list_context(mailing_list: MailingList) -> PageContext:
    return make_context(
        request.path,
        language=mailing_list.language,
        mailing_list=contacts_lookup.read_list_facts(mailing_list),
    )


def clean_name(name: str) -> str:
    """Return a name on one line, cut to the longest name that is stored."""
    cleaned = "".join(character if character.isprintable() else " " for character in name)
    return " ".join(cleaned.split())[:_MAX_NAME_LENGTH]
