"""Mails with a checkpoint to the witnesses in the settings, so that others have copies."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.mails import Mail, enqueue_notice
from repermit.evidence import cosigned_checkpoints, stored_tree
from repermit.evidence.checkpoint_occasions import claim_occasions, find_new_occasions
from repermit.rules.consent import MailKind, MailState
from repermit.settings.definitions import Settings

_TOPIC = "witness"
_PREFIX = f"{_TOPIC} "
_ID_DIGITS = 16
_UNDELIVERED_STATES = (MailState.QUEUED, MailState.FAILED, MailState.DROPPED)


@dataclass(frozen=True)
class WitnessTopic:
    """The topic of a mail with a checkpoint: the checkpoint's last entry, and the recipient.

    - `witness`: a digest of the address; an address that left the settings gets no more mails.
    - `occasion`: the occasion on which a program had cosigned that checkpoint; "" if none had.
    """

    seq: int
    witness: str
    occasion: str = ""

    @property
    def topic(self) -> str:
        """Return the text that a mail stores as its topic."""
        return f"{_TOPIC} {self.seq} {self.witness} {self.occasion}".rstrip()

    @classmethod
    def read(cls, topic: str) -> WitnessTopic | None:
        """Read a mail's topic; None if it is of another kind."""
        kind, _, rest = topic.partition(" ")
        if kind != _TOPIC:
            return None
        seq, witness, *occasion = rest.split(" ", 2)
        return cls(int(seq), witness, *occasion)

    def find_address(self, witnesses: Sequence[str]) -> str | None:
        """Return the recipient's address; None if it is no longer a witness."""
        return next(
            (address for address in witnesses if _make_witness_id(address) == self.witness), None
        )


def _make_witness_id(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:_ID_DIGITS]


def enqueue_checkpoint_mails(database: Database, *, settings: Settings, now: datetime) -> int:
    """Enqueue a mail to each witness if there are new occasions; return the number of mails.

    The occasions are those of timestamps. The checkpoint is the newest cosigned one if each
    occasion has one, otherwise the present one. Safe to run in several processes at once.
    """
    witnesses = list(dict.fromkeys(settings.evidence.witnesses))
    new_occasions = find_new_occasions(settings, now, prefix=_PREFIX) if witnesses else []
    if not new_occasions:
        return 0
    with database.atomic():
        claimed = claim_occasions(new_occasions, now, prefix=_PREFIX)
        # Another process may have been quicker.
        if not claimed:
            return 0
        cosigned = [
            (checkpoint.seq, occasion)
            for occasion, _ in claimed
            if (checkpoint := cosigned_checkpoints.read_occasion(occasion))
        ]
        is_cosigned = len(cosigned) == len(claimed)
        seq, occasion = max(cosigned) if is_cosigned else (stored_tree.checkpoint().seq, "")
        campaign = claimed[0][1]
        for witness in witnesses:
            topic = WitnessTopic(seq, _make_witness_id(witness), occasion).topic
            enqueue_notice(topic, list_id=campaign.list_id, due_at=now, campaign=campaign)
    return len(witnesses)


def find_unreached(witnesses: Sequence[str]) -> list[str]:
    """Return the witnesses whose last attempted mail failed.

    It was rejected, bounced, or waits for another try after a rejection.
    """
    if not witnesses:
        return []
    # By campaigns, since mails are indexed by them.
    mails = Mail.select().where(
        Mail.campaign.in_(Campaign.select(Campaign.id)),
        Mail.kind == MailKind.NOTICE,
        Mail.topic.startswith(_PREFIX),
        (Mail.state != MailState.QUEUED) | (Mail.reply_code != 0),
    )
    last: dict[str, Mail] = {}
    for mail in mails.order_by(Mail.id):
        topic = WitnessTopic.read(mail.topic)
        if topic and (address := topic.find_address(witnesses)):
            last[address] = mail
    return [
        witness
        for witness in witnesses
        if (mail := last.get(witness)) and (mail.bounce or mail.state in _UNDELIVERED_STATES)
    ]
