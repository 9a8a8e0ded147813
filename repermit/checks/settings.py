"""Checks of settings and lists: missing values, file permissions, weak keys, the rate limit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from repermit import email_address
from repermit.checks.dns_lookup import is_this_machine
from repermit.checks.findings import Finding, format_count, make_finding
from repermit.contacts.lookup import read_list_facts, read_own_wording
from repermit.db.models.lists import MailingList
from repermit.emails import sender_identity
from repermit.emails.first_screen import estimate_first_screen
from repermit.emails.greeting_name import WIDEST_NAME
from repermit.emails.mail_types import Mail
from repermit.emails.template_engine import MAX_SUBJECT_LENGTH, cut_name
from repermit.errors import AddressError, RepermitError
from repermit.settings.definitions import MailServer, Organisation, Settings
from repermit.settings.secret_files import is_open_to_others, list_secret_files
from repermit.settings.smtp_presets import PRESETS, Preset, name_provider

# --- The missing values of each list, and the domains of the senders. -----------------------------


def check_list(
    mailing_list: MailingList, *, mentions_frequency: Callable[[str], bool]
) -> Iterator[Finding]:
    """Yield a finding for each value that a list lacks and its readers must know."""
    slug = mailing_list.slug
    lacking = {
        "list_no_purpose": not mailing_list.purpose,
        "list_no_frequency": not (
            mailing_list.frequency or mentions_frequency(mailing_list.purpose)
        ),
        "list_no_privacy": not mailing_list.privacy_url,
        "list_no_sender": not find_sender_address(mailing_list),
    }
    yield from (make_finding(code, list=slug) for code, is_lacking in lacking.items() if is_lacking)
    if not any(lacking.values()):
        yield make_finding("list_ok", list=slug)


def check_first_screen(
    mailing_list: MailingList, *, organisation: Organisation, preview: Callable[..., Mail]
) -> Iterator[Finding]:
    """Yield a warning if a phone cuts off the subject, the names or the answers of a list's ask.

    - `preview`: makes the mail of a list in a `language`; a list that has none yet is skipped.
    """
    facts, cut = read_list_facts(mailing_list), []
    for language in facts.languages:
        names = (organisation.name, facts.in_language(language).name)
        name = WIDEST_NAME if read_own_wording(mailing_list, language).text else ""
        with suppress(RepermitError):
            mail = preview(mailing_list, language=language, is_typed=True, reader_name=name)
            if _is_cut_short(mail, names):
                cut.append(language)
    if cut:
        yield make_finding("list_cut_short", list=mailing_list.slug, languages=", ".join(cut))


def _is_cut_short(mail: Mail, names: Iterable[str]) -> bool:
    screen = estimate_first_screen(mail.html)
    return (
        len(mail.subject) >= MAX_SUBJECT_LENGTH
        or any(cut_name(name) != name for name in names)
        or not (screen is None or screen.shows_both_answers)
    )


def check_sender(mailing_list: MailingList, settings: Settings) -> Iterator[Finding]:
    """Yield a warning if the mail server may refuse a list's sender."""
    sender, mailbox = find_sender_address(mailing_list), settings.mail.username
    is_another = sender.lower() != mailbox.lower()
    if settings.mail.preset == "office365" and sender and mailbox and is_another:
        yield make_finding("smtp_other_sender", list=mailing_list.slug)


def find_sender_address(mailing_list: MailingList) -> str:
    """Return the address of a list's sender, with its domain as an A-label; "" if invalid."""
    return _to_sending_form(sender_identity.read_address(mailing_list.sender))


def list_sender_domains(lists: Sequence[MailingList], settings: Settings) -> tuple[str, ...]:
    """Return the domains of the senders; without lists, that of the organisation's address."""
    senders = [find_sender_address(mailing_list) for mailing_list in lists] or [
        _to_sending_form(settings.organisation.email)
    ]
    return tuple(sorted({sender.rpartition("@")[2] for sender in senders if sender}))


