"""What a spam filter makes of each kind of mail in each language."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from repermit.emails.mail_types import Mail
from repermit.i18n.catalogues import languages
from tests.support import spamassassin as spam
from tests.support.mail_builders import make_ask_values, make_facts, make_practice
from tests.unit.emails.test_snapshots import KINDS, LANGUAGES, TO_THE_ADMIN, make_mail

# What the server is called that hands a mail over: a relay of the organisation's own, a provider's.
_RELAYS = (
    "example.org",
    "smtp3.example.org",
    "out-37.relay.example.net",
    "vps2931.hosting.example",
    "s-2.nl.hosting.example",
    "uitgaand.xn--mller-kva.example",
    "mx1.example.org",
    "a27-17.smtp-out.eu-west-1.amazonses.com",
    "mail-db8eur05on2101.outbound.protection.outlook.com",
)
# Hosts that cost points whatever they hand over.
_BAD_RELAYS = ("unknown", "relay", "ip-93-184-215-14.dsl.example.net")
# SpamAssassin's MIXED_ES, worth 1.0, takes Cyrillic letters that look like a Latin "e" for a
# disguise where a mail holds more Latin ones than these, and is not long.
_LATIN = 20
# These hold commands and the checkpoint, a line of JSON; the admin reads them, and witnesses whom
# the admin names.
_WITH_CHECKPOINT = ("campaign_closed", "daily_summary", "witness_checkpoint")
_OF_COMMANDS = {f"{kind}-bg": 1.0 for kind in _WITH_CHECKPOINT}


def latin(mail: Mail) -> int:
    """Return how many there are in all that a reader is shown, in either part."""
    shown = re.sub(r"<(style|title)>.*?</\1>|<[^>]*>", "", mail.html, flags=re.DOTALL)
    return (mail.subject + mail.text + shown).count("e")


@pytest.fixture(scope="module")
def filter_there() -> None:
    if spam.PROGRAM is None:
        pytest.skip("there is no SpamAssassin here (Debian: apt-get install spamassassin)")


@pytest.mark.exhaustive
@pytest.mark.usefixtures("filter_there")
def test_no_mail_looks_like_spam_in_any_language(tmp_path: Path) -> None:
    """Of each kind the longer mail; tests/bench/spam.py has all of them."""
    cases = [
        f"{kind}-{language}{'' if kind in TO_THE_ADMIN else '-sensitive'}"
        for language in languages()
        for kind in KINDS
        # Each takes an eighth of a second, and those reach nobody but whoever runs this.
        if kind not in TO_THE_ADMIN or language in (*LANGUAGES, "bg")
    ]
    mails = {case: make_mail(case).raw for case in cases}
    mails["bad-en"] = make_mail("ask-en").raw.replace(b"Subject: ", b"Subject: V1AGRA FREE $$$ ")
    found = spam.scores_of(mails, tmp_path)
    assert found.keys() == mails.keys()
    beyond = {case: one for case, one in found.items() if one.score > _OF_COMMANDS.get(case, 0)}
    assert beyond == {"bad-en": found["bad-en"]}


@pytest.mark.exhaustive
@pytest.mark.usefixtures("filter_there")
def test_a_mail_costs_nothing_whatever_host_hands_it_over(tmp_path: Path) -> None:
    """Hidden text in tiny letters cost a point unless the host was called mail (FONT_INVIS_MSGID).

    Of a host that itself looks bad a mail meets no rule that a line of plain text does not.
    """
    plain = b"From: a@example.org\r\nTo: b@example.com\r\nSubject: Good morning\r\n"
    plain += b"Date: Tue, 01 Dec 2026 08:30:00 +0000\r\nMessage-ID: <aqt7.bxw@example.org>\r\n"
    kinds = [kind for kind in KINDS if kind not in TO_THE_ADMIN]
    mails: dict[str, bytes] = {}
    relays: dict[str, str] = {}
    for number, host in enumerate((*_RELAYS, *_BAD_RELAYS)):
        language = LANGUAGES[number % len(LANGUAGES)]
        wanted = kinds if host in _BAD_RELAYS or number < len(LANGUAGES) else ("ask", "reminder")
        of_host = {f"{host} {kind}": make_mail(f"{kind}-{language}").raw for kind in wanted}
        of_host[f"{host} plain"] = plain + b"\r\nThe tea is ready, come down.\r\n"
        mails |= of_host
        relays |= dict.fromkeys(of_host, host)
    found = spam.scores_of(mails, tmp_path, relays=relays)
    costs = {name: found[name] for name, host in relays.items() if host in _RELAYS}
    assert {name: one for name, one in costs.items() if one.score} == {}
    for host in _BAD_RELAYS:
        allowed = {*found[f"{host} plain"].rules, "HTML_MESSAGE"}
        assert found[f"{host} plain"].score > 0
        for kind in kinds:
            assert set(found[f"{host} {kind}"].rules) <= allowed


@pytest.mark.parametrize("sensitive", ["", "-sensitive"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in _WITH_CHECKPOINT])
def test_a_mail_in_bulgarian_holds_hardly_any_latin_letters(kind: str, sensitive: str) -> None:
    assert latin(make_mail(f"{kind}-bg{sensitive}")) <= _LATIN


def test_no_text_around_commands_or_latin_names_could_be_without_latin_letters() -> None:
    """What stands in both parts, whatever the rest says: nothing but other names would help."""
    commands = re.findall(r"^ {4}repermit .*", make_mail("campaign_closed-bg").text, re.MULTILINE)
    assert 2 * "".join(commands).count("e") > _LATIN
    practice, facts, reader = make_practice(), make_facts(), make_ask_values()
    names = (practice.name, practice.address, practice.email, facts.name, reader.name)
    links = (reader.yes_url, reader.no_url, reader.me_url, facts.privacy_url)
    assert 2 * "".join(names).count("e") + "".join(links).count("e") > _LATIN
