"""The screen that locks and loses nothing of what was typed, and the password asked for again.

With script the question stands over the page, which stays as it is. Without, a form that is sent
into a locked session is kept in the page that asks, and sent on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, jsonify, redirect, request, session, url_for
from flask_login import current_user
from flask_wtf.csrf import generate_csrf
from wtforms import PasswordField
from wtforms.validators import InputRequired

from repermit.accounts import login, sessions
from repermit.accounts.login import AttemptResult
from repermit.i18n.lazy_text import N_
from repermit.web.admin.current_user import TOKEN_KEY, make_visit
from repermit.web.admin.forms import Form, describe_wait, to_seconds
from repermit.web.admin.page_permissions import (
    for_the_half_logged_in,
    for_viewers,
    in_the_background,
)
from repermit.web.admin.rendering import (
    get_public_path,
    gettext,
    make_url,
    redirect_home,
    redirect_to,
    render_page,
)
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("lock_screen", __name__, url_prefix="/admin")

PASSWORD = "lock_password"  # noqa: S105  the field's name
_ACCOUNT = "account"  # the blueprint of one's own account
_LOCKED, _WRONG, _TOO_SOON = 423, 422, 429


class UnlockForm(Form):
    """The password alone, under a name that no other form has."""

    lock_password = PasswordField(
        N_("Password"),
        [InputRequired(N_("Please fill this in."))],
        render_kw={"autocomplete": "current-password", "autofocus": True},
    )


def require_unlock() -> AnyResponse | None:
    """Answer a request into a locked session: None if it brings the right password along.

    A GET goes to the page that asks. A POST is answered with one that keeps its fields, and comes
    again with them and the password; files it cannot keep, since no page may fill such a field.
    Forms of one's own account are not kept, since passwords stand in them.
    """
    if request.method in {"GET", "HEAD"}:
        return redirect_to("lock_screen.show_lock", next=request.full_path.rstrip("?"))
    if request.blueprint == _ACCOUNT:
        return redirect_to("lock_screen.show_lock", next=url_for("account.show"))
    form = UnlockForm(request.form)
    if PASSWORD not in request.form:
        return _ask_password(form, status=_LOCKED)
    tried = _try_password(form)
    if tried and tried.is_accepted:
        return None
    return _ask_password(form, tried=tried)


def _ask_password(
    form: UnlockForm, *, status: int = _WRONG, tried: AttemptResult | None = None
) -> Response:
    kept = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in {PASSWORD, CONFIRMATION, "csrf_token"}
    ]
    action = get_public_path() + request.full_path.rstrip("?")
    fields = {"action": action, "kept": kept, "has_files": bool(request.files)}
    return _respond(form, status=status, tried=tried, **fields)


@pages.get("/lock")
@for_the_half_logged_in
def show_lock() -> AnyResponse:
    """Ask for the password; then it goes back to where somebody wanted to go."""
    if not current_user.is_full:
        return redirect_to("login.show_second_step")
    if not current_user.is_locked:
        return _redirect_back()
    return _show_lock_page(UnlockForm())


@pages.post("/lock")
@for_the_half_logged_in
def unlock() -> AnyResponse:
    """Try the password; the page's script asks for this with `Accept: application/json`."""
    if not current_user.is_full:
        return redirect_to("login.show_second_step")
    form = UnlockForm(request.form)
    tried = _try_password(form)
    if request.accept_mimetypes.best == "application/json":
        return _respond_json(form, tried)
    if tried and tried.is_accepted:
        return _redirect_back()
    return _show_lock_page(form, status=_WRONG, tried=tried)


@pages.post("/lock/now")
@for_viewers
def lock_screen() -> AnyResponse:
    """Lock the screen, before somebody walks away from it."""
    sessions.lock_session(get_services().database, current_user.login.id)
    return redirect_to("lock_screen.show_lock")


@pages.get("/lock/state.json")
@for_the_half_logged_in
@in_the_background
def show_state() -> Response:
    """Say whether the screen is locked, and in how many seconds it will be."""
    remaining = current_user.login.locks_at - get_arrival()
    state = {"locked": current_user.is_locked, "seconds": max(to_seconds(remaining), 0)}
    if current_user.is_full and not current_user.is_locked:
        # So that what was typed before somebody logged in again can still be sent, by them alone.
        state |= {"user": current_user.id, "csrf_token": generate_csrf()}
    return jsonify(state)


