"""Contacts: status changes with their evidence, suppressions, erasure, lookup and search."""
