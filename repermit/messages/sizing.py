"""How large a mail becomes in the worst case, and how large it may.

May import errors.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from repermit.errors import WordingError
from repermit.messages.composing import compose
from repermit.messages.values import AskValues
from repermit.saying import Said

if TYPE_CHECKING:
    from repermit.messages.draft import Draft

LARGEST = 102_000
"""Octets of a mail beyond which Gmail clips it, and Yes and No may be what it leaves out."""

# Letters of three octets, each of which takes nine in a mail.
_LETTER = "語"
_LONGEST_NAME = 70
_LONGEST_SOURCE = 300


def require_size(draft: Draft, *, link: str) -> None:
    """Return if an ask of this draft stays below `LARGEST`, also with the longest values.

    `link` is one as long as those in the mails. Raises WordingError, and AddressError if the
    sender or the organisation's address cannot be used.
    """
    octets = len(compose(draft, _longest_values(link)).raw)
    if octets > LARGEST:
        reason = Said(
            "the mail can grow to %(octets)s octets, with its text and its HTML, and Gmail cuts "
            "off what is beyond %(most)s: make it shorter",
            octets=octets,
            most=LARGEST,
        )
        raise WordingError((reason,))


def _longest_values(link: str) -> AskValues:
    long_ago = datetime(2009, 9, 30, 12, tzinfo=UTC)
    domain = ".".join(["d" * 60] * 3)
    return AskValues(
        address=f"{'l' * 64}@{domain}",
        name=_LETTER * _LONGEST_NAME,
        source=_LETTER * _LONGEST_SOURCE,
        since=long_ago,
        yes_url=link,
        no_url=link,
        me_url=link,
        list_label="l" * 63,
        message_id=f"<{'m' * 64}@{domain}>",
        return_path=f"{'r' * 64}@{domain}",
        date=long_ago,
    )
