"""How large the mails are as they leave, and how large they were before the first screen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from repermit.emails.compose_mail import compose_mail
from repermit.emails.frozen_draft import Draft
from repermit.emails.mail_types import Values
from repermit.emails.mime_encoding import encode_mail
from repermit.i18n import catalogues
from tests.support.mail_builders import (
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
)

LANGUAGES = ("nl", "en", "de", "bg")
"""Bulgarian for all that are written in letters of two octets, six of them in a mail."""

TABLE = Path(__file__).parents[2] / "docs/develop/mail-sizes.md"
BEFORE = Path(__file__).parents[1] / "data/mail-sizes-857b5f4.json"
"""What the same mails were at commit 857b5f4, before mails and pages had their first screen."""


def measure_mails(language: str) -> Iterator[tuple[str, int]]:
    """Yield the octets of each kind of mail as it leaves, in a language."""
    for name, draft, values in _make_mails(language):
        yield name, encode_mail(compose_mail(draft, values)).size


def _make_mails(language: str) -> Iterator[tuple[str, Draft, Values]]:
    to_person = {"mailing_list": make_facts(language=language), "language": language}
    sensitive = {**to_person, "mailing_list": make_facts(language=language, sensitive=True)}
    to_admin = {"mailing_list": make_facts(language=language)}
    yield "ask", make_ask(**to_person), make_ask_values()
    yield "ask, sensitive", make_ask(**sensitive), make_ask_values()
    yield "reminder", make_reminder(**to_person), make_ask_values()
    yield "join_confirmation", make_confirm(**to_person), make_confirm_values()
    yield "yes_receipt", make_receipt(**to_person), make_receipt_values()
    yield "data_link", make_requested("see", **to_person), make_confirm_values()
    yield "address_change", make_requested("address", **to_person), make_confirm_values()
    yield "address_changed", make_requested("changed", **to_person), make_notice_values()
    yield "not_the_person", make_not_the_person(**to_admin), make_notice_values()
    yield "campaign_paused", make_notice(**to_admin), make_notice_values()
    yield "daily_summary", make_daily(**to_admin), make_notice_values()
    yield "campaign_closed", make_closing(**to_admin), make_notice_values()


def read_sizes_before() -> Mapping[str, Mapping[str, int]]:
    """Return the octets at commit 857b5f4, by kind and language."""
    sizes: dict[str, dict[str, int]] = json.loads(BEFORE.read_text("utf-8"))
    return sizes


def make_table(now: Mapping[str, Mapping[str, int]]) -> str:
    """Return the page with what was measured, by kind and language."""
    before = read_sizes_before()
    names = [catalogues.language_name(language) for language in LANGUAGES]
    heads = [f"{name}{when}" for name in names for when in ("", ", before")]
    lines = [f"| mail | {' | '.join(heads)} |", "|" + "---|" * (len(heads) + 1)]
    for kind, sizes in now.items():
        cells = [str(one[kind][language]) for language in LANGUAGES for one in (now, before)]
        assert set(sizes) == set(LANGUAGES)
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return _TABLE_PAGE.format(table="\n".join(lines))


_TABLE_PAGE = """# Sizes of mails

<!-- MAIL_SIZES=write pytest tests/unit/emails/test_mail_sizes.py writes this page. -->

How many octets a mail has as it leaves. “Before” is the same mail at commit 857b5f4, before mails \
and pages had their [first screen](first-screen.md).

Styles stand at the elements, and the style sheet keeps dark mode alone. So mails are smaller than \
before, though they say more. The daily mail alone may be larger: it counts all people of the \
campaign since. A Cyrillic or Greek letter takes six octets in quoted-printable, and \
fewer than three in base64. So the text of a mail in such letters leaves in base64. Its HTML does \
not, since more of that is markup.

{table}
"""
