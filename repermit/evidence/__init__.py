"""The append-only, hash-chained record of answers, removals and admins' acts."""
