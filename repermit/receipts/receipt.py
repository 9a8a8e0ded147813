"""The receipt: the record as it is handed to the person (ISO/IEC TS 27560:2023 §6.4).

Imports this room's record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repermit.receipts.record import consent_record, stable_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from repermit.receipts.record import Account

RECEIPT_SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#receipt"


def receipt(
    account: Account, *, withdrawal_url: str, checkpoint: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the receipt of the person's newest entry.

    `withdrawal_url` is the person's own link for No, one press; `checkpoint` says where the record
    stood, so that whoever keeps the receipt can tell later whether it was rewritten.
    """
    record = consent_record(account)
    newest = record["event"][-1]
    return {
        "header": {
            "schema_version": RECEIPT_SCHEMA,
            "receipt_id": stable_id("receipt", account.list, account.subject, newest["event_time"]),
        },
        "consent_record": record,
        "withdrawal": {
            "url": withdrawal_url,
            "how": "open it and press once; a mail program may post to it instead (RFC 8058)",
        },
        "checkpoint": dict(checkpoint),
    }
