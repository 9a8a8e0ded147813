"""Mails with a checkpoint to the people whom the admin names, so that others hold it too."""

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
    """What such a mail is about: the last entry of its checkpoint, and whom it goes to.

    - `witness`: a digest, so that an address which is named no more gets nothing any more.
    - `occasion`: on which a program cosigned that checkpoint before the mail was owed, or "".
    """

    seq: int
    witness: str
    occasion: str = ""

    @property
    def topic(self) -> str:
        """Return it as the topic of a mail."""
        return f"{_TOPIC} {self.seq} {self.witness} {self.occasion}".rstrip()

    @classmethod
    def read(cls, topic: str) -> WitnessTopic | None:
        """Return what a mail's topic says; None if it is about something else."""
        kind, _, rest = topic.partition(" ")
        if kind != _TOPIC:
            return None
        seq, witness, *occasion = rest.split(" ", 2)
        return cls(int(seq), witness, *occasion)

    def find_address(self, witnesses: Sequence[str]) -> str | None:
        """Return the address that this goes to, None if it is not among the witnesses any more."""
        return next((one for one in witnesses if _witness_id(one) == self.witness), None)


def _witness_id(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:_ID_DIGITS]


def enqueue_checkpoint_mails(database: Database, *, settings: Settings, now: datetime) -> int:
    """Enqueue a mail to each witness if occasions have come; return how many mails there are.

    On those on which a timestamp is owed. The checkpoint is the newest that a program has cosigned
    if it has one for each of them, else that of now. Safe to run in several processes at once.
    """
    witnesses = list(dict.fromkeys(settings.evidence.witnesses))
    new = find_new_occasions(settings, now, prefix=_PREFIX) if witnesses else []
    if not new:
        return 0
    with database.atomic():
        claimed = claim_occasions(new, now, prefix=_PREFIX)
        # Another process may have been quicker.
        if not claimed:
            return 0
        cosigned = [
            (point.seq, occasion)
            for occasion, _ in claimed
            if (point := cosigned_checkpoints.read_occasion(occasion))
        ]
        is_cosigned = len(cosigned) == len(claimed)
        seq, occasion = max(cosigned) if is_cosigned else (stored_tree.checkpoint().seq, "")
        campaign = claimed[0][1]
        for one in witnesses:
            topic = WitnessTopic(seq, _witness_id(one), occasion).topic
            enqueue_notice(topic, list_id=campaign.list_id, due_at=now, campaign=campaign)
    return len(witnesses)


def find_unreached(witnesses: Sequence[str]) -> list[str]:
    """Return the witnesses whom the last mail that was tried has not reached.

    It was refused, came back, or waits after a refusal.
    """
    if not witnesses:
        return []
    # By campaigns, since that is how mails are found.
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
        one
        for one in witnesses
        if (mail := last.get(one)) and (mail.bounce or mail.state in _UNDELIVERED_STATES)
    ]
