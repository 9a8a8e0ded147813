"""repermit's own wording as templates: nothing stands against it, and it says the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from repermit.emails import make_draft
from repermit.emails.mail_types import ListWords
from repermit.emails.wording_validation import check_wording, make_default_wording
from repermit.i18n.catalogues import languages
from repermit.i18n.dates import find_longest_compact_datetime
from tests.support.builders import DEADLINE, make_organisation, make_settings
from tests.support.mail_builders import make_facts


@pytest.mark.everyday("-nl]", "-en]")
@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("sensitive", [False, True])
@pytest.mark.parametrize("frequency", ["", "vier keer per jaar"])
def test_it_may_be_used_and_says_what_repermit_says(
    language: str, *, sensitive: bool, frequency: str
) -> None:
    facts = replace(make_facts(), sensitive=sensitive, frequency=frequency)
    zone = make_settings().zone
    longest_day = find_longest_compact_datetime(DEADLINE, language=language, zone=zone)
    wording = make_default_wording(
        facts, language=language, longest_day=longest_day, has_telephone=True
    )
    check_wording(wording, organisation=make_organisation(), mailing_list=facts)
    usual, own = (
        make_draft.draft_ask(
            organisation=make_organisation(),
            mailing_list=facts,
            deadline=DEADLINE,
            zone=zone,
            language=language,
            # A template of one's own cannot say "once": a reminder may be set later.
            has_reminder=True,
            own=own,
        )
        for own in (None, wording)
    )
    assert own.subject == usual.subject
    assert own.text == usual.text


def test_the_name_in_its_language_decides_whether_a_day_has_room() -> None:
    names = {"nl": "De Lindepost", "en": "News of all that we do in our practice"}
    facts = make_facts()
    texts = tuple(
        ListWords(
            language=language,
            name=name,
            purpose=facts.purpose,
            frequency=facts.frequency,
            privacy_url=facts.privacy_url,
        )
        for language, name in names.items()
    )
    has_day = {
        language: "{{ day }}"
        in make_default_wording(
            replace(facts, texts=texts), language=language, longest_day="30 sep"
        ).subject
        for language in names
    }
    assert has_day == {"nl": True, "en": False}
