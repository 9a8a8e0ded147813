"""Sealing anew what stands in the database under a seal, or should.

May import models, config and sealed_secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repermit.config import secret_names
from repermit.models import Chosen, User, Webhook
from repermit.sealed_secrets import Seal, totp_name, webhook_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from repermit.models import Database, Table

__all__ = ["Seal", "reseal"]


def reseal(database: Database, secret_keys: Sequence[bytes]) -> int:
    """Seal under the newest key what older ones have sealed, and what nothing has sealed yet.

    Returns how many secrets those were.
    """
    seal = Seal(secret_keys)
    resealed = 0
    with database.atomic():
        for row, key, column, name in _kept_secrets():
            kept: str = getattr(row, column.name)
            text = None if seal.is_newest(kept) else seal.open_kept(name, kept)
            if text is not None:
                # Unless somebody has put another in its place meanwhile.
                same = (key == getattr(row, key.name), column == kept)
                sealed = {column: seal.close(name, text)}
                resealed += type(row).update(sealed).where(*same).execute()
    return resealed


def _kept_secrets() -> Iterator[tuple[Table, Any, Any, str]]:
    """Yield each row with a secret, its key's and its secret's column, and the seal's name."""
    for chosen in list(Chosen.select().where(Chosen.key.in_(secret_names()))):
        yield chosen, Chosen.key, Chosen.value, chosen.key
    for user in list(User.select().where(User.totp_secret != "")):
        yield user, User.id, User.totp_secret, totp_name(user.id)
    for webhook in list(Webhook.select()):
        yield webhook, Webhook.id, Webhook.secret, webhook_name(webhook.id)
