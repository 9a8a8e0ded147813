"""Preview and launch, from the command line."""

from __future__ import annotations

import pytest

from repermit.db.connection import run_sql
from repermit.db.models.campaigns import Campaign
from repermit.db.models.evidence import Evidence
from repermit.db.models.mails import Mail
from repermit.rules.consent import CampaignState, Exclusion, MailKind, MailState, Reason, Status
from tests.support.builders import make_contact, make_removed
from tests.support.desk import ATTEST, Desk, links_of
from tests.support.inbox import Inbox

DEADLINE = ("--deadline", "2026-03-30")
ATTESTED = ("--attest", ATTEST)


def add_people(desk: Desk) -> None:
    """Add two to be asked, and one each who has a basis and who was taken off."""
    desk.add_news()
    with desk.news() as (database, news):
        make_contact(database, news, "jan@example.org", name="Jan")
        make_contact(database, news, "emma@example.org", language="en")
        make_contact(database, news, status=Status.CONFIRMED, basis="imported")
        make_removed(database, news, Reason.NO)


def asks(desk: Desk) -> dict[str, int]:
    document = desk.run("status", "news", "--json").document
    return {state: n for state, n in document["mails"][MailKind.ASK].items() if n}


# --- preview.


def test_a_preview_prints_subject_and_text(desk: Desk) -> None:
    desk.add_news()
    shown = desk.do("preview", "news", "--language", "en", "--deadline", "2026-04-01")
    assert shown.startswith("Subject: ")
    assert "1 April 2026" in shown
    assert "/yes/" in shown


def test_a_preview_of_a_deadline_that_has_passed_is_refused(desk: Desk) -> None:
    desk.add_news()
    assert "2025-04-01 has passed" in desk.refused("preview", "news", "--deadline", "2025-04-01")


def test_a_preview_can_be_of_the_other_mails_too(desk: Desk) -> None:
    desk.add_news(language="en")
    assert desk.do("preview", "news", "--kind", "reminder").startswith("Subject: Reminder, ")
    assert "/confirm/" in desk.do("preview", "news", "--kind", "confirm")
    assert desk.do("preview", "news", "--kind", "ask") == desk.do("preview", "news")


def test_a_preview_tells_what_the_mail_cannot_say_yet(desk: Desk) -> None:
    desk.add_news(privacy_url="")
    assert "\nBefore a launch:\n  - the list does not say where" in desk.run("preview", "news").err
    desk.do("list", "set", "news", "--privacy-url", "https://www.example.org/privacy")
    assert not desk.run("preview", "news").err


def test_a_preview_in_a_language_that_is_not_there_is_refused(desk: Desk) -> None:
    desk.add_news()
    assert "there are no mails in 'xx'" in desk.refused("preview", "news", "--language", "xx")


def test_a_preview_may_be_sent_and_its_links_are_nobodys(desk: Desk, inbox: Inbox) -> None:
    desk.add_news()
    assert "Sent to me@example.org." in desk.do("preview", "news", "--to", "me@example.org")
    (mail,) = inbox.wait_for(1)
    assert mail.rcpt_tos == ("me@example.org",)
    with desk.pages() as client:
        # A link that is rightly signed and leads to nobody, or is not known at all.
        assert client.post(links_of(mail)["no"]).status_code in {200, 404}
    with desk.database():
        assert not Mail.select().exists()
        assert Evidence.get().event == "test_mail_sent"


def test_a_preview_that_the_server_refuses_is_refused(desk: Desk, inbox: Inbox) -> None:
    desk.add_news()
    inbox.reply_to_rcpt = lambda _address: "550 5.1.1 unknown"
    assert "550 5.1.1" in desk.refused("preview", "news", "--to", "me@example.org")
    inbox.stop()
    assert "cannot be reached" in desk.refused("preview", "news", "--to", "me@example.org")


# --- launch.


def test_a_launch_says_who_is_asked_who_is_not_and_what_regulators_hold(desk: Desk) -> None:
    add_people(desk)
    shown = desk.do("launch", "news", *DEADLINE, *ATTESTED)
    assert shown.index("To be asked: 2 (1 in en, 1 in nl)") < shown.index("Launched: 2 will be")
    assert "Not asked:\n  1  confirmed\n  1  removed\n" in shown
    assert "Honda" in shown
    assert "Until their Yes nobody who is unconfirmed may get the newsletter" in shown
    assert "answers count until Monday 30 March 2026, 23:59" in shown
    assert asks(desk) == {"queued": 2}


def test_a_launch_without_anybody_left_out_lists_nobody(desk: Desk) -> None:
    desk.add_news()
    with desk.news() as (database, news):
        make_contact(database, news)
    shown = desk.do("launch", "news", *DEADLINE, *ATTESTED)
    assert "Not asked" not in shown
    assert "Left out" not in shown


