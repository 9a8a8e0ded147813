"""What is to be read before a launch about those who read another language than the list's.

May import messages, models and what lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.campaigns.wording import own_wording
from repermit.messages import OwnWording
from repermit.saying import Joined, Said

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from repermit.campaigns.audience import Audience
    from repermit.models import MailingList


def about_languages(mailing_list: MailingList, audience: Audience) -> Iterator[Said]:
    """Yield who gets no mail in their language, and who does not get the own wording."""
    if audience.otherwise:
        yield Said(
            "Some read a language in which this list has no purpose and privacy statement, and get "
            "the mail in that of the list (%(languages)s): `repermit list set %(list)s --in …` "
            "gives them.",
            code="read_otherwise",
            languages=_counted(audience.otherwise),
            list=mailing_list.slug,
        )
    own = own_wording(mailing_list)
    others = {
        language: n
        for language, n in audience.languages.items()
        if n and own_wording(mailing_list, language) == OwnWording()
    }
    if own != OwnWording() and others:
        yield Said(
            "Your own wording is in the language of the list; those who read another "
            "(%(languages)s) get the usual wording in theirs.",
            languages=_counted(others),
        )


def _counted(languages: Mapping[str, int]) -> Joined:
    return Joined(
        tuple(
            Said("%(count)s in %(language)s", count=n, language=language)
            for language, n in languages.items()
        )
    )
