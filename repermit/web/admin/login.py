"""The login pages: password, second step, one-time link, and logout.

Each step puts a new token into the cookie, and deletes everything else in it (session fixation),
but for the path of the page that was wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import segno
from flask import Blueprint, Response, get_flashed_messages, request, session
from flask_login import current_user
from wtforms import EmailField, PasswordField, StringField
from wtforms.validators import InputRequired, Length

from repermit.accounts import login as accounts_login
from repermit.accounts import passwords, sessions, two_factor, users
from repermit.accounts.audit_log import SecurityEventKind
from repermit.accounts.login import AttemptResult
from repermit.accounts.user_info import UserInfo
from repermit.errors import AddressError, NotFound, Refused
from repermit.i18n.lazy_text import N_
from repermit.web.admin.current_user import TOKEN_KEY, make_login_attempt
from repermit.web.admin.forms import Form, describe_wait, describe_weakness
from repermit.web.admin.lock_screen import add_retry_after
from repermit.web.admin.page_permissions import for_everybody, for_the_half_logged_in
from repermit.web.admin.rendering import (
    flash_message,
    get_public_path,
    gettext,
    redirect_home,
    redirect_to,
    redirect_to_page,
    render_page,
)
from repermit.web.request_context import get_arrival, get_services, record_refused_attempt

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("login", __name__, url_prefix="/admin")

_SECRET = "totp"  # noqa: S105  the key of a new app's secret in the cookie
_WRONG, _GONE = 422, 410
_NEEDED = InputRequired(N_("Please fill this in."))
# Longer than any address or code; a longer text is refused unread.
_SHORT = Length(max=320, message=N_("This is too long."))


class LoginForm(Form):
    """The form for address and password."""

    email = EmailField(
        N_("E-mail address"),
        [_NEEDED, _SHORT],
        render_kw={"autocomplete": "username", "autofocus": True},
    )
    password = PasswordField(
        N_("Password"), [_NEEDED], render_kw={"autocomplete": "current-password"}
    )


class CodeForm(Form):
    """The form for a code of the app, or a recovery code."""

    code = StringField(
        N_("Code"),
        [_NEEDED, _SHORT],
        render_kw={"autocomplete": "one-time-code", "autofocus": True, "class": "short"},
    )


class NewPasswordForm(Form):
    """The form for a new password, typed twice."""

    password = PasswordField(
        N_("New password"), [_NEEDED], render_kw={"autocomplete": "new-password"}
    )
    again = PasswordField(
        N_("The same again"), [_NEEDED], render_kw={"autocomplete": "new-password"}
    )

    def is_fit(self, email: str) -> bool:
        """Return whether a user with this address may choose the password; errors are added."""
        if not self.validate():
            return False
        organisation = get_services().settings.organisation.name
        weaknesses = passwords.find_weaknesses(
            self.password.data, email=email, organisation=organisation
        )
        for weakness in weaknesses:
            self.refuse("password", describe_weakness(weakness))
        if self.password.data != self.again.data:
            self.refuse("again", gettext("The two are not the same."))
        return not self.errors


class FirstForm(NewPasswordForm):
    """The form for the first admin, who also gives an address."""

    email = EmailField(
        N_("E-mail address"), [_NEEDED, _SHORT], render_kw={"autocomplete": "username"}
    )


# --- Address and password.


@pages.get("/login")
@for_everybody
def show_login() -> AnyResponse:
    """Ask for address and password; redirect a user who is logged in already."""
    if current_user.is_authenticated:
        return redirect_home() if current_user.is_full else redirect_to("login.show_second_step")
    return render_page("login/login.html", form=LoginForm(), has_admin=users.has_admin())


@pages.post("/login")
@for_everybody
def log_in() -> AnyResponse:
    """Try address and password."""
    form, services = LoginForm(request.form), get_services()
    if not form.validate():
        return render_page("login/login.html", form=form, status=_WRONG)
    result = accounts_login.log_in(
        services.database,
        email=form.email.data,
        password=form.password.data,
        settings=services.settings,
        attempt=make_login_attempt(),
    )
    if not result.is_accepted:
        wrong = gettext("Address or password is not right.")
        return show_refused_try(result, form, "password", wrong, template="login/login.html")
    _end_session()
    set_session_cookie(result.token)
    return redirect_to("login.show_second_step")


# --- The second step.


@pages.get("/second-step")
@for_the_half_logged_in
def show_second_step() -> AnyResponse:
    """Ask for a code; a user without an app is shown how to set one up."""
    if current_user.is_full:
        return redirect_home()
    return _show_code_form(CodeForm())


@pages.post("/second-step")
@for_the_half_logged_in
def check_second_step() -> AnyResponse:
    """Try a code of the app or a recovery code."""
    if current_user.is_full:
        # A locked screen needs the password; a code does not replace it.
        return redirect_home()
    form, services = CodeForm(request.form), get_services()
    if not form.validate() or not current_user.person.has_second_step:
        return _show_code_form(form, status=_WRONG)
    result = accounts_login.take_second_step(
        services.database,
        current_user.login,
        form.code.data,
        settings=services.settings,
        attempt=make_login_attempt(),
    )
    if not result.is_accepted:
        wrong = gettext("This code is not right, or was used already.")
        return show_refused_try(result, form, "code", wrong, template="login/second_step.html")
    wanted_path = session.pop(_WANTED_PATH, "")
    set_session_cookie(result.token)
    # A viewer may not see most pages.
    return redirect_to_page(wanted_path) if current_user.role == "admin" else redirect_home()


@pages.post("/second-step/set-up")
@for_the_half_logged_in
def set_up_app() -> AnyResponse:
    """Activate the app whose secret was just shown; show the recovery codes."""
    form = CodeForm(request.form)
    # Somebody who only has the password must not replace the user's app.
    if current_user.is_full or current_user.person.has_second_step or _SECRET not in session:
        return redirect_to("login.show_second_step")
    if not form.validate():
        return _show_code_form(form, status=_WRONG)
    result = accounts_login.set_up_second_step(
        get_services().database,
        current_user.login,
        secret=session[_SECRET],
        code=form.code.data,
        settings=get_services().settings,
        attempt=make_login_attempt(),
    )
    if not result.is_accepted:
        form.refuse("code", gettext("This is not the code that the app shows now."))
        return _show_code_form(form, status=_WRONG)
    # The recovery codes come first.
    session.pop(_WANTED_PATH, None)
    set_session_cookie(result.token)
    return render_page("login/recovery_codes.html", codes=result.codes)


def _show_code_form(form: CodeForm, *, status: int = 200) -> Response:
    if current_user.person.has_second_step:
        return render_page("login/second_step.html", form=form, status=status)
    return render_page(
        "login/two_factor_setup.html", form=form, status=status, **make_setup_fields()
    )


def make_setup_fields() -> dict[str, Any]:
    """Return the template's fields for a new app's secret, the same one until it is activated.

    It is stored in the signed cookie, which only this user's browser has.
    """
    secret: str = session.setdefault(_SECRET, two_factor.make_secret())
    organisation = get_services().settings.organisation.name
    uri = two_factor.make_setup_uri(secret, email=current_user.email, organisation=organisation)
    return {"secret": secret, "uri": uri, "picture": _make_qr_code(uri)}


def _make_qr_code(uri: str) -> str:
    """Return the QR code as a data: URL, the only kind of picture that the pages may show."""
    return str(segno.make(uri, error="m").svg_data_uri(scale=5, border=4, light="#fff"))


# --- The one-time link.


@pages.get("/welcome/<token>")
@for_everybody
def show_welcome(token: str) -> Response:
    """Show the form for choosing a password; a GET does not use the link up."""
    user = users.find_invitation(token, now=get_arrival())
    return _show_used_link() if user is None else _show_welcome(user, _make_welcome_form(user))


@pages.post("/welcome/<token>")
@for_everybody
def choose_first_password(token: str) -> AnyResponse:
    """Store the password chosen by a one-time link; then the second step is asked for."""
    user = users.find_invitation(token, now=get_arrival())
    if user is None:
        return _show_used_link()
    form = _make_welcome_form(user, request.form)
    email = user.email or request.form.get("email", "")
    if not form.is_fit(email):
        return _show_welcome(user, form, status=_WRONG)
    try:
        result = accounts_login.accept_invitation(
            get_services().database,
            token,
            form.password.data,
            email=email,
            attempt=make_login_attempt(),
        )
    except NotFound:  # a subclass of Refused, but about the link
        return _show_used_link()
    except AddressError:
        form.refuse("email", gettext("This is no e-mail address that mail can reach."))
    except Refused:
        form.refuse("email", gettext("Somebody may log in with this address already."))
    else:
        _end_session()
        set_session_cookie(result.token)
        return redirect_to("login.show_second_step")
    return _show_welcome(user, form, status=_WRONG)


def _make_welcome_form(user: UserInfo, *submitted: Any) -> NewPasswordForm:
    return NewPasswordForm(*submitted) if user.email else FirstForm(*submitted)


def _show_welcome(user: UserInfo, form: NewPasswordForm, *, status: int = 200) -> Response:
    return render_page("login/welcome.html", form=form, person=user, status=status)


def _show_used_link() -> Response:
    record_refused_attempt(SecurityEventKind.INVITATION_REFUSED)
    return render_page("login/used_link.html", status=_GONE)


# --- Logging out.


@pages.post("/leave")
@for_everybody
def log_out() -> AnyResponse:
    """End the session, in the cookie and in the database."""
    _end_session(users.log_out)
    session.clear()
    response = redirect_to("login.show_login")
    # Not "cookies", which would end the logins of the organisation's other websites too: it applies
    # to a whole domain (W3C Clear Site Data §3.1). Clearing the session deletes our cookie. Not
    # "storage" if another website shares the host.
    is_shared = bool(get_public_path())
    response.headers["Clear-Site-Data"] = '"cache"' if is_shared else '"cache", "storage"'
    return response


def _end_session(end: Callable[..., object] = sessions.end_session) -> None:
    """End the browser's former session in the database, if it has one.

    - `end`: `users.log_out` has the entry of a logout written, too.
    """
    if current_user.is_authenticated:
        active_session = current_user.login
        end(
            get_services().database,
            active_session.id,
            user_id=active_session.user.id,
            now=get_arrival(),
        )


def set_session_cookie(token: str) -> None:
    """Put a new token into the cookie, and delete all else in it but the page that was wanted."""
    wanted_path = session.get(_WANTED_PATH)
    session.clear()
    session[TOKEN_KEY] = token
    if wanted_path:
        session[_WANTED_PATH] = wanted_path


_WANTED_PATH = "wanted_path"
"""The key in the cookie for the path, without its query, that led to the login."""

_MAX_WANTED_PATH = 500


def require_login() -> AnyResponse:
    """Redirect to the login, which leads back to this page; say that a form was not saved."""
    if request.blueprint == "lock_screen":
        # Its script asks by itself, and its form saves nothing.
        pass
    elif request.method not in {"GET", "HEAD"}:
        # Once, however many requests come.
        get_flashed_messages()
        flash_message(gettext("Your login had ended, so nothing was saved."), kind="warning")
    elif len(request.path) <= _MAX_WANTED_PATH:
        # Without the query, which may hold an address, as somebody else may log in.
        session[_WANTED_PATH] = request.path
    return redirect_to("login.show_login")


def show_refused_try(
    result: AttemptResult, form: Form, field: str, wrong: str, *, template: str
) -> Response:
    """Show a form again after an attempt that was refused, or came too soon."""
    form.refuse(field, describe_wait(result.wait) if result.wait else wrong)
    return add_retry_after(result, render_page(template, form=form, status=_WRONG))
