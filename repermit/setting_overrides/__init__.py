"""Settings that admins change in the browser, kept in the database."""
