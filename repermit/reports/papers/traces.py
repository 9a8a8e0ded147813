"""Where to look after a breach: what was done, looked at, opened and made in the last 90 days.

May import models. It names users of the pages by their number, and nobody on a list.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from peewee import fn

from repermit.models import (
    Access,
    ApiToken,
    Evidence,
    Session,
    Throttle,
    User,
    Webhook,
    read_moment,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from repermit.models import MailingList

REACH = timedelta(days=90)
"""How far back one looks."""

_ACTS = (
    "exported",
    "archived",
    "backed_up",
    "restored",
    "paper_made",
    "logged_in",
    "password_changed",
    "second_step_set_up",
    "recovery_codes_renewed",
    "user_added",
    "user_invited",
    "user_role_changed",
    "token_made",
    "webhook_added",
    "webhook_tested",
    "settings_changed",
)
"""The acts that open or hand out something, or lead mail elsewhere."""

_NETWORK = "network:"


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Something that somebody did so many times; `what` is an event or a look, `last_at` aware."""

    what: str
    actor: str
    times: int
    last_at: datetime


@dataclass(frozen=True, kw_only=True)
class OpenSession:
    """A session that has not ended, and whence it came; the network in part."""

    user: int
    began_at: datetime
    seen_at: datetime
    network: str
    browser: str


@dataclass(frozen=True, kw_only=True)
class Door:
    """Something through which a program gets data: a token or a webhook."""

    kind: str
    name: str
    used_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Traces:
    """What to look at; `wrong_logins` counts those of the last day, by network."""

    since: datetime
    acts: tuple[Trace, ...]
    looks: tuple[Trace, ...]
    sessions: tuple[OpenSession, ...]
    doors: tuple[Door, ...]
    wrong_logins: tuple[tuple[str, int], ...]


def traces(mailing_list: MailingList, *, now: datetime) -> Traces:
    """Return what to look at, about a list and about no list in particular."""
    since, slugs = now - REACH, ("", mailing_list.slug)
    acts = Evidence.select(Evidence.event, Evidence.actor, fn.COUNT(Evidence.seq), _last(Evidence))
    looks = Access.select(Access.act, Access.actor, fn.COUNT(Access.id), _last(Access))
    return Traces(
        since=since,
        acts=_counted(
            # About nobody, as acts are: the index of subjects finds them among a million answers.
            acts.where(
                Evidence.subject == "",
                Evidence.at >= since,
                Evidence.event.in_(_ACTS),
                Evidence.list.in_(slugs),
            ).group_by(Evidence.event, Evidence.actor)
        ),
        looks=_counted(
            looks.where(Access.at >= since, Access.list.in_(slugs)).group_by(
                Access.act, Access.actor
            )
        ),
        sessions=_sessions(),
        doors=(*_tokens(), *_webhooks(mailing_list)),
        wrong_logins=_wrong_logins(),
    )


def emails() -> dict[str, str]:
    """Return the address of each user by the name that evidence has for them."""
    return {f"user:{one.id}": one.email for one in User.select()}


def _last(table: Any) -> Any:
    return fn.MAX(table.at).alias("last_at")


def _counted(rows: Any) -> tuple[Trace, ...]:
    found = [
        Trace(what=what, actor=actor, times=times, last_at=read_moment(last))
        for what, actor, times, last in rows.tuples()
    ]
    return tuple(sorted(found, key=lambda one: one.last_at, reverse=True))


def _sessions() -> tuple[OpenSession, ...]:
    rows = Session.select().where(Session.ended_at.is_null(), Session.is_full == True)  # noqa: E712  a column
    return tuple(
        OpenSession(
            user=row.user_id,
            began_at=row.created_at,
            seen_at=row.seen_at,
            network=row.network,
            browser=row.browser,
        )
        for row in rows.order_by(Session.seen_at.desc())
    )


def _tokens() -> Iterable[Door]:
    for row in list(ApiToken.select().where(ApiToken.revoked_at.is_null()).order_by(ApiToken.id)):
        yield Door(kind="token", name=row.name, used_at=row.used_at)


def _webhooks(mailing_list: MailingList) -> Iterable[Door]:
    own = (Webhook.list == mailing_list) | Webhook.list.is_null()
    for row in list(Webhook.select().where(own, Webhook.removed_at.is_null()).order_by(Webhook.id)):
        yield Door(kind="webhook", name=urlsplit(row.url).hostname or "", used_at=None)


def _wrong_logins() -> tuple[tuple[str, int], ...]:
    rows = Throttle.select().where(Throttle.scope.startswith(_NETWORK), Throttle.failures > 0)
    return tuple(
        (row.scope.removeprefix(_NETWORK), row.failures)
        for row in rows.order_by(Throttle.failures.desc())
    )
