"""Choosing the frozen wording that a mail is composed from, by language and revision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from repermit.db.connection import Database, run_sql
from repermit.sending.expired_or_unwanted_mail import CampaignTerms
from repermit.sending.queued_mail import QueuedMail


def choose_wordings(
    database: Database, mails: Iterable[QueuedMail], terms: Mapping[int, CampaignTerms]
) -> dict[int, int | None]:
    """Return the wording id of each ask and reminder by mail number, None if there is none.

    The newest revision in the contact's language, else the list's, else any. A mail that was
    started before keeps its wording, so that every attempt is the same mail.
    """
    newest = _read_newest_wordings(database, terms)
    chosen: dict[int, int | None] = {}
    for mail in mails:
        if not mail.is_asking:
            continue
        if mail.started_at is not None and mail.wording_id is not None:
            chosen[mail.id] = mail.wording_id
            continue
        group = (mail.campaign_id or 0, mail.kind)
        by_language = newest.get(group, {})
        chosen[mail.id] = by_language.get(mail.language) or _choose_fallback(
            by_language, terms[mail.campaign_id or 0].language
        )
    return chosen


def _choose_fallback(by_language: Mapping[str | None, int], default_language: str) -> int | None:
    return by_language.get(default_language) or next(iter(by_language.values()), None)


def _read_newest_wordings(
    database: Database, campaigns: Iterable[int]
) -> dict[tuple[int, str], dict[str | None, int]]:
    """Return the newest wordings by campaign and kind, and then by language."""
    wordings: dict[tuple[int, str], dict[str | None, int]] = {}
    for campaign_id, kind, language, number in run_sql(
        database, _SELECT_WORDINGS.format(ids=", ".join(map(str, campaigns)) or "NULL")
    ):
        wordings.setdefault((campaign_id, kind), {})[language] = number
    return wordings


_SELECT_WORDINGS = """\
SELECT campaign_id, kind, language, id FROM campaign_wording
WHERE campaign_id IN ({ids}) ORDER BY revision, id"""
