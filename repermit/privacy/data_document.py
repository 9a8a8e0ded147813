"""Everything held, as a document that programs read (GDPR art. 20): stable, and of one format.

README names its keys, and a test holds them to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from repermit.emails.mail_values import MailingListFacts
from repermit.privacy.data_links import Entry, Held, Letter, Openings, Recipient
from repermit.settings.definitions import Organisation

FORMAT = "repermit-held-1"
"""What the document says it is; it becomes another one when a key changes its meaning."""


def document(
    held: Held, *, organisation: Organisation, recipients: Sequence[Recipient], now: datetime
) -> dict[str, Any]:
    """Return everything held as what JSON can hold; times are RFC 3339 in UTC."""
    return {
        "format": FORMAT,
        "made_at": _time(now),
        "controller": _controller(organisation),
        "list": _list(held.mailing_list),
        "contact": _contact(held),
        "mails": [_letter(one) for one in held.letters],
        "sign_ups": [
            {
                "at": _time(one.at),
                "confirmed_at": _time(one.confirmed_at),
                "declined_at": _time(one.declined_at),
                "asked_again_at": _time(one.asked_again_at),
                "name": one.name,
                "language": one.language,
            }
            for one in held.sign_ups
        ],
        "imports": [{"at": _time(at), "file": file} for at, file in held.imports],
        "replies": [{"at": _time(at), "answer": answer} for at, answer in held.replies],
        "evidence": [_entry(one) for one in held.entries],
        "openings": _openings(held.openings) if held.openings else None,
        "suppressions": [
            {"at": _time(one.at), "reason": one.reason, "all_lists": one.is_for_all}
            for one in held.suppressions
        ],
        "looks": [{"at": _time(at), "what": what} for at, what in held.looks],
        "recipients": [dict(vars(one)) for one in recipients],
        "handed_on": [
            {"at": _time(one.at), "what": one.what, "to": one.to} for one in held.handed_on
        ],
        "kept": [
            {
                "what": one.what,
                "duration": one.duration or None,
                "counts_from": one.begins or None,
                "until": _time(one.until),
            }
            for one in held.terms
        ],
    }


def _controller(organisation: Organisation) -> dict[str, str]:
    return {
        "name": organisation.name,
        "address": organisation.address,
        "email": organisation.email,
        "telephone": organisation.telephone,
        "officer": organisation.officer,
        "authority": organisation.authority,
    }


def _list(about: MailingListFacts) -> dict[str, Any]:
    return {
        "slug": about.slug,
        "name": about.name,
        "purpose": about.purpose,
        "frequency": about.frequency,
        "privacy_url": about.privacy_url,
        "sensitive": about.sensitive,
    }


def _contact(held: Held) -> dict[str, str | None]:
    return {
        "address": held.address,
        "name": held.name,
        "language": held.language,
        "status": str(held.status),
        "status_at": _time(held.status_at),
        "reason": held.reason,
        "basis": held.basis,
        "basis_at": _time(held.basis_at),
        "source": held.source,
        "since": _time(held.since),
    }


def _letter(one: Letter) -> dict[str, str | None]:
    return {
        "kind": one.kind,
        "purpose": one.purpose,
        "to": one.to or None,
        "state": one.state,
        "at": _time(one.at),
        "reply": one.reply,
        "bounce": one.bounce,
        "bounce_status": one.bounce_status,
        "bounced_at": _time(one.bounced_at),
    }


def _entry(one: Entry) -> dict[str, Any]:
    return {
        "seq": one.seq,
        "at": _time(one.at),
        "event": one.event,
        "by": one.by,
        "hash": one.hash,
        "consent": dict(one.consent),
        "person": dict(one.person),
        "trace": dict(one.trace),
    }


def _openings(one: Openings) -> dict[str, Any]:
    return {
        "links": [
            {
                "link": opened.link,
                "get": opened.gets,
                "head": opened.heads,
                "first_at": _time(opened.first_at),
                "last_at": _time(opened.last_at),
            }
            for opened in one.links
        ],
        "together_at": _time(one.together_at),
        "yes_at": _time(one.yes_at),
        "no_at": _time(one.no_at),
        "disowned_at": _time(one.disowned_at),
        "asked_again_at": _time(one.asked_again_at),
        "held_at": _time(one.held_at),
        "signs": list(one.signs),
    }


def _time(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="microseconds") if at else None
