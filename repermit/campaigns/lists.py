"""Settling what a list is: its purpose, its sender, its own wording.

May import messages, evidence, models and what lies below.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import urlsplit

from repermit import addresses, evidence, messages
from repermit.campaigns.facts import ListFacts
from repermit.campaigns.wording import check_own_wording, check_sizes
from repermit.config import LANGUAGES
from repermit.consent import CampaignState
from repermit.errors import AddressError, Refused, WordingError
from repermit.evidence import Entry
from repermit.models import MailingList, latest_campaign, lock_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import Unpack

    from repermit.config import Settings
    from repermit.models import Database


class ListFields(TypedDict, total=False):
    """What may be said of a list; `own_…` are templates for its asks, "" for repermit's own."""

    name: str
    purpose: str
    frequency: str
    privacy_url: str
    language: str
    sender: str
    sensitive: bool
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
    """Add a list; what a launch needs may still be missing. Raises Refused."""
    if not is_slug(slug):
        raise Refused(
            f"{slug!r} cannot name a list: take up to 63 lower-case letters, digits and dashes, "
            "such as news"
        )
    with database.atomic():
        if MailingList.get_or_none(MailingList.slug == slug) is not None:
            raise Refused(f"there is a list {slug} already; `repermit list set {slug}` changes it")
        added = MailingList(slug=slug, name=fields.get("name", ""), created_at=now)
        changed = _settle(added, fields, settings)
        added.save(force_insert=True)
        _append("list_added", added, changed, now=now, actor=actor)
    return added


def change_list(
    database: Database,
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    **fields: Unpack[ListFields],
) -> MailingList:
    """Change what is given and leave the rest; raises Refused.

    A campaign that is live keeps the wording it was launched with (see `frozen_note`).
    """
    with database.atomic():
        found: MailingList = lock_rows(
            MailingList.select().where(MailingList.id == mailing_list.id)
        ).get()
        _refuse_turning(found, fields)
        changed = _settle(found, fields, settings)
        if changed:
            found.save()
            _append("list_changed", found, changed, now=now, actor=actor)
    return found


def frozen_note(mailing_list: MailingList) -> str:
    """Return what the admin should know who changes a list in the middle of a campaign, or ""."""
    if not _is_live(mailing_list):
        return ""
    return "the campaign that is under way keeps the wording with which it was launched"


def wrong_fields(**fields: Unpack[ListFields]) -> dict[str, str]:
    """Return by their names the fields that would be refused, each with the reason."""
    wrong = {}
    given: dict[str, Any] = {**fields}
    for name in given.keys() & _SETTLING.keys():
        try:
            _SETTLING[name](given[name])
        except Refused as refusal:
            wrong[name] = str(refusal)
    return wrong


def is_slug(text: str) -> bool:
    """Say whether a text can name a list where programs read it."""
    return _SLUG.fullmatch(text) is not None


def suggest_slug(name: str) -> str:
    """Return a slug for a list of that name, "" if nothing of it can stand in one."""
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    return "-".join(re.findall("[a-z0-9]+", plain))[:_LONGEST_SLUG].strip("-")


def list_facts(mailing_list: MailingList) -> ListFacts:
    """Return what is known of a list."""
    return ListFacts(
        **{field.name: getattr(mailing_list, field.name) for field in fields_of(ListFacts)}
    )


_LONGEST_SLUG = 63
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LONG = ("own_subject", "own_text", "own_html")


def _is_live(mailing_list: MailingList) -> bool:
    campaign = latest_campaign(mailing_list)
    return campaign is not None and CampaignState(campaign.state).is_live


def _refuse_turning(mailing_list: MailingList, fields: ListFields) -> None:
    """Refuse another answer to whether a Yes must be explicit while people are asked for it."""
    turned = fields.get("sensitive", mailing_list.sensitive) != mailing_list.sensitive
    if turned and _is_live(mailing_list):
        raise Refused("a list cannot become sensitive, or cease to be, while a campaign is live")


def _settle(
    mailing_list: MailingList, fields: ListFields, settings: Settings
) -> dict[str, str | bool]:
    """Put the fields into the list; return those that were given another value."""
    changed: dict[str, str | bool] = {}
    given: dict[str, Any] = {**fields}
    for name, value in given.items():
        settled = _SETTLING[name](value) if name in _SETTLING else value
        if settled != getattr(mailing_list, name) or mailing_list.id is None:
            changed[name] = settled
        setattr(mailing_list, name, settled)
    if not mailing_list.name:
        raise Refused("a list needs a name, as its readers know it: --name")
    _check_own_wording(mailing_list, settings)
    return changed


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _privacy_url(text: str) -> str:
    url = text.strip()
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_whole = False
    if url and not (is_whole and url.isprintable() and " " not in url):
        raise Refused(
            f"{url!r} is no address of a privacy statement; one looks like "
            "https://www.example.org/privacy"
        )
    return url


def _language(text: str) -> str:
    if text not in LANGUAGES:
        raise Refused(f"there are no mails in {text!r}; there are {', '.join(LANGUAGES)}")
    return text


def _sender(text: str) -> str:
    sender = _one_line(text)
    if sender:
        try:
            addresses.parse(messages.written_address(sender))
        except AddressError as error:
            raise Refused(
                f"the sender cannot be used: {error.reason}; write "
                '"The Practice <news@example.org>"'
            ) from None
    return sender


_SETTLING: Mapping[str, Callable[..., str]] = {
    "name": _one_line,
    "purpose": _one_line,
    "frequency": _one_line,
    "privacy_url": _privacy_url,
    "language": _language,
    "sender": _sender,
}


def _check_own_wording(mailing_list: MailingList, settings: Settings) -> None:
    if not any(getattr(mailing_list, name) for name in _LONG):
        return
    try:
        check_own_wording(mailing_list, settings)
        # Without a sender there is no mail yet; it is measured again when there is one.
        if mailing_list.sender:
            check_sizes(mailing_list, settings)
    except WordingError as error:
        raise Refused("your own wording cannot be used:\n" + "\n".join(error.reasons)) from None
    except AddressError as error:
        raise Refused(
            f"your own wording cannot be checked, since replies have nowhere to go "
            f"({error.reason}): give --sender first"
        ) from None


def _append(
    event: str,
    mailing_list: MailingList,
    changed: Mapping[str, str | bool],
    *,
    now: datetime,
    actor: str,
) -> None:
    """Keep an act; long texts stand in it by their digest."""
    kept = {
        name: evidence.keep_wording(str(value)) if name in _LONG else value
        for name, value in changed.items()
    }
    evidence.append(
        Entry(event=event, at=now, actor=actor, list=mailing_list.slug, consent={"fields": kept})
    )
