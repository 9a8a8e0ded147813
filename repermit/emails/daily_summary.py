"""What a day has brought, as the admin's daily mail tells it.

It travels in the topic of a mail that is owed, so that every attempt at that mail says the same.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode

_KIND = "daily"


@dataclass(frozen=True, kw_only=True)
class DayNews:
    """How many said or were what since `since` (aware UTC), and how all of them stand now.

    `withdrawn` had said Yes before, or were customers; `others` were taken off for another reason
    than their own No: a bounce, a complaint, a request, or no answer.
    """

    since: datetime
    yes: int
    no: int
    withdrawn: int
    others: int
    asked: int
    all_yes: int
    all_no: int
    silent: int

    @property
    def removed(self) -> int:
        """Return how many were taken off."""
        return self.no + self.withdrawn + self.others

    @property
    def topic(self) -> str:
        """Return the news as the topic of a mail, of 200 characters at most."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        return f"{_KIND}?{urlencode({**told, 'since': int(self.since.timestamp())})}"


def read_news(topic: str) -> DayNews | None:
    """Return the news that a mail's topic holds; None if it is about something else."""
    kind, _, told = topic.partition("?")
    if kind != _KIND:
        return None
    found = {name: int(values[0]) for name, values in parse_qs(told).items()}
    since = datetime.fromtimestamp(found.pop("since"), UTC)
    return DayNews(since=since, **found)
