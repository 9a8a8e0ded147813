"""Errors of the API as problem details (RFC 9457).

They quote nothing of the request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Response, request

if TYPE_CHECKING:
    from werkzeug.exceptions import HTTPException

PREFIX = "/api/v1"

_SERVER_ERROR = 500


class ApiError(Exception):
    """A refused request, with its status and what to do about it."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}


def make_problem(status: int, detail: str, headers: Mapping[str, str]) -> Response:
    """Return the response with a problem."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    response = Response(
        json.dumps({**body, "detail": detail}),
        status=status,
        content_type="application/problem+json",
    )
    response.headers.update(headers)
    return response


def make_error_problem(error: ApiError) -> Response:
    """Return the problem of a refused request."""
    return make_problem(error.status, error.detail, error.headers)


def is_api_request() -> bool:
    """Return whether the request is for the API, existing or not."""
    return request.path == PREFIX or request.path.startswith(PREFIX + "/")


def make_http_problem(error: HTTPException | None = None) -> Response:
    """Return the problem of an HTTP error; without one, of an internal error."""
    code = (error.code if error else None) or _SERVER_ERROR
    allowed = (
        {name: value for name, value in error.get_headers() if name == "Allow"} if error else {}
    )
    return make_problem(
        code, _DETAILS.get(code, HTTPStatus(code).description or "It failed."), allowed
    )


_DETAILS = {
    404: f"The API has no such address; {PREFIX}/openapi.json lists them.",
    405: "This address does not take that method.",
    413: "That was too much.",
    503: "The database is busy or away, and nothing was changed; please try again later.",
    500: "Something went wrong on our side; please try again later.",
}
