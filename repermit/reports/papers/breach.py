"""What a breach may have disclosed, and by when to report it (GDPR art. 33, 34): the facts.

May import messages, models and this package. Nothing here writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from repermit import messages
from repermit.models import User
from repermit.reports.papers.held import Held, held, held_parts
from repermit.reports.papers.measures import Measure, measures
from repermit.reports.papers.traces import Traces, traces

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import MailingList

HOURS = timedelta(hours=72)
"""How long there is to notify the authority after becoming aware (GDPR art. 33(1)).

Counted to the minute: Regulation 1182/71 art. 3 leaves out the hour that has begun, so that this is
never later than the law.
"""

_DUTCH = "autoriteitpersoonsgegevens"
_DUTCH_PAGE = (
    "https://www.autoriteitpersoonsgegevens.nl/themas/beveiliging/datalekken/zo-meldt-u-een-datalek"
)


@dataclass(frozen=True, kw_only=True)
class Breach:
    """What may have leaked of how many, and whom to tell until when.

    `discovered_at` and `notify_by` are None as long as nobody has said when it was discovered.
    `parts` counts what is held of the evidence by kind; `fields` are the data that stand in it.
    `message` is a draft in the list's language.
    """

    list: str
    name: str
    sensitive: bool
    language: str
    made_at: datetime
    discovered_at: datetime | None
    notify_by: datetime | None
    people: int
    held: Held
    parts: Mapping[str, int]
    fields: tuple[str, ...]
    users: int
    controller: Mapping[str, str]
    authority_page: str
    is_dutch: bool
    measures: tuple[Measure, ...]
    traces: Traces
    message: str


def breach_of(
    mailing_list: MailingList, *, settings: Settings, now: datetime, discovered: datetime | None
) -> Breach:
    """Return what a breach of everything that is held about a list would mean."""
    kept, organisation = held(mailing_list), settings.organisation
    fields = _fields(kept)
    is_dutch = _DUTCH in organisation.authority_url.lower()
    return Breach(
        list=mailing_list.slug,
        name=mailing_list.name,
        sensitive=mailing_list.sensitive,
        language=mailing_list.language,
        made_at=now,
        discovered_at=discovered,
        notify_by=discovered + HOURS if discovered else None,
        people=kept.addresses + kept.only_in_files,
        held=kept,
        parts=held_parts(mailing_list),
        fields=fields,
        users=User.select().count(),
        controller=dict(vars(organisation)),
        authority_page=_DUTCH_PAGE if is_dutch else organisation.authority_url,
        is_dutch=is_dutch,
        measures=measures(mailing_list, settings),
        traces=traces(mailing_list, now=now),
        message=messages.breach_message(
            organisation=organisation,
            list_name=mailing_list.name,
            data=fields,
            language=mailing_list.language,
            sensitive=mailing_list.sensitive,
        ),
    )


def _fields(kept: Held) -> tuple[str, ...]:
    """Return the data that are held of anybody, by the names that the message knows them by."""
    counts = {
        "address": kept.addresses + kept.files,
        "name": kept.names,
        "language": kept.languages,
        "source": kept.sources,
        "answer": sum(kept.statuses.values()),
        "network": kept.traces + kept.ip_addresses,
    }
    return tuple(name for name, count in counts.items() if count)
