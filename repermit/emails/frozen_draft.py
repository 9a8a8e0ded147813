"""The frozen wording of one campaign in one language, as it is stored and read back.

Its content is canonical JSON; its digest names it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from repermit.emails.mail_types import ListWords, MailingListFacts
from repermit.settings.definitions import Organisation
from repermit.unicode_limits import replace_surrogates

# --- Marks: the placeholders in a frozen wording for each contact's values. -----------------------


_MARK = re.compile("⟦([a-z_]+)⟧")
_BRACKETS = str.maketrans("⟦⟧", "[]")
# Control characters (such as CR and LF), line and paragraph separators, and direction marks, with
# which a name could rearrange its sentence.
_UNPRINTED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def mark_field(field: str) -> str:
    """Return the mark of a field."""
    return f"⟦{field}⟧"


def strip_marks(text: str) -> str:
    """Return `text` without the brackets of marks, so that nothing in it is read as a mark."""
    return text.translate(_BRACKETS)


def to_one_line(text: str) -> str:
    """Return `text` on one line: no control characters, no runs of white space, no marks."""
    printed = replace_surrogates(_UNPRINTED.sub(" ", text))
    return strip_marks(" ".join(printed.split()))


def list_fields(template: str) -> list[str]:
    """Return the fields that have a mark in `template`, in order, with repetitions."""
    return _MARK.findall(template)


def fill_fields(template: str, values: Mapping[str, str]) -> str:
    """Return `template` with every mark replaced by its value.

    Marks inside a value stay text. Raises KeyError if a value is missing.
    """
    pieces = list(_split_template(template))
    pieces[1::2] = [values[field] for field in pieces[1::2]]
    return "".join(pieces)


@lru_cache(maxsize=128)
def _split_template(template: str) -> tuple[str, ...]:
    """Return literal, field, literal, field, …, literal."""
    return tuple(_MARK.split(template))


# --- The frozen wording of one campaign in one language, as it is stored and read back. -----------


Kind = Literal["ask", "reminder", "confirm", "receipt", "notice"]

_FORMAT = 1
_LATER_FACTS = ("asking_ground", "special_ground", "privacy_wordings")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A mail's frozen wording, with marks (⟦yes_url⟧) for each contact's values.

    - `phrases`: the variants of sentences that depend on the contact, and the deadline's texts, by
      name.
    - `deadline_places`: the positions of the deadline's texts, as in `replace_deadline`.
    - `deadline`: aware UTC; None for a `confirm` or `receipt`.
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
    deadline_places: str = ""

    @cached_property
    def content(self) -> str:
        """Return the draft as canonical JSON: sorted keys, no spaces, no escapes, UTF-8."""
        document = asdict(self) | {"format": _FORMAT, "phrases": dict(self.phrases)}
        facts = document["mailing_list"]
        # Empty values of fields added later are left out, so that older drafts keep their digest.
        document["mailing_list"] = {
            name: value for name, value in facts.items() if value or name not in _LATER_FACTS
        }
        if not self.deadline_places:
            del document["deadline_places"]
        document["deadline"] = self.deadline.isoformat() if self.deadline else None
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of the content as 64 hexadecimal digits."""
        return hashlib.sha256(self.content.encode()).hexdigest()

    @property
    def zone_info(self) -> ZoneInfo:
        """Return the time zone of its dates."""
        return ZoneInfo(self.zone)


def read_draft(content: str) -> Draft:
    """Parse the `content` of a draft; raises ValueError for a format of another version."""
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
    # The stored text itself, so that fields added since do not change the digest.
    vars(draft)["content"] = content
    return draft


def _read_list(texts: list[dict[str, str]] | None = None, **facts: Any) -> MailingListFacts:
    """Return a list's facts; without `texts`, its own words are those of all old languages."""
    digests = facts.pop("privacy_wordings", ())
    list_facts = MailingListFacts(
        **facts, privacy_wordings=tuple((url, digest) for url, digest in digests)
    )
    if texts is None:
        own_words = (
            list_facts.name,
            list_facts.purpose,
            list_facts.frequency,
            list_facts.privacy_url,
        )
        texts = [
            dict(zip(_WORD_FIELDS, (text, *own_words), strict=True))
            for text in _read_old_languages(list_facts)
        ]
    return replace(list_facts, texts=tuple(ListWords(**text) for text in texts))


_WORD_FIELDS = ("language", "name", "purpose", "frequency", "privacy_url")


def _read_old_languages(list_facts: MailingListFacts) -> tuple[str, ...]:
    return tuple(dict.fromkeys((list_facts.language, "nl", "en", "de", "fr")))
