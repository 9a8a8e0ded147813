"""The tables of the record: entries with their parts, the head, the Merkle tree, timestamps."""

from __future__ import annotations

from peewee import (
    SQL,
    BigAutoField,
    BigIntegerField,
    CharField,
    CompositeKey,
    IntegerField,
    SmallIntegerField,
    TextField,
)

from repermit.db.models.base import Table, optional_timestamp_field, timestamp_field


class EvidenceHead(Table):
    """The newest entry; its one row is the lock for appending entries.

    - `root`: the root of the Merkle tree over all leaves.
    - `frontier`: the hashes of the tree's perfect subtrees, the largest first, in hex without
      separators.
    """

    id = IntegerField(primary_key=True)
    seq = BigIntegerField()
    hash = CharField(max_length=64)
    root = CharField(max_length=64, default="")
    frontier = TextField(default="")


class Evidence(Table):
    """One entry of the record. A part's digest is "" if the entry has no such part."""

    seq = BigIntegerField(primary_key=True)
    at = timestamp_field()
    event = CharField()
    list = CharField(default="")
    campaign = IntegerField(default=0)
    subject = CharField(max_length=32, default="", index=True)
    actor = CharField()
    consent = CharField(max_length=64, default="")
    person = CharField(max_length=64, default="")
    trace = CharField(max_length=64, default="")
    hash = CharField(max_length=64)


Evidence.add_index(Evidence.list, name="evidence_still_mailed", where=SQL("event = 'still_mailed'"))
Evidence.add_index(
    Evidence.list, name="evidence_not_the_person", where=SQL("event = 'not_the_person'")
)


class EvidenceNode(Table):
    """A perfect subtree of the Merkle tree: the 2^level leaves from place · 2^level on."""

    level = SmallIntegerField()
    place = BigIntegerField()
    hash = CharField(max_length=64)

    class Meta:
        """Found by level and place."""

        primary_key = CompositeKey("level", "place")


class EvidenceTimestamp(Table):
    """A timestamp (RFC 3161) over a checkpoint, pending or received.

    - `occasion`: why it was enqueued: "launch 7", "daily 2026-03-02", "deadline 7 …", "closing 7".
      The first by name, if several came at once.
    - `note`: the stamped text of the checkpoint at entry `seq`.
    - `reply`: the authority's reply (DER) in base64; "" while pending.
    - `stamped_at`: the time in the timestamp.
    - `problem`: why the last of `attempts` failed.
    """

    id = BigAutoField()
    occasion = CharField(unique=True)
    due_at = timestamp_field()
    seq = BigIntegerField()
    note = TextField()
    reply = TextField(default="")
    stamped_at = optional_timestamp_field()
    authority = CharField(default="")
    attempts = IntegerField(default=0)
    next_at = timestamp_field()
    problem = CharField(default="")


class EvidencePart(Table):
    """A personal part of an entry, which can be erased separately."""

    id = BigAutoField()
    seq = BigIntegerField()
    part = CharField()
    salt = CharField(max_length=32)
    json = TextField()

    class Meta:
        """One of each kind for an entry."""

        indexes = ((("seq", "part"), True),)


# Finds the oldest trace quickly.
EvidencePart.add_index(EvidencePart.seq, name="evidence_part_trace", where=SQL("part = 'trace'"))
