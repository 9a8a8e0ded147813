"""The tables of webhooks and their deliveries.

The content of a delivery is made from the evidence each time, so that nothing personal is stored
here.
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
    """A webhook: the address of a program that is told of answers and removals.

    - `list`: null for all lists.
    - `cursor`: the last entry of the evidence that deliveries were made for.
    - `secret`: the signing key (Standard Webhooks, "whsec_…"), encrypted.
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
    """The delivery of one entry to one webhook: `waiting`, `delivered` or `failed`.

    - `reply_code`: the HTTP status of the last attempt; 0 without a reply.
    - `problem`: what went wrong, in repermit's words.
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
        """One delivery of an entry to a webhook."""

        indexes = ((("webhook", "seq"), True),)


# Finds the waiting deliveries of a webhook quickly among a million delivered ones.
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
