"""The names of all events that entries of the record may have.

May import nothing of repermit. An event that is new enters here and gets its words in the log.
"""

from __future__ import annotations

EVENTS = frozenset(
    {
        # Lists and files.
        "list_added",
        "list_changed",
        "handed_in",
        "given_up",
        "imported",
        "import_undone",
        # Campaigns.
        "conditions_changed",
        "launched",
        "paused",
        "resumed",
        "extended",
        "cancelled",
        "expired_despite_downtime",
        "test_mail_sent",
        "closed",
        "resolved",
        # People.
        "confirmed",
        "customer",
        "added",
        "removed",
        "suppressed",
        "sign_up_undone",
        "not_the_person",
        "corrected",
        "suppressions_imported",
        "suppressions_put_back",
        "erased",
        "proved",
        "reply_set_aside",
        "still_mailed",
        # Files and papers.
        "exported",
        "archived",
        "handed_over",
        "not_handed_over",
        "paper_made",
        "register_changed",
        # Who may log in.
        "logged_in",
        "logged_out",
        "password_chosen",
        "password_changed",
        "second_step_set_up",
        "recovery_codes_renewed",
        "session_ended",
        "sessions_ended",
        "user_added",
        "user_invited",
        "user_role_changed",
        "user_removed",
        "token_made",
        "token_revoked",
        # The installation.
        "backed_up",
        "restored",
        "settings_changed",
        "text_corrected",
        "webhook_added",
        "webhook_removed",
        "webhook_tested",
        "webhook_redelivered",
    }
)
"""Every event; ACTS in the log's words has the same names."""
