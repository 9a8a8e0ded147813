"""Removing who did not answer by the deadline, in short steps."""
