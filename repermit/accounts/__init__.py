"""Users, logins, sessions, API tokens and the audit log."""
