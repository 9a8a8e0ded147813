"""The tables of webhooks: where to tell of answers and removals, and what was told.

What is told is made from the evidence each time, so that nothing personal stands here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from peewee import (
    SQL,
    AutoField,
    BigAutoField,
    BigIntegerField,
    CharField,
    ForeignKeyField,
    IntegerField,
    SmallIntegerField,
    TextField,
)

from repermit.db.models.base import Table, optional_timestamp_field, timestamp_field
from repermit.db.models.lists import MailingList


class Webhook(Table):
    """An address of somebody else's program that hears of answers and removals.

    `list` is null for all lists. `cursor` is the last entry of the evidence that deliveries were
    made for. `secret` signs (Standard Webhooks, "whsec_…"); it is sealed.
    """

    if TYPE_CHECKING:
        list_id: int | None

    id = AutoField()
    url = TextField()
    secret = CharField()
    list = ForeignKeyField(MailingList, null=True, index=False)
    cursor = BigIntegerField(default=0)
    created_by = CharField()
    created_at = timestamp_field()
    removed_at = optional_timestamp_field()


class Delivery(Table):
    """One entry of the evidence that one webhook is told of: `waiting`, `delivered`, `failed`.

    `reply_code` is the HTTP status of the last attempt, 0 if there was no reply; `problem` says in
    words of ours what went wrong.
    """

    if TYPE_CHECKING:
        webhook_id: int

    id = BigAutoField()
    webhook = ForeignKeyField(Webhook, backref="deliveries", on_delete="CASCADE")
    seq = BigIntegerField()
    state = CharField(default="waiting")
    attempts = SmallIntegerField(default=0)
    due_at = timestamp_field()
    lease_until = optional_timestamp_field()
    at = optional_timestamp_field()
    reply_code = IntegerField(default=0)
    problem = CharField(default="")

    class Meta:
        """An entry is told to a webhook once."""

        indexes = ((("webhook", "seq"), True),)


# What one webhook still waits for is found at once among a million that were delivered.
Delivery.add_index(
    Delivery.webhook,
    Delivery.due_at,
    Delivery.seq,
    name="delivery_waiting",
    where=SQL("state = 'waiting'"),
)
Delivery.add_index(
    Delivery.webhook, Delivery.at, name="delivery_tried", where=SQL("at IS NOT NULL")
)
