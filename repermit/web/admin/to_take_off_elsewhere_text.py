"""How many people are to be taken off in other tools once a campaign is over."""

from __future__ import annotations

from repermit.exports.handover_steps import PendingHandover
from repermit.web.admin.rendering import format_number, ngettext


def count_to_take_off(handover: PendingHandover) -> str:
    """Return the sentence of the campaign's page."""
    return ngettext(
        "%(staying)s staying, one to be taken off elsewhere.",
        "%(staying)s staying, %(count)s to be taken off elsewhere.",
        handover.removed,
        staying=format_number(handover.staying),
    )


def ask_to_hand_over(handover: PendingHandover) -> str:
    """Return the sentence of the overview."""
    return ngettext(
        "%(staying)s staying, one to be taken off elsewhere: hand over now.",
        "%(staying)s staying, %(count)s to be taken off elsewhere: hand over now.",
        handover.removed,
        staying=format_number(handover.staying),
    )
