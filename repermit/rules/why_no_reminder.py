"""Why a planned reminder was made for nobody, as `status` and the closing report say it."""

from __future__ import annotations

from datetime import datetime

from repermit.i18n.lazy_text import LazyText
from repermit.rules.consent import CampaignState


def explain_missing_reminder(
    *,
    state: CampaignState,
    reminder_at: datetime | None,
    deadline: datetime,
    made: int,
    now: datetime,
) -> LazyText | None:
    """Return the possible causes if the deadline passed without a planned reminder, or None.

    - `made`: how many reminders were made.
    """
    is_planned = reminder_at is not None and state is not CampaignState.CANCELLED
    if not is_planned or made or now < deadline:
        return None
    return LazyText(
        "No reminder was made: from its time until the deadline nobody was left to remind, the "
        "server was not running, or the campaign was paused."
    )
