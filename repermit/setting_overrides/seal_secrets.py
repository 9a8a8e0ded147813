"""Sealing anew what stands in the database under a seal, or should."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from repermit.db.account_tables import User
from repermit.db.connection import Database
from repermit.db.setting_tables import Chosen
from repermit.db.tables import Table
from repermit.db.webhook_tables import Webhook
from repermit.sealed_secrets import Seal, totp_name, webhook_name
from repermit.settings.config_file import secret_names

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
