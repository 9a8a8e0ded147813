"""The frozen wording of one campaign in one language, as it is stored and read back.

May import config. Its content is canonical JSON; its digest names it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from repermit.config import Organisation
from repermit.messages.values import ListWords, MailingListFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["ask", "reminder", "confirm", "receipt", "notice"]

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A mail's wording with marks (⟦yes_url⟧) where contacts differ; enough to make the mail.

    `phrases` are the variants of its sentences that depend on the contact, by name.
    `deadline` is aware UTC, None for a `confirm` or `receipt`.
    """

    kind: Kind
    language: str
    zone: str
    deadline: datetime | None
    organisation: Organisation
    mailing_list: MailingListFacts
    subject: str
    text: str
    html: str
    phrases: Mapping[str, str]

    @cached_property
    def content(self) -> str:
        """Return all of it as canonical JSON: sorted keys, no spaces, no escapes, UTF-8."""
        document = asdict(self) | {"format": _FORMAT, "phrases": dict(self.phrases)}
        document["deadline"] = self.deadline.isoformat() if self.deadline else None
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)

    @cached_property
    def digest(self) -> str:
        """Return SHA-256 of the content, 64 hexadecimal digits."""
        return hashlib.sha256(self.content.encode()).hexdigest()

    @property
    def zone_info(self) -> ZoneInfo:
        """Return the zone that its dates are written in."""
        return ZoneInfo(self.zone)


def read_draft(content: str) -> Draft:
    """Return the draft whose `content` this is.

    Raises ValueError if it was written in a format that this version does not know.
    """
    document: dict[str, Any] = json.loads(content)
    if document.pop("format", None) != _FORMAT:
        message = "a wording in a format that this version does not know"
        raise ValueError(message)
    deadline = document.pop("deadline")
    draft = Draft(
        organisation=Organisation(**document.pop("organisation")),
        mailing_list=_read_list(**document.pop("mailing_list")),
        deadline=datetime.fromisoformat(deadline) if deadline else None,
        **document,
    )
    # As it was stored, whatever has been added since, so that its digest stays the same.
    vars(draft)["content"] = content
    return draft


def _read_list(texts: list[dict[str, str]] | None = None, **facts: Any) -> MailingListFacts:
    """Return a list's facts; before it had `texts`, its own words stood in mails of all four."""
    about = MailingListFacts(**facts)
    if texts is None:
        own = (about.name, about.purpose, about.frequency, about.privacy_url)
        texts = [dict(zip(_WORDS, (one, *own), strict=True)) for one in _languages_before(about)]
    return replace(about, texts=tuple(ListWords(**one) for one in texts))


_WORDS = ("language", "name", "purpose", "frequency", "privacy_url")


def _languages_before(about: MailingListFacts) -> tuple[str, ...]:
    return tuple(dict.fromkeys((about.language, "nl", "en", "de", "fr")))
