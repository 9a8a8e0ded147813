"""Whole mails as they were last read and found good, in tests/data/snapshots.

`REPERMIT_KEEP=1 pytest tests/unit/emails/test_snapshots.py` keeps new ones; read them before you
commit them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from repermit.emails.compose_mail import compose_mail
from repermit.emails.frozen_draft import Draft
from repermit.emails.mail_types import Mail
from repermit.emails.sender_identity import make_list_label
from tests.support.mail_builders import (
    BULGARIAN_LIST,
    BULGARIAN_PRACTICE,
    LINK,
    made_bulgarian,
    make_ask,
    make_ask_values,
    make_closing,
    make_confirm,
    make_confirm_values,
    make_daily,
    make_facts,
    make_no_receipt,
    make_not_the_person,
    make_notice,
    make_notice_values,
    make_practice,
    make_receipt,
    make_receipt_values,
    make_reminder,
    make_requested,
    make_witness,
    snapshot,
)

TO_THE_ADMIN = {
    "campaign_paused": make_notice,
    "daily_summary": make_daily,
    "campaign_closed": make_closing,
    "witness_checkpoint": make_witness,
    "not_the_person": make_not_the_person,
}
REQUESTED = {"data_link": "see", "address_change": "address", "address_changed": "changed"}
KINDS = (
    "ask",
    "reminder",
    "join_confirmation",
    "yes_receipt",
    "no_receipt",
    *REQUESTED,
    *TO_THE_ADMIN,
)
# The others are held by what is true of every mail: test_mails_in_all_languages.py.
LANGUAGES = ("de", "en", "fr", "nl")
CASES = [
    f"{kind}-{language}{sensitive}"
    for kind in KINDS
    for language in LANGUAGES
    for sensitive in ("", "-sensitive")
]


@cache
def make_mail(case: str) -> Mail:
    """Return a mail; one in Bulgarian is that of an organisation there."""
    kind, language, *sensitive = case.split("-")
    is_there = language == "bg"
    facts = make_facts(sensitive=bool(sensitive), **(BULGARIAN_LIST if is_there else {}))
    label = make_list_label(facts, key=b"a key for tests only")
    given: dict[str, Any] = {"mailing_list": facts}
    if is_there:
        given["organisation"] = make_practice(**BULGARIAN_PRACTICE)
    draft = _draft(kind, language, given)
    values = make_values(kind, list_label=label)
    return compose_mail(draft, made_bulgarian(values) if is_there else values)


def _draft(kind: str, language: str, given: dict[str, Any]) -> Draft:
    if kind in TO_THE_ADMIN:
        facts = replace(given["mailing_list"], language=language)
        return TO_THE_ADMIN[kind](**{**given, "mailing_list": facts})
    if kind in REQUESTED:
        return make_requested(REQUESTED[kind], **given, language=language)
    makers = {
        "ask": make_ask,
        "reminder": make_reminder,
        "join_confirmation": make_confirm,
        "yes_receipt": make_receipt,
        "no_receipt": make_no_receipt,
    }
    return makers[kind](**given, language=language)


def make_values(kind: str, **given: Any) -> Any:
    """Return what is filled into a mail of this kind."""
    if kind in TO_THE_ADMIN:
        return make_notice_values(**given)
    if kind in REQUESTED:
        url = LINK.format("address" if kind == "address_change" else "fresh", "Once")
        return make_confirm_values(**given, confirm_url=url)
    makers = {
        "join_confirmation": make_confirm_values,
        "yes_receipt": make_receipt_values,
        "no_receipt": make_receipt_values,
    }
    return makers.get(kind, make_ask_values)(**given)


@pytest.mark.parametrize("case", CASES)
def test_the_text_and_the_headers_are_as_they_were(case: str) -> None:
    mail = make_mail(case)
    headers = mail.raw.partition(b"\r\n\r\n")[0].decode().replace("\r\n", "\n")
    now = f"{headers}\n\n{mail.subject}\n\n{mail.text}"
    assert now == snapshot(f"{case}.txt", now)


@pytest.mark.parametrize("case", CASES)
def test_the_html_is_as_it_was(case: str) -> None:
    html = make_mail(case).html
    assert html == snapshot(f"{case}.html", html)


def test_there_is_no_snapshot_of_a_mail_that_is_no_more() -> None:
    found = {path.name for path in (Path(__file__).parents[2] / "data/snapshots").iterdir()}
    assert found == {f"{case}.{kind}" for case in CASES for kind in ("txt", "html")}
