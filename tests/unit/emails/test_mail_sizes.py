"""Mails are no larger than they were, as docs/develop/mail-sizes.md says."""

from __future__ import annotations

import os

from tests.support.mail_sizes import (
    LANGUAGES,
    TABLE,
    make_table,
    measure_mails,
    read_sizes_before,
)

# It counts all people of the campaign since, in up to three lines more.
_SAYS_MORE = ("daily_summary",)


def test_no_mail_is_larger_than_before_the_first_screen() -> None:
    before = read_sizes_before()
    now: dict[str, dict[str, int]] = {}
    for language in LANGUAGES:
        for kind, size in measure_mails(language):
            now.setdefault(kind, {})[language] = size
    assert now.keys() == before.keys()
    larger = {
        (kind, language): size / before[kind][language]
        for kind, sizes in now.items()
        for language, size in sizes.items()
        if size > before[kind][language] and kind not in _SAYS_MORE
    }
    assert not larger
    if os.environ.get("MAIL_SIZES") == "write":
        TABLE.write_text(make_table(now), "utf-8")
    assert TABLE.read_text("utf-8") == make_table(now)
