"""Who may see which page: logged in, unlocked, and in a role that it is for.

A page is the admin's unless it says otherwise.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from flask import Flask, abort, current_app, request
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFError, CSRFProtect

from repermit.accounts.audit_log import SecurityEventKind
from repermit.web.admin import current_user as admin_current_user
from repermit.web.admin import lock_screen
from repermit.web.admin.page_permissions import (
    MAX_FORM_SIZE,
    PagePermissions,
    get_permissions,
)
from repermit.web.admin.rendering import redirect_to
from repermit.web.request_context import record_refused_attempt

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_MAX_FIELDS = 1000

_csrf = CSRFProtect()


def set_up_login(app: Flask) -> None:
    """Teach the application who is logged in, and how forms prove that they are ours."""
    login = LoginManager()
    login.session_protection = None  # our sessions stand in the database and can be ended there
    login.request_loader(admin_current_user.find_user)
    # Its init_app would look into the cookie of every public page too, for "remember me".
    app.login_manager = login  # type: ignore[attr-defined]
    _csrf.init_app(app)


def install_guard(app: Flask) -> None:
    """Check the permission of every page below /admin/, in any module."""
    app.before_request(_check_request)


def _check_request() -> Response | None:
    if request.url_rule is None or not request.url_rule.rule.startswith("/admin"):
        return None
    marks = get_permissions(current_app.view_functions[request.url_rule.endpoint])
    _set_body_limit(marks)
    # Before the form is read: whoever is not in sends no file of 100 MB to be taken apart.
    turned_away = None if marks.for_everybody else _refuse_anonymous(marks)
    if turned_away is not None:
        return turned_away
    if request.method not in _SAFE_METHODS:
        _check_csrf()
    _refuse_null_bytes()
    return None if marks.for_everybody or marks.for_the_half_logged_in else _refuse_visitor(marks)


def _check_csrf() -> None:
    """Refuse a form that is not ours; raises CSRFError."""
    try:
        _csrf.protect()
    except CSRFError:
        who = current_user.person.actor if current_user.is_authenticated else ""
        record_refused_attempt(SecurityEventKind.FORM_REFUSED, actor=who)
        raise


def _set_body_limit(marks: PagePermissions) -> None:
    # The public pages take far less; a file is written to disk, not kept in memory.
    request.max_content_length = marks.takes_bytes
    request.max_form_memory_size = MAX_FORM_SIZE
    request.max_form_parts = _MAX_FIELDS


def _refuse_null_bytes() -> None:
    """Refuse a NUL, which PostgreSQL keeps in no text, and which nobody types."""
    files = ((file.name or "", file.filename or "") for file in request.files.values())
    fields = (*request.args.items(multi=True), *request.form.items(multi=True), *files)
    if any("\0" in text for text in (request.path, *chain.from_iterable(fields))):
        abort(400)


def _refuse_anonymous(marks: PagePermissions) -> Response | None:
    if not current_user.is_authenticated:
        return redirect_to("login.show_login")
    if marks.for_the_half_logged_in:
        return None
    if not current_user.is_full:
        return redirect_to("login.show_second_step")
    return None


def _refuse_visitor(marks: PagePermissions) -> Response | None:
    held_up = _refuse_locked(marks) if current_user.is_locked else None
    if held_up is not None:
        return held_up
    if current_user.role != "admin" and not marks.for_viewers:
        record_refused_attempt(SecurityEventKind.PAGE_REFUSED, actor=current_user.person.actor)
        abort(403)
    if not marks.in_the_background:
        admin_current_user.note_activity()
    return None


def _refuse_locked(marks: PagePermissions) -> Response | None:
    if marks.in_the_background:
        abort(423)
    return lock_screen.require_unlock()
