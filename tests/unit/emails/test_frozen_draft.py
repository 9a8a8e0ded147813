"""Frozen wordings: stored as text, read back the same, named by their digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from repermit.emails.compose_mail import compose_mail
from repermit.emails.frozen_draft import read_draft
from repermit.i18n.catalogues import languages
from tests.support.mail_builders import (
    DEADLINE,
    make_ask,
    make_ask_values,
    make_confirm,
    make_confirm_values,
    make_facts,
)


@pytest.mark.parametrize("language", languages())
def test_a_draft_is_read_back_and_makes_the_same_mail(language: str) -> None:
    ask, confirm = make_ask(language=language), make_confirm(language=language)
    assert read_draft(ask.content) == ask
    assert read_draft(confirm.content) == confirm
    assert compose_mail(read_draft(ask.content), make_ask_values()) == compose_mail(
        ask, make_ask_values()
    )
    assert compose_mail(read_draft(confirm.content), make_confirm_values()) == compose_mail(
        confirm, make_confirm_values()
    )


def test_the_content_is_canonical_json_and_the_digest_is_its_sha256() -> None:
    draft = make_ask()
    document = json.loads(draft.content)
    assert draft.content == json.dumps(
        document, ensure_ascii=False, separators=(",", ":"), sort_keys=True
    )
    assert draft.digest == hashlib.sha256(draft.content.encode()).hexdigest()
    assert document["format"] == 1
    assert document["deadline"] == "2026-12-22T22:59:59.999999+00:00"
    assert "⟦no_url⟧" in document["text"]


def test_the_same_wording_has_the_same_digest_and_any_change_another() -> None:
    draft = make_ask()
    assert draft.digest == make_ask().digest
    changed = [
        make_ask(deadline=DEADLINE + timedelta(seconds=1)),
        make_ask(mailing_list=make_facts(purpose="Iets anders")),
        make_ask(language="en"),
        make_confirm(),
        replace(draft, subject="Iets anders"),
    ]
    assert len({draft.digest, *(one.digest for one in changed)}) == 6


@pytest.mark.parametrize("change", [{"format": 2}, {"format": None}])
def test_a_format_of_a_later_version_is_refused(change: dict[str, object]) -> None:
    document = json.loads(make_ask().content) | change
    with pytest.raises(ValueError, match="does not know"):
        read_draft(json.dumps(document))


def test_a_draft_knows_its_zone() -> None:
    assert make_ask().zone_info.key == "Europe/Amsterdam"