def _to_sending_form(text: str) -> str:
    try:
        return email_address.parse(text).sending
    except AddressError:
        return ""


# --- The missing settings, file permissions, weak keys, and the rate limit. -----------------------


_DAY = timedelta(days=1)

# 128 bits in base64; a random text of that length has more distinct characters than the second.
_MIN_KEY_LENGTH = 22
_MIN_DISTINCT_BYTES = 10


def check_organisation(settings: Settings) -> Iterator[Finding]:
    """Yield a finding about the settings required before asking (GDPR art. 13(1) and (2)(d))."""
    lacking = ", ".join(settings.organisation.missing_keys)
    yield (
        make_finding("config_organisation", keys=lacking) if lacking else make_finding("config_ok")
    )


def check_keys(settings: Settings, path: Path | None) -> Iterator[Finding]:
    """Yield findings about the keys, and about the permissions of the files with secrets.

    - `path`: the file of the settings; None if unknown.
    """
    findings = [*_check_secret_files(path), *_check_key_strength(settings)]
    yield from findings or [make_finding("keys_ok")]
    if settings.journal is not None:
        yield from _check_journal(settings.journal)


def check_evidence_key(settings: Settings) -> Iterator[Finding]:
    """Yield a warning if nothing signs the checkpoints of the evidence."""
    if settings.evidence_key is None:
        yield make_finding("keys_unsigned")


def _check_journal(path: Path) -> Iterator[Finding]:
    """Yield a finding if the suppression journal cannot be written; nothing is written."""
    where = path if path.exists() else path.parent
    if path.is_dir() or not os.access(where, os.R_OK | os.W_OK):
        yield make_finding("keys_journal", file=str(path))
    elif path.exists() and is_open_to_others(path):
        yield make_finding("keys_readable", file=str(path))


def _check_secret_files(path: Path | None) -> Iterator[Finding]:
    for file in list_secret_files(path) if path else ():
        if is_open_to_others(file):
            yield make_finding("keys_readable", file=str(file))


def _check_key_strength(settings: Settings) -> Iterator[Finding]:
    keys = {"secret_keys": settings.secret_keys, "fingerprint_key": (settings.fingerprint_key,)}
    for name, values in keys.items():
        if any(_is_weak(value) for value in values):
            yield make_finding("keys_weak", key=name)


def _is_weak(key: bytes) -> bool:
    return len(key) < _MIN_KEY_LENGTH or len(set(key)) < _MIN_DISTINCT_BYTES


def check_rate_limit(mail: MailServer) -> Iterator[Finding]:
    """Yield findings about the rate limit, compared with the provider's preset."""
    preset = PRESETS.get(mail.preset)
    beyond = list(_compare_with_preset(mail, preset)) if preset else []
    if beyond:
        yield from beyond
    elif mail.interval:
        yield make_finding("pace_ok", day=_format_daily_rate(mail))
    elif is_this_machine(mail.server):
        yield make_finding("pace_free")
    else:
        yield make_finding("pace_none", server=mail.server)


def _compare_with_preset(mail: MailServer, preset: Preset) -> Iterator[Finding]:
    """Yield a finding for each limit of the provider's preset that the settings exceed."""
    preset_mail = replace(
        mail,
        rate_per_minute=preset.rate_per_minute,
        rate_per_hour=preset.rate_per_hour,
        rate_per_day=preset.rate_per_day,
    )
    values = {"preset": name_provider(mail.preset)}
    if mail.interval < preset_mail.interval:
        yield make_finding(
            "pace_above_preset",
            day=_format_daily_rate(mail),
            preset_day=_format_daily_rate(preset_mail),
            **values,
        )
    if mail.connections > preset.connections:
        preset_connections = str(preset.connections)
        yield make_finding(
            "pace_connections",
            connections=str(mail.connections),
            preset_connections=preset_connections,
            **values,
        )


def _format_daily_rate(mail: MailServer) -> str:
    return format_count(_DAY // mail.interval) if mail.interval else "∞"
