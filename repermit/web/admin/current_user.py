"""The logged-in user: finding them by the cookie, and recording their activity and accesses."""

from __future__ import annotations

from functools import partial

from flask import Request, request, session
from flask_login import UserMixin, current_user

from repermit.accounts import audit_log, sessions
from repermit.accounts.login import LoginAttempt
from repermit.accounts.login_throttle import Origin
from repermit.accounts.sessions import ActiveSession
from repermit.db.models.lists import MailingList
from repermit.web.client_address import mask_network, read_route
from repermit.web.request_context import get_arrival, get_services, make_trace, write_note

TOKEN_KEY = "token"  # noqa: S105  the key of the session's token in the cookie


class Visitor(UserMixin):  # type: ignore[misc]
    """A user who has given the password, maybe not yet the second step, for Flask-Login."""

    def __init__(self, login: ActiveSession) -> None:
        self.login = login
        self.person = login.user
        self.id = login.user.id
        self.email = login.user.email
        self.role = login.user.role
        self.language = login.user.language
        self.is_full = login.is_full
        self.is_locked = login.is_locked


def find_user(_request: Request) -> Visitor | None:
    """Return the user of the session in the cookie, None if there is no active session."""
    services = get_services()
    active_session = sessions.find_session(
        session.get(TOKEN_KEY, ""), now=get_arrival(), settings=services.settings
    )
    return None if active_session is None else Visitor(active_session)


def make_login_attempt() -> LoginAttempt:
    """Return the time and origin of the current request, for a login attempt."""
    route = read_route(request.environ)
    origin = Origin(
        mask_network(route.client),
        tuple(dict.fromkeys(map(mask_network, route.doubtful_relays))),
    )
    return LoginAttempt(now=get_arrival(), origin=origin, **make_trace())


def get_actor() -> str:
    """Return the logged-in user as an actor of the evidence, without an address."""
    name: str = current_user.person.actor
    return name


def record_activity() -> None:
    """Record that the session is in use, so that its screen does not lock."""
    active_session: ActiveSession = current_user.login
    now = get_arrival()
    if sessions.should_record_last_seen(active_session, now=now):
        write_note(lambda: sessions.record_last_seen(active_session, now=now))


def record_access(act: str, *, mailing_list: MailingList | None = None, subject: str = "") -> None:
    """Record that the logged-in user looks at personal data; works within a GET too."""
    write_note(
        partial(
            audit_log.record_access,
            now=get_arrival(),
            actor=get_actor(),
            act=act,
            mailing_list=mailing_list,
            subject=subject,
        )
    )
