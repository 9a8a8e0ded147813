"""Suppressions: making and lifting them, the key of their fingerprints, and files of them."""