@pytest.mark.parametrize("more", [(), ("--attest", "x"), ("--json",), ("--wait",)])
def test_a_launch_without_an_attestation_shows_what_would_happen_and_does_nothing(
    desk: Desk, inbox: Inbox, more: tuple[str, ...]
) -> None:
    add_people(desk)
    reason = desk.refused("launch", "news", *DEADLINE, *more)
    assert "To be asked: 2" in reason
    assert "Honda" in reason
    assert "who decided to ask" in reason.partition("repermit: ")[2]
    with desk.database():
        assert not Campaign.select().exists()
    assert not inbox.mails


def test_a_launch_that_the_database_breaks_off_says_nothing_but_why(desk: Desk) -> None:
    add_people(desk)
    broken = "SELECT RAISE(ROLLBACK, 'database or disk is full')"
    with desk.database() as database:
        run_sql(database, f"CREATE TRIGGER broken BEFORE INSERT ON campaign BEGIN {broken}; END")
    said = desk.refused("launch", "news", "--deadline", "2026-03-30", "--attest", ATTEST)
    path = desk.settings.sqlite_path
    assert said == f"repermit: the database {path} cannot be used: database or disk is full\n"


def test_all_that_stands_against_a_launch_is_said_at_once(desk: Desk) -> None:
    desk.add_news(privacy_url="", sender="")
    reason = desk.refused("launch", "news", "--deadline", "2026-03-03", *ATTESTED)
    assert "To be asked: 0\n" in reason
    assert "repermit: not yet:\n  - the list does not say where your privacy" in reason
    assert reason.count("\n  - ") == 4
    assert reason.index("Honda") < reason.index("repermit: not yet:")


def test_a_launch_tells_whom_the_imports_left_out(desk: Desk) -> None:
    desk.add_news()
    rows = ("jan@example.org;subscribed", "piet@example.org;unsubscribed", "riaexample.org;")
    desk.do("import", "news", desk.file("email;status", *rows))
    said = "To be asked: 1 (1 in nl)\nLeft out at import: 1 opted out, 1 invalid\nThe last mail "
    assert said in desk.refused("launch", "news", *DEADLINE)
    ran = desk.run("launch", "news", *DEADLINE, *ATTESTED, "--json")
    assert said in ran.err


def test_a_launch_that_waits_sends_too(desk: Desk, inbox: Inbox) -> None:
    add_people(desk)
    shown = desk.do("launch", "news", *DEADLINE, *ATTESTED, "--wait")
    assert "2 sent, 0 failed, 0 dropped, 0 in doubt, 0 waiting." in shown
    assert {mail.rcpt_tos for mail in inbox.wait_for(2)} == {
        ("jan@example.org",),
        ("emma@example.org",),
    }
    assert asks(desk) == {"sent": 2}


def test_the_document_of_a_launch_is_the_status_and_who_was_left_out(desk: Desk) -> None:
    add_people(desk)
    ran = desk.run("launch", "news", *DEADLINE, *ATTESTED, "--wait", "--json")
    status = desk.run("status", "news", "--json").document
    left_out = dict.fromkeys(Exclusion, 0) | {"confirmed": 1, "removed": 1}
    assert ran.document == {
        **status,
        "asked": 2,
        "excluded": left_out,
        "last_ask_at": "2026-03-02T09:00:00.000000+00:00",
    }
    assert status["campaign"]["state"] == CampaignState.OPEN
    assert "Honda" in ran.err
    assert "2 sent" in ran.err


def test_a_server_that_does_not_take_the_mails_leaves_the_campaign_launched(
    desk: Desk, inbox: Inbox
) -> None:
    add_people(desk)
    inbox.stop()
    ran = desk.run("launch", "news", *DEADLINE, *ATTESTED, "--wait")
    assert ran.code == 0
    assert "0 sent, 0 failed, 0 dropped, 0 in doubt, 2 waiting." in ran.out
    assert "cannot be reached" in ran.err


def test_a_launch_may_begin_later(desk: Desk) -> None:
    add_people(desk)
    shown = desk.do("launch", "news", *DEADLINE, *ATTESTED, "--at", "2026-03-03T09:00", "--wait")
    assert "The asking begins on Tuesday 3 March 2026, 09:00." in shown
    assert asks(desk) == {"queued": 2}


def test_a_beginning_that_has_passed_is_refused(desk: Desk) -> None:
    add_people(desk)
    said = desk.refused("launch", "news", *DEADLINE, *ATTESTED, "--at", "2025-03-03T09:00")
    assert "2025-03-03T09:00 has passed" in said
    assert asks(desk) == {}


def test_those_with_thin_proof_are_asked_if_wanted(desk: Desk) -> None:
    desk.add_news()
    with desk.news() as (database, news):
        make_contact(database, news, status=Status.CONFIRMED, basis="thin")
    desk.refused("launch", "news", *DEADLINE, *ATTESTED)
    assert "Launched: 1" in desk.do("launch", "news", *DEADLINE, *ATTESTED, "--include-thin")
    with desk.database():
        assert Mail.get().state == MailState.QUEUED


