"""The guard of the admin pages: login, unlocked screen, role, CSRF token, body size.

Pages are for admins only, unless a decorator allows more.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from flask import Flask, abort, current_app, request
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFError, CSRFProtect

from repermit.accounts.audit_log import SecurityEventKind
from repermit.web.admin import current_user as admin_current_user
from repermit.web.admin import lock_screen, login
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
    """Set up Flask-Login and CSRF protection."""
    manager = LoginManager()
    manager.session_protection = None  # sessions are in the database, and can be ended there
    manager.request_loader(admin_current_user.find_user)
    # Its init_app would also read the cookie on every public page, for "remember me".
    app.login_manager = manager  # type: ignore[attr-defined]
    _csrf.init_app(app)


def install_guard(app: Flask) -> None:
    """Check the permissions of every page below /admin/."""
    app.before_request(_check_request)


def _check_request() -> Response | None:
    if request.url_rule is None or not request.url_rule.rule.startswith("/admin"):
        return None
    permissions = get_permissions(current_app.view_functions[request.url_rule.endpoint])
    _set_body_limit(permissions)
    # Before the form is parsed, so that nobody without a login can send a file of 100 MB.
    refusal = None if permissions.for_everybody else _refuse_anonymous(permissions)
    if refusal is not None:
        return refusal
    if request.method not in _SAFE_METHODS:
        _check_csrf()
    _refuse_null_bytes()
    return (
        None
        if permissions.for_everybody or permissions.for_the_half_logged_in
        else _refuse_visitor(permissions)
    )


def _check_csrf() -> None:
    """Check the CSRF token; raises CSRFError."""
    try:
        _csrf.protect()
    except CSRFError:
        actor = current_user.person.actor if current_user.is_authenticated else ""
        record_refused_attempt(SecurityEventKind.FORM_REFUSED, actor=actor)
        raise


def _set_body_limit(permissions: PagePermissions) -> None:
    # Public pages accept far less; a file is written to disk, not held in memory.
    request.max_content_length = permissions.takes_bytes
    request.max_form_memory_size = MAX_FORM_SIZE
    request.max_form_parts = _MAX_FIELDS


def _refuse_null_bytes() -> None:
    """Abort with 400 for a NUL character, which PostgreSQL cannot store and nobody types."""
    files = ((file.name or "", file.filename or "") for file in request.files.values())
    fields = (*request.args.items(multi=True), *request.form.items(multi=True), *files)
    if any("\0" in text for text in (request.path, *chain.from_iterable(fields))):
        abort(400)


def _refuse_anonymous(permissions: PagePermissions) -> Response | None:
    if not current_user.is_authenticated:
        return (
            redirect_to("login.show_login")
            if permissions.in_the_background
            else login.require_login()
        )
    if permissions.for_the_half_logged_in:
        return None
    if not current_user.is_full:
        return redirect_to("login.show_second_step")
    return None


def _refuse_visitor(permissions: PagePermissions) -> Response | None:
    refusal = _refuse_locked(permissions) if current_user.is_locked else None
    if refusal is not None:
        return refusal
    if current_user.role != "admin" and not permissions.for_viewers:
        record_refused_attempt(SecurityEventKind.PAGE_REFUSED, actor=current_user.person.actor)
        abort(403)
    if not permissions.in_the_background:
        admin_current_user.record_activity()
    return None


def _refuse_locked(permissions: PagePermissions) -> Response | None:
    if permissions.in_the_background:
        abort(423)
    return lock_screen.require_unlock()
