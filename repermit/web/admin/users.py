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
_KEPT_FIELDS = ("role", "renews_second_step")


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
    """Add somebody, and show their one-time link this once."""
    form = UserForm(request.form)
    if not form.validate():
        return _show_page(form, status=_WRONG)
    if form.role.data == Role.ADMIN:
        tried = confirm_password(form)
        if not tried.is_accepted:
            return add_retry_after(tried, _show_page(form, status=_WRONG))
    try:
        invited = users.add_user(
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
        return _show_link(invited)
    return _show_page(form, status=_WRONG)


@pages.post("/<int:user_id>/link")
def invite_user(user_id: int) -> AnyResponse:
    """Make a fresh one-time link for somebody who forgot their password, or lost their phone."""
    if user_id == current_user.id:
        # It would change the password without asking for it, from a screen left open.
        flash_message(gettext("You change your own password and second step here."), kind="problem")
        return redirect_to("account.show")
    person = _find_user(user_id)
    asked = _ask_password(person)
    if asked is not None:
        return asked
    invited = users.invite_user(
        get_services().database,
        person.id,
        now=get_arrival(),
        actor=get_actor(),
        renews_second_step=bool(request.form.get("renews_second_step")),
    )
    return _show_link(invited)


@pages.post("/<int:user_id>/role")
def change_role(user_id: int) -> AnyResponse:
    """Make somebody an admin or a viewer."""
    person, wanted = _find_user(user_id), request.form.get("role", "")
    if wanted not in list(Role):
        abort(400)
    role = Role(wanted)
    asked = _ask_password(person) if role is Role.ADMIN else None
    if asked is not None:
        return asked
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
        said = gettext("%(email)s is now: %(role)s.", email=person.email, role=describe_role(role))
        flash_message(said)
    return redirect_to("users.show") if user_id != current_user.id else redirect_to("account.show")


@pages.get("/<int:user_id>/remove")
def show_removal(user_id: int) -> Response:
    """Ask whether somebody is really to be removed."""
    person = _find_user(user_id)
    return render_page(
        "users/remove.html", person=person, granted=_list_granted().get(person.actor)
    )


@pages.post("/<int:user_id>/remove")
def remove_user(user_id: int) -> AnyResponse:
    """Remove somebody, and erase their address."""
    person = _find_user(user_id)
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
        flash_message(gettext("%(email)s may not log in any more.", email=person.email))
    return redirect_to("users.show")


@pages.post("/<int:user_id>/sessions/end")
def end_sessions(user_id: int) -> AnyResponse:
    """Log somebody out everywhere."""
    person = _find_user(user_id)
    users.end_sessions(get_services().database, user_id, now=get_arrival(), actor=get_actor())
    flash_message(gettext("%(email)s is logged out everywhere.", email=person.email))
    return redirect_to("users.show")


def _ask_password(person: UserInfo) -> Response | None:
    """Ask for the password before somebody gets a way in; None if the request brings it along.

    A screen that was left open is not enough to let somebody else in (ASVS 5.0 V7.5.1).
    """
    form = ConfirmationForm(request.form)
    kept = [(name, request.form[name]) for name in _KEPT_FIELDS if name in request.form]
    fields: dict[str, Any] = {
        "person": person,
        "action": get_public_path() + request.path,
        "kept": kept,
    }
    if CONFIRMATION not in request.form and not was_password_given():
        return render_page("users/confirm.html", form=form, **fields)
    tried = confirm_password(form)
    if tried.is_accepted:
        return None
    return add_retry_after(
        tried, render_page("users/confirm.html", form=form, status=_WRONG, **fields)
    )


def make_link(invited: IssuedInvitation) -> str:
    """Return the address of a one-time link, below `public_url`."""
    return f"{get_services().settings.public_url}/admin/welcome/{invited.token}"


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


def _show_link(invited: IssuedInvitation) -> Response:
    return render_page("users/link.html", invited=invited, link=make_link(invited))


def _list_granted() -> dict[str, dict[str, list[str]]]:
    """Return the tokens and webhooks that end with who made them, by the name evidence has."""
    names_by_maker: dict[str, dict[str, list[str]]] = {}
    for token in api_tokens.list_tokens():
        if token.revoked_at is None:
            _take_names(names_by_maker, token.created_by)["tokens"].append(token.name)
    for hook in endpoints.list_webhooks():
        _take_names(names_by_maker, hook.created_by)["hooks"].append(hook.url)
    return names_by_maker


def _take_names(
    names_by_maker: dict[str, dict[str, list[str]]], maker: str
) -> dict[str, list[str]]:
    return names_by_maker.setdefault(maker, {"tokens": [], "hooks": []})


def _find_user(user_id: int) -> UserInfo:
    """Return a user; the page that does not exist if there is none."""
    matches = [person for person in users.list_users() if person.id == user_id]
    if not matches:
        abort(404)
    return matches[0]


def _flash_last_admin() -> None:
    said = gettext("This is the last admin: make somebody else one first, who then logs in.")
    flash_message(said, kind="problem")
