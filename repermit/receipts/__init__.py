"""Consent records and receipts, as ISO/IEC TS 27560:2023 has them.

May import config, for who the controller is. Pure: plain values in, what JSON can hold out. The
field names are those of the W3C DPV group's guide to the standard
(https://w3id.org/dpv/guides/consent-27560, final report of 1 August 2024), in snake case.
"""

from repermit.receipts.receipt import receipt
from repermit.receipts.record import Account, consent_record, controller_of, retention_of
from repermit.receipts.states import (
    ABOUT_AN_ASK,
    BOTH_PRESSED,
    NOT_PRESSED,
    NOT_THE_PERSON,
    REPRESENTATIVE,
    SIGN_UP_UNDONE,
    TAKEN_BACK,
    Said,
    events_of,
    is_taken_back,
    state_of,
)

__all__ = [
    "ABOUT_AN_ASK",
    "BOTH_PRESSED",
    "NOT_PRESSED",
    "NOT_THE_PERSON",
    "REPRESENTATIVE",
    "SIGN_UP_UNDONE",
    "TAKEN_BACK",
    "Account",
    "Said",
    "consent_record",
    "controller_of",
    "events_of",
    "is_taken_back",
    "receipt",
    "retention_of",
    "state_of",
]
