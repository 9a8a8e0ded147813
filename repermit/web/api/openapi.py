"""The description of the API (OpenAPI 3.1).

Tests hold it against the routes and against what they answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import repermit
from repermit.evidence.consent_receipt import REPRESENTATIVE
from repermit.rules.consent import Basis, CampaignState, MailKind, MailState, Reason, Status
from repermit.web.api.problems import PREFIX
from repermit.webhooks.events import SELF

# --- The values that the API tells, as JSON schemas made from the words of the code. --------------


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


# --- The description of the API (OpenAPI 3.1). ----------------------------------------------------


def document(public_url: str) -> Schema:
    """Return the description for the installation at this URL."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "repermit",
            "version": repermit.__version__,
            "description": _ABOUT,
        },
        "servers": [{"url": public_url + PREFIX}],
        "security": [{"bearer": []}],
        "paths": _paths(),
        "webhooks": {"news": {"post": _WEBHOOK}},
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": SCHEMAS,
        },
    }


_ABOUT = (
    "Reads what repermit knows: lists, how a campaign stands, one contact, answers and removals. "
    "A token (rp_…) is made on the admin's pages, for one or more of the scopes read:status, "
    "read:contacts and read:answers. Times are RFC 3339 in UTC. What goes wrong is told in the "
    "form of RFC 9457. Every look at a person's data is logged."
)


def _paths() -> Schema:
    slug = parameter("slug", SLUG_TEXT, "What the list is called", place="path")
    return {
        "/openapi.json": {"get": _OPENAPI},
        "/lists": {"get": _LISTS},
        "/lists/{slug}/status": {"parameters": [slug], "get": _STATUS},
        "/lists/{slug}/contact": {"parameters": [slug], "post": _CONTACT},
        "/answers": {"get": _ANSWERS},
    }


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _responses(answer: Schema, *codes: int) -> Schema:
    problem = {"application/problem+json": {"schema": ref("Problem")}}
    declined = {str(code): {"description": _CODES[code], "content": problem} for code in codes}
    return {"200": {"description": "Done", "content": _json(answer)}, **declined}


def _operation(name: str, summary: str, answer: Schema, *codes: int, scope: str) -> Schema:
    return {
        "operationId": name,
        "summary": summary,
        "description": f"Scope: {scope}",
        "responses": _responses(answer, 401, 403, 429, *codes),
    }


_CODES = {
    400: "The request makes no sense",
    401: "There is no token, or it is unknown or revoked",
    403: "The token is for another scope",
    404: "There is no such list",
    413: "The request is too long",
    415: "The request is no JSON",
    429: "Too many requests; Retry-After says how many seconds to wait",
}

_OPENAPI: Schema = {
    "operationId": "openapi",
    "summary": "This document",
    "security": [],
    "responses": _responses({"type": "object"}, 429),
}

_LISTS = _operation("lists", "All lists", ref("Lists"), scope="read:status")

_STATUS = _operation(
    "status",
    "How a list and its latest campaign stand, as `repermit status --json` prints it",
    ref("Status"),
    404,
    scope="read:status",
)

_CONTACT = {
    **_operation(
        "contact",
        "How one address stands; a POST, so that it stands in no log. Changes nothing",
        ref("Contact"),
        *(400, 404, 413, 415),
        scope="read:contacts",
    ),
    "requestBody": {"required": True, "content": _json(ref("Question"))},
}

_ANSWERS = {
    **_operation(
        "answers",
        "Answers and removals after a cursor. Go on with `next` as `since`: at once while `more` "
        "is true (a page may be empty all the same), else whenever you like",
        ref("Answers"),
        *(400, 404),
        scope="read:answers",
    ),
    "parameters": [
        parameter(
            "since",
            number(least=0, most=LARGEST_CURSOR, usual=0),
            "The cursor: what came after it",
        ),
        parameter(
            "limit", number(least=1, most=MOST_ENTRIES, usual=USUAL_ENTRIES), "How many at most"
        ),
        parameter("list", SLUG_TEXT, "Of this list alone"),
    ],
}

_WEBHOOK = {
    "summary": "What a webhook is sent, signed after the Standard Webhooks scheme",
    "requestBody": {"required": True, "content": _json(ref("Entry"))},
    "responses": {"2XX": {"description": "Taken"}, "410": {"description": "Send nothing more"}},
}
