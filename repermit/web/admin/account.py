"""The user's own account: password, second step, recovery codes, sessions, language.

Changing a credential requires the password.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from flask_login import current_user
from wtforms import PasswordField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired

from repermit.accounts import login, sessions, two_factor, users
from repermit.i18n.lazy_text import N_
from repermit.web.admin.current_user import make_login_attempt
from repermit.web.admin.forms import Form, describe_browser
from repermit.web.admin.lock_screen import add_retry_after, confirm_password
from repermit.web.admin.login import NewPasswordForm, make_setup_fields, set_session_cookie
from repermit.web.admin.page_permissions import for_viewers
from repermit.web.admin.rendering import LANGUAGES, flash_message, gettext, redirect_to, render_page
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse


pages = Blueprint("account", __name__, url_prefix="/admin/own")

_WRONG = 422
_NEEDED = InputRequired(N_("Please fill this in."))
_PASSWORD_ATTRIBUTES = {"autocomplete": "current-password"}


class PasswordForm(NewPasswordForm):
    """The form for a new password, with the present one."""

    current = PasswordField(N_("Password as it is now"), [_NEEDED], render_kw=_PASSWORD_ATTRIBUTES)


class CodesForm(Form):
    """The form for new recovery codes, with the password."""

    confirmation = PasswordField(N_("Password"), [_NEEDED], render_kw=_PASSWORD_ATTRIBUTES)


class AppForm(CodesForm):
    """The form for a new app, with the password and the app's code."""

    code = StringField(
        N_("Code"), [_NEEDED], render_kw={"autocomplete": "one-time-code", "class": "short"}
    )


class LanguageForm(Form):
    """The form for the pages' language, "" for the browser's."""

    language = SelectField(N_("Language"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        by_browser = gettext("What the browser would rather read")
        titles = {"": by_browser, "en": "English", "nl": "Nederlands"}
        self.language.choices = [SelectChoice(code, title) for code, title in titles.items()]


@pages.get("/", endpoint="show")
@for_viewers
def show_account() -> Response:
    """Show the user's account."""
    return _show_page()


@pages.post("/password")
@for_viewers
def change_password() -> AnyResponse:
    """Change the user's password; all other sessions end."""
    form = PasswordForm(request.form)
    if not form.is_fit(current_user.email):
        return _show_page(password_form=form, status=_WRONG)
    result = confirm_password(form, "current")
    if not result.is_accepted:
        return add_retry_after(result, _show_page(password_form=form, status=_WRONG))
    result = login.change_password(
        get_services().database,
        current_user.login,
        form.password.data,
        attempt=make_login_attempt(),
    )
    set_session_cookie(result.token)
    flash_message(
        gettext("Your password is changed. Wherever else you were logged in, you are no more.")
    )
    return redirect_to("account.show")


@pages.get("/second-step")
@for_viewers
def show_second_step() -> Response:
    """Show how to replace the app of the second step."""
    return render_page("account/second_step.html", form=AppForm(), **make_setup_fields())


@pages.post("/second-step")
@for_viewers
def replace_app() -> AnyResponse:
    """Replace the app of the second step; show new recovery codes."""
    form, fields = AppForm(request.form), make_setup_fields()

    def show_form_again() -> Response:
        return render_page("account/second_step.html", form=form, status=_WRONG, **fields)

    if not form.validate():
        return show_form_again()
    result = confirm_password(form)
    if not result.is_accepted:
        return add_retry_after(result, show_form_again())
    result = login.set_up_second_step(
        get_services().database,
        current_user.login,
        secret=fields["secret"],
        code=form.code.data,
        settings=get_services().settings,
        attempt=make_login_attempt(),
    )
    if not result.is_accepted:
        form.refuse("code", gettext("This is not the code that the app shows now."))
        return show_form_again()
    set_session_cookie(result.token)
    return render_page("login/recovery_codes.html", codes=result.codes)


@pages.post("/recovery-codes")
@for_viewers
def renew_codes() -> AnyResponse:
    """Make new recovery codes, and show them once."""
    form = CodesForm(request.form)
    if not form.validate():
        return _show_page(codes_form=form, status=_WRONG)
    result = confirm_password(form)
    if not result.is_accepted:
        return add_retry_after(result, _show_page(codes_form=form, status=_WRONG))
    codes = login.renew_recovery_codes(
        get_services().database, current_user.person, attempt=make_login_attempt()
    )
    return render_page("login/recovery_codes.html", codes=codes)


@pages.post("/sessions/<int:session_id>/end")
@for_viewers
def end_session(session_id: int) -> AnyResponse:
    """End one of the user's own sessions."""
    users.end_own_session(
        get_services().database, session_id, user_id=current_user.id, now=get_arrival()
    )
    flash_message(gettext("That session has ended."))
    return redirect_to("account.show")


@pages.post("/language")
@for_viewers
def choose_language() -> AnyResponse:
    """Save the user's language of these pages."""
    requested = request.form.get("language", "")
    language = requested if requested in LANGUAGES else ""
    users.set_language(get_services().database, current_user.id, language)
    return redirect_to("account.show")


def _show_page(
    *,
    password_form: PasswordForm | None = None,
    codes_form: CodesForm | None = None,
    status: int = 200,
) -> Response:
    return render_page(
        "account/show.html",
        status=status,
        password_form=password_form or PasswordForm(),
        codes_form=codes_form or CodesForm(),
        language_form=LanguageForm(language=current_user.language),
        codes_left=two_factor.count_codes_left(current_user.id),
        sessions=sessions.list_open_sessions(current_user.id, now=get_arrival()),
        browser_in_words=describe_browser,
    )
