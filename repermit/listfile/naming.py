"""Whom a file, a member of a ZIP or a sheet holds, as far as its name tells.

May import the remarks of this room only.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from repermit.listfile.remarks import plain

# The members of the ZIP of Mailchimp's audience export; its "cleaned_" is about bounces, whereas
# "leden cleaned" is a list that somebody has tidied.
_NEVER = re.compile(r"non[-_ ]?subscribed(?![a-z])").match
_CLEANED = re.compile(r"cleaned(?:_|$)").match
_UNSUBSCRIBED = re.compile(
    r"unsubscri|afgemeld|afmelding|uitgeschreven|uitschrijving|abgemeldet|abmeldung|desabonn|"
    r"desinscri|(?<![a-z])opt(?:ed)?[-_ ]?outs?(?![a-z])|blacklist|blocklist|suppress"
).search
_BOUNCED = re.compile(r"(?<![a-z])(?:hard[-_ ]?)?bounce").search
# "Lijst zonder afgemelden", "aan- en afmeldingen".
_OTHERWISE = re.compile(
    r"(?<![a-z])(?:zonder|without|excl\w*|niet|nicht|not|non|no|ohne|sans|minus|geen|en|and|und|et)"
    r"(?![a-z])"
).search


def holds(name: str) -> str:
    """Return "unsubscribed", "cleaned" or "nonsubscribed" if a name says so of everybody, or ""."""
    text = plain(PurePosixPath(name.replace("\\", "/")).name)
    stem = re.sub(r"\.(?:csv|txt|tsv|tab|xlsx?|ods)$", "", text)
    if _NEVER(stem):
        return "nonsubscribed"
    if _CLEANED(stem):
        return "cleaned"
    if _OTHERWISE(stem):
        return ""
    if _UNSUBSCRIBED(stem):
        return "unsubscribed"
    return "cleaned" if _BOUNCED(stem) else ""
