"""Timestamps over checkpoints: when one is owed, what was kept, and which of them a proof shows."""

from __future__ import annotations

import base64
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from repermit.clock import format_timestamp
from repermit.db.background_tasks import TaskKind, list_targets
from repermit.db.connection import Database
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import Campaign
from repermit.db.models.evidence import Evidence, EvidenceTimestamp
from repermit.errors import Refused
from repermit.evidence import signed_checkpoint
from repermit.evidence.entries import Checkpoint
from repermit.evidence.signed_checkpoint import read_stamped
from repermit.evidence.stored_tree import Paths
from repermit.rules.consent import CampaignState
from repermit.settings.definitions import Settings

# --- When one is owed. ----------------------------------------------------------------------------

# What is older than the installation's timestamps, or came with a restored database, is left alone.
_STILL_OWED = timedelta(days=7)
_RUNNING = (CampaignState.SENDING, CampaignState.PAUSED, CampaignState.OPEN)
_OWED = "timestamp "


def owe_timestamps(database: Database, *, settings: Settings, now: datetime) -> bool:
    """Owe a timestamp over the checkpoint of now if occasions have come; say whether any have.

    At launch, on each day while a campaign runs, at its deadline, and when it is closed or
    cancelled; in the week after that also on the day after each on which the record has grown, as
    by papers and exports. One serves all that have come at once. Nothing is owed twice, however
    many processes do this at once.
    """
    if not settings.evidence.timestamp_url:
        return False
    new = find_new_occasions(settings, now, prefix=_OWED)
    if not new:
        return False
    with database.atomic():
        claimed = {occasion for occasion, _ in claim_occasions(new, now, prefix=_OWED)}
        # Before one served several, each had a row and no key of `meta`.
        own = EvidenceTimestamp.occasion
        claimed -= {row.occasion for row in EvidenceTimestamp.select(own).where(own << claimed)}
        if not claimed:
            return False
        point = signed_checkpoint.take(settings)
        EvidenceTimestamp.create(
            occasion=min(claimed),
            due_at=now,
            next_at=now,
            seq=point.seq,
            note=signed_checkpoint.note_text(point, settings),
        )
        return True


def find_new_occasions(
    settings: Settings, now: datetime, *, prefix: str
) -> list[tuple[str, Campaign]]:
    """Return the occasions of the last days of which no key of `meta` with this prefix tells.

    On each a checkpoint is handed out. In their order, each with its campaign, a day with one of
    those that ran on it.
    """
    occasions = dict(_occasions(settings, now))
    keys = [f"{prefix}{occasion}" for occasion in occasions]
    done = {row.key for row in Meta.select(Meta.key).where(Meta.key.in_(keys))}
    return sorted(
        (item for item in occasions.items() if f"{prefix}{item[0]}" not in done),
        key=lambda item: item[0],
    )


def claim_occasions(
    occasions: Iterable[tuple[str, Campaign]], now: datetime, *, prefix: str
) -> list[tuple[str, Campaign]]:
    """Note occasions in `meta`, in the caller's transaction; return those that nobody else has."""
    return [one for one in occasions if claim(f"{prefix}{one[0]}", now)]


def claim(key: str, now: datetime) -> bool:
    """Note a key in `meta`, in the caller's transaction; say whether nobody else has."""
    made = Meta.insert(key=key, value=format_timestamp(now)).on_conflict_ignore()
    return bool(made.as_rowcount().execute())


