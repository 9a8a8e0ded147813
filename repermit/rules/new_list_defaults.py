"""What a new list begins with, in the browser, on the command line and in the database."""

from __future__ import annotations

RECEIPTS = True
"""Whether whoever says Yes, or changes an answer, gets a receipt by mail."""
