"""Entries and checkpoints: their fields, canonical text, digests, event names and actors."""

from __future__ import annotations

import hashlib
import json
import pwd
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from json.encoder import encode_basestring as _quoted
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry to append.

    - `list`: the slug of the list.
    - `actor`: "person", "reader" (somebody who reads the mail to an address, but is not the person
      meant), "job", or the name of the user or login that acted.
    - `consent`, `person`, `trace`: the parts, which JSON can hold; an empty part is not written.
    - `texts`: canonical texts used in place of parts, by name, as a PartForm makes them.
    """

    event: str
    at: datetime
    actor: str
    list: str = ""
    campaign: int = 0
    subject: str = ""
    consent: Mapping[str, Any] = field(default_factory=dict)
    person: Mapping[str, Any] = field(default_factory=dict)
    trace: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A commitment to the whole chain up to an entry; a copy elsewhere reveals a rewritten chain.

    - `seq`: the entry's number, which is also the number of entries.
    - `hash`: the entry's hash, in hex.
    - `root`: the root of the RFC 9162 Merkle tree over all leaves up to the entry, in hex.
    - `note`: the checkpoint as a signed note, "" if it is not signed; equality ignores it.
    """

    seq: int
    hash: str
    root: str
    note: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the checkpoint as a JSON document, which has a `note` only if it is signed."""
        return {name: value for name, value in asdict(self).items() if name != "note" or value}

    @classmethod
    def from_json(cls, document: Any) -> Checkpoint:
        """Read a checkpoint from its JSON document, or from one with it under the key `checkpoint`.

        Raises ValueError.
        """
        holder = document.get("checkpoint", document) if isinstance(document, dict) else None
        if not isinstance(holder, dict) or not _is_checkpoint(holder):
            raise ValueError("there is no checkpoint in it: seq, hash and root")
        return cls(seq=holder["seq"], hash=holder["hash"], root=holder["root"])


def _is_checkpoint(document: Mapping[str, Any]) -> bool:
    seq = document.get("seq")
    hashes = (document.get("hash"), document.get("root"))
    return type(seq) is int and seq >= 0 and all(map(is_hash, hashes))


# --- The one text of an entry and the digests over it. --------------------------------------------


PARTS = ("consent", "person", "trace")
"""The parts of an entry: what was agreed, by which person, and how the answer arrived."""

NOTHING_BEFORE = "0" * 64
"""The previous hash of the first entry."""


def encode_canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no escapes beyond need."""
    return _encode(value)


# Made once: json.dumps makes an encoder for each call, which takes longer than the encoding.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_HASH = re.compile(r"[0-9a-f]{64}")


class PartForm:
    """Makes the canonical texts of parts that differ in a few texts only.

    - `common`: the fields that all these parts share.
    - `names`: the names of the fields that differ, whose values are texts.
    """

    def __init__(self, common: Mapping[str, Any], names: Iterable[str]) -> None:
        self._names = sorted(names)
        text = encode_canonical_json({**common, **dict.fromkeys(self._names, _MARK)})
        self._text = text.replace("%", "%%").replace(_quoted(_MARK), "%s")

    def fill(self, texts: Mapping[str, str]) -> str:
        """Return the canonical text of a part with these texts."""
        return self._text % tuple([_quoted(texts[name]) for name in self._names])


_MARK = secrets.token_hex(16)
"""A random text that no part contains."""


def is_hash(value: object) -> bool:
    """Say whether a value is a SHA-256 in hex."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def compute_leaf(row: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an entry's canonical JSON, in hex.

    - `row`: its `at` may be text already, as SQLite stores it.
    - Raises TypeError, ValueError or AttributeError for a row that cannot be an entry.
    """
    at = row["at"]
    if not isinstance(at, str):
        at = at.astimezone(UTC).isoformat(timespec="microseconds")
    # The same text as `encode_canonical_json` makes, in a third of the time: a million entries are
    # verified.
    text = (
        f'{{"actor":{_quoted(row["actor"])},"at":{_quoted(at)},"campaign":{row["campaign"]:d},'
        f'"consent":{_quoted(row["consent"])},"event":{_quoted(row["event"])},'
        f'"list":{_quoted(row["list"])},"person":{_quoted(row["person"])},"seq":{row["seq"]:d},'
        f'"subject":{_quoted(row["subject"])},"trace":{_quoted(row["trace"])}}}'
    )
    return hashlib.sha256(text.encode()).hexdigest()


def compute_part_digest(salt: str, text: str) -> str:
    """Return the SHA-256 of a part's salt (16 bytes, given in hex) and JSON, in hex."""
    return hashlib.sha256(bytes.fromhex(salt) + text.encode()).hexdigest()


def compute_chain_hash(previous: str, leaf: str) -> str:
    """Return an entry's hash: SHA-256 of the previous entry's hash and its own leaf, in hex."""
    return hashlib.sha256(bytes.fromhex(previous) + bytes.fromhex(leaf)).hexdigest()


# --- The names of all events that entries of the record may have. ---------------------------------


EVENTS = frozenset(
    {
        # Lists and files.
        "list_added",
        "list_changed",
        "list_deleted",
        "handed_in",
        "given_up",
        "imported",
        "import_undone",
        # Campaigns.
        "conditions_changed",
        "launched",
        "paused",
        "resumed",
        "extended",
        "reminder_added",
        "cancelled",
        "expired_despite_downtime",
        "test_mail_sent",
        "closed",
        "resolved",
        # People.
        "confirmed",
        "customer",
        "added",
        "removed",
        "suppressed",
        "sign_up_undone",
        "not_the_person",
        "corrected",
        "suppressions_imported",
        "suppressions_put_back",
        "erased",
        "proved",
        "reply_set_aside",
        "reply_reopened",
        "still_mailed",
        # Files and papers.
        "exported",
        "archived",
        "handed_over",
        "not_handed_over",
        "paper_made",
        "register_changed",
        # Who may log in.
        "logged_in",
        "logged_out",
        "password_chosen",
        "password_changed",
        "second_step_set_up",
        "recovery_codes_renewed",
        "session_ended",
        "sessions_ended",
        "user_added",
        "user_invited",
        "user_role_changed",
        "user_removed",
        "token_made",
        "token_revoked",
        # The installation.
        "backed_up",
        "restored",
        "evidence_key",
        "timestamp_authority",
        "settings_changed",
        "text_corrected",
        "webhook_added",
        "webhook_removed",
        "webhook_tested",
        "webhook_redelivered",
    }
)
"""Every event; ACTS in the log's words has the same names."""


# --- Who gives commands, as records name them. ----------------------------------------------------


_KIND = "cli:"


def make_login_actor(uid: int) -> str:
    """Return the name that records use for a login of this machine."""
    return f"{_KIND}{uid}"


def login_name(actor: str) -> str:
    """Return the login name of an actor; its number if this machine has no name for it.

    Some containers have no names; records of another machine, or older records, may have a name.
    """
    number = actor.removeprefix(_KIND)
    try:
        return pwd.getpwuid(int(number)).pw_name
    except (ValueError, KeyError, OverflowError):
        return number
