"""Webhooks that tell other programs of answers and removals."""
