"""Consent records and receipts after ISO/IEC TS 27560:2023."""
