"""The closing report: numbers that add up, against the database, and nobody named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from repermit.campaigns import lifecycle
from repermit.contacts import erasure, lookup, status_changes
from repermit.db.connection import Database
from repermit.db.models.accounts import User
from repermit.db.models.campaigns import Wording
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.errors import NotFound
from repermit.evidence import chain, entries, stored_tree
from repermit.exports import handover_steps
from repermit.reports import make_report, statistics
from repermit.reports.make_report import Report, ReportKind
from repermit.reports.outcomes_per_day import Outcome
from repermit.rules.consent import Basis, CampaignState, MailKind, PauseReason, Reason, Status
from tests.support.admin_pages import make_user
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)
from tests.support.report_campaign import (
    ASKED,
    DAY,
    OTHERWISE,
    REMOVED,
    SECRET,
    SILENT,
    WAITING,
    YES,
    Rich,
    make_rich,
    read_document,
    read_tables,
)
from tests.unit.reports.test_outcomes_per_day import say_yes, take_off

SETTINGS = make_settings()
LATER = NOW + 3 * DAY
WHY_PAUSED = {
    "en": {
        PauseReason.PILOT: "paused by itself: the pilot was through",
        PauseReason.BOUNCES: "paused by itself: too many mails were refused or came back",
        PauseReason.COMPLAINT: "paused by itself: somebody reported a mail as unwanted",
        PauseReason.RESTORED: "paused when the database was restored",
    },
    "nl": {
        PauseReason.PILOT: "automatisch gepauzeerd: de proefgroep had de vraag gekregen",
        PauseReason.BOUNCES: (
            "automatisch gepauzeerd: te veel mails werden geweigerd of kwamen terug"
        ),
        PauseReason.COMPLAINT: "automatisch gepauzeerd: iemand meldde een mail als ongewenst",
        PauseReason.RESTORED: "gepauzeerd toen de database werd teruggezet",
    },
}


def report(mailing_list: MailingList, language: str = "en") -> Report:
    return make_report.make_report(
        mailing_list, ReportKind.REPORT, settings=SETTINGS, now=LATER, language=language
    )


def test_its_numbers_add_up_and_are_those_of_the_database(database: Database) -> None:
    rich = make_rich(database)
    # A notice to the admin is a mail of the campaign, and asks nobody.
    with database.atomic():
        Mail.create(
            list=rich.mailing_list, campaign=rich.campaign, kind="notice", due_at=NOW, message_id=""
        )
    found: dict[str, Any] = read_document(report(rich.mailing_list))
    people = found["people"]
    parts = (people["yes"], people["otherwise"], people["silent"], people["waiting"])
    assert parts == (YES, OTHERWISE, SILENT, WAITING)
    assert people["removed"] == REMOVED
    assert {why: count for why, count in people["unasked"].items() if count} == dict.fromkeys(
        ("failed", "in_doubt", "too_late", "came_back"), 1
    )
    assert set(people["unasked"]) == set(lookup.UNASKED_REASONS)
    assert sum((*parts, *people["removed"].values(), *people["unasked"].values())) == ASKED
    assert people["asked"] == ASKED == Contact.select().count()
    assert sum(people["unasked"].values()) == lookup.select_unasked(rich.mailing_list).count()
    # Those who withdrew had said Yes: so often something turned, and on these days.
    assert found["turns"]["yes"] == YES + REMOVED["withdrawn"]
    turned = Evidence.select().where(Evidence.campaign == rich.campaign.id, Evidence.subject != "")
    assert sum(found["turns"].values()) == turned.count()
    for what in Outcome:
        assert found["turns"][what] == sum(day["counts"][what] for day in found["days"])
    asks = Mail.select().where(Mail.kind == MailKind.ASK)
    assert sum(found["mails"]["ask"].values()) == asks.count() == ASKED
    assert (sum(found["mails"]["reminder"].values()), found["late_reminders"]) == (1, 0)
    assert found["bounces"] == {"hard": 0, "soft": 1, "complaint": 0}
    assert found["checkpoint"] == stored_tree.checkpoint().to_json()


@pytest.mark.parametrize(
    ("kind", "is_said"),
    [(ReportKind.REPORT, True), (ReportKind.BREACH, True), (ReportKind.REGISTER, False)],
)
def test_a_report_with_times_says_in_which_zone_they_are(
    database: Database, kind: ReportKind, is_said: bool
) -> None:
    rich = make_rich(database)
    for language, words in (
        ("en", "Days and times are those of America/New York."),
        ("nl", "Dagen en tijden zijn die van America/New York."),
    ):
        made = make_report.make_report(
            rich.mailing_list,
            kind,
            settings=make_settings(timezone="America/New_York"),
            now=LATER,
            language=language,
        )
        assert (words in make_report.render_text(made)) is is_said
        assert (words in make_report.render_article(made)) is is_said


def test_it_says_how_many_may_be_mailed_whom_the_campaign_did_not_ask(database: Database) -> None:
    rich = make_rich(database)
    for status in (Status.CONFIRMED, Status.CUSTOMER, Status.CUSTOMER):
        make_contact(database, rich.mailing_list, status=status, basis=Basis.IMPORTED)
    made = report(rich.mailing_list)
    found = json.loads(make_report.render_json(made))
    assert found["may_be_mailed"] == YES + OTHERWISE + 3
    assert found["mailed_unasked"] == 3
    assert "not asked in this campaign: 3." in " ".join(make_report.render_text(made).split())


EVERYBODY = "Everybody could be asked."


@pytest.mark.parametrize(
    ("came_back", "words"),
    [
        (0, EVERYBODY),
        (1, "The mail of one person did not arrive"),
        (2, "The mails of 2 people did not arrive"),
    ],
)
def test_not_everybody_could_be_asked_whose_mail_came_back(
    database: Database, came_back: int, words: str
) -> None:
    news = make_list(database)
    rich = Rich(database, news, make_campaign(database, news))
    rich.asked()
    for _ in range(came_back):
        take_off(database, rich.asked(), rich.campaign.id, Reason.BOUNCE)
    text = " ".join(make_report.render_text(report(news)).split())
    assert words in text
    assert (EVERYBODY in text) == (words == EVERYBODY)


def test_who_keeps_a_thin_proof_and_was_asked_is_not_counted_as_unasked(
    database: Database,
) -> None:
    news = make_list(database)
    campaign = make_campaign(database, news, include_thin=True)
    thin = {"status": Status.CONFIRMED, "basis": Basis.THIN}
    make_mail(database, campaign, make_contact(database, news, **thin))
    make_contact(database, news, **thin)
    found: dict[str, Any] = read_document(report(news))
    assert (found["people"]["asked"], found["people"]["silent"]) == (1, 1)
    assert (found["may_be_mailed"], found["mailed_unasked"]) == (2, 1)


def test_rows_that_were_suppressed_before_are_said_to_be_under_the_files(
    database: Database,
) -> None:
    rich = make_rich(database)
    note = "Rows of files whose address was suppressed here before are not in this table"

    def read() -> str:
        return " ".join(make_report.render_text(report(rich.mailing_list)).split())

    assert note not in read()
    counts = json.dumps({"rows": 3, "fates": {"ask": 1, "suppressed": 2}})
    with database.atomic():
        Import.create(list=rich.mailing_list, file="a", digest="0" * 64, counts=counts, at=NOW)
    assert note in read()


def test_what_was_told_in_english_is_translated(database: Database) -> None:
    told = (
        "A reminder is one more mail to people who have not agreed to any. There is one at most, "
        "and whoever answers or cannot be reached is not reminded."
    )
    rich = make_rich(database)
    with database.atomic():
        Wording.update(content=f"{told}\n\nAnother line.").execute()
    for language, words in (("en", told), ("nl", "Een herinnering is nog een mail aan mensen")):
        text = " ".join(make_report.render_text(report(rich.mailing_list, language)).split())
        assert words in text.replace(" | ", " ")
        assert "Another line." in text


def test_who_is_erased_at_their_wish_or_opts_out_elsewhere_is_counted_on_that_day(
    database: Database,
) -> None:
    news = make_list(database)
    campaign = make_campaign(database, news)
    yes, *others = (make_asked(database, news, campaign) for _ in range(4))
    say_yes(database, yes, campaign.id)
    act = status_changes.Act(at=NOW + DAY, actor="cli:els")
    key = SETTINGS.fingerprint_key
    with database.atomic():
        erasure.erase_contacts(
            [lookup.lock_contact(yes.id), *others[:1]], act=act, fingerprint_key=key
        )
    with database.atomic():
        gone = [others[1], make_contact(database, news)]
        status_changes.remove_contacts(gone, reason=Reason.REQUEST, act=act, fingerprint_key=key)
    found: dict[str, Any] = read_document(report(news))
    assert (found["people"]["asked"], found["people"]["removed"]["request"]) == (4, 3)
    assert (found["turns"]["yes"], found["turns"]["request"]) == (1, 3)
    assert found["days"][-1]["counts"]["request"] == 3
    told = Evidence.select().where(Evidence.event == "removed").order_by(Evidence.seq)
    assert [one.campaign for one in told] == [campaign.id] * 3 + [0]


def test_the_figures_of_the_live_page_say_the_same(database: Database) -> None:
    rich = make_rich(database)
    people = read_document(report(rich.mailing_list))["people"]
    live = statistics.read_figures(rich.mailing_list, zone=SETTINGS.zone, now=NOW)
    assert live
    assert (live.asked, live.waiting, live.yes) == (people["asked"], WAITING, YES)


def test_nobody_on_the_list_is_named(database: Database) -> None:
    rich = make_rich(database)
    made = report(rich.mailing_list)
    for text in (
        make_report.render_text(made),
        make_report.render_page(made),
        make_report.render_json(made),
    ):
        assert SECRET not in text
        assert "Decided by the board." in text


@pytest.mark.parametrize("language", ["en", "nl", "de"])
def test_its_tables_add_up_on_paper_too(database: Database, language: str) -> None:
    made = report(make_rich(database).mailing_list, language)
    assert made.language == ("en" if language == "de" else language)
    tables = [table for table in read_tables(made) if table.total]
    assert len(tables) == 5
    for table in tables:
        # The first column says what is counted.
        for column in range(1, len(table.titles)):
            assert sum(int(row[column]) for row in table.rows) == int(table.total[column])


def test_it_tells_that_silence_counted_although_the_pages_had_been_down(database: Database) -> None:
    rich = make_rich(database)
    with database.atomic():
        chain.append(
            entries.Entry(
                event="expired_despite_downtime",
                at=LATER,
                actor="user:1",
                list="news",
                campaign=rich.campaign.id,
                consent={"downtime": 180_000},
            )
        )
    made = report(rich.mailing_list)
    found: dict[str, Any] = read_document(made)
    assert [one["event"] for one in found["interruptions"]] == ["expired_despite_downtime"]
    assert found["campaign"]["downtime"] == 180_000
    assert (
        "silence was let count, although the answer pages had been down"
        in make_report.render_text(made)
    )


def test_it_tells_who_decided_what_happened_on_the_way_and_what_was_handed_out(
    database: Database,
) -> None:
    rich = make_rich(database)
    news, campaign = rich.mailing_list, rich.campaign
    given: dict[str, Any] = {"now": LATER, "actor": "user:1"}
    lifecycle.pause_campaign(database, news, **given)
    lifecycle.resume_campaign(database, news, settings=SETTINGS, **given)
    later: dict[str, Any] = {"deadline": DEADLINE + DAY, "note": "Poststrike."}
    lifecycle.extend_campaign(database, news, settings=SETTINGS, **later, **given)
    for step in ("keep-1", "removed-2"):
        handover_steps.set_tick(
            database, campaign, tool="laposta", step=step, is_done=True, **given
        )
    with database.atomic():
        for what, at in (("removed", LATER), ("keep", NOW - DAY)):
            consent = {"what": what, "format": "csv", "tool": "laposta", "rows": 3}
            chain.append(
                entries.Entry(event="exported", at=at, actor="api:x", list="news", consent=consent)
            )
        chain.append(entries.Entry(event="still_mailed", at=LATER, actor="person", list="news"))
        fates = {"ask": 60, "invalid": 2}
        counts = json.dumps({"rows": 62, "fates": fates})
        for undone_at in (None, LATER):
            Import.create(
                list=news, file="a.csv", digest="d" * 64, counts=counts, at=NOW, undone_at=undone_at
            )
    made = report(news)
    found: dict[str, Any] = read_document(made)
    assert [one["event"] for one in found["interruptions"]] == ["paused", "resumed", "extended"]
    assert [one["note"] for one in found["interruptions"]] == ["", "", "Poststrike."]
    assert [one["step"] for one in found["handed_over"]] == ["keep-1", "removed-2"]
    # What was made before the launch belongs to no report of this campaign.
    assert [one["what"] for one in found["exports"]] == ["removed"]
    assert (found["still_mailed"], len(found["imports"])) == (1, 2)
    assert sum(found["fates"].values()) == found["imports"][0]["rows"] == 62
    text = make_report.render_text(made)
    for said in (
        "user 1",
        "the deadline moved to",
        "Poststrike.",
        "step 2, who is to be taken off",
        "the program x",
        "some tool",
        "one hour, 5 minutes",
        "What regulators hold.",
    ):
        assert said in text, said


def test_it_names_users_as_people_and_its_json_as_the_evidence_does(database: Database) -> None:
    rich = make_rich(database)
    news = rich.mailing_list
    make_user(database, email="anna@example.org")
    number = User.get().id
    lifecycle.pause_campaign(database, news, now=LATER, actor=f"user:{number}")
    gone: dict[str, Any] = {"settings": SETTINGS, "now": LATER, "actor": "user:77"}
    lifecycle.resume_campaign(database, news, **gone)
    made = report(news)
    for text in (make_report.render_text(made), str(make_report.render_article(made))):
        assert "anna@example.org" in text
        assert f"user {number}" not in text
        # Whoever has been removed since keeps the number alone.
        assert "user 77" in text
    said: dict[str, Any] = read_document(made)
    assert [one["actor"] for one in said["interruptions"]] == [f"user:{number}", "user:77"]
    assert "anna@example.org" not in json.dumps(said)


@pytest.mark.parametrize("reason", PauseReason)
@pytest.mark.parametrize("language", ["en", "nl"])
def test_it_says_why_the_campaign_was_paused(
    database: Database, reason: PauseReason, language: str
) -> None:
    rich = make_rich(database)
    paused = entries.Entry(
        event="paused",
        at=LATER,
        actor="job",
        list="news",
        campaign=rich.campaign.id,
        consent={"reason": str(reason)},
    )
    with database.atomic():
        chain.append(paused)
    made = report(rich.mailing_list, language)
    rows = [row for table in read_tables(made) for row in table.rows]
    assert WHY_PAUSED[language][reason] in [row[1] for row in rows]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (CampaignState.OPEN, "still under way"),
        (CampaignState.CLOSED, "closed on"),
        (CampaignState.CANCELLED, "was cancelled on"),
    ],
)
def test_it_says_whether_the_campaign_still_runs(
    database: Database, state: CampaignState, said: str
) -> None:
    news = make_list(database)
    over = None if state.is_live else LATER
    campaign = make_campaign(database, news, state=state, closed_at=over, opened_at=NOW)
    make_asked(database, news, campaign)
    made = report(news)
    assert said in make_report.render_text(made)
    assert read_document(made)["campaign"]["is_over"] is not state.is_live
    # Whoever has not been removed when a campaign closed could not be asked in time.
    is_closed = state is CampaignState.CLOSED
    assert read_document(made)["people"]["unasked"]["short_notice"] == is_closed
    assert read_document(made)["people"]["silent"] == (not is_closed)


def test_who_was_asked_although_their_proof_is_thin_counts_as_undecided(
    database: Database,
) -> None:
    news = make_list(database)
    campaign = make_campaign(database, news, include_thin=True)
    thin = make_asked(database, news, campaign)
    with database.atomic():
        Contact.update(status=Status.CONFIRMED, basis="thin").where(Contact.id == thin.id).execute()
    assert read_document(report(news))["people"]["silent"] == 1


def test_a_list_without_a_campaign_has_no_report(database: Database) -> None:
    with pytest.raises(NotFound, match="no campaign on news"):
        report(make_list(database))


def test_while_many_answers_are_still_counted_it_says_so(database: Database) -> None:
    news = make_list(database)
    campaign = make_campaign(database, news)
    one = make_asked(database, news, campaign)
    say_yes(database, one, campaign.id)
    with database.atomic():
        chain.append(*[entries.Entry(event="searched", at=NOW, actor="job")] * 2001)
    assert "still being counted" in make_report.render_text(report(news))
