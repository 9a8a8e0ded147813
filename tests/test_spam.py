"""What a spam filter makes of each kind of mail in each language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from repermit.messages import languages
from tests import spam
from tests.test_messages_snapshots import KINDS, LANGUAGES, TO_THE_ADMIN, make_mail

if TYPE_CHECKING:
    from pathlib import Path

# Five is spam; beside what a filter knows of the sender, a mail has little to spare.
_MOST = 1.0
# Its rule MIXED_ES, worth 1.0, takes Cyrillic letters around more than twenty Latin e's, such as
# those of addresses and links at example.org, for a disguise, whatever the mail says.
_TAKEN_FOR_A_DISGUISE = {"bg": 1.0}


@pytest.fixture(scope="module")
def filter_there() -> None:
    if spam.PROGRAM is None:
        pytest.skip("there is no SpamAssassin here (Debian: apt-get install spamassassin)")


@pytest.mark.usefixtures("filter_there")
def test_no_mail_looks_like_spam_in_any_language(tmp_path: Path) -> None:
    """Of each kind the longer mail; tests/bench/spam.py has all of them."""
    cases = [
        f"{kind}-{language}{'' if kind in TO_THE_ADMIN else '-sensitive'}"
        for language in languages()
        for kind in KINDS
        # Each takes an eighth of a second, and those reach nobody but whoever runs this.
        if kind not in TO_THE_ADMIN or language in LANGUAGES
    ]
    mails = {case: make_mail(case).raw for case in cases}
    mails["bad-en"] = make_mail("ask-en").raw.replace(b"Subject: ", b"Subject: V1AGRA FREE $$$ ")
    found = spam.scores_of(mails, tmp_path)
    assert found.keys() == mails.keys()
    beyond = {
        case: one
        for case, one in found.items()
        if one.score >= _MOST + _TAKEN_FOR_A_DISGUISE.get(case.split("-")[1], 0)
    }
    assert beyond == {"bad-en": found["bad-en"]}
