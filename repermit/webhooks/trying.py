"""Trying a webhook: one signed message that tells of nobody.

May import evidence, models, clock, config and what lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit import evidence
from repermit.models import new_id, stored
from repermit.webhooks.keeping import SEALED, find, note_test, open_secret
from repermit.webhooks.line import Line, Reply
from repermit.webhooks.owing import slug_of
from repermit.webhooks.signing import signed_headers

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import Database


def test(
    database: Database, webhook_id: int, *, settings: Settings, now: datetime, actor: str
) -> Reply:
    """Post a message of type "test" at once and return what came of it; raises NotFound.

    It takes up to a line's time, so no transaction may be open.
    """
    webhook = find(webhook_id)
    note_test(database, webhook, now=now, actor=actor)
    secret = open_secret(webhook, settings)
    if secret is None:
        return Reply(code=0, problem=SEALED)
    told = {"type": "test", "timestamp": stored(now), "data": {"list": slug_of(webhook) or None}}
    body = evidence.canonical(told).encode()
    headers = signed_headers(secret, message_id=f"msg_{new_id()}", at=now, body=body)
    with Line(to_private=settings.web.webhooks_to_private) as line:
        return line.post(
            webhook.url, body=body, headers={"Content-Type": "application/json", **headers}
        )
