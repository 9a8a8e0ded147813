"""Copies of the database while it runs, and a database put back so that nobody is mailed again.

May import contacts and what lies below.
"""

from repermit.backups.copying import back_up
from repermit.backups.facts import BackedUp, Held, MovedAway, Replayed, Restored
from repermit.backups.restoring import restore, take_up

__all__ = ["BackedUp", "Held", "MovedAway", "Replayed", "Restored", "back_up", "restore", "take_up"]
