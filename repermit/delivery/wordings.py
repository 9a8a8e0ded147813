"""Which of a campaign's frozen wordings a mail is made from.

May import models and what lies below; changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.models import CampaignWording

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from repermit.delivery.owed import Owed, Terms


def wordings_of(owed: Iterable[Owed], terms: Mapping[int, Terms]) -> dict[int, int | None]:
    """Return the wording of each mail that nobody has asked for, by its number; None if it lacks.

    In the contact's language, else the list's, else any, the newest revision. A mail that has been
    tried keeps its own, so that every attempt is the same mail.
    """
    newest = _newest(terms)
    chosen: dict[int, int | None] = {}
    for one in owed:
        if not one.is_asking:
            continue
        if one.started_at is not None and one.wording_id is not None:
            chosen[one.id] = one.wording_id
            continue
        group = (one.campaign_id or 0, one.kind)
        by_language = newest.get(group, {})
        chosen[one.id] = by_language.get(one.language) or _otherwise(
            by_language, terms[one.campaign_id or 0].language
        )
    return chosen


def _otherwise(by_language: Mapping[str | None, int], usual: str) -> int | None:
    return by_language.get(usual) or next(iter(by_language.values()), None)


def _newest(campaigns: Iterable[int]) -> dict[tuple[int, str], dict[str | None, int]]:
    """Return the newest wordings by campaign and kind, and then by language."""
    found: dict[tuple[int, str], dict[str | None, int]] = {}
    query = (
        CampaignWording.select()
        .where(CampaignWording.campaign.in_(list(campaigns)))
        .order_by(CampaignWording.revision, CampaignWording.id)
    )
    for row in query:
        found.setdefault((row.campaign_id, row.kind), {})[row.language] = row.id
    return found
