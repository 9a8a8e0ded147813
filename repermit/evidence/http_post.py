"""Posting to a timestamping authority or a witness that the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

import requests

MAX_PROBLEM_LENGTH = 200
"""The number of characters of a failure that are stored."""

_SECONDS = 15.0


def post(
    url: str, octets: bytes, *, headers: Mapping[str, str], max_bytes: int
) -> tuple[int, bytes]:
    """Post bytes; return the status and the reply.

    - `max_bytes`: one byte more than this is read, so that the caller can tell a longer reply.
    - Raises requests.RequestException.
    """
    with requests.Session() as session:
        # A proxy of the environment, or a login in the user's files, is not wanted here.
        session.trust_env = False
        with closing(
            session.post(
                url,
                data=octets,
                headers={"User-Agent": "repermit", **headers},
                timeout=_SECONDS,
                allow_redirects=False,
                stream=True,
            )
        ) as response:
            return response.status_code, response.raw.read(max_bytes + 1, decode_content=True)


def describe_failure(error: Exception) -> str:
    """Return a failure as a text of limited length; for an error of requests, only its class.

    The rest of its text is the address.
    """
    reason = type(error).__name__ if isinstance(error, requests.RequestException) else str(error)
    return reason[:MAX_PROBLEM_LENGTH]
