"""What shows a sensitive list to others, because the admin chose it so.

May import models, config and what lies below. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from repermit.saying import Joined, Said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from repermit.config import Settings
    from repermit.models import MailingList

# What most lists are called, and small words: neither says what a list is about.
_HARMLESS = frozenset(
    "brief info letter lettre list liste mail nachrichten news newsletter nieuws nieuwsbrief post "
    "rundbrief about and aux bei das der des die een für het les met mit over par pour sur the "
    "und van von voor with zur".split()
)
_SHORTEST = 3


def tell_tales(mailing_list: MailingList, settings: Settings) -> Iterator[Said]:
    """Yield what the admin should know before a sensitive list's mails go out.

    repermit leaves names out of subject, headers and addresses of pages; what the admin settled
    (the sender, where pages are) is looked through for the words of the list's name and slug.
    """
    if not mailing_list.sensitive:
        return
    words = _words(mailing_list)
    seen = [
        Said("%(where)s (%(text)s)", where=where, text=text)
        for where, text in _outside(mailing_list, settings).items()
        if any(word in text.casefold() for word in words)
    ]
    if seen:
        yield Said(
            "The list is sensitive, and others may see what it is about by %(places)s. Choose "
            "what tells nothing, if you can.",
            places=Joined(tuple(seen), by="; "),
        )


def _words(mailing_list: MailingList) -> set[str]:
    found = re.findall(r"\w+", f"{mailing_list.slug} {mailing_list.name}".casefold())
    return {word for word in found if len(word) >= _SHORTEST} - _HARMLESS


def _outside(mailing_list: MailingList, settings: Settings) -> dict[Said, str]:
    """Return what stands around mails and pages, for others to see, by what it is."""
    sender = mailing_list.sender.rpartition("<")[2].rstrip("> ")
    return {
        Said("the sender's address"): sender,
        Said("the organisation's email"): settings.organisation.email,
        Said("return_domain"): settings.mail.return_domain,
        Said("public_url"): settings.public_url,
        Said("your own subject"): mailing_list.own_subject,
        Said("the address of the privacy statement"): mailing_list.privacy_url,
    }
