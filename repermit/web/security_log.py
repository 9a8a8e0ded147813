"""Noting what is refused on the pages and to programs, also in a GET.

May import accounts and Flask.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from flask import request

from repermit import accounts
from repermit.web.client_address import network_in_part
from repermit.web.connection import note_beside
from repermit.web.site import arrival

if TYPE_CHECKING:
    from repermit.accounts import SecurityEventKind


def note_refusal(kind: SecurityEventKind, *, actor: str = "") -> None:
    """Note that this request was refused, unless the same was noted just now."""
    network, now = network_in_part(request.remote_addr or ""), arrival()
    if accounts.is_security_event_to_note(kind, actor=actor, network=network, now=now):
        note_beside(
            partial(accounts.note_security_event, kind, actor=actor, network=network, now=now)
        )