def set_rate(desk: Desk, line: str) -> None:
    """Add a line to [mail], which is the last table of the desk's config.toml."""
    desk.config.write_text(f"{desk.config.read_text('utf-8')}{line}\n", "utf-8")


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (
            "",
            (
                "The last mail leaves on Monday 2 March 2026, 10:00, or as soon as the mail server "
                "takes it; 28 days to answer."
            ),
        ),
        (
            "rate_per_day = 1",
            (
                "The last mail leaves on Tuesday 3 March 2026, 10:00, at the rates under [mail]; "
                "27 days to answer."
            ),
        ),
        (
            "domain_rate_per_minute = 1",
            (
                "The last mail leaves on Monday 2 March 2026, 10:01, at the rates under [mail]; "
                "28 days to answer."
            ),
        ),
    ],
)
def test_a_launch_says_when_the_last_mail_leaves_and_how_long_that_leaves(
    desk: Desk, rate: str, said: str
) -> None:
    add_people(desk)
    set_rate(desk, rate)
    assert said in desk.do("launch", "news", *DEADLINE, *ATTESTED)


def test_a_launch_with_an_hour_to_answer_says_so(desk: Desk) -> None:
    add_people(desk)
    set_rate(desk, "[campaign]\nminimum_days = 0")
    shown = desk.do("launch", "news", "--deadline", "2026-03-02T11:30", *ATTESTED)
    assert "; 1 hour to answer." in shown


def test_a_launch_that_is_too_slow_is_refused_with_what_to_do(desk: Desk) -> None:
    add_people(desk)
    set_rate(desk, "rate_per_day = 1")
    reason = desk.refused("launch", "news", "--deadline", "2026-03-16T12:00", *ATTESTED)
    assert "the mails leave too slowly" in reason
    assert "The last mail leaves on" not in reason


def test_a_pilot_and_a_reminder_are_told_and_shown(desk: Desk) -> None:
    add_people(desk)
    more = ("--pilot", "1", "--reminder", "7")
    shown = desk.do("launch", "news", *DEADLINE, *ATTESTED, *more)
    assert "Who has not answered is reminded on Monday 23 March 2026, 09:00." in shown
    assert "1 are asked first; then the others wait until you give `repermit resume news`" in shown
    assert "A reminder is one more mail" in shown
    status = desk.do("status", "news")
    assert "  pilot     1 first, the others wait for `repermit resume news`\n" in status
    assert "  reminder  Monday 23 March 2026, 09:00\n" in status
    document = desk.run("status", "news", "--json").document["campaign"]
    assert (document["pilot"], document["reminder_at"]) == (1, "2026-03-23T08:00:00.000000+00:00")


def test_a_reminder_right_after_the_asks_is_refused(desk: Desk) -> None:
    add_people(desk)
    assert "the reminder would leave on" in desk.refused(
        "launch", "news", *DEADLINE, *ATTESTED, "--reminder", "28"
    )


@pytest.mark.parametrize("option", [("--reminder", "0"), ("--pilot", "-1")])
def test_what_is_no_number_of_days_or_people_is_wrong_usage(
    desk: Desk, option: tuple[str, str]
) -> None:
    add_people(desk)
    assert "is not in the range" in desk.misused("launch", "news", *DEADLINE, *ATTESTED, *option)


def test_a_deadline_that_is_no_moment_is_refused(desk: Desk) -> None:
    add_people(desk)
    reason = desk.refused("launch", "news", "--deadline", "soon", *ATTESTED)
    assert reason == (
        "repermit: give a day, or a day and a time: 'soon' is neither; write 2026-12-22 or "
        "2026-12-22T17:00\n"
    )
    for far in ("0001-01-01", "9999-12-31"):
        asked = f"repermit: that day is too far away: is its year right? ('{far}')\n"
        options = ("--reminder", "7", *ATTESTED)
        assert desk.refused("launch", "news", "--deadline", far, *options) == asked
        at = ("--deadline", "2026-12-22", "--at", far)
        assert desk.refused("launch", "news", *at, *options) == asked


def test_a_launch_without_a_ground_says_so_before_it_is_refused_or_made(desk: Desk) -> None:
    """A warning after the launch would come too late: the answer pages are frozen by then."""
    desk.add_news(sensitive=True)
    with desk.news() as (database, news):
        make_contact(database, news)
    no_ground = "Mind: The answer page will not say on what ground of the law you ask: --ground"
    no_special_ground = "(GDPR art. 9(1)); you give none: --special-ground does."
    refused = desk.refused("launch", "news", *DEADLINE)
    assert no_ground in refused
    assert no_special_ground in refused
    grounds = ("--ground", "earlier-consent", "--special-ground", "explicit-consent")
    printed = desk.do("launch", "news", *DEADLINE, *ATTESTED, *grounds)
    assert no_ground not in printed
    assert no_special_ground not in printed