@pages.post("/lock/awake")
@for_viewers
def stay_awake() -> Response:
    """Do nothing but what the guard does for every page: note that somebody is there."""
    return Response(status=204)


def _try_password(form: UnlockForm) -> AttemptResult | None:
    """Try the password that was typed; None if none was. What speaks against it stands there."""
    if not form.validate():
        return None
    tried = login.unlock(
        get_services().database, current_user.login, form.lock_password.data, attempt=make_visit()
    )
    if tried.is_accepted:
        # The forms of the page that was locked stay good: all but the token is as it was.
        session[TOKEN_KEY] = tried.token
        note_password_given()
        current_user.is_locked = False
    elif tried.wait:
        form.refuse(PASSWORD, describe_wait(tried.wait))
    else:
        form.refuse(PASSWORD, gettext("This password is not right."))
    return tried


def _show_lock_page(
    form: UnlockForm, *, status: int = 200, tried: AttemptResult | None = None
) -> Response:
    action = make_url("lock_screen.unlock")
    kept = [("next", request.values.get("next", ""))]
    return _respond(form, status=status, tried=tried, action=action, kept=kept, has_files=False)


def _respond(
    form: UnlockForm, *, status: int, tried: AttemptResult | None, **fields: object
) -> Response:
    wait = tried.wait if tried else None
    response = render_page(
        "login/lock.html", form=form, status=_TOO_SOON if wait else status, **fields
    )
    if wait:
        response.headers["Retry-After"] = str(to_seconds(wait))
    return response


def _respond_json(form: UnlockForm, tried: AttemptResult | None) -> Response:
    if tried and tried.is_accepted:
        return Response(status=204)
    response = jsonify(problem=" ".join(form.lock_password.errors))
    response.status_code = _TOO_SOON if tried and tried.wait else _WRONG
    return response


def _redirect_back() -> AnyResponse:
    """Go where somebody wanted to go; only ever to a page of ours, whatever the address says."""
    wanted = request.values.get("next", "")
    # Browsers take a backslash for a slash, and drop what is no visible sign.
    is_ours = wanted.startswith("/admin/") and wanted.isascii() and wanted.isprintable()
    if not is_ours or "\\" in wanted or wanted.startswith("/admin/lock"):
        return redirect_home()
    return redirect(get_public_path() + wanted, 303)


# --- The password asked for again, before an act that gives somebody a way in. --------------------


CONFIRMATION = "confirmation"
"""The field's name, in every form that has one."""


class ConfirmationForm(Form):
    """The password of the logged-in user."""

    confirmation = PasswordField(
        N_("Your password"), render_kw={"autocomplete": "current-password"}
    )


def confirm_password(form: Form, field: str = CONFIRMATION) -> AttemptResult:
    """Try the password of a form; what speaks against it stands at its field.

    A request that has just unlocked the screen has brought the password along already.
    """
    if was_password_given():
        return login.AttemptResult(is_accepted=True)
    typed = form[field].data
    if not typed:
        form.refuse(field, gettext("Please fill this in."))
        return login.AttemptResult()
    tried = login.confirm_password(
        get_services().database, current_user.login, typed, attempt=make_visit()
    )
    if tried.wait:
        form.refuse(field, describe_wait(tried.wait))
    elif not tried.is_accepted:
        form.refuse(field, gettext("This password is not right."))
    return tried


def note_password_given() -> None:
    """Note that this very request has brought the right password."""
    g.has_given_password = True


def was_password_given() -> bool:
    """Say whether this very request has brought the right password already."""
    return bool(g.get("has_given_password"))


def add_retry_after(tried: AttemptResult, response: Response) -> Response:
    """Say how long to wait, if a try came too soon (RFC 6585 §4)."""
    if tried.wait:
        response.status_code = _TOO_SOON
        response.headers["Retry-After"] = str(to_seconds(tried.wait))
    return response
