"""What came of a campaign that has closed, as the mail to the admin tells it.

It travels in the topic of a mail that is owed, so that every attempt at that mail says the same.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qs, urlencode

_KIND = "closing"
_DIGESTS = ("hash", "root")


@dataclass(frozen=True, kw_only=True)
class ClosingNews:
    """How many people there were and what became of them, and the evidence's checkpoint then.

    `asked` is the sum of the next five: `others` were taken off for another reason than their No
    or silence, or were confirmed otherwise. `seq`, `hash` and `root` (hex) are the checkpoint.
    """

    asked: int
    yes: int
    no: int
    no_response: int
    others: int
    unasked: int
    seq: int
    hash: str
    root: str

    @property
    def topic(self) -> str:
        """Return the news as the topic of a mail, of 255 characters at most."""
        # A digest in 43 signs instead of 64, so that there is room for the rest.
        told = {
            one.name: _short(getattr(self, one.name))
            if one.name in _DIGESTS
            else getattr(self, one.name)
            for one in fields(self)
        }
        return f"{_KIND}?{urlencode(told)}"


def read_closing(topic: str) -> ClosingNews | None:
    """Return the news that a mail's topic holds; None if it is about something else."""
    kind, _, told = topic.partition("?")
    if kind != _KIND:
        return None
    found = {name: values[0] for name, values in parse_qs(told).items()}
    values: dict[str, Any] = {
        name: _long(text) if name in _DIGESTS else int(text) for name, text in found.items()
    }
    return ClosingNews(**values)


def _short(digest: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(digest)).decode().rstrip("=")


def _long(text: str) -> str:
    return base64.urlsafe_b64decode(f"{text}=").hex()
