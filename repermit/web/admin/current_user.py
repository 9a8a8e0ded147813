"""Who is looking: found by the cookie, named in evidence, kept awake, noted when they look."""

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

TOKEN_KEY = "token"  # noqa: S105  the name under which the cookie has it


class Visitor(UserMixin):  # type: ignore[misc]
    """Somebody who has logged in, at least by half, as Flask-Login and the pages know them."""

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
    """Return who has the session that the cookie names, None if it names none that lasts."""
    services = get_services()
    login = sessions.find_session(
        session.get(TOKEN_KEY, ""), now=get_arrival(), settings=services.settings
    )
    return None if login is None else Visitor(login)


def make_visit() -> LoginAttempt:
    """Return when and whence this request comes, as accounts takes it."""
    route = read_route(request.environ)
    origin = Origin(
        mask_network(route.client),
        tuple(dict.fromkeys(map(mask_network, route.doubtful_relays))),
    )
    return LoginAttempt(now=get_arrival(), origin=origin, **make_trace())


def get_actor() -> str:
    """Return the logged-in user's name in the evidence, which may hold no address."""
    name: str = current_user.person.actor
    return name


def note_activity() -> None:
    """Note that the session is in use, so that its screen does not lock."""
    login: ActiveSession = current_user.login
    now = get_arrival()
    if sessions.should_record_last_seen(login, now=now):
        write_note(lambda: sessions.record_last_seen(login, now=now))


def note_access(act: str, *, mailing_list: MailingList | None = None, subject: str = "") -> None:
    """Note that the logged-in user looks at personal data; also within a GET."""
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
