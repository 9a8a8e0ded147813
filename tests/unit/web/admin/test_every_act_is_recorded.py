"""Whatever an admin does is an entry with its actor; what is none says here why."""

from __future__ import annotations

from typing import Any

import pytest

from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.evidence import Evidence
from repermit.rules.consent import CampaignState
from repermit.web.admin.audit_log import ACTS
from tests.support.admin_pages import PASSWORD, client_of, make_admin, post
from tests.support.builders import make_settings
from tests.unit.web.admin.test_routes import ADMINS, World

# Every form of the admin's pages, and the event of the entry that it leaves.
ENTRIES = {
    "settings.save_group": "settings_changed",
    "campaign_dates.save": "conditions_changed",
    "integrations.add_webhook": "webhook_added",
    "integrations.redeliver_event": "webhook_redelivered",
    "integrations.make_token": "token_made",
    "integrations.remove_webhook": "webhook_removed",
    "integrations.revoke_token": "token_revoked",
    "integrations.test_webhook": "webhook_tested",
    "contact_pages.add_contact": "added",
    "contact_pages.record_spoken_answer": "confirmed",
    "contact_pages.download_proof": "proved",
    "contact_pages.remove_contact": "removed",
    "text_corrections.save_text": "text_corrected",
    "open_questions.decide_reply": "reply_set_aside",
    "open_questions.undo_decision": "reply_reopened",
    "list_form.add_list": "list_added",
    "list_form.delete_list": "list_deleted",
    "list_form.save_list": "list_changed",
    "login.log_out": "logged_out",
    "login.set_up_app": "second_step_set_up",
    "login.check_second_step": "logged_in",
    "login.choose_first_password": "password_chosen",
    "erase_contact.erase_contact": "erased",
    "processing_record_form.save_notes": "register_changed",
    "imports.discard_file": "given_up",
    "imports.download_refused": "exported",
    "imports.import_file": "imported",
    "imports.undo_import": "import_undone",
    "imports.upload_file": "handed_in",
    "exports.download_export": "exported",
    "exports.mark_step_done": "handed_over",
    "launch.launch": "launched",
    "erase_address.forget": "erased",
    "erase_address.download_proof": "proved",
    "account.change_password": "password_changed",
    "account.end_session": "session_ended",
    "account.renew_codes": "recovery_codes_renewed",
    "account.replace_app": "second_step_set_up",
    "reports.download_archive": "archived",
    "reports.download_breach": "paper_made",
    "reports.download_register": "paper_made",
    "reports.download_report": "paper_made",
    "users.add_user": "user_added",
    "users.change_role": "user_role_changed",
    "users.end_sessions": "sessions_ended",
    "users.invite_user": "user_invited",
    "users.remove_user": "user_removed",
    "settings.send_test_mail": "test_mail_sent",
    "campaign_actions.cancel_campaign": "cancelled",
    "campaign_actions.accept_silence": "expired_despite_downtime",
    "campaign_actions.extend_campaign": "extended",
    "campaign_actions.remind_silent": "reminder_added",
    "campaign_actions.pause_campaign": "paused",
    "campaign_actions.resolve_in_doubt": "resolved",
    "campaign_actions.resume_campaign": "resumed",
    "suppressions.download_suppressions": "exported",
    "suppressions.import_suppressions": "suppressions_imported",
    "list_translations.save": "list_changed",
    "mail_wording.save": "list_changed",
    "mail_wording.send_test_mail": "test_mail_sent",
}
_LOOK = "a look, which the log of looks has"
_SEEN = "shows what was typed; nothing is saved or sent"
_CHECK = "changes and discloses nothing; it only tries"
NO_ENTRY = {
    "campaign_dates.check_campaign": _CHECK,
    "contact_pages.search_contacts": _LOOK,
    "login.log_in": "half a login; the second step makes it one, and is the entry",
    "imports.save_reading": _LOOK,
    "imports.keep_choices": "keeps ticks for the next page; what is taken in is the entry",
    "exports.compare_export": _LOOK,
    "launch.check_again": _CHECK,
    "lock_screen.lock_screen": "only locks that screen",
    "lock_screen.stay_awake": "only says that somebody is there",
    "lock_screen.unlock": "only unlocks that screen; whoever it is had logged in",
    "account.choose_language": "only how their own pages read",
    "settings.run_checks": _CHECK,
    "settings.try_mail_server": _CHECK,
    "suppressions.preview_import": _CHECK,
    "evidence_check.check_proof": _CHECK,
    "evidence_check.verify_chain": _CHECK,
    "mail_wording.insert_default": _SEEN,
    "mail_wording.insert_missing": _SEEN,
    "mail_wording.change_view": _SEEN,
    "list_translations.insert_default": _SEEN,
    "list_translations.insert_missing": _SEEN,
    "list_translations.change_view": _SEEN,
    "mail_wording.preview_typed_mail": _SEEN,
}


def test_every_form_of_the_admin_leaves_an_entry_or_says_why_not() -> None:
    forms = {route.endpoint for route in ADMINS if route.method == "POST"}
    assert forms == ENTRIES.keys() | NO_ENTRY.keys()
    assert not ENTRIES.keys() & NO_ENTRY.keys()


def test_every_act_has_words_in_the_log() -> None:
    assert set(ENTRIES.values()) <= ACTS.keys()


# What is typed into forms that need nothing else but a campaign that is under way.
TYPED: dict[str, dict[str, Any]] = {
    "campaign_dates.save": {"until": "2026-04-20", "attest": "Decided by the board."},
    "integrations.make_token": {"name": "Tool", "scopes": ["read:status"]},
    "contact_pages.record_spoken_answer": {"answer": "yes", "note": "by phone, to Anna"},
    "text_corrections.save_text": {"form_0": "Ja, graag"},
    "users.add_user": {"email": "new@example.org", "role": "viewer"},
    "users.change_role": {"role": "admin", "confirmation": PASSWORD},
    "users.end_sessions": {},
    "users.invite_user": {"confirmation": PASSWORD},
    "users.remove_user": {},
    "campaign_actions.cancel_campaign": {"sure": "yes"},
    "campaign_actions.remind_silent": {"days": "7"},
    "campaign_actions.extend_campaign": {"until": "2026-04-20", "at": ""},
    "campaign_actions.pause_campaign": {},
    "account.renew_codes": {"confirmation": PASSWORD},
}


@pytest.mark.usefixtures("usual_texts")
@pytest.mark.parametrize("endpoint", TYPED)
def test_what_an_admin_does_is_an_entry_under_their_number(
    database: Database, database_url: str, endpoint: str
) -> None:
    world = World(database, make_settings(database=database_url))
    if endpoint == "campaign_dates.save":
        # While a campaign is under way its conditions are settled.
        with database.atomic():
            Campaign.update(state=CampaignState.CLOSED).execute()
    admin = make_admin(database)
    (route,) = (one for one in ADMINS if one.endpoint == endpoint and one.method == "POST")
    before = Evidence.select().count()
    post(client_of(world.pages, admin), world.path(route), **TYPED[endpoint])
    made = [(one.event, one.actor) for one in Evidence.select().where(Evidence.seq > before)]
    assert (ENTRIES[endpoint], f"user:{admin.id}") in made
    assert {actor for _, actor in made} == {f"user:{admin.id}"}
