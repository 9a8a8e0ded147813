"""The password asked for again, before an act that gives somebody a way in."""

from __future__ import annotations

from flask import Response, g
from flask_login import current_user
from wtforms import PasswordField

from repermit.accounts import login
from repermit.accounts.login import Tried
from repermit.i18n.lazy_text import N_
from repermit.web.admin.account_text import seconds_of, wait_in_words
from repermit.web.admin.current_user import visit
from repermit.web.admin.forms import Form
from repermit.web.admin.rendering import gettext
from repermit.web.request_context import current_site

CONFIRMATION = "confirmation"
"""The field's name, in every form that has one."""

_TOO_SOON = 429


class ConfirmationForm(Form):
    """The password of whoever is logged in."""

    confirmation = PasswordField(
        N_("Your password"), render_kw={"autocomplete": "current-password"}
    )


def confirm_password(form: Form, field: str = CONFIRMATION) -> Tried:
    """Try the password of a form; what speaks against it stands at its field.

    A request that has just unlocked the screen has brought the password along already.
    """
    if has_given_password():
        return login.Tried(is_right=True)
    typed = form[field].data
    if not typed:
        form.refuse(field, gettext("Please fill this in."))
        return login.Tried()
    tried = login.confirm_password(
        current_site().database, current_user.login, typed, visit=visit()
    )
    if tried.wait:
        form.refuse(field, wait_in_words(tried.wait))
    elif not tried.is_right:
        form.refuse(field, gettext("This password is not right."))
    return tried


def note_password_given() -> None:
    """Note that this very request has brought the right password."""
    g.has_given_password = True


def has_given_password() -> bool:
    """Say whether this very request has brought the right password already."""
    return bool(g.get("has_given_password"))


def say_wait(tried: Tried, response: Response) -> Response:
    """Say how long to wait, if a try came too soon (RFC 6585 §4)."""
    if tried.wait:
        response.status_code = _TOO_SOON
        response.headers["Retry-After"] = str(seconds_of(tried.wait))
    return response
