"""The subjects that a campaign asks, fixed at launch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from repermit.db.connection import is_postgresql, proxy, stream_rows
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail


def read_asked_subjects(campaign_id: int) -> Iterator[str]:
    """Yield the subjects that have an ask of a campaign, sorted; needs a transaction."""
    order = Contact.subject.collate('"C"') if is_postgresql(proxy.obj) else Contact.subject
    query: Any = (
        Contact.select(Contact.subject)
        .join(Mail)
        .where(Mail.campaign == campaign_id, Mail.kind == "ask")
        .order_by(order)
    )
    for (subject,) in stream_rows(query):
        yield subject


def digest_subjects(subjects: Iterable[str]) -> str:
    """Return the SHA-256 that a launch's entry holds of its subjects, which must be sorted."""
    digest = hashlib.sha256()
    for subject in subjects:
        digest.update(f"{subject}\n".encode())
    return digest.hexdigest()
