"""Backing up the database, and restoring it without mailing anybody twice."""
