"""A proof as a page to read and to print; it says nothing that its JSON does not.

Of a wording, only the text goes into the page, never its markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from repermit import email_address
from repermit.emails import compose_mail, frozen_draft
from repermit.emails.frozen_draft import Draft
from repermit.emails.html_to_text import html_to_text
from repermit.evidence.consent_receipt import get_latest_state
from repermit.evidence.entries import PARTS
from repermit.evidence.verify.cosignatures import read_cosigners
from repermit.evidence.verify.timestamps import read_stamps
from repermit.package_files import embed_style
from repermit.privacy.proof_text import (
    LANGUAGES,
    describe_entries,
    describe_status,
    format_time,
    list_entries,
    make_environment,
    read_campaign,
    read_part,
)


@dataclass(frozen=True, kw_only=True)
class ShownWording:
    """A wording as the person saw it: its kind, its digest and its text."""

    kind: str
    digest: str
    text: str


def make_proof_page(document: Mapping[str, Any], *, language: str, zone: ZoneInfo) -> str:
    """Return the page of a proof in `language`, or in English if there is no page in it."""
    language = language if language in LANGUAGES else "en"
    statement = document["statement"]
    seal = document["seal"]["entry"]
    return (
        make_environment(language)
        .get_template("printable_proof.html")
        .render(
            language=language,
            statement=statement,
            record=statement["record"],
            state=get_latest_state(statement["record"]["event"]),
            told=describe_entries(document, language=language, zone=zone),
            standing=describe_status(document, language=language, zone=zone),
            shown=list(_list_wordings(statement)),
            launches=[
                read_campaign(item)
                for item in statement.get("campaign_entries", ())
                if item["entry"]["event"] == "launched"
            ],
            entries=[*list_entries(statement), document["seal"]],
            gone=[
                (item["entry"]["seq"], part)
                for item in statement["entries"]
                for part in PARTS
                if item["entry"][part] and part not in item["parts"]
            ],
            made_at=format_time(seal["at"], language=language, zone=zone),
            made_by=seal["actor"],
            checkpoint=document["checkpoint"],
            stamps=[
                (
                    stamp.seq,
                    format_time(stamp.at.isoformat(), language=language, zone=zone),
                    stamp.by,
                )
                for stamp in read_stamps(document)
            ],
            cosigners=[
                (seq, format_time(at.isoformat(), language=language, zone=zone), who)
                for seq, at, who in read_cosigners(document)
            ],
            **embed_style("proof.css"),
        )
    )


def _list_wordings(statement: Mapping[str, Any]) -> Iterator[ShownWording]:
    """Yield the wordings that the entries name, filled in with the person's data."""
    corrections: list[tuple[datetime, Mapping[str, str]]] = []
    for entry in statement["entries"]:
        yield from _list_wordings_of_entry(entry, statement["wordings"], corrections)
        if before := read_part(entry, "person").get("before"):
            corrections.append((datetime.fromisoformat(entry["entry"]["at"]), before))


def _list_wordings_of_entry(
    entry: Mapping[str, Any],
    wordings: Mapping[str, str],
    corrections: Iterable[tuple[datetime, Mapping[str, str]]],
) -> Iterator[ShownWording]:
    consent, person = read_part(entry, "consent"), read_part(entry, "person")
    mail = consent.get("mail_wording")
    draft = _read_draft(wordings[mail]) if mail else None
    if mail:
        asked = {**person, **_find_values_as_asked(consent.get("asked_at"), corrections)}
        text = wordings[mail] if draft is None else _make_mail_text(draft, asked)
        yield ShownWording(kind="mail", digest=mail, text=text)
    for kind in ("page", "link_page"):
        if page := consent.get(f"{kind}_wording"):
            text = _fill_values(html_to_text(wordings[page]), draft, person)
            yield ShownWording(kind=kind, digest=page, text=text)
    if form := consent.get("wording"):
        yield ShownWording(kind="form", digest=form, text=wordings[form])
    if statement_text := consent.get("privacy_wording"):
        yield ShownWording(kind="privacy", digest=statement_text, text=wordings[statement_text])


def _find_values_as_asked(
    asked_at: str | None, corrections: Iterable[tuple[datetime, Mapping[str, str]]]
) -> dict[str, str]:
    """Return the person's data in the mail that they corrected before they answered.

    The earliest correction since the mail has the values that the mail had.
    """
    values: dict[str, str] = {}
    if not asked_at:
        return values
    asked = datetime.fromisoformat(asked_at)
    for at, before in corrections:
        if at >= asked:
            values = {**before, **values}
    if "address" in values:
        values["address_in_part"] = values.pop("address")
    return values


def _read_draft(content: str) -> Draft | None:
    """Return the frozen draft of a mail; None if its format is unknown."""
    try:
        return frozen_draft.read_draft(content)
    except (ValueError, TypeError, KeyError):
        return None


def _make_mail_text(draft: Draft, person: Mapping[str, Any]) -> str:
    return f"{draft.subject}\n\n{_fill_values(draft.text, draft, person)}"


def _fill_values(text: str, draft: Draft | None, person: Mapping[str, Any]) -> str:
    """Fill in the person's data; placeholders stay if there are none, and for personal links."""
    if not person.get("address"):
        return text
    masked = person.get("address_in_part") or email_address.mask_address(person["address"])
    values = {"address": masked}
    if draft is not None:
        since = person.get("since")
        values["greeting"] = compose_mail.make_greeting(draft, person.get("name", ""))
        values["reason"] = compose_mail.make_reason(
            draft,
            source=person.get("source", ""),
            since=datetime.fromisoformat(since) if since else None,
        )
    for name, value in values.items():
        text = text.replace(f"⟦{name}⟧", value)
    return text
