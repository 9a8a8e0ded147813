"""The values that the API tells, as JSON schemas made from the words of the code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from repermit.receipts.states import REPRESENTATIVE
from repermit.rules.consent import Basis, CampaignState, MailKind, MailState, Reason, Status
from repermit.webhooks.events import SELF

Schema = dict[str, Any]

SLUG = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
"""What a list may be called."""

LARGEST_CURSOR = 2**53 - 1
"""The largest number that every JSON reader takes exactly (RFC 8259 §6)."""

MOST_ENTRIES = 1_000
USUAL_ENTRIES = 100
LONGEST_ADDRESS = 320


def ref(name: str) -> Schema:
    """Return a reference to one of the schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def parameter(name: str, schema: Schema, about: str, *, place: str = "query") -> Schema:
    """Return a parameter; one in the path has to be there."""
    needed = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, "description": about, "schema": schema, **needed}


def number(*, least: int, most: int, usual: int) -> Schema:
    """Return the schema of a whole number that may be left out."""
    return {"type": "integer", "minimum": least, "maximum": most, "default": usual}


def _object(properties: Schema) -> Schema:
    """Return the schema of an object that always has all of these."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _one_of(words: Iterable[str], *, or_null: bool = False) -> Schema:
    """Return the schema of one word of these."""
    choices: list[str | None] = [*map(str, words)]
    if not or_null:
        return {"type": "string", "enum": choices}
    return {"type": ["string", "null"], "enum": [*choices, None]}


def _counts(words: Iterable[str]) -> Schema:
    """Return the schema of a count for each word, zeros included."""
    return _object({str(word): _COUNT for word in words})


_TEXT = {"type": "string"}
_HASH = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_COUNT = {"type": "integer", "minimum": 0}
_BOOL = {"type": "boolean"}
_MOMENT = {"type": "string", "format": "date-time"}
_MOMENT_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
SLUG_TEXT: Schema = {"type": "string", "pattern": f"^{SLUG}$"}

SCHEMAS: Schema = {
    "List": _object(
        {
            "slug": SLUG_TEXT,
            **dict.fromkeys(("name", "purpose", "frequency", "privacy_url"), _TEXT),
            **dict.fromkeys(("language", "sender"), _TEXT),
            "sensitive": _BOOL,
        }
    ),
    "Lists": _object({"lists": {"type": "array", "items": ref("List")}}),
    "Status": _object(
        {
            "list": SLUG_TEXT,
            "campaign": {"oneOf": [ref("Campaign"), {"type": "null"}]},
            "contacts": _counts(Status),
            "removed": _counts(Reason),
            "mails": _object({str(kind): _counts(MailState) for kind in MailKind}),
            "unasked": _COUNT,
            "held": _COUNT,
            "checkpoint": ref("Checkpoint"),
        }
    ),
    "Checkpoint": _object({"seq": _COUNT, "hash": _HASH, "root": _HASH}),
    "Campaign": _object(
        {
            "number": _COUNT,
            "state": _one_of(CampaignState),
            "pause_reason": _TEXT,
            **dict.fromkeys(("deadline", "latest_ask", "launched_at", "starts_at"), _MOMENT),
            **dict.fromkeys(("opened_at", "closed_at", "reminder_at"), _MOMENT_OR_NULL),
            "asked": _COUNT,
            "languages": {"type": "array", "items": _TEXT},
            "pilot": _COUNT,
            "minimum_days": _COUNT,
            "include_thin": _BOOL,
            "downtime": {**_COUNT, "description": "Seconds"},
        }
    ),
    "Question": _object(
        {"address": {"type": "string", "minLength": 1, "maxLength": LONGEST_ADDRESS}}
    ),
    "Contact": _object(
        {
            "list": SLUG_TEXT,
            "address": {**_TEXT, "description": "As it was asked for"},
            "status": {
                **_one_of(Status, or_null=True),
                "description": "null: the list does not have this address",
            },
            "reason": _one_of(Reason, or_null=True),
            "basis": _one_of(Basis, or_null=True),
            "since": {**_MOMENT_OR_NULL, "description": "When it came to have this status"},
            "suppressed": {
                **_BOOL,
                "description": "It was removed, erased or opted out; never asked again",
            },
            "may_be_mailed": {
                **_BOOL,
                "description": "There is an opt-in, or the customer basis",
            },
        }
    ),
    "Answers": _object(
        {
            "entries": {"type": "array", "items": ref("Entry")},
            "next": {**_COUNT, "description": "The cursor to go on from"},
            "more": _BOOL,
        }
    ),
    "Entry": _object(
        {
            "type": _one_of(("answer.yes", "answer.no", "removed")),
            "timestamp": _MOMENT,
            "data": _object(
                {
                    "list": SLUG_TEXT,
                    "address": {
                        "type": ["string", "null"],
                        "description": "null: it was erased since",
                    },
                    "status": _one_of((Status.CONFIRMED, Status.REMOVED)),
                    "reason": _one_of(Reason, or_null=True),
                    "given_by": {
                        **_one_of((SELF, REPRESENTATIVE), or_null=True),
                        "description": "Who answered: the person, or the representative of "
                        "somebody under 16 or under guardianship; null: nobody did",
                    },
                    "seq": {**_COUNT, "description": "Rises with time"},
                }
            ),
        }
    ),
    "Problem": _object(
        {
            "type": _TEXT,
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
        }
    ),
}
"""The schemas by their names."""
