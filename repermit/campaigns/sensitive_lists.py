"""What shows a sensitive list to others, because the admin chose it so.

It reads, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from repermit.campaigns.list_translations import texts_of
from repermit.db.models.lists import ListText, MailingList
from repermit.emails.sender_identity import plain_words, shows
from repermit.i18n.catalogues import corrected_texts
from repermit.i18n.lazy_text import Joined, Said
from repermit.settings.definitions import Settings

# What most lists are called, and small words: neither says what a list is about.
_HARMLESS = frozenset(
    "brief info letter lettre list liste mail nachrichten news newsletter nieuws nieuwsbrief post "
    "rundbrief about and aux bei das der des die een fur het les met mit over par pour sur the "
    "und van von voor with zur "
    # Words of two letters, of all languages, which stand anywhere.
    "af ai al am an as at au av be by ca ce co cu da de di do du ed eg ei el em en er es et eu fi "
    "ga go ha he hr hu id if ik il im in is it ja je jo ju ka ki ku la le li lo lt lu lv ma me mi "
    "mo mt mu my na ne ni no nl nu ny ob od of og om on op or os ou pa pe pl po pt re ro sa se si "
    "sk sl so su sv ta te ti to tu um un up us va ve vi we wo wy za ze zo zu zum "
    "αν με να οι σε τα το "  # noqa: RUF001  Greek they are
    "до за из на не ни от по са се си".split()  # noqa: RUF001  Bulgarian
)
_SHORTEST = 2
_WHOLE = 3
"""Shorter words are looked for as words of their own, longer ones also inside of others."""

# Of a purpose only words that may name something, such as an illness; these stand in many.
_IN_PURPOSE = 6
_USUAL = frozenset(
    "aktuell aktuelle aktuelles contact ervaringen information informationen informations "
    "informatie invitation kliniek klinik nachrichten newsletter nouvelles "
    "onderzoek praktijk praxis vereniging organisation organisatie patienten people "
    "stichting uitnodiging uitnodigingen unsere unserer verein weekly monthly zweimal".split()
)
_ENDING = 2
"""Letters at the end of a long word that other forms of it have otherwise."""


def tell_tales(mailing_list: MailingList, settings: Settings) -> Iterator[Said]:
    """Yield what the admin should know before a sensitive list's mails go out.

    repermit leaves names out of subject, headers and addresses of pages; what the admin settled
    (the sender, where pages are) is looked through for the words of the list's name and slug.
    """
    if not mailing_list.sensitive:
        return
    seen = [
        Said("%(where)s (%(text)s)", where=where, text=text)
        for where, text in _telling(mailing_list, settings)
    ]
    if seen:
        yield Said(
            "The list is sensitive, and others may see what it is about by %(places)s. Choose "
            "what tells nothing, if you can.",
            places=Joined(tuple(seen), by="; "),
        )


def shows_its_name(mailing_list: MailingList) -> bool:
    """Say whether mails and pages of a sensitive list show its name where others see it.

    Since a text was corrected before there was such a list, or before it was sensitive.
    """
    if not mailing_list.sensitive:
        return False
    told: list[MailingList | ListText] = [mailing_list, *texts_of(mailing_list)]
    names = {one.name for one in told if one.name}
    said = [text for one in told for text in corrected_texts(one.language)]
    return any(shows(text, name) for text in said for name in names)


def _telling(mailing_list: MailingList, settings: Settings) -> Iterator[tuple[Said, str]]:
    """Yield what tells, once each: of the list in any of its languages, and of the settings."""
    told: list[MailingList | ListText] = [mailing_list, *texts_of(mailing_list)]
    words = _names(f"{mailing_list.slug} {' '.join(one.name for one in told)}")
    own = set(plain_words(settings.organisation.name))
    purposes = {word for one in told for word in plain_words(one.purpose)}
    topics = {word for word in purposes - own - _HARMLESS - _USUAL if len(word) >= _IN_PURPOSE}
    places = [*_around(mailing_list, settings), *(place for one in told for place in _of_text(one))]
    for where, text in dict.fromkeys(places):
        looked_for = words | topics if where in {_SUBJECT, _CORRECTED} else words
        if any(_is_in(text, word) for word in looked_for):
            yield where, text


def _names(text: str) -> set[str]:
    """Return the words that tell of names: each by itself, and "M.S." as "ms"."""
    joined = ("".join(plain_words(one)) for one in text.split())
    return {
        word
        for word in (*plain_words(text), *joined)
        if len(word) >= _SHORTEST and word not in _HARMLESS
    }


def _is_in(text: str, word: str) -> bool:
    words = plain_words(text)
    if len(word) < _WHOLE:
        return word in words
    stem = word[:-_ENDING] if len(word) > _IN_PURPOSE else word
    return any(stem in one for one in words)


_SUBJECT = Said("your own subject")
_CORRECTED = Said("a text that was corrected")


def _around(mailing_list: MailingList, settings: Settings) -> Iterator[tuple[Said, str]]:
    """Yield what stands around mails and pages, for others to see, by what it is."""
    yield Said("the sender's address"), mailing_list.sender.rpartition("<")[2].rstrip("> ")
    yield Said("the organisation's email"), settings.organisation.email
    yield Said("return_domain"), settings.mail.return_domain
    yield Said("public_url"), settings.public_url


def _of_text(told: MailingList | ListText) -> Iterator[tuple[Said, str]]:
    """Yield what others see of a list in one of its languages."""
    yield _SUBJECT, told.own_subject
    for text in corrected_texts(told.language):
        yield _CORRECTED, text
    yield Said("the address of the privacy statement"), told.privacy_url
