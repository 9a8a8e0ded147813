"""Whole mails as they were last read and found good, in tests/snapshots.

`REPERMIT_KEEP=1 pytest tests/test_messages_snapshots.py` keeps new ones; read them before you
commit them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from repermit.messages import Mail, compose, list_label
from tests.letters import (
    LINK,
    make_ask,
    make_ask_values,
    make_closing,
    make_confirm,
    make_confirm_values,
    make_daily,
    make_facts,
    make_not_the_person,
    make_notice,
    make_notice_values,
    make_receipt,
    make_receipt_values,
    make_reminder,
    make_requested,
    snapshot,
)

TO_THE_ADMIN = {
    "notice": make_notice,
    "daily": make_daily,
    "closing": make_closing,
    "not_the_person": make_not_the_person,
}
REQUESTED = ("see", "address", "changed")
KINDS = ("ask", "reminder", "confirm", "receipt", *REQUESTED, *TO_THE_ADMIN)
# The others are held by what is true of every mail: tests/test_messages_languages.py.
LANGUAGES = ("de", "en", "fr", "nl")
CASES = [
    f"{kind}-{language}{sensitive}"
    for kind in KINDS
    for language in LANGUAGES
    for sensitive in ("", "-sensitive")
]


@cache
def make_mail(case: str) -> Mail:
    kind, language, *sensitive = case.split("-")
    facts = make_facts(sensitive=bool(sensitive))
    label = list_label(facts, key=b"a key for tests only")
    if kind in TO_THE_ADMIN:
        draft = TO_THE_ADMIN[kind](mailing_list=replace(facts, language=language))
        return compose(draft, make_notice_values(list_label=label))
    if kind in REQUESTED:
        draft = make_requested(kind, mailing_list=facts, language=language)
        url = LINK.format("address" if kind == "address" else "fresh", "Once")
        return compose(draft, make_confirm_values(list_label=label, confirm_url=url))
    if kind == "confirm":
        draft = make_confirm(mailing_list=facts, language=language)
        return compose(draft, make_confirm_values(list_label=label))
    if kind == "receipt":
        draft = make_receipt(mailing_list=facts, language=language)
        return compose(draft, make_receipt_values(list_label=label))
    make = {"ask": make_ask, "reminder": make_reminder}[kind]
    return compose(make(mailing_list=facts, language=language), make_ask_values(list_label=label))


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
    found = {path.name for path in (Path(__file__).parent / "snapshots").iterdir()}
    assert found == {f"{case}.{kind}" for case in CASES for kind in ("txt", "html")}