def _occasions(settings: Settings, now: datetime) -> Iterator[tuple[str, Campaign]]:
    since = now - _STILL_OWED
    campaigns = Campaign.select().where(
        Campaign.state.in_(_RUNNING) | (Campaign.launched_at > since) | (Campaign.closed_at > since)
    )
    launching = list_targets(TaskKind.LAUNCH)
    for campaign in campaigns:
        # A launch is an entry only once all asks have been made.
        if since < campaign.launched_at <= now and campaign.id not in launching:
            yield f"launch {campaign.id}", campaign
        if campaign.state in _RUNNING:
            yield f"daily {now.astimezone(settings.zone).date()}", campaign
        is_cancelled = campaign.state == CampaignState.CANCELLED
        if since < campaign.deadline <= now and not is_cancelled:
            yield f"deadline {campaign.id} {campaign.deadline.isoformat()}", campaign
        if campaign.closed_at and since < campaign.closed_at <= now:
            yield f"closing {campaign.id}", campaign
            if day := _find_day_of_growth(campaign.closed_at, settings, now):
                yield f"after {day}", campaign


def _find_day_of_growth(since: datetime, settings: Settings, now: datetime) -> date | None:
    """Return the day of the newest entry if that was made after `since` and before today."""
    newest = Evidence.select(Evidence.at).order_by(Evidence.seq.desc()).first()
    if newest is None or newest.at <= since:
        return None
    day: date = newest.at.astimezone(settings.zone).date()
    return day if day < now.astimezone(settings.zone).date() else None


# --- What was kept. -------------------------------------------------------------------------------


def waiting() -> list[EvidenceTimestamp]:
    """Return the timestamps that are owed and have not come yet, the oldest first."""
    query = EvidenceTimestamp.select().where(EvidenceTimestamp.reply == "")
    return list(query.order_by(EvidenceTimestamp.id))


def kept() -> list[EvidenceTimestamp]:
    """Return the timestamps that have come, by the entry of their checkpoint, without texts."""
    model = EvidenceTimestamp
    query = model.select(model.id, model.seq, model.stamped_at).where(model.reply != "")
    return list(query.order_by(model.seq, model.id))


# --- Which of them a proof shows. -----------------------------------------------------------------


class Timestamps:
    """The timestamps that have come, for the proofs under one checkpoint."""

    def __init__(self, checkpoint: Checkpoint, paths: Paths) -> None:
        self._paths = paths
        # Of several over one checkpoint the first that came.
        self._numbers = {row.seq: row.id for row in reversed(kept()) if row.seq <= checkpoint.seq}
        self._seqs = sorted(self._numbers)
        self._show = cache(self._make)

    def of(self, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return, for each entry of a proof, the first timestamp over a checkpoint that has it.

        Each is {"note": the text that is stamped, "path": how the proof's checkpoint goes on from
        that, "reply": the authority's reply (DER) in base64}, by its entry and none twice.
        """
        seqs = find_first_covering(self._seqs, entries)
        return [shown for seq in seqs if (shown := self._show(seq))]

    def _make(self, seq: int) -> dict[str, Any] | None:
        """Return what a proof shows of a timestamp, None if the record does not go on from it."""
        row = EvidenceTimestamp.get_by_id(self._numbers[seq])
        try:
            path = self._paths.from_earlier(read_stamped(row.note))
        except (Refused, ValueError):
            return None
        return {"note": row.note, "path": list(path), "reply": row.reply}


def find_first_covering(seqs: Sequence[int], entries: Iterable[Mapping[str, Any]]) -> list[int]:
    """Return, for each entry, the first of some checkpoints that has it, none twice.

    - `seqs`: the numbers of the checkpoints' last entries, rising.
    """
    places = {bisect_left(seqs, one["entry"]["seq"]) for one in entries}
    return [seqs[place] for place in sorted(places) if place < len(seqs)]


def encode(reply: bytes) -> str:
    """Return an authority's reply as it is kept."""
    return base64.b64encode(reply).decode()


def decode(kept_reply: Any) -> bytes:
    """Return the octets of a reply; raises ValueError for what is no base64."""
    if not isinstance(kept_reply, str):
        raise ValueError("no text")  # noqa: TRY004  as for any other that is no reply
    octets = base64.b64decode(kept_reply, validate=True)
    if encode(octets) != kept_reply:
        raise ValueError("base64 in another form")
    return octets
