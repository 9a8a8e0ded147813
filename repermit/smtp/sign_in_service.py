"""The way to a sign-in service, for secrets: who answers is checked, and nothing is followed.

What a service says is read and nowhere kept.
"""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from repermit.errors import TransportError
from repermit.i18n.lazy_text import Said
from repermit.smtp.tls import checking_context

_SECONDS = 30
_LONGEST = 1_000_000

# RFC 6749 §5.1 and §5.2, and the numbers that Microsoft gives its refusals.
_WANTED = ("access_token", "expires_in", "refresh_token", "token_type", "error", "error_codes")


class Answer:
    """An answer in the shape that msal asks of its HTTP client."""

    def __init__(self, status_code: int, document: Mapping[str, Any]) -> None:
        self.status_code = status_code
        self.document = document
        self.headers: dict[str, str] = {}

    @property
    def text(self) -> str:
        """Return the document as it could have come."""
        return json.dumps(self.document)

    def raise_for_status(self) -> None:
        """Do nothing: what no use can be made of has been refused before."""


class SignInService:
    """The service at an address; also the HTTP client that msal takes in place of its own.

    msal's own would trust other authorities than this machine does, and msal writes an answer
    that it cannot read, with whatever it holds, to the log. Every fault is a TransportError.
    """

    def __init__(self, address: str, *, ca_file: str) -> None:
        self._address = address
        self._ca_file = ca_file

    def get(self, url: str, headers: Mapping[str, str] | None = None, **_: object) -> Answer:
        """Ask what msal wants to know of a tenant before its first token."""
        # Where it may lead is seen to on the way.
        asking = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310
        status, document = self._ask(asking)
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise self.fault(Said("does not know oauth_tenant"), status="5.7.8")
        return Answer(status, document)

    def post(
        self,
        url: str,
        data: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> Answer:
        """Ask for a token. Of the answer only what is needed for it remains.

        What else Microsoft sends tells who somebody is, and msal would log it if it was odd.
        """
        body = urlencode(data).encode()
        asking = urllib.request.Request(url, body, dict(headers or {}))  # noqa: S310
        status, document = self._ask(asking)
        return Answer(status, {key: document[key] for key in _WANTED if key in document})

    def close(self) -> None:
        """Do nothing: each request has a connection of its own."""

    def fault(self, what: Said, *, status: str = "") -> TransportError:
        """Return a fault of the service in words of ours; `status` as in RFC 4954 §6."""
        host = urlsplit(self._address).hostname
        reason = Said("the sign-in service %(host)s %(what)s", host=host or "", what=what)
        return TransportError(0, status, reason=reason)

    def unreadable(self) -> TransportError:
        """Return the fault of an answer that is none."""
        return self.fault(Said("gives no answer that can be read"))

    def _ask(self, asking: urllib.request.Request) -> tuple[int, dict[str, Any]]:
        try:
            with self._way_to(asking).open(asking, timeout=_SECONDS) as response:
                status, content = response.status, response.read(_LONGEST)
        except (OSError, http.client.HTTPException):
            raise self.fault(Said("cannot be reached")) from None
        if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            raise self.fault(Said("is out of order (HTTP %(status)s)", status=str(status)))
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            raise self.unreadable() from None
        if not isinstance(document, dict):
            raise self.unreadable()
        return status, document

    def _way_to(self, asking: urllib.request.Request) -> urllib.request.OpenerDirector:
        """Return a way that the secrets of a request may take."""
        if asking.type == "https":
            checking = urllib.request.HTTPSHandler(context=checking_context(self._ca_file))
            return _opener(checking)
        # What a service names as its other addresses is not to lead out of https.
        if not asking.full_url.startswith(self._address):
            raise self.unreadable()
        # Without TLS it is this very machine (the settings see to it), and no proxy is asked.
        return _opener(urllib.request.ProxyHandler({}))


class _AsItComes(urllib.request.HTTPErrorProcessor):
    """Hands over every answer; a redirect is not followed, since what follows holds secrets."""

    def http_response(
        self, request: urllib.request.Request, response: http.client.HTTPResponse
    ) -> http.client.HTTPResponse:
        del request
        return response

    https_response = http_response


def _opener(handler: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(handler, _AsItComes)
