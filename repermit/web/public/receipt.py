"""The receipt of an answer: its page, and the same as JSON to keep.

The link is the authority, and nothing is written.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from flask import Blueprint, Response

from repermit.answers import link_target
from repermit.answers.link_target import ContactState
from repermit.contacts import enqueue_receipt
from repermit.db.models.contacts import Contact
from repermit.evidence.consent_receipt import REPRESENTATIVE
from repermit.reports.data_recipients import describe_for_proofs
from repermit.web import error_pages
from repermit.web.public import page_text
from repermit.web.public.answer import (
    make_contact_fields,
    make_contact_reader,
    make_receipt_path,
    make_voice,
    show_gone,
)
from repermit.web.rendering import PageContext, render_page
from repermit.web.request_context import get_services

pages = Blueprint("receipt", __name__)


@pages.get("/receipt/<token:token>")
def show_receipt(token: str) -> Response:
    """Show the receipt of what somebody answered (ISO/IEC TS 27560:2023 §6.4)."""
    site = get_services()
    standing = link_target.find_contact_state(site.links.read("receipt", token))
    if standing is None or standing.is_gone:
        return show_gone(standing)
    made = _read_receipt(standing)
    if made is None:
        return error_pages.show_not_found()
    reader = make_contact_reader(standing)
    return render_page(
        "receipt.html",
        reader,
        **_make_receipt_fields(made, standing, reader),
        **make_contact_fields(standing, reader),
    )


@pages.get("/receipt/<token>/receipt.json")
def download_receipt(token: str) -> Response:
    """Send the receipt as a file."""
    standing = link_target.find_contact_state(get_services().links.read("receipt", token))
    made = None if standing is None or standing.is_gone else _read_receipt(standing)
    if made is None:
        return error_pages.show_not_found()
    text = json.dumps(made, ensure_ascii=False, indent=1) + "\n"
    response = Response(text, content_type="application/json; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename="receipt.json")
    return response


def _read_receipt(standing: ContactState) -> dict[str, Any] | None:
    site = get_services()
    contact = Contact.get(Contact.uid == standing.uid)
    register = describe_for_proofs(contact.list, settings=site.settings)
    return enqueue_receipt.make_receipt(
        contact, settings=site.settings, links=site.links, register=register
    )


def _make_receipt_fields(
    made: dict[str, Any], standing: ContactState, reader: PageContext
) -> dict[str, Any]:
    voice, record = make_voice(reader), made["consent_record"]
    notice = record["processing"]["privacy_notice"]
    path = make_receipt_path(standing)
    return {
        "number": made["header"]["receipt_id"],
        "events": [
            (
                voice.format_time(datetime.fromisoformat(event["event_time"])),
                page_text.describe_consent(
                    event["event_state"], voice, is_represented=event["entity_id"] == REPRESENTATIVE
                ),
            )
            for event in record["event"]
        ],
        "wordings": [notice[name] for name in ("mail", "page", "form") if name in notice],
        "checkpoint": made["checkpoint"],
        "json_url": f"{reader.settings.public_url}{path}/receipt.json",
    }
