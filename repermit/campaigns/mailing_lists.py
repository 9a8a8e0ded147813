"""Adding and changing lists: their purpose, sender, and own wording."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields as fields_of
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any, TypedDict, Unpack

from repermit import email_address
from repermit.campaigns.preview import check_asks
from repermit.campaigns.result_types import ListDetails
from repermit.contacts.lookup import list_translations, read_list_facts, read_own_wording
from repermit.db.connection import Database
from repermit.db.models.campaigns import find_live_campaign
from repermit.db.models.lists import ListText, MailingList, lock_list
from repermit.emails import sender_identity
from repermit.emails.wording_validation import check_wording
from repermit.errors import AddressError, ChangedMeanwhile, Refused, WordingError
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.expressions import Expressions
from repermit.i18n.lazy_text import LazyJoin, LazyText
from repermit.package_files import LANGUAGES, load_data
from repermit.settings.definitions import Settings
from repermit.unicode_limits import normalize
from repermit.web_address import is_web_address

# --- The slugs of lists, which URLs and commands use. ---------------------------------------------


_MAX_SLUG_LENGTH = 63
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DEFAULT_SLUG = "list"

_TRANSLITERATION: dict[str, str] = {
    pair[0]: pair[1:]
    for pairs in load_data("transliteration.toml").values()
    for pair in pairs.split()
}


def is_slug(text: str) -> bool:
    """Return whether a text can be a list's slug."""
    return _SLUG.fullmatch(text) is not None


def suggest_slug(name: str) -> str:
    """Return a slug for a list of that name, transliterated to Latin letters."""
    composed = "".join(map(_transliterate, normalize("NFC", name.lower())))
    ascii_name = composed.encode("ascii", "ignore").decode()
    return (
        "-".join(re.findall("[a-z0-9]+", ascii_name))[:_MAX_SLUG_LENGTH].strip("-") or _DEFAULT_SLUG
    )


def find_free_slug(name: str) -> str:
    """Return an unused slug for a list of that name; from the second one on it is numbered."""
    suggested = suggest_slug(name)
    suffixes = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    slugs = (
        suggested[: _MAX_SLUG_LENGTH - len(suffix)].rstrip("-") + suffix for suffix in suffixes
    )
    return next(slug for slug in slugs if not _is_slug_used(slug))


def _is_slug_used(slug: str) -> bool:
    return MailingList.get_or_none(MailingList.slug == slug) is not None


def _transliterate(character: str) -> str:
    """Return one character in ASCII, or the character itself if that is not known."""
    if character in _TRANSLITERATION:
        return _TRANSLITERATION[character]
    # Without its diacritics it may be a Greek letter.
    decomposed = normalize("NFKD", character)
    return "".join(_TRANSLITERATION.get(character, character) for character in decomposed)


# --- Adding and changing a list. ------------------------------------------------------------------


class ListFields(TypedDict, total=False):
    """The fields of a list; `own_…` are templates for its asks, "" for the default wording."""

    name: str
    purpose: str
    frequency: str
    privacy_url: str
    language: str
    sender: str
    sensitive: bool
    receipts: bool
    own_subject: str
    own_text: str
    own_html: str


def add_list(
    database: Database,
    slug: str,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    **fields: Unpack[ListFields],
) -> MailingList:
    """Add a list, which may still lack what a launch needs; raises Refused."""
    if not is_slug(slug):
        raise Refused(
            "%(list)s cannot name a list: take up to 63 lower-case letters, digits and dashes, "
            "such as news",
            list=repr(slug),
        )
    _refuse_taken(slug)
    mailing_list = MailingList(slug=slug, name=fields.get("name", ""), created_at=now)
    changed = _set_fields(mailing_list, fields, settings)
    with database.atomic():
        _refuse_taken(slug)
        mailing_list.save(force_insert=True)
        record_change("list_added", mailing_list, changed, now=now, actor=actor)
    return mailing_list


def _refuse_taken(slug: str) -> None:
    if MailingList.get_or_none(MailingList.slug == slug) is not None:
        raise Refused(
            "there is a list of this short name already",
            cli="; `repermit list set %(list)s` changes it",
            list=slug,
        )


