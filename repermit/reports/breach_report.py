"""The breach report: what may have leaked, where to look, and by when to notify (GDPR art. 33)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from peewee import fn

from repermit.db.models.accounts import Access, ApiToken, Session, Throttle, User
from repermit.db.models.base import parse_timestamp
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.webhooks import Webhook
from repermit.emails import template_engine
from repermit.reports.held_data import HeldDataCounts, count_held_data, count_held_parts
from repermit.reports.security_measures import Measure, list_measures
from repermit.settings.definitions import Organisation, Settings

# --- Traces: where to look after a breach. --------------------------------------------------------


LOOK_BACK = timedelta(days=90)
"""How far back traces are gathered."""

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
"""The acts that give access to data, hand them out, or redirect mail."""

_NETWORK = "network:"


@dataclass(frozen=True, kw_only=True)
class Trace:
    """An act or an access, with who did it and how often; `last_at` is aware UTC."""

    what: str
    actor: str
    times: int
    last_at: datetime


@dataclass(frozen=True, kw_only=True)
class OpenSession:
    """A session that has not ended, with its truncated network and its browser."""

    user: int
    began_at: datetime
    seen_at: datetime
    network: str
    browser: str


@dataclass(frozen=True, kw_only=True)
class AccessPoint:
    """A token or webhook, through which a program gets data."""

    kind: str
    name: str
    used_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Traces:
    """The traces to look at after a breach; `wrong_logins` are those of the last day by network."""

    since: datetime
    acts: tuple[Trace, ...]
    looks: tuple[Trace, ...]
    sessions: tuple[OpenSession, ...]
    doors: tuple[AccessPoint, ...]
    wrong_logins: tuple[tuple[str, int], ...]


def gather_traces(mailing_list: MailingList, *, now: datetime) -> Traces:
    """Return the traces about a list, and about no list in particular."""
    since, slugs = now - LOOK_BACK, ("", mailing_list.slug)
    acts = Evidence.select(
        Evidence.event, Evidence.actor, fn.COUNT(Evidence.seq), _make_last_column(Evidence)
    )
    looks = Access.select(Access.act, Access.actor, fn.COUNT(Access.id), _make_last_column(Access))
    return Traces(
        since=since,
        acts=_read_traces(
            # Acts have no subject, so the index by subject finds them among a million answers.
            acts.where(
                Evidence.subject == "",
                Evidence.at >= since,
                Evidence.event.in_(_ACTS),
                Evidence.list.in_(slugs),
            ).group_by(Evidence.event, Evidence.actor)
        ),
        looks=_read_traces(
            looks.where(Access.at >= since, Access.list.in_(slugs)).group_by(
                Access.act, Access.actor
            )
        ),
        sessions=_list_sessions(),
        doors=(*_iter_tokens(), *_iter_webhooks(mailing_list)),
        wrong_logins=_count_wrong_logins(),
    )


def read_user_emails() -> dict[str, str]:
    """Return the address of each user, by the user's actor name in the evidence."""
    return {f"user:{user.id}": user.email for user in User.select()}


def _make_last_column(table: Any) -> Any:
    return fn.MAX(table.at).alias("last_at")


def _read_traces(rows: Any) -> tuple[Trace, ...]:
    traces = [
        Trace(what=act, actor=actor, times=times, last_at=parse_timestamp(last))
        for act, actor, times, last in rows.tuples()
    ]
    return tuple(sorted(traces, key=lambda trace: trace.last_at, reverse=True))


def _list_sessions() -> tuple[OpenSession, ...]:
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


def _iter_tokens() -> Iterable[AccessPoint]:
    for row in list(ApiToken.select().where(ApiToken.revoked_at.is_null()).order_by(ApiToken.id)):
        yield AccessPoint(kind="token", name=row.name, used_at=row.used_at)


def _iter_webhooks(mailing_list: MailingList) -> Iterable[AccessPoint]:
    own = (Webhook.list == mailing_list) | Webhook.list.is_null()
    for row in list(Webhook.select().where(own, Webhook.removed_at.is_null()).order_by(Webhook.id)):
        yield AccessPoint(kind="webhook", name=urlsplit(row.url).hostname or "", used_at=None)


def _count_wrong_logins() -> tuple[tuple[str, int], ...]:
    rows = Throttle.select().where(Throttle.scope.startswith(_NETWORK), Throttle.failures > 0)
    return tuple(
        (row.scope.removeprefix(_NETWORK), row.failures)
        for row in rows.order_by(Throttle.failures.desc())
    )


