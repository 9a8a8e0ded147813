"""The users and their roles: adding, inviting, changing, removing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, request
from flask_login import current_user
from wtforms import EmailField, RadioField
from wtforms.validators import AnyOf, InputRequired

from repermit.accounts import api_tokens, users
from repermit.accounts.user_info import Role, UserInfo
from repermit.accounts.users import IssuedInvitation
from repermit.errors import AddressError, Refused
from repermit.i18n.lazy_text import N_
from repermit.web.admin.current_user import get_actor
from repermit.web.admin.forms import describe_role
from repermit.web.admin.lock_screen import (
    CONFIRMATION,
    ConfirmationForm,
    add_retry_after,
    confirm_password,
    was_password_given,
)
from repermit.web.admin.rendering import (
    flash_message,
    get_public_path,
    gettext,
    redirect_to,
    render_page,
)
from repermit.web.request_context import get_arrival, get_services
from repermit.webhooks import endpoints

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("users", __name__, url_prefix="/admin/people")

_WRONG = 422
_RESUBMITTED_FIELDS = ("role", "renews_second_step")


class UserForm(ConfirmationForm):
    """The form for a new user and role; adding an admin requires the password."""

    email = EmailField(
        N_("E-mail address"),
        [InputRequired(N_("Please fill this in."))],
        render_kw={"autocomplete": "off"},
    )
    role = RadioField(
        N_("May"), [AnyOf(list(Role), N_("Choose one of the two."))], choices=list(Role)
    )


@pages.get("/", endpoint="show")
def show_users() -> Response:
    """Show everybody who may log in."""
    return _show_page(UserForm(role=Role.VIEWER))


@pages.post("/")
def add_user() -> AnyResponse:
    """Add a user, and show their one-time link once."""
    form = UserForm(request.form)
    if not form.validate():
        return _show_page(form, status=_WRONG)
    if form.role.data == Role.ADMIN:
        result = confirm_password(form)
        if not result.is_accepted:
            return add_retry_after(result, _show_page(form, status=_WRONG))
    try:
        invitation = users.add_user(
            get_services().database,
            form.email.data,
            role=Role(form.role.data),
            now=get_arrival(),
            actor=get_actor(),
        )
    except AddressError:
        form.refuse("email", gettext("This is no e-mail address that mail can reach."))
    except Refused:
        form.refuse("email", gettext("This person may log in already; see above."))
    else:
        return _show_link(invitation)
    return _show_page(form, status=_WRONG)


@pages.post("/<int:user_id>/link")
def invite_user(user_id: int) -> AnyResponse:
    """Make a new one-time link for a user who forgot the password or lost the phone."""
    if user_id == current_user.id:
        # Otherwise a screen left open could change the password without asking for it.
        flash_message(gettext("You change your own password and second step here."), kind="problem")
        return redirect_to("account.show")
    user = _find_user(user_id)
    question = _ask_password(user)
    if question is not None:
        return question
    invited = users.invite_user(
        get_services().database,
        user.id,
        now=get_arrival(),
        actor=get_actor(),
        renews_second_step=bool(request.form.get("renews_second_step")),
    )
    return _show_link(invited)


@pages.post("/<int:user_id>/role")
def change_role(user_id: int) -> AnyResponse:
    """Make a user an admin or a viewer."""
    user, role_name = _find_user(user_id), request.form.get("role", "")
    if role_name not in list(Role):
        abort(400)
    role = Role(role_name)
    question = _ask_password(user) if role is Role.ADMIN else None
    if question is not None:
        return question
    database = get_services().database
    try:
        users.change_role(
            database,
            user_id,
            role=role,
            end_webhooks=endpoints.remove_by_creator,
            now=get_arrival(),
            actor=get_actor(),
        )
    except Refused:
        _flash_last_admin()
    else:
        sentence = gettext(
            "%(email)s is now: %(role)s.", email=user.email, role=describe_role(role)
        )
        flash_message(sentence)
    return redirect_to("users.show") if user_id != current_user.id else redirect_to("account.show")


@pages.get("/<int:user_id>/remove")
def show_removal(user_id: int) -> Response:
    """Ask for confirmation before a user is removed."""
    user = _find_user(user_id)
    return render_page("users/remove.html", person=user, granted=_list_granted().get(user.actor))


@pages.post("/<int:user_id>/remove")
def remove_user(user_id: int) -> AnyResponse:
    """Remove a user, and erase their address."""
    user = _find_user(user_id)
    try:
        users.remove_user(
            get_services().database,
            user_id,
            end_webhooks=endpoints.remove_by_creator,
            now=get_arrival(),
            actor=get_actor(),
        )
    except Refused:
        _flash_last_admin()
    else:
        flash_message(gettext("%(email)s may not log in any more.", email=user.email))
    return redirect_to("users.show")


@pages.post("/<int:user_id>/sessions/end")
def end_sessions(user_id: int) -> AnyResponse:
    """End all sessions of a user."""
    user = _find_user(user_id)
    users.end_sessions(get_services().database, user_id, now=get_arrival(), actor=get_actor())
    flash_message(gettext("%(email)s is logged out everywhere.", email=user.email))
    return redirect_to("users.show")


def _ask_password(user: UserInfo) -> Response | None:
    """Return the page that asks for the password; None if the request has it already.

    Asked before somebody else is given access, for which a screen left open is not enough (ASVS 5.0
    V7.5.1).
    """
    form = ConfirmationForm(request.form)
    kept_fields = [
        (name, request.form[name]) for name in _RESUBMITTED_FIELDS if name in request.form
    ]
    fields: dict[str, Any] = {
        "person": user,
        "action": get_public_path() + request.path,
        "kept": kept_fields,
    }
    if CONFIRMATION not in request.form and not was_password_given():
        return render_page("users/confirm.html", form=form, **fields)
    result = confirm_password(form)
    if result.is_accepted:
        return None
    return add_retry_after(
        result, render_page("users/confirm.html", form=form, status=_WRONG, **fields)
    )


def make_link(invitation: IssuedInvitation) -> str:
    """Return the URL of a one-time link."""
    return f"{get_services().settings.public_url}/admin/welcome/{invitation.token}"


def _show_page(form: UserForm, *, status: int = 200) -> Response:
    roles: list[tuple[Role, str, str]] = [
        (Role.VIEWER, describe_role(Role.VIEWER), gettext("sees counts, never an address")),
        (Role.ADMIN, describe_role(Role.ADMIN), gettext("may do everything")),
    ]
    fields: dict[str, Any] = {
        "people": users.list_users(),
        "roles": roles,
        "granted": _list_granted(),
    }
    return render_page("users/show.html", form=form, status=status, **fields)


def _show_link(invitation: IssuedInvitation) -> Response:
    return render_page("users/link.html", invited=invitation, link=make_link(invitation))


def _list_granted() -> dict[str, dict[str, list[str]]]:
    """Return the active tokens and the webhooks by their maker; they end when that user goes."""
    names_by_maker: dict[str, dict[str, list[str]]] = {}
    for token in api_tokens.list_tokens():
        if token.revoked_at is None:
            _get_names(names_by_maker, token.created_by)["tokens"].append(token.name)
    for hook in endpoints.list_webhooks():
        _get_names(names_by_maker, hook.created_by)["hooks"].append(hook.url)
    return names_by_maker


def _get_names(names_by_maker: dict[str, dict[str, list[str]]], maker: str) -> dict[str, list[str]]:
    return names_by_maker.setdefault(maker, {"tokens": [], "hooks": []})


def _find_user(user_id: int) -> UserInfo:
    """Return a user; aborts with 404 if there is none."""
    matches = [user for user in users.list_users() if user.id == user_id]
    if not matches:
        abort(404)
    return matches[0]


def _flash_last_admin() -> None:
    sentence = gettext("This is the last admin: make somebody else one first, who then logs in.")
    flash_message(sentence, kind="problem")
