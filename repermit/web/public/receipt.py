"""The receipt of an answer: its page, and its JSON for download.

The link is the authority, and nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, Response

from repermit.answers import link_target
from repermit.answers.link_target import ContactState
from repermit.contacts import enqueue_receipt
from repermit.db.models.contacts import Contact
from repermit.evidence.consent_receipt import (
    GIVEN,
    REFUSED,
    RENEWED,
    REPRESENTATIVE,
    WITHDRAWN,
    ConsentRecordInput,
)
from repermit.reports.data_recipients import describe_for_proofs
from repermit.rules.consent import Reason
from repermit.web import error_pages
from repermit.web.public import page_text
from repermit.web.public.answer import (
    make_contact_context,
    make_contact_fields,
    make_locale,
    make_receipt_path,
    show_gone,
)
from repermit.web.public.page_text import PageLocale
from repermit.web.rendering import PageContext, render_page
from repermit.web.request_context import get_services

pages = Blueprint("receipt", __name__)


@pages.get("/receipt/<token:token>")
def show_receipt(token: str) -> Response:
    """Show the receipt of an answer (ISO/IEC TS 27560:2023 §6.4)."""
    services = get_services()
    contact_state = link_target.find_contact_state(services.links.read("receipt", token))
    if contact_state is None or contact_state.is_gone:
        return show_gone(contact_state)
    record_input, receipt = _read_receipt(contact_state)
    if receipt is None:
        return error_pages.show_not_found()
    context = make_contact_context(contact_state)
    return render_page(
        "receipt.html",
        context,
        **_make_receipt_fields(receipt, record_input, contact_state, context),
        **make_contact_fields(contact_state, context),
    )


@pages.get("/receipt/<token>/receipt.json")
def download_receipt(token: str) -> Response:
    """Send the receipt as a JSON file."""
    contact_state = link_target.find_contact_state(get_services().links.read("receipt", token))
    receipt = (
        None if contact_state is None or contact_state.is_gone else _read_receipt(contact_state)[1]
    )
    if receipt is None:
        return error_pages.show_not_found()
    text = json.dumps(receipt, ensure_ascii=False, indent=1) + "\n"
    response = Response(text, content_type="application/json; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename="receipt.json")
    return response


def _read_receipt(
    contact_state: ContactState,
) -> tuple[ConsentRecordInput, dict[str, Any] | None]:
    """Return the input of a contact's consent record, and the receipt as `make_receipt` does."""
    services = get_services()
    contact = Contact.get(Contact.uid == contact_state.uid)
    register = describe_for_proofs(contact.list.slug, settings=services.settings)
    record_input = enqueue_receipt.read_consent_record_input(
        contact, settings=services.settings, register=register
    )
    receipt = enqueue_receipt.make_receipt(
        contact, record_input, settings=services.settings, links=services.links
    )
    return record_input, receipt


def _make_receipt_fields(
    receipt: dict[str, Any],
    record_input: ConsentRecordInput,
    contact_state: ContactState,
    context: PageContext,
) -> dict[str, Any]:
    locale, record = make_locale(context), receipt["consent_record"]
    reasons = _list_removal_reasons(record_input)
    notice = record["processing"]["privacy_notice"]
    path = make_receipt_path(contact_state)
    return {
        "number": receipt["header"]["receipt_id"],
        "events": list(_iter_event_texts(record["event"], reasons, locale)),
        "wordings": [notice[name] for name in ("mail", "page", "form") if name in notice],
        "checkpoint": receipt["checkpoint"],
        "json_url": f"{context.settings.public_url}{path}/receipt.json",
    }


def _list_removal_reasons(record_input: ConsentRecordInput) -> dict[str, str]:
    """Return the reasons of a contact's removals by the times of their events in the receipt."""
    return {
        entry.happened_at: entry.consent.get("reason", "")
        for entry in record_input.entries
        if entry.event == "removed"
    }


def _iter_event_texts(
    events: Iterable[Mapping[str, str]], reasons: Mapping[str, str], locale: PageLocale
) -> Iterator[tuple[str, str]]:
    """Yield the time and the text of each event, the oldest first.

    In the record a report as unwanted, or a request, counts as a No, and a customer withdraws
    without having said Yes.
    """
    has_said_yes = False
    for event in events:
        state, at = event["event_state"], event["event_time"]
        has_said_yes = has_said_yes or state in {GIVEN, RENEWED}
        is_without_no = reasons.get(at) in {Reason.COMPLAINT, Reason.REQUEST}
        is_without_yes = state == WITHDRAWN and not has_said_yes
        if state in {REFUSED, WITHDRAWN} and (is_without_no or is_without_yes):
            text = page_text.describe_removal(reasons[at], locale)
        else:
            is_represented = event["entity_id"] == REPRESENTATIVE
            text = page_text.describe_consent(state, locale, is_represented=is_represented)
        yield locale.format_past_time(datetime.fromisoformat(at)), text