def change_list(
    database: Database,
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    since: str = "",
    **fields: Unpack[ListFields],
) -> MailingList:
    """Change the given fields of a list; raises Refused.

    - `since`: the version of these fields that the page showed, "" to change any version.

    A live campaign keeps the wording with which it was launched (see `explain_frozen_wording`).
    """
    while True:
        changed_list: MailingList = MailingList.get_by_id(mailing_list.id)
        before = read_texts(changed_list)
        _refuse_sensitivity_change(changed_list, fields)
        version = make_version(changed_list, fields)
        changed = _set_fields(changed_list, fields, settings)
        if changed:
            refuse_other_version(version, since)
        with database.atomic():
            locked_list = lock_list(mailing_list)
            if read_texts(locked_list) != before:
                continue
            if changed:
                _refuse_sensitivity_change(locked_list, fields)
                changed_list.save()
                record_change("list_changed", changed_list, changed, now=now, actor=actor)
        return changed_list


def read_texts(mailing_list: MailingList) -> list[dict[str, Any]]:
    """Return all texts of a list, in each language.

    Checking texts takes too long within a transaction. They are checked before it, and again if
    they have changed when it begins.
    """
    return [dict(row.__data__) for row in (mailing_list, *list_translations(mailing_list))]


def make_version(row: MailingList | ListText, names: Iterable[str]) -> str:
    """Return a digest of some fields of a list or translation, to detect that they change."""
    values = [getattr(row, name) for name in sorted(names)]
    return sha256(repr(values).encode()).hexdigest()[:16]


def refuse_other_version(version: str, since: str) -> None:
    """Refuse a change if the page showed another version; raises ChangedMeanwhile."""
    if since not in {"", version}:
        raise ChangedMeanwhile(
            "this was changed elsewhere meanwhile, so nothing was saved: save again to keep what "
            "stands here, or open this page in another tab to see the change"
        )


def explain_frozen_wording(mailing_list: MailingList) -> str:
    """Return the note that a live campaign keeps its wording, or ""."""
    if not find_live_campaign(mailing_list):
        return ""
    return "the campaign that is under way keeps the wording with which it was launched"


def find_wrong_fields(**fields: Unpack[ListFields]) -> dict[str, LazyText]:
    """Return the fields that would be refused, with the reasons, by name."""
    refusals = {}
    values: dict[str, Any] = {**fields}
    for name in values.keys() & NORMALIZERS.keys():
        try:
            NORMALIZERS[name](values[name])
        except Refused as refusal:
            refusals[name] = refusal.said
    return refusals


def make_list_facts(mailing_list: MailingList) -> ListDetails:
    """Return the details of a list."""
    texts = {
        row.language: {name: getattr(row, name) for name in _TEXTS}
        for row in list_translations(mailing_list)
    }
    names = (row.name for row in fields_of(ListDetails) if row.name != "texts")
    return ListDetails(texts=texts, **{name: getattr(mailing_list, name) for name in names})


_OWN_WORDING_FIELDS = ("own_subject", "own_text", "own_html")
_TEXTS = ("name", "purpose", "frequency", "privacy_url", *_OWN_WORDING_FIELDS)


def _refuse_sensitivity_change(mailing_list: MailingList, fields: ListFields) -> None:
    """Refuse a change of `sensitive` during a campaign: it decides whether a Yes is explicit."""
    is_changed = fields.get("sensitive", mailing_list.sensitive) != mailing_list.sensitive
    if is_changed and find_live_campaign(mailing_list):
        raise Refused("a list cannot become sensitive, or cease to be, while a campaign is live")


def _set_fields(
    mailing_list: MailingList, fields: ListFields, settings: Settings
) -> dict[str, str | bool]:
    """Set the fields on a list in memory; return the changed ones."""
    changed: dict[str, str | bool] = {}
    values: dict[str, Any] = {**fields}
    for name, value in values.items():
        normalized = NORMALIZERS[name](value) if name in NORMALIZERS else value
        if normalized != getattr(mailing_list, name) or mailing_list.id is None:
            changed[name] = normalized
        setattr(mailing_list, name, normalized)
    if not mailing_list.name:
        raise Refused("the list needs a name, as its readers know it", cli=": --name")
    check_list_wording(mailing_list, settings)
    return changed


