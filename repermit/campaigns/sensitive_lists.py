"""Finding what reveals a sensitive list to others, by the admin's own choices.

Nothing is written. Words that reveal nothing are data: `repermit/data/common_words.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator

from repermit import package_files
from repermit.contacts.lookup import list_translations
from repermit.db.models.lists import ListText, MailingList
from repermit.emails.sender_identity import contains_name, split_plain_words
from repermit.i18n.catalogues import list_corrected_texts
from repermit.i18n.lazy_text import LazyJoin, LazyText
from repermit.settings.definitions import Settings

_WORDS = package_files.load_data("common_words.toml")
_COMMON_WORDS = frozenset(" ".join(_WORDS["names"].values()).split())
_COMMON_TOPICS = frozenset(_WORDS["purposes"]["all"].split())

_MIN_WORD_LENGTH = 2
_MIN_STEM_LENGTH = 3
"""Shorter words are searched as whole words, longer ones also within other words."""

_MIN_TOPIC_LENGTH = 6
"""The shortest word of a purpose that may name something, such as an illness."""
_SUFFIX_LENGTH = 2
"""How many letters at the end of a long word may differ in its other forms."""


def find_revealing_places(mailing_list: MailingList, settings: Settings) -> Iterator[LazyText]:
    """Yield a note for the admin, before the mails go out, on what reveals a sensitive list.

    repermit leaves names out of subject, headers and URLs. This searches the admin's own choices
    for the words of the list's name and slug: the addresses of the sender and the organisation,
    `return_domain`, `public_url`, own subjects and corrected texts.
    """
    if not mailing_list.sensitive:
        return
    places = [
        LazyText("%(where)s (%(text)s)", where=place_name, text=text)
        for place_name, text in _iter_revealing_places(mailing_list, settings)
    ]
    if places:
        yield LazyText(
            "The list is sensitive, and others may see what it is about by %(places)s. Choose "
            "what tells nothing, if you can.",
            places=LazyJoin(tuple(places), by="; "),
        )


def reveals_name(mailing_list: MailingList) -> bool:
    """Return whether a corrected text shows the name of a sensitive list where others see it.

    The text may have been corrected before the list existed, or before it was sensitive.
    """
    if not mailing_list.sensitive:
        return False
    sources: list[MailingList | ListText] = [mailing_list, *list_translations(mailing_list)]
    names = {source.name for source in sources if source.name}
    texts = [text for source in sources for text in list_corrected_texts(source.language)]
    return any(contains_name(text, name) for text in texts for name in names)


def _iter_revealing_places(
    mailing_list: MailingList, settings: Settings
) -> Iterator[tuple[LazyText, str]]:
    """Yield each revealing place with its text, once: of the list's languages and the settings."""
    sources: list[MailingList | ListText] = [mailing_list, *list_translations(mailing_list)]
    words = _extract_names(f"{mailing_list.slug} {' '.join(source.name for source in sources)}")
    organisation_words = set(split_plain_words(settings.organisation.name))
    purposes = {word for source in sources for word in split_plain_words(source.purpose)}
    topics = {
        word
        for word in purposes - organisation_words - _COMMON_WORDS - _COMMON_TOPICS
        if len(word) >= _MIN_TOPIC_LENGTH
    }
    places = [
        *_iter_surroundings(mailing_list, settings),
        *(place for source in sources for place in _iter_texts(source)),
    ]
    for place_name, text in dict.fromkeys(places):
        revealing = words | topics if place_name in {_SUBJECT, _CORRECTED} else words
        if any(_is_in(text, word) for word in revealing):
            yield place_name, text


def _extract_names(text: str) -> set[str]:
    """Return the telling words of names: each word, and "M.S." as "ms"."""
    joined = ("".join(split_plain_words(part)) for part in text.split())
    return {
        word
        for word in (*split_plain_words(text), *joined)
        if len(word) >= _MIN_WORD_LENGTH and word not in _COMMON_WORDS
    }


def _is_in(text: str, word: str) -> bool:
    words = split_plain_words(text)
    if len(word) < _MIN_STEM_LENGTH:
        return word in words
    stem = word[:-_SUFFIX_LENGTH] if len(word) > _MIN_TOPIC_LENGTH else word
    return any(stem in candidate for candidate in words)


_SUBJECT = LazyText("your own subject")
_CORRECTED = LazyText("a text that was corrected")


def _iter_surroundings(
    mailing_list: MailingList, settings: Settings
) -> Iterator[tuple[LazyText, str]]:
    """Yield the texts around mails and pages that others see, each with its name."""
    yield LazyText("the sender's address"), mailing_list.sender.rpartition("<")[2].rstrip("> ")
    yield LazyText("the organisation's email"), settings.organisation.email
    yield LazyText("return_domain"), settings.mail.return_domain
    yield LazyText("public_url"), settings.public_url


def _iter_texts(source: MailingList | ListText) -> Iterator[tuple[LazyText, str]]:
    """Yield the texts that others see of a list in one of its languages."""
    yield _SUBJECT, source.own_subject
    for text in list_corrected_texts(source.language):
        yield _CORRECTED, text
    yield LazyText("the address of the privacy statement"), source.privacy_url
