"""Posting to a timestamping authority or a witness that the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

import requests

LONGEST_PROBLEM = 200
"""How many signs of what went wrong are kept."""

_SECONDS = 15.0


def post(url: str, octets: bytes, *, headers: Mapping[str, str], most: int) -> tuple[int, bytes]:
    """Post octets; return the status and the reply, of which one octet more than `most` is read.

    Raises requests.RequestException.
    """
    with requests.Session() as session:
        # A proxy of the environment, or a login in a file of its user, is nobody's wish here.
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
            return response.status_code, response.raw.read(most + 1, decode_content=True)


def describe_failure(error: Exception) -> str:
    """Return what went wrong, cut to what is kept; of requests' own words the kind alone.

    All else that they say is the address.
    """
    told = type(error).__name__ if isinstance(error, requests.RequestException) else str(error)
    return told[:LONGEST_PROBLEM]
