"""The page with the public keys of the record, for whoever checks a proof."""

from __future__ import annotations

from repermit.db.connection import Database
from repermit.evidence import evidence_key, signed_checkpoint
from repermit.evidence.signed_note import PublicKey
from tests.support.builders import NOW, make_settings
from tests.support.public_pages import Pages

URL = "/.well-known/repermit-evidence-keys"
FIRST, SECOND = (make_settings(evidence_key=bytes([one]) * 32) for one in (1, 2))


def test_it_shows_the_present_key_and_those_before_it(database: Database) -> None:
    for settings in (FIRST, SECOND):
        evidence_key.note_key(database, settings, now=NOW, actor="cli:1000")
    response = Pages(database, SECOND).client.get(URL)
    assert (response.status_code, response.mimetype) == (200, "text/plain")
    keys = [PublicKey.read(line) for line in response.text.splitlines()]
    assert keys == [signed_checkpoint.get_public_key(one) for one in (SECOND, FIRST)]


def test_without_any_key_there_is_no_such_page(database: Database) -> None:
    assert Pages(database, make_settings()).client.get(URL).status_code == 404
