"""Small builders of what a mail is made from, and the comparison with what was kept."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from repermit.emails.admin_notices import (
    draft_campaign_closed,
    draft_campaign_paused,
    draft_daily_summary,
    draft_not_the_person,
    draft_witness_checkpoint,
)
from repermit.emails.frozen_draft import Draft
from repermit.emails.mail_types import (
    AskValues,
    ClosingSummary,
    ConfirmValues,
    DailySummary,
    MailingListFacts,
    NoticeValues,
    ReceiptValues,
)
from repermit.emails.make_draft import draft_ask, draft_join_confirmation, draft_reminder
from repermit.emails.receipt_and_link_mails import (
    draft_no_receipt,
    draft_requested_mail,
    draft_yes_receipt,
)
from repermit.evidence import signed_checkpoint
from repermit.evidence.entries import Checkpoint
from repermit.settings.definitions import Organisation
from tests.support.builders import make_settings

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
SENT = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
DEADLINE = datetime(2026, 12, 22, 22, 59, 59, 999999, tzinfo=UTC)
SIGN_UP_ENDS = SENT + timedelta(days=7)
LINK = "https://ask.example.org/vraag/{}/ASNFZ4mrze8BI0VniavN7w.{:A<43}"

# The record's behind the entry of a Yes.
SIGNED = signed_checkpoint.sign(
    Checkpoint(seq=4711, hash="0123456789abcdef" * 4, root="fedcba9876543210" * 4),
    make_settings(evidence_key=bytes(range(32))),
)

_Values = TypeVar("_Values", AskValues, ConfirmValues, NoticeValues, ReceiptValues)

_SNAPSHOTS = Path(__file__).parents[1] / "data/snapshots"


# Of an organisation in Bulgaria, and who is on its list: people write their own names in Cyrillic.
BULGARIAN_DOMAIN = "kabinet-lipa.bg"
BULGARIAN_PRACTICE = {
    "name": "Кабинет „Липа“",
    "address": "ул. „Липова“ 1\n1000 София",
    "email": f"post@{BULGARIAN_DOMAIN}",
    "telephone": "02 123 45 67",
}
BULGARIAN_LIST = {
    "slug": "novini",
    "name": "Вести от „Липа“",
    "purpose": "Новини от нашия кабинет",
    "frequency": "четири пъти в годината",
    "privacy_url": f"https://www.{BULGARIAN_DOMAIN}/privacy",
    "sender": f"Липа <novini@{BULGARIAN_DOMAIN}>",
    "language": "bg",
}
BULGARIAN_READER = {
    "address": "ivan.ivanov@example.com",
    "name": "Иван Иванов",
    "source": "формулярът на рецепцията",
}


def make_practice(**overrides: Any) -> Organisation:
    values: dict[str, Any] = {
        "name": "Praktijk De Linde",
        "address": "Lindelaan 1\n1234 AB Utrecht",
        "email": "praktijk@example.org",
        "telephone": "030 123 45 67",
    }
    return Organisation(**(values | overrides))


def make_facts(**overrides: Any) -> MailingListFacts:
    values: dict[str, Any] = {
        "slug": "lindepost",
        "name": "De Lindepost",
        "purpose": "Nieuws over onze praktijk",
        "frequency": "vier keer per jaar",
        "privacy_url": "https://www.example.org/privacy",
        "language": "nl",
        "sender": "De Linde <post@example.org>",
    }
    return MailingListFacts(**(values | overrides))


def make_ask(**overrides: Any) -> Draft:
    values: dict[str, Any] = {
        "organisation": make_practice(),
        "mailing_list": make_facts(),
        "deadline": DEADLINE,
        "zone": AMSTERDAM,
        "language": "nl",
        "has_reminder": False,
    }
    return draft_ask(**(values | overrides))


def make_reminder(**overrides: Any) -> Draft:
    values: dict[str, Any] = {
        "organisation": make_practice(),
        "mailing_list": make_facts(),
        "deadline": DEADLINE,
        "zone": AMSTERDAM,
        "language": "nl",
    }
    return draft_reminder(**(values | overrides))


def make_notice(**overrides: Any) -> Draft:
    values: dict[str, Any] = {
        "topic": "paused_bounces",
        "organisation": make_practice(),
        "mailing_list": make_facts(),
        "deadline": DEADLINE,
        "zone": AMSTERDAM,
        "public_url": "https://ask.example.org",
    }
    return draft_campaign_paused(**(values | overrides))


def make_news(**overrides: Any) -> DailySummary:
    values: dict[str, Any] = {
        "since": SENT,
        "yes": 12,
        "no": 3,
        "withdrawn": 1,
        "others": 2,
        "asked": 500,
        "all_yes": 212,
        "all_no": 43,
        "silent": 238,
        "waiting": 4,
        "unasked": 2,
        "otherwise": 1,
        "erased": 1,
        "replies": 6,
    }
    return DailySummary(**(values | overrides))


CHECKPOINT = {
    "seq": 1234,
    "hash": "0123456789abcdef" * 4,
    "root": "ab" * 32,
    "note": "a\n\n— b c\n",
}


def make_daily(**overrides: Any) -> Draft:
    values: dict[str, Any] = {
        "news": make_news(),
        "organisation": make_practice(),
        "mailing_list": make_facts(),
        "zone": AMSTERDAM,
        "public_url": "https://ask.example.org/vraag",
    }
    values |= {"checkpoint": CHECKPOINT} | overrides
    return draft_daily_summary(values.pop("news"), **values)


def make_closing_news(**overrides: Any) -> ClosingSummary:
    values: dict[str, Any] = {
        "asked": 500,
        "yes": 212,
        "no": 43,
        "no_response": 231,
        "others": 5,
        "unasked": 9,
        "seq": 1234,
        "hash": "0123456789abcdef" * 4,
        "root": "fedcba9876543210" * 4,
    }
    return ClosingSummary(**(values | overrides))


def make_closing(**overrides: Any) -> Draft:
    values: dict[str, Any] = {
        "news": make_closing_news(),
        "organisation": make_practice(),
        "mailing_list": make_facts(),
        "zone": AMSTERDAM,
        "public_url": "https://ask.example.org/vraag",
    }
    values |= overrides
    news = values.pop("news")
    checkpoint = {"seq": news.seq, "hash": news.hash, "root": news.root}
    return draft_campaign_closed(news, **{"checkpoint": checkpoint, **values})


def make_confirm(**overrides: Any) -> Draft:
    values: dict[str, Any] = {
        "organisation": make_practice(),
        "mailing_list": make_facts(),
        "ends_at": SIGN_UP_ENDS,
        "zone": AMSTERDAM,
        "language": "nl",
    }
    return draft_join_confirmation(**(values | overrides))


def make_receipt(**overrides: Any) -> Draft:
    values: dict[str, Any] = {
        "organisation": make_practice(),
        "mailing_list": make_facts(),
        "answered_at": SENT,
        "checkpoint": SIGNED.to_json(),
        "zone": AMSTERDAM,
        "language": "nl",
    }
    return draft_yes_receipt(**(values | overrides))


def make_no_receipt(**overrides: Any) -> Draft:
    values: dict[str, Any] = {
        "organisation": make_practice(),
        "mailing_list": make_facts(),
        "answered_at": SENT,
        "zone": AMSTERDAM,
        "language": "nl",
    }
    return draft_no_receipt(**(values | overrides))


def make_requested(purpose: str, **overrides: Any) -> Draft:
    values: dict[str, Any] = {
        "organisation": make_practice(),
        "mailing_list": make_facts(),
        "zone": AMSTERDAM,
        "language": "nl",
    }
    return draft_requested_mail(purpose, **(values | overrides))


def make_not_the_person(**overrides: Any) -> Draft:
    values: dict[str, Any] = {
        "organisation": make_practice(),
        "mailing_list": make_facts(),
        "zone": AMSTERDAM,
        "contact_url": "https://ask.example.org/vraag/admin/lists/lindepost/contacts/7",
    }
    return draft_not_the_person(**(values | overrides))


def make_witness(**overrides: Any) -> Draft:
    values: dict[str, Any] = {
        "organisation": make_practice(),
        "mailing_list": make_facts(),
        "zone": AMSTERDAM,
        "checkpoint": CHECKPOINT,
    }
    return draft_witness_checkpoint(**(values | overrides))


def make_ask_values(**overrides: Any) -> AskValues:
    values: dict[str, Any] = {
        "address": "jan.jansen@example.com",
        "name": "Jan Jansen",
        "source": "het inschrijfformulier aan de balie",
        "since": datetime(2019, 5, 3, 10, 0, tzinfo=UTC),
        "yes_url": LINK.format("yes", "Yes"),
        "no_url": LINK.format("no", "No"),
        "me_url": LINK.format("me", "Me"),
        "list_label": "lindepost",
        "message_id": "<mwaxf3zq2i5wqk6ecz3ap6z4ui@example.org>",
        "return_path": "bounce+aaaaaaaaaaaby-abcdefghijklmnop@example.org",
        "date": SENT,
    }
    return AskValues(**(values | overrides))


def make_confirm_values(**overrides: Any) -> ConfirmValues:
    values: dict[str, Any] = {
        "address": "jan.jansen@example.com",
        "confirm_url": LINK.format("confirm", "Confirm"),
        "list_label": "lindepost",
        "message_id": "<mwaxf3zq2i5wqk6ecz3ap6z4ui@example.org>",
        "return_path": "post@example.org",
        "date": SENT,
    }
    return ConfirmValues(**(values | overrides))


def make_receipt_values(**overrides: Any) -> ReceiptValues:
    values: dict[str, Any] = {
        "address": "jan.jansen@example.com",
        "yes_url": LINK.format("yes", "Yes"),
        "no_url": LINK.format("no", "No"),
        "me_url": LINK.format("me", "Me"),
        "receipt_url": LINK.format("receipt", "Receipt"),
        "checkpoint": json.dumps(SIGNED.to_json()),
        "list_label": "lindepost",
        "message_id": "<mwaxf3zq2i5wqk6ecz3ap6z4ui@example.org>",
        "return_path": "post@example.org",
        "date": SENT,
    }
    return ReceiptValues(**(values | overrides))


def make_notice_values(**overrides: Any) -> NoticeValues:
    values: dict[str, Any] = {
        "address": "praktijk@example.org",
        "list_label": "lindepost",
        "message_id": "<mwaxf3zq2i5wqk6ecz3ap6z4ui@example.org>",
        "return_path": "post@example.org",
        "date": SENT,
    }
    return NoticeValues(**(values | overrides))


def made_bulgarian(values: _Values) -> _Values:
    """Return the values of a mail that this organisation sends to this reader."""
    given: dict[str, Any] = asdict(values)
    links: dict[str, Any] = {
        name: value.replace("example.org", BULGARIAN_DOMAIN)
        for name, value in given.items()
        if name.endswith("_url")
    }
    own: dict[str, Any] = {name: value for name, value in BULGARIAN_READER.items() if name in given}
    return replace(values, **links, **own)


def kept(path: Path, now: str) -> str:
    """Return what was kept in a file; with REPERMIT_KEEP=1 set, keep what it is now instead.

    Look at what git says has changed before it is committed.
    """
    before = path.read_text("utf-8") if path.exists() else ""
    after = now if os.environ.get("REPERMIT_KEEP") else before
    path.write_text(after, "utf-8") if after != before else None
    return after


def snapshot(name: str, now: str) -> str:
    """Return the snapshot of this name; see `kept`."""
    return kept(_SNAPSHOTS / name, now)
