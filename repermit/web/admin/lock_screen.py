"""The lock screen, which keeps what was typed, and asking for the password again.

With script, the question covers the page. Without, the fields of a form that is sent into a locked
session are kept in the page that asks for the password, and sent with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, jsonify, request, session, url_for
from flask_login import current_user
from flask_wtf.csrf import generate_csrf
from wtforms import PasswordField
from wtforms.validators import InputRequired

from repermit.accounts import login, sessions
from repermit.accounts.login import AttemptResult
from repermit.i18n.lazy_text import N_
from repermit.web.admin.current_user import TOKEN_KEY, make_login_attempt
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
    redirect_to,
    redirect_to_page,
    render_page,
)
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("lock_screen", __name__, url_prefix="/admin")

PASSWORD = "lock_password"  # noqa: S105  the field's name
_ACCOUNT = "account"  # the blueprint of the user's own account
_LOCKED, _WRONG, _TOO_SOON = 423, 422, 429


class UnlockForm(Form):
    """The form for the password, under a field name that no other form has."""

    lock_password = PasswordField(
        N_("Password"),
        [InputRequired(N_("Please fill this in."))],
        render_kw={"autocomplete": "current-password", "autofocus": True},
    )


def require_unlock() -> AnyResponse | None:
    """Return the response to a request in a locked session; None if it has the right password.

    A GET is redirected to the lock screen. A POST gets a page that keeps its fields and sends them
    again with the password. Files are lost, since no page may fill a file field. Fields of the
    user's own account are not kept, since passwords are among them.
    """
    if request.method in {"GET", "HEAD"}:
        return redirect_to("lock_screen.show_lock", next=request.full_path.rstrip("?"))
    if request.blueprint == _ACCOUNT:
        return redirect_to("lock_screen.show_lock", next=url_for("account.show"))
    form = UnlockForm(request.form)
    if PASSWORD not in request.form:
        return _ask_password(form, status=_LOCKED)
    result = _try_password(form)
    if result and result.is_accepted:
        return None
    return _ask_password(form, result=result)


def _ask_password(
    form: UnlockForm, *, status: int = _WRONG, result: AttemptResult | None = None
) -> Response:
    kept_fields = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in {PASSWORD, CONFIRMATION, "csrf_token"}
    ]
    action = get_public_path() + request.full_path.rstrip("?")
    fields = {"action": action, "kept": kept_fields, "has_files": bool(request.files)}
    return _respond(form, status=status, result=result, **fields)


@pages.get("/lock")
@for_the_half_logged_in
def show_lock() -> AnyResponse:
    """Ask for the password; the next page is in the parameter `next`."""
    if not current_user.is_full:
        return redirect_to("login.show_second_step")
    if not current_user.is_locked:
        return redirect_to_page(request.values.get("next", ""))
    return _show_lock_page(UnlockForm())


@pages.post("/lock")
@for_the_half_logged_in
def unlock() -> AnyResponse:
    """Try the password; the page's script sends `Accept: application/json`."""
    if not current_user.is_full:
        return redirect_to("login.show_second_step")
    form = UnlockForm(request.form)
    result = _try_password(form)
    if request.accept_mimetypes.best == "application/json":
        return _respond_json(form, result)
    if result and result.is_accepted:
        return redirect_to_page(request.values.get("next", ""))
    return _show_lock_page(form, status=_WRONG, result=result)


@pages.post("/lock/now")
@for_viewers
def lock_screen() -> AnyResponse:
    """Lock the screen now."""
    sessions.lock_session(get_services().database, current_user.login.id)
    return redirect_to("lock_screen.show_lock")


@pages.get("/lock/state.json")
@for_the_half_logged_in
@in_the_background
def show_state() -> Response:
    """Return whether the screen is locked, and in how many seconds it will be."""
    remaining = current_user.login.locks_at - get_arrival()
    state = {"locked": current_user.is_locked, "seconds": max(to_seconds(remaining), 0)}
    if current_user.is_full and not current_user.is_locked:
        # The same user may still send a form that was typed before logging in again.
        state |= {"user": current_user.id, "csrf_token": generate_csrf()}
    return jsonify(state)


@pages.post("/lock/awake")
@for_viewers
def stay_awake() -> Response:
    """Do nothing; the guard records the activity, as for every page."""
    return Response(status=204)


def _try_password(form: UnlockForm) -> AttemptResult | None:
    """Try the typed password; None if none was typed. Errors are added to its field."""
    if not form.validate():
        return None
    result = login.unlock(
        get_services().database,
        current_user.login,
        form.lock_password.data,
        attempt=make_login_attempt(),
    )
    if result.is_accepted:
        # Only the token changes, so that the forms of the locked page stay valid.
        session[TOKEN_KEY] = result.token
        g.has_given_password = True
        current_user.is_locked = False
    elif result.wait:
        form.refuse(PASSWORD, describe_wait(result.wait))
    else:
        form.refuse(PASSWORD, gettext("This password is not right."))
    return result


def _show_lock_page(
    form: UnlockForm, *, status: int = 200, result: AttemptResult | None = None
) -> Response:
    action = make_url("lock_screen.unlock")
    kept_fields = [("next", request.values.get("next", ""))]
    return _respond(
        form, status=status, result=result, action=action, kept=kept_fields, has_files=False
    )


def _respond(
    form: UnlockForm, *, status: int, result: AttemptResult | None, **fields: object
) -> Response:
    response = render_page("login/lock.html", form=form, status=status, **fields)
    return add_retry_after(result, response) if result else response


def _respond_json(form: UnlockForm, result: AttemptResult | None) -> Response:
    if result and result.is_accepted:
        return Response(status=204)
    response = jsonify(problem=" ".join(form.lock_password.errors))
    response.status_code = _TOO_SOON if result and result.wait else _WRONG
    return response


# --- Asking for the password again, before an act that gives access. ------------------------------


CONFIRMATION = "confirmation"
"""The name of the password field in every form that asks for it."""


class ConfirmationForm(Form):
    """A form that asks for the password of the logged-in user."""

    confirmation = PasswordField(
        N_("Your password"), render_kw={"autocomplete": "current-password"}
    )


def confirm_password(form: Form, field: str = CONFIRMATION) -> AttemptResult:
    """Try the password of a form; errors are added to its field.

    A request that has just unlocked the screen has given the password already.
    """
    if was_password_given():
        return login.AttemptResult(is_accepted=True)
    typed = form[field].data
    if not typed:
        form.refuse(field, gettext("Please fill this in."))
        return login.AttemptResult()
    result = login.confirm_password(
        get_services().database, current_user.login, typed, attempt=make_login_attempt()
    )
    if result.wait:
        form.refuse(field, describe_wait(result.wait))
    elif not result.is_accepted:
        form.refuse(field, gettext("This password is not right."))
    return result


def was_password_given() -> bool:
    """Return whether the current request gave the right password."""
    return bool(g.get("has_given_password"))


def add_retry_after(result: AttemptResult, response: Response) -> Response:
    """Add the wait to a response, if a login attempt came too soon (RFC 6585 §4)."""
    if result.wait:
        response.status_code = _TOO_SOON
        response.headers["Retry-After"] = str(to_seconds(result.wait))
    return response
