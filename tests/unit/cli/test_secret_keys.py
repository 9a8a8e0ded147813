"""Link keys are changed, and the fingerprint key stays outside: as somebody at a shell does it."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from repermit.db.models.contacts import Contact
from repermit.rules.consent import Reason
from tests.support.builders import make_removed, make_settings
from tests.support.desk import ATTEST, Desk, links_of
from tests.support.inbox import Inbox
from tests.support.public_pages import answer_by

OLD = make_settings().secret_keys[0].decode()
NEW = "another-key-that-came-later-on"


def set_keys(desk: Desk, *keys: str) -> None:
    """Have config.toml name these link keys, the newest last."""
    text = desk.config.read_text("utf-8")
    lines = [
        f"secret_keys = {json.dumps(keys)}" if line.startswith("secret_keys = ") else line
        for line in text.splitlines()
    ]
    desk.config.write_text("\n".join(lines) + "\n", "utf-8")


def asked(desk: Desk, inbox: Inbox, address: str) -> dict[str, str]:
    """Ask one more person; return the links of their mail."""
    desk.do("import", "news", desk.file("email", address, name=f"{address}.csv"))
    launch = ("launch", "news", "--deadline", "2026-03-30", "--attest", ATTEST, "--wait")
    desk.do(*launch)
    desk.do("cancel", "news")
    (mail,) = inbox.to(address)
    return links_of(mail)


@pytest.mark.parametrize("kind", ["yes", "no"])
def test_old_links_answer_after_rotation_and_end_with_their_key(
    desk: Desk, inbox: Inbox, kind: str
) -> None:
    desk.add_news(language="en")
    old = asked(desk, inbox, "old@example.org")
    set_keys(desk, OLD, NEW)
    new = asked(desk, inbox, "new@example.org")
    with desk.pages() as pages:
        # The newest signs, and all verify.
        assert pages.get(old[kind]).status_code == pages.get(new[kind]).status_code == 200
        assert answer_by(pages, old[kind]).status_code == 200
        assert pages.get(old["me"]).status_code == 200
    with desk.database():
        found = {one.address: one.status for one in Contact.select()}
        wanted = "confirmed" if kind == "yes" else "removed"
        assert found["old@example.org"] == wanted
    set_keys(desk, NEW)
    forged = f"/{kind}/" + old[kind].rpartition("/")[2][:-2] + "AA"
    with desk.pages() as pages:
        ended = pages.get(old[kind])
        assert ended.status_code == pages.post(old[kind]).status_code == 404
        # Nothing tells a link whose key is gone from one that was never ours.
        assert pages.get(forged).data == ended.data
        one_click = {"List-Unsubscribe": "One-Click"}
        assert pages.post(old["no"], data=one_click).status_code == 404
        assert pages.post(new["no"], data=one_click).status_code == 200
    with desk.database():
        found = {one.address: one.status for one in Contact.select()}
        assert found == {"old@example.org": wanted, "new@example.org": "removed"}


def test_the_keys_are_never_in_the_database(desk: Desk) -> None:
    desk.add_news()
    with desk.news() as (database, mailing_list):
        make_removed(database, mailing_list, Reason.NO, "left@example.org")
    desk.do("suppression", "export", "news")
    desk.do("backup", str(desk.folder / "copy.db"))
    files = [one for one in desk.folder.glob("*.db*") if one.is_file()]
    assert len(files) >= 2
    for key in (*desk.settings.secret_keys, desk.settings.fingerprint_key):
        forms = (
            key,
            key.hex().encode(),
            base64.b64encode(key).rstrip(b"="),
            base64.urlsafe_b64encode(key).rstrip(b"="),
            hashlib.sha256(key).digest(),
            hashlib.sha256(key).hexdigest().encode(),
        )
        for file in files:
            octets = file.read_bytes()
            # What is there can be found by its bytes.
            assert b"Praktijk De Linde" in octets or file.stat().st_size == 0 or "-" in file.name
            assert not any(form in octets for form in forms), file
