"""Verifying the record: the chain, each table beside it, one proof, and what a fault means."""
