"""Sending queued mails with exact records, one durable step after the other."""