# --- The data that a breach may have disclosed, and the time to notify (GDPR art. 33, 34). --------


NOTIFY_WITHIN = timedelta(hours=72)
"""The time for notifying the authority after becoming aware of a breach (GDPR art. 33(1)).

Counted to the minute: Regulation 1182/71 art. 3 does not count the hour of the event itself, so
this is never later than the law.
"""

CONTAINED_AFTER, ASSESSED_AFTER = timedelta(hours=4), timedelta(hours=24)
"""The time in which to stop a breach, and to find out what has leaked."""

_DUTCH = "autoriteitpersoonsgegevens"
_DUTCH_PAGE = (
    "https://www.autoriteitpersoonsgegevens.nl/themas/beveiliging/datalekken/zo-meldt-u-een-datalek"
)


@dataclass(frozen=True, kw_only=True)
class BreachReport:
    """The data that may have leaked, about how many people, and who has to be told by when.

    - `discovered_at`, `notify_by`: None unless the time of discovery is known.
    - `parts`: stored parts of the evidence, by kind.
    - `fields`: the names of the data fields that are stored about anybody.
    - `message`: a draft for the people concerned, in the list's language.
    """

    list: str
    name: str
    sensitive: bool
    language: str
    made_at: datetime
    discovered_at: datetime | None
    notify_by: datetime | None
    people: int
    held: HeldDataCounts
    parts: Mapping[str, int]
    fields: tuple[str, ...]
    users: int
    controller: Mapping[str, str]
    authority_page: str
    is_dutch: bool
    measures: tuple[Measure, ...]
    traces: Traces
    message: str

    @property
    def contain_by(self) -> datetime | None:
        """Return the time by which the breach should be stopped."""
        return self.discovered_at + CONTAINED_AFTER if self.discovered_at else None

    @property
    def assess_by(self) -> datetime | None:
        """Return the time by which it should be known what has leaked."""
        return self.discovered_at + ASSESSED_AFTER if self.discovered_at else None


def gather_breach_report(
    mailing_list: MailingList, *, settings: Settings, now: datetime, discovered: datetime | None
) -> BreachReport:
    """Return the report of a breach in which all data of a list leaked."""
    held_counts, organisation = count_held_data(mailing_list), settings.organisation
    fields = _list_fields(held_counts)
    is_dutch = _DUTCH in organisation.authority_url.lower()
    return BreachReport(
        list=mailing_list.slug,
        name=mailing_list.name,
        sensitive=mailing_list.sensitive,
        language=mailing_list.language,
        made_at=now,
        discovered_at=discovered,
        notify_by=discovered + NOTIFY_WITHIN if discovered else None,
        people=held_counts.addresses + held_counts.only_in_files,
        held=held_counts,
        parts=count_held_parts(mailing_list),
        fields=fields,
        users=User.select().count(),
        controller=dict(vars(organisation)),
        authority_page=_DUTCH_PAGE if is_dutch else organisation.authority_url,
        is_dutch=is_dutch,
        measures=list_measures(mailing_list, settings),
        traces=gather_traces(mailing_list, now=now),
        message=draft_breach_mail(
            organisation=organisation,
            list_name=mailing_list.name,
            data=fields,
            language=mailing_list.language,
            sensitive=mailing_list.sensitive,
        ),
    )


def _list_fields(held_counts: HeldDataCounts) -> tuple[str, ...]:
    """Return the data fields that are stored about anybody, by their names in the draft mail."""
    counts = {
        "address": held_counts.addresses + held_counts.files,
        "name": held_counts.names,
        "language": held_counts.languages,
        "source": held_counts.sources,
        "answer": sum(held_counts.statuses.values()),
        "network": held_counts.traces + held_counts.ip_addresses,
    }
    return tuple(name for name, count in counts.items() if count)


# --- A draft of the mail to people whose data may have leaked (GDPR art. 34). ---------------------


def draft_breach_mail(
    *,
    organisation: Organisation,
    list_name: str,
    data: Sequence[str],
    language: str,
    sensitive: bool,
) -> str:
    """Return the draft, in plain words (GDPR art. 34(2)).

    - `data`: the fields that may have leaked, of "address", "name", "language", "source",
      "answer" and "network".
    - `sensitive`: if set, the subject does not mention the list.
    """
    fields = {
        "organisation": organisation,
        "list_name": list_name,
        "data": data,
        "sensitive": sensitive,
    }
    return template_engine.render("breach_mail_to_people.txt", fields, language=language).strip()
