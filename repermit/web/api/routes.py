"""The routes of the API, read-only: lists, status of a campaign, one contact, answers.

Nothing is written but the audit log.
"""

from __future__ import annotations

import json
import re
from typing import Any

from flask import Blueprint, Response, jsonify, request

from repermit import package_files
from repermit.campaigns import progress
from repermit.clock import format_timestamp
from repermit.contacts import lookup
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import NotFound
from repermit.web.api.authentication import for_everybody, record_access, require_scope
from repermit.web.api.problems import PREFIX, ApiError, make_error_problem
from repermit.web.request_context import get_arrival, get_services
from repermit.webhooks import events

api = Blueprint("api", __name__, url_prefix=PREFIX)
api.register_error_handler(ApiError, make_error_problem)

SLUG = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
"""The pattern of a list's slug."""

MAX_CURSOR = 2**53 - 1
"""The largest integer that every JSON parser reads exactly (RFC 8259 §6)."""

MAX_ENTRIES = 1_000
DEFAULT_ENTRIES = 100
MAX_ADDRESS_LENGTH = 320

_LIST_FIELDS = "slug name purpose frequency privacy_url language sender sensitive".split()


def make_openapi_document(public_url: str) -> dict[str, Any]:
    """Return the description of the API (OpenAPI 3.1) for the installation at this URL.

    It is `repermit/data/openapi.json`; tests compare it with the routes and their responses.
    """
    description = package_files.load_data("openapi.json")
    description["servers"] = [{"url": public_url + PREFIX}]
    return description


@api.get("/openapi.json")
@for_everybody
def openapi() -> Response:
    """Return the OpenAPI document."""
    return jsonify(make_openapi_document(get_services().settings.public_url))


@api.get("/lists")
@require_scope("read:status")
def lists() -> Response:
    """Return all lists."""
    rows = MailingList.select().order_by(MailingList.slug)
    return jsonify(lists=[{name: getattr(row, name) for name in _LIST_FIELDS} for row in rows])


@api.get("/lists/<slug>/status")
@require_scope("read:status")
def status(slug: str) -> Response:
    """Return the status of a list and its campaign, as `status --json` prints it."""
    campaign_status = progress.read_status(
        _find_list(slug), settings=get_services().settings, now=get_arrival()
    )
    return jsonify(campaign_status.to_json())


@api.post("/lists/<slug>/contact")
@require_scope("read:contacts")
def contact(slug: str) -> Response:
    """Return the status of one address; a POST, so that no web server logs the address."""
    mailing_list = _find_list(slug)
    address = _read_address()
    address_status = lookup.find_address_status(
        mailing_list, address, fingerprint_key=get_services().settings.fingerprint_key
    )
    record_access("contact", mailing_list=mailing_list, subject=address_status.subject)
    return jsonify(
        list=mailing_list.slug,
        address=address,
        status=address_status.status,
        reason=address_status.reason or None,
        basis=address_status.basis or None,
        since=format_timestamp(address_status.since) if address_status.since else None,
        suppressed=address_status.is_suppressed,
        may_be_mailed=address_status.may_be_mailed,
    )


@api.get("/answers")
@require_scope("read:answers")
def answers() -> Response:
    """Return answers and removals after a cursor, in the order of the evidence."""
    cursor = _read_number("since", default=0, minimum=0, maximum=MAX_CURSOR)
    limit = _read_number("limit", default=DEFAULT_ENTRIES, minimum=1, maximum=MAX_ENTRIES)
    slug = request.args.get("list")
    mailing_list = None if slug is None else _find_list(slug)
    batch = events.read_events(cursor, limit=limit, slug=mailing_list.slug if mailing_list else "")
    record_access("answers", mailing_list=mailing_list)
    return jsonify(
        entries=[event.to_json() for event in batch.events], next=batch.next, more=batch.more
    )


def _find_list(slug: str) -> MailingList:
    try:
        # No slug has another form, and a database does not accept every text.
        return find_list(slug if re.fullmatch(SLUG, slug) else "")
    except NotFound:
        raise ApiError(404, "There is no such list.") from None


def _read_number(name: str, *, default: int, minimum: int, maximum: int) -> int:
    text = request.args.get(name)
    if text is None:
        return default
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(maximum))
    if not is_number or not minimum <= int(text) <= maximum:
        raise ApiError(400, f"{name} is a whole number from {minimum} to {maximum}.")
    return int(text)


def _read_address() -> str:
    if request.mimetype != "application/json":
        raise ApiError(415, 'Send {"address": …} as application/json.')
    body = _parse_json(request.get_data())
    address = body.get("address") if isinstance(body, dict) and set(body) == {"address"} else None
    if not isinstance(address, str) or not 0 < len(address) <= MAX_ADDRESS_LENGTH:
        raise ApiError(400, 'Send {"address": "name@example.org"} and nothing else.')
    return address


def _parse_json(body: bytes) -> Any:
    """Parse a body as JSON; None if it is invalid, or nested too deeply for Python's stack."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
