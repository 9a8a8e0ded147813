"""Who looked at whose data, kept for a while.

May import models and what lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.models import Access

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.models import MailingList


def note_access(
    *,
    now: datetime,
    actor: str,
    act: str,
    mailing_list: MailingList | None = None,
    subject: str = "",
) -> None:
    """Note that somebody looked at personal data, in the caller's transaction.

    `act` is one word such as "searched" or "exported"; `subject` is the contact's, "" for what is
    about many. It is no evidence entry: looking changes nothing, and it is not kept as long.
    """
    slug = mailing_list.slug if mailing_list else ""
    Access.insert(at=now, actor=actor, act=act, list=slug, subject=subject).execute()
