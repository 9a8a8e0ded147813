"""The tokens of the API: made, shown once, found, revoked; each act with its evidence."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from typing import Any

import pytest

from repermit.accounts import api_tokens
from repermit.db.connection import Database
from repermit.db.models.accounts import ApiToken
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.errors import NotFound, Refused
from tests.support.builders import NOW

BY_ME: dict[str, Any] = {"now": NOW, "actor": "me@example.org"}


def make(database: Database, name: str = "Mailchimp", *scopes: str) -> api_tokens.NewToken:
    return api_tokens.make_token(database, name, scopes=scopes or ("read:status",), **BY_ME)


def test_a_token_is_shown_once_and_kept_as_its_digest(database: Database) -> None:
    made = make(database)
    assert re.fullmatch(r"rp_[A-Za-z0-9_-]{43}", made.bearer)
    assert made.bearer not in repr(made)
    assert ApiToken.get().digest == hashlib.sha256(made.bearer.encode()).hexdigest()
    assert make(database, "other").bearer != made.bearer


def test_a_token_is_found_by_what_is_shown(database: Database) -> None:
    made = make(database, "  the   tool ", "read:answers", "read:status", "read:answers")
    found = api_tokens.find_token(made.bearer)
    assert found == api_tokens.TokenInfo(
        id=made.id,
        name="the tool",
        scopes=("read:status", "read:answers"),
        created_by="me@example.org",
        created_at=NOW,
        used_at=None,
        revoked_at=None,
    )
    for wrong in ("", "rp_", made.bearer[:-1], made.bearer + "x", made.bearer.upper(), "é"):
        assert api_tokens.find_token(wrong) is None


def test_a_revoked_token_is_found_no_more(database: Database) -> None:
    made = make(database)
    later = NOW + timedelta(days=1)
    api_tokens.revoke_token(database, made.id, now=later, actor="me@example.org")
    assert api_tokens.find_token(made.bearer) is None
    assert [one.revoked_at for one in api_tokens.list_tokens()] == [later]
    with pytest.raises(NotFound):
        api_tokens.revoke_token(database, made.id, **BY_ME)
    with pytest.raises(NotFound):
        api_tokens.revoke_token(database, 99, **BY_ME)
    # Its name is free again.
    make(database)
    assert [one.name for one in api_tokens.list_tokens()] == ["Mailchimp", "Mailchimp"]


def test_two_tokens_are_not_called_the_same(database: Database) -> None:
    make(database)
    with pytest.raises(Refused, match="a token called Mailchimp already"):
        make(database, " Mailchimp ")


@pytest.mark.parametrize("name", ["", "  ", "a" * 61, "a\x00b", "a\u202eb", "anna@example.org"])
def test_a_name_that_cannot_be_used_is_refused(database: Database, name: str) -> None:
    with pytest.raises(Refused, match="needs a name of up to 60 signs"):
        make(database, name)
    assert api_tokens.list_tokens() == ()


def test_the_longest_name_is_taken(database: Database) -> None:
    make(database, "a" * 60)
    assert len(api_tokens.list_tokens()) == 1


@pytest.mark.parametrize("scopes", [(), ("write:all",), ("read:status", "read")])
def test_a_token_is_for_scopes_that_there_are(database: Database, scopes: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="read:status, read:contacts, read:answers"):
        api_tokens.make_token(database, "tool", scopes=scopes, **BY_ME)


def test_every_act_is_kept_with_its_actor_and_without_the_token(database: Database) -> None:
    made = make(database)
    api_tokens.revoke_token(database, made.id, now=NOW, actor="you@example.org")
    entries = [(one.event, one.actor) for one in Evidence.select().order_by(Evidence.seq)]
    assert entries == [("token_made", "me@example.org"), ("token_revoked", "you@example.org")]
    for part in EvidencePart.select():
        told = {"token": made.id, "name": "Mailchimp", "scopes": ["read:status"]}
        assert json.loads(part.json) == told


def test_its_use_is_noted_to_the_hour(database: Database) -> None:
    made = make(database)
    found = api_tokens.find_token(made.bearer)
    assert found
    assert api_tokens.should_record_token_use(found, now=NOW)
    with database.atomic():
        api_tokens.record_token_use(found, now=NOW)
    used = api_tokens.find_token(made.bearer)
    assert used
    assert used.used_at == NOW
    hour = timedelta(hours=1)
    assert not api_tokens.should_record_token_use(used, now=NOW + hour - timedelta(microseconds=1))
    assert api_tokens.should_record_token_use(used, now=NOW + hour)
