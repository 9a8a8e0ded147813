"""The description of the API (OpenAPI 3.1).

Tests hold it against the routes and against what they answer.
"""

from __future__ import annotations

import repermit
from repermit.web.api.problems import PREFIX
from repermit.web.api.schemas import (
    LARGEST_CURSOR,
    MOST_ENTRIES,
    SCHEMAS,
    SLUG_TEXT,
    USUAL_ENTRIES,
    Schema,
    number,
    parameter,
    ref,
)


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
