"""One's own account: password, second step, recovery codes, sessions, language.

What one gets in with is changed by whoever gives the password again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from flask_login import current_user
from wtforms import PasswordField, SelectChoice, SelectField, StringField
from wtforms.validators import InputRequired

from repermit.accounts import login, sessions, two_factor, users
from repermit.i18n.lazy_text import N_
from repermit.web.admin.current_user import make_visit
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
    """The password as it is, and as it shall be."""

    current = PasswordField(N_("Password as it is now"), [_NEEDED], render_kw=_PASSWORD_ATTRIBUTES)


class CodesForm(Form):
    """The password, before there are new recovery codes."""

    confirmation = PasswordField(N_("Password"), [_NEEDED], render_kw=_PASSWORD_ATTRIBUTES)


class AppForm(CodesForm):
    """The password, and what a new app shows."""

    code = StringField(
        N_("Code"), [_NEEDED], render_kw={"autocomplete": "one-time-code", "class": "short"}
    )


class LanguageForm(Form):
    """A language, "" for what the browser would read."""

    language = SelectField(N_("Language"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        by_browser = gettext("What the browser would rather read")
        titles = {"": by_browser, "en": "English", "nl": "Nederlands"}
        self.language.choices = [SelectChoice(code, title) for code, title in titles.items()]


@pages.get("/", endpoint="show")
@for_viewers
def show_account() -> Response:
    """Show one's own account."""
    return _show_page()


@pages.post("/password")
@for_viewers
def change_password() -> AnyResponse:
    """Change one's password; all other sessions end."""
    form = PasswordForm(request.form)
    if not form.is_fit(current_user.email):
        return _show_page(password_form=form, status=_WRONG)
    tried = confirm_password(form, "current")
    if not tried.is_accepted:
        return add_retry_after(tried, _show_page(password_form=form, status=_WRONG))
    tried = login.change_password(
        get_services().database, current_user.login, form.password.data, attempt=make_visit()
    )
    set_session_cookie(tried.token)
    flash_message(
        gettext("Your password is changed. Wherever else you were logged in, you are no more.")
    )
    return redirect_to("account.show")


@pages.get("/second-step")
@for_viewers
def show_second_step() -> Response:
    """Show how another app takes the place of the one in use."""
    return render_page("account/second_step.html", form=AppForm(), **make_setup_fields())


@pages.post("/second-step")
@for_viewers
def replace_app() -> AnyResponse:
    """Take another app into use; show fresh recovery codes."""
    form, fields = AppForm(request.form), make_setup_fields()

    def again(status: int = _WRONG) -> Response:
        return render_page("account/second_step.html", form=form, status=status, **fields)

    if not form.validate():
        return again()
    tried = confirm_password(form)
    if not tried.is_accepted:
        return add_retry_after(tried, again())
    tried = login.set_up_second_step(
        get_services().database,
        current_user.login,
        secret=fields["secret"],
        code=form.code.data,
        settings=get_services().settings,
        attempt=make_visit(),
    )
    if not tried.is_accepted:
        form.refuse("code", gettext("This is not the code that the app shows now."))
        return again()
    set_session_cookie(tried.token)
    return render_page("login/recovery_codes.html", codes=tried.codes)


@pages.post("/recovery-codes")
@for_viewers
def renew_codes() -> AnyResponse:
    """Make fresh recovery codes, and show them this once."""
    form = CodesForm(request.form)
    if not form.validate():
        return _show_page(codes_form=form, status=_WRONG)
    tried = confirm_password(form)
    if not tried.is_accepted:
        return add_retry_after(tried, _show_page(codes_form=form, status=_WRONG))
    codes = login.renew_recovery_codes(
        get_services().database, current_user.person, attempt=make_visit()
    )
    return render_page("login/recovery_codes.html", codes=codes)


@pages.post("/sessions/<int:session_id>/end")
@for_viewers
def end_session(session_id: int) -> AnyResponse:
    """End one of one's own sessions."""
    users.end_own_session(
        get_services().database, session_id, user_id=current_user.id, now=get_arrival()
    )
    flash_message(gettext("That session has ended."))
    return redirect_to("account.show")


@pages.post("/language")
@for_viewers
def choose_language() -> AnyResponse:
    """Keep in which language one reads these pages."""
    wanted = request.form.get("language", "")
    chosen = wanted if wanted in LANGUAGES else ""
    users.set_language(get_services().database, current_user.id, chosen)
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
