"""Whether anybody was asked or reminded after they had been taken off.

May import models and this room's faults and entry times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peewee import Value, fn

from repermit.evidence.entry_times import BEHIND, tolerance
from repermit.evidence.faults import Fault, How
from repermit.models import Contact, Evidence, Mail, MailingList, read_moment, streamed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_KINDS = ("ask", "reminder")
_STANDINGS = (
    "confirmed",
    "customer",
    "added",
    "removed",
    "import_undone",
    "sign_up_undone",
)


def asks_after_removal() -> Iterator[Fault]:
    """Yield the removals after which an ask or a reminder of the same person left.

    Their own later Yes or sign-up, or taking back the file that had taken them off, ends a removal.
    A mail may begin while an answer waits for its turn: see `tolerance`.
    """
    for number, subject, slug, began, sent in list(streamed(_suspects())):
        # When it began decides: the server may take its time.
        moment = read_moment(began or sent)
        latest = max(moment, read_moment(sent) - BEHIND) if sent else moment
        removal = _standing(subject, slug, latest)
        if (
            removal
            and removal.event == "removed"
            and latest > removal.at + tolerance(removal.actor)
        ):
            yield Fault(removal.seq, How.ASKED_AFTER_REMOVAL, f"mail {number}")


def _suspects() -> Any:
    """Return the mails that left after some removal of the same person, as far as that is quick."""
    removed: Any = Evidence.select(Value(1)).where(
        Evidence.subject == Contact.subject,
        Evidence.event == "removed",
        Evidence.at < fn.COALESCE(Mail.sent_at, Mail.started_at),
    )
    return (
        Mail.select(Mail.id, Contact.subject, MailingList.slug, Mail.started_at, Mail.sent_at)
        .join(Contact, on=(Contact.id == Mail.contact))
        .join(MailingList, on=(MailingList.id == Contact.list))
        .where(
            Mail.kind.in_(_KINDS),
            Mail.started_at.is_null(is_null=False) | Mail.sent_at.is_null(is_null=False),
            fn.EXISTS(removed),
        )
        .order_by(Mail.id)
    )


def _standing(subject: str, slug: str, moment: datetime) -> Evidence | None:
    """Return the newest entry by then that says where somebody stands on a list."""
    found: Evidence | None = (
        Evidence.select()
        .where(
            Evidence.subject == subject,
            Evidence.list == slug,
            Evidence.event.in_(_STANDINGS),
            Evidence.at <= moment,
        )
        .order_by(Evidence.seq.desc())
        .first()
    )
    return found
