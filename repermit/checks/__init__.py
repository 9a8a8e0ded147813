"""The checks behind `check`: settings, database, mail server, pages and the sender's domain."""
