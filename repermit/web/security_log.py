"""Noting what is refused on the pages and to programs, also in a GET."""

from __future__ import annotations

from functools import partial

from flask import request

from repermit.accounts import audit_log
from repermit.accounts.audit_log import SecurityEventKind
from repermit.web.client_address import mask_network
from repermit.web.database_connection import write_note
from repermit.web.request_context import get_arrival


def note_refusal(kind: SecurityEventKind, *, actor: str = "") -> None:
    """Note that this request was refused, unless the same was noted just now."""
    network, now = mask_network(request.remote_addr or ""), get_arrival()
    if audit_log.is_security_event_to_note(kind, actor=actor, network=network, now=now):
        write_note(
            partial(audit_log.note_security_event, kind, actor=actor, network=network, now=now)
        )