def _join_lines(text: str) -> str:
    return " ".join(text.split())


def _normalize_privacy_url(text: str) -> str:
    url = text.strip()
    if url and not is_web_address(url):
        raise Refused(
            "%(url)s is no address of a privacy statement; one looks like "
            "https://www.example.org/privacy",
            url=repr(url),
        )
    return url


def _normalize_language(text: str) -> str:
    if text not in LANGUAGES:
        raise Refused(
            "there are no mails in %(language)s; there are %(languages)s",
            language=repr(text),
            languages=LazyJoin(LANGUAGES),
        )
    return text


def _normalize_sender(text: str) -> str:
    sender = _join_lines(text)
    if sender:
        try:
            email_address.parse(sender_identity.read_address(sender))
        except AddressError as error:
            raise Refused(
                'the sender cannot be used: %(reason)s; write "The Practice <news@example.org>"',
                reason=error.reason,
            ) from None
    return sender


NORMALIZERS: Mapping[str, Callable[..., str]] = {
    "name": _join_lines,
    "purpose": _join_lines,
    "frequency": _join_lines,
    "privacy_url": _normalize_privacy_url,
    "language": _normalize_language,
    "sender": _normalize_sender,
}


def check_list_wording(mailing_list: MailingList, settings: Settings) -> None:
    """Check the admin's own templates in each language of the list; raises Refused."""
    texts = (mailing_list, *list_translations(mailing_list))
    if not any(getattr(text, name) for text in texts for name in _OWN_WORDING_FIELDS):
        return
    try:
        if mailing_list.sender:
            check_asks(mailing_list, settings)
        else:
            # Without a sender there is no mail yet; its size is checked once there is one.
            _check_templates(mailing_list, settings)
    except WordingError as error:
        raise Refused(
            "your own wording cannot be used:\n%(reasons)s",
            reasons=LazyJoin(error.reasons, by="\n"),
        ) from None
    except AddressError as error:
        raise Refused(
            "first say who sends the list, since replies have nowhere to go: %(reason)s",
            cli=" (--sender)",
            reason=error.reason,
        ) from None


def _check_templates(mailing_list: MailingList, settings: Settings) -> None:
    list_facts = read_list_facts(mailing_list)
    for language in list_facts.languages:
        check_wording(
            read_own_wording(mailing_list, language),
            organisation=settings.organisation,
            mailing_list=list_facts.in_language(language),
        )


def record_change(
    event: str,
    mailing_list: MailingList,
    changed: Mapping[str, str | bool],
    *,
    now: datetime,
    actor: str,
    language: str = "",
) -> None:
    """Append the entry of a change; long texts are named by their digest.

    - `language`: the language of the changed texts, "" for the list's own.
    """
    values = {
        name: chain.store_wording(str(value)) if name in _OWN_WORDING_FIELDS else value
        for name, value in changed.items()
    }
    consent = {"fields": values, **({"in": language} if language else {})}
    chain.append(Entry(event=event, at=now, actor=actor, list=mailing_list.slug, consent=consent))


# --- Detecting whether a purpose says how often mail comes. ---------------------------------------


_FREQUENCY = Expressions("frequency_phrases.toml", "parts", "phrases")


def mentions_frequency(text: str) -> bool:
    """Return whether a text says how often mail comes; a hint for the admin, not a proof."""
    own = _FREQUENCY.compile("any", re.IGNORECASE)
    return bool(own.search(text) or _compile_further_languages().search(text))


@cache
def _compile_further_languages() -> re.Pattern[str]:
    phrases = _FREQUENCY.data["further_languages"].values()
    intervals = (str(phrase).replace("~", r"\s+(?:[\w-]+\s+){0,2}") for phrase in phrases)
    return re.compile("|".join(rf"\b(?:{interval})(?!\w)" for interval in intervals), re.IGNORECASE)
