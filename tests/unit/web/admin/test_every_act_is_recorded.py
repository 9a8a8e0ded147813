"""Whatever an admin does is an entry with its actor; what is none says here why."""

from __future__ import annotations

from typing import Any

import pytest

from repermit.db.connection import Database
from repermit.db.models.evidence import Evidence
from repermit.web.admin.audit_log import ACTS
from tests.support.admin_pages import PASSWORD, client_of, make_admin, post
from tests.support.builders import make_settings
from tests.unit.web.admin.test_routes import ADMINS, World

# Every form of the admin's pages, and the event of the entry that it leaves.
ENTRIES = {
    "settings.save_group": "settings_changed",
    "conditions.save": "conditions_changed",
    "connecting.add_webhook": "webhook_added",
    "connecting.redeliver": "webhook_redelivered",
    "connecting.make_token": "token_made",
    "connecting.remove_webhook": "webhook_removed",
    "connecting.revoke_token": "token_revoked",
    "connecting.test_webhook": "webhook_tested",
    "contacts.add": "added",
    "contacts.answer": "confirmed",
    "contacts.prove": "proved",
    "contacts.remove": "removed",
    "correcting.save": "text_corrected",
    "deciding.decide": "reply_set_aside",
    "describing.add": "list_added",
    "describing.save": "list_changed",
    "entering.leave": "logged_out",
    "entering.set_up": "second_step_set_up",
    "entering.take_second_step": "logged_in",
    "entering.welcome": "password_chosen",
    "erasing.forget": "erased",
    "filling_in.keep": "register_changed",
    "handing_in.give_up": "given_up",
    "handing_in.refused": "exported",
    "handing_in.take_in": "imported",
    "handing_in.undo": "import_undone",
    "handing_in.upload": "handed_in",
    "handing_over.export": "exported",
    "handing_over.tick": "handed_over",
    "launching.launch": "launched",
    "naming.forget": "erased",
    "naming.prove": "proved",
    "own.change_password": "password_changed",
    "own.end_session": "session_ended",
    "own.renew_codes": "recovery_codes_renewed",
    "own.set_up": "second_step_set_up",
    "papering.take_archive": "archived",
    "papering.take_breach": "paper_made",
    "papering.take_register": "paper_made",
    "papering.take_report": "paper_made",
    "people.add": "user_added",
    "people.change_role": "user_role_changed",
    "people.end_sessions": "sessions_ended",
    "people.invite": "user_invited",
    "people.remove": "user_removed",
    "settings.send_test_mail": "test_mail_sent",
    "steering.cancel": "cancelled",
    "steering.count_silence": "expired_despite_downtime",
    "steering.extend": "extended",
    "steering.pause": "paused",
    "steering.resolve": "resolved",
    "steering.resume": "resumed",
    "suppressing.export": "exported",
    "suppressing.take_in": "suppressions_imported",
    "translating.save": "list_changed",
    "writing.save": "list_changed",
    "writing.send_test": "test_mail_sent",
}
_LOOK = "a look, which the log of looks has"
_SEEN = "shows what was typed; nothing is saved or sent"
_CHECK = "changes and discloses nothing; it only tries"
NO_ENTRY = {
    "conditions.check": _CHECK,
    "contacts.search": _LOOK,
    "entering.log_in": "half a login; the second step makes it one, and is the entry",
    "handing_in.save": _LOOK,
    "handing_over.compare": _LOOK,
    "launching.check_again": _CHECK,
    "locking.lock_now": "only locks that screen",
    "locking.stay_awake": "only says that somebody is there",
    "locking.unlock": "only unlocks that screen; whoever it is had logged in",
    "own.choose_language": "only how their own pages read",
    "settings.check": _CHECK,
    "settings.try_mail_server": _CHECK,
    "suppressing.look": _CHECK,
    "verifying.check_proof": _CHECK,
    "verifying.walk_chain": _CHECK,
    "writing.begin": _SEEN,
    "writing.look": _SEEN,
}


def test_every_form_of_the_admin_leaves_an_entry_or_says_why_not() -> None:
    forms = {route.endpoint for route in ADMINS if route.method == "POST"}
    assert forms == ENTRIES.keys() | NO_ENTRY.keys()
    assert not ENTRIES.keys() & NO_ENTRY.keys()


def test_every_act_has_words_in_the_log() -> None:
    assert set(ENTRIES.values()) <= ACTS.keys()


# What is typed into forms that need nothing else but a campaign that is under way.
TYPED: dict[str, dict[str, Any]] = {
    "conditions.save": {"until": "2026-04-20", "attest": "Decided by the board."},
    "connecting.make_token": {"name": "Tool", "scopes": ["read:status"]},
    "contacts.answer": {"answer": "yes", "note": "by phone, to Anna"},
    "correcting.save": {"form_0": "Ja, graag"},
    "people.add": {"email": "new@example.org", "role": "viewer"},
    "people.change_role": {"role": "admin", "confirmation": PASSWORD},
    "people.end_sessions": {},
    "people.invite": {"confirmation": PASSWORD},
    "people.remove": {},
    "steering.cancel": {"sure": "yes"},
    "steering.extend": {"until": "2026-04-20", "at": ""},
    "steering.pause": {},
    "own.renew_codes": {"confirmation": PASSWORD},
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.mark.usefixtures("usual_texts")
@pytest.mark.parametrize("endpoint", TYPED)
def test_what_an_admin_does_is_an_entry_under_their_number(
    database: Database, database_url: str, endpoint: str
) -> None:
    world = World(database, make_settings(database=database_url))
    admin = make_admin(database)
    (route,) = (one for one in ADMINS if one.endpoint == endpoint and one.method == "POST")
    before = Evidence.select().count()
    post(client_of(world.pages, admin), world.path(route), **TYPED[endpoint])
    made = [(one.event, one.actor) for one in Evidence.select().where(Evidence.seq > before)]
    assert (ENTRIES[endpoint], f"user:{admin.id}") in made
    assert {actor for _, actor in made} == {f"user:{admin.id}"}
