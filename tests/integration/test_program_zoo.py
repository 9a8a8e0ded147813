"""A campaign whose mails a zoo of programs reads before people do: each Yes is a person's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import cycle, islice, permutations, product
from random import Random
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from repermit.answers import join
from repermit.contacts import click_log
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Opening, SignUp
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.rules.bot_detection import LINKS, Link
from repermit.rules.consent import Reason, Status
from tests.support import program_zoo as zoo
from tests.support.builders import NOW, make_asked, make_settings
from tests.support.chain_faults import iter_chain_faults
from tests.support.presses import WAYS_TO_SAY_NO, Way, let_loose, letter_to, say_no
from tests.support.program_zoo import Button, Letter, Visit
from tests.support.public_pages import Pages, served

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Program = Callable[[Visit, Letter], None]

PEOPLE = 50
WHOLE = 1
"""So many people for each time that a program which presses comes; the whole zoo comes to one."""

PROGRAMS: tuple[Program, ...] = (*zoo.LOOKING, *zoo.PRESSING, zoo.HASTY)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def visits(of_each: int) -> Iterator[tuple[Program, ...]]:
    """Yield which programs come to each person: those that press to a few, the others to many."""
    pressing = [(one,) for one in (*zoo.PRESSING, zoo.HASTY)] * of_each
    looking = cycle((one,) for one in zoo.LOOKING)
    rest = PEOPLE * of_each - WHOLE - len(pressing)
    yield from [PROGRAMS] * WHOLE
    yield from pressing
    yield from islice(looking, rest)


def answer_yes(pages: Pages, contact: Contact) -> int:
    """Open the link and press Yes, as often as it takes; return how often."""
    visit = Visit(pages.app.test_client(), pages.clock)
    buttons = visit.get(pages.links.url("yes", contact.uid))
    while Contact.get_by_id(contact.id).status != Status.CONFIRMED:
        again = [one for one in buttons if one.sends.get("choice") == "again"]
        buttons = visit.press((again or buttons)[0])
    return visit.pressed


def newest(pages: Pages, contact: Contact, link: Link) -> Button:
    """Return the button of a page that was opened a moment ago, whose opening is known already."""
    return Button(pages.links.url(link, contact.uid), {"number": pages.number(contact.uid)})


@pytest.mark.everyday("[1]")
@pytest.mark.counted_first
@pytest.mark.parametrize("of_each", [1, 4])
def test_the_zoo_alone_gives_no_yes_and_people_need_one_press_more_at_most(
    pages: Pages,
    database: Database,
    mailing_list: MailingList,
    campaign: Campaign,
    of_each: int,
) -> None:
    with database.atomic():
        people = [make_asked(database, mailing_list, campaign) for _ in range(PEOPLE * of_each)]
    visited = dict(zip((one.id for one in people), visits(of_each), strict=True))
    presses: Counter[int] = Counter()
    # Everybody behaves alike; so many of them tell.
    at_once, later = people[::4], people[1::4]
    for one in people:
        let_loose(visited[one.id], pages, one)
        assert Contact.get_by_id(one.id).status != Status.CONFIRMED, visited[one.id]
        said_yes = Evidence.select().where(
            Evidence.subject == one.subject, Evidence.event == "confirmed"
        )
        # As a quick person would; the No that it presses too is the last word.
        # A crawler's is taken back with the next button that it presses on the same page.
        may_have = {zoo.HASTY, *zoo.CRAWLING} & set(visited[one.id])
        assert said_yes.count() == 0 or may_have, visited[one.id]
        if visited[one.id][0] in zoo.LOOKING and len(visited[one.id]) == 1:
            assert Contact.get_by_id(one.id).status == Status.UNCONFIRMED
        if one in at_once:
            presses[answer_yes(pages, one)] += 1
    assert set(presses) == {1, 2}

    pages.clock.advance(timedelta(hours=1))
    pages.openings.write(database)
    held = click_log.count_held_yes(mailing_list)
    assert held == Opening.select().where(Opening.held_at.is_null(False)).count()
    # Where a program has pressed No, the Yes is asked for once more, however late it comes.
    for one in later:
        said_no = Contact.get_by_id(one.id).has_refused
        assert answer_yes(pages, one) == (2 if said_no else 1), visited[one.id]
    confirmed = Contact.select().where(Contact.status == Status.CONFIRMED).count()
    assert confirmed == len(at_once) + len(later)
    assert list(iter_chain_faults()) == []


def test_who_presses_yes_alone_in_haste_and_then_no_has_said_no(
    pages: Pages, database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    asked = make_asked(database, mailing_list, campaign)
    let_loose([zoo.HASTY], pages, asked)
    assert Contact.get_by_id(asked.id).status == Status.REMOVED
    assert Contact.get_by_id(asked.id).reason in {Reason.WITHDRAWN, Reason.REQUEST}


@pytest.mark.everyday("probes", "waits_and_presses")
@pytest.mark.parametrize("program", PROGRAMS)
def test_no_program_confirms_a_sign_up_and_its_person_needs_one_press_more_at_most(
    pages: Pages, database: Database, mailing_list: MailingList, program: Program
) -> None:
    join.request_sign_up(
        database, mailing_list, address="a@example.org", name="", language="nl", now=NOW
    )
    url = pages.links.url("confirm", SignUp.get().uid)
    for later in ({}, {"hours": 1}):
        pages.clock.advance(timedelta(**later))
        program(Visit(pages.app.test_client(), pages.clock), Letter((url,), unsubscribe=url))
        assert Contact.select().where(Contact.status == Status.CONFIRMED).count() == 0
    visit = Visit(pages.app.test_client(), pages.clock)
    buttons = visit.get(url)
    # A crawler may have used the link up, with a Yes that it took back: one signs up anew then.
    assert buttons or program in zoo.CRAWLING
    while buttons and Contact.select().where(Contact.status == Status.CONFIRMED).count() == 0:
        (yes,) = [one for one in buttons if one.sends["choice"] == "yes"]
        buttons = visit.press(yes)
    assert visit.pressed <= 2


@pytest.mark.parametrize("order", list(permutations(("not_me", "again", ""))))
@pytest.mark.parametrize("first", LINKS)
def test_who_presses_all_three_buttons_that_ask_again_gives_no_yes_in_any_order(
    pages: Pages, database: Database, campaign: Campaign, order: tuple[str, ...], first: Link
) -> None:
    asked = make_asked(database, campaign.list, campaign)
    visit = Visit(pages.app.test_client(use_cookies=False), pages.clock)
    links = {link: pages.links.url(link, asked.uid) for link in LINKS}
    for url in links.values():
        visit.get(url)
    if first == "no":
        visit.press(newest(pages, asked, "no"))
    pressed = visit.press(newest(pages, asked, "yes"))
    buttons = {one.sends.get("choice", ""): one for one in pressed}
    assert len(buttons) == 3
    assert len({one.sends["round"] for one in buttons.values()}) == 1
    for choice in order:
        visit.press(buttons[choice])
    assert Contact.get_by_id(asked.id).status != Status.CONFIRMED
    assert list(iter_chain_faults()) == []


@pytest.mark.everyday("[0-", "[1-")
@pytest.mark.counted_first
@pytest.mark.parametrize("but", ["", "/me/"])
@pytest.mark.parametrize("seed", range(20))
def test_who_submits_each_form_once_in_whatever_order_gives_no_yes(
    pages: Pages, database: Database, campaign: Campaign, seed: int, but: str
) -> None:
    asked = make_asked(database, campaign.list, campaign)
    letter = letter_to(asked, pages)
    links = tuple(url for url in letter.links if not but or but not in url)
    by_chance = Random(seed)  # noqa: S311  no secret
    visit = Visit(pages.app.test_client(use_cookies=False), pages.clock)

    def pick(found: list[Button]) -> Button:
        return found.pop(by_chance.randrange(len(found)))

    zoo.crawl(visit, replace(letter, links=links), pick, rounds=by_chance.randrange(2, 6))
    assert visit.pressed > 4
    assert Contact.get_by_id(asked.id).status != Status.CONFIRMED
    # What it has done costs its person no more than anything else.
    assert answer_yes(pages, asked) <= 2


def test_the_zoo_is_as_large_as_it_is_said_to_be() -> None:
    assert len(set(PROGRAMS)) == len(PROGRAMS) >= 12
    assert len({program.__name__ for program in zoo.EVERY}) == len(zoo.EVERY) >= 50


# --- A No stays a No: programs that come after a person's answer, or in the middle of it.


@pytest.mark.exhaustive
@pytest.mark.counted_first
@pytest.mark.parametrize("way", WAYS_TO_SAY_NO)
def test_nobody_who_said_no_is_on_the_list_by_whatever_comes_later(
    pages: Pages, database: Database, mailing_list: MailingList, campaign: Campaign, way: Way
) -> None:
    for program in zoo.EVERY:
        one = make_asked(database, mailing_list, campaign)
        say_no(pages, one, way)
        pages.clock.advance(timedelta(seconds=100))
        let_loose([program], pages, one)
        assert Contact.get_by_id(one.id).status == Status.REMOVED, program.__name__
        # Of whom not even a Yes that was taken back is told: none ever was one.
        if program not in {*zoo.CRAWLING, *zoo.LATER, *zoo.TWICE}:
            assert yeses_of(one) == 0, program.__name__
        assert answer_yes(pages, one) == 2, program.__name__
        pages.clock.move_to(NOW)


@pytest.mark.exhaustive
@pytest.mark.counted_first
def test_nobody_who_wanted_nothing_is_on_the_list_by_programs_that_take_their_time(
    pages: Pages, database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    for program in (*zoo.LATER, *zoo.TWICE, *zoo.OF_ONE_LINK):
        one = make_asked(database, mailing_list, campaign)
        let_loose([program], pages, one)
        is_on = Contact.get_by_id(one.id).status == Status.CONFIRMED
        assert is_on == (program in zoo.AS_PEOPLE), program.__name__
        if not is_on:
            assert answer_yes(pages, one) <= 2, program.__name__
        pages.clock.move_to(NOW)
    assert list(iter_chain_faults()) == []


_FIRST_AND_SECOND: tuple[Program, ...] = (
    zoo.looks_up_then_opens,
    zoo.opens_all_at_once,
    zoo.presses_on_and_on,
    zoo.presses_the_first,
    zoo.submits_by_script,
    zoo.follows_the_newest,
    zoo.HASTY,
    zoo.a_machine_for_each_link,
    *zoo.OF_ONE_LINK[:6],
)


@pytest.mark.exhaustive
@pytest.mark.counted_first
@pytest.mark.parametrize("has_said_no", [False, True], ids=["was asked", "said No"])
@pytest.mark.parametrize("hours", [0, 1])
def test_two_programs_one_after_another_say_yes_for_nobody(
    pages: Pages, campaign: Campaign, *, hours: int, has_said_no: bool
) -> None:
    put_on = set()
    for first, second in product(_FIRST_AND_SECOND, repeat=2):
        pages.clock.move_to(NOW)
        one = make_asked(pages.database, campaign.list, campaign)
        if has_said_no:
            say_no(pages, one, "page")
            pages.clock.advance(timedelta(seconds=100))
        let_loose([first], pages, one)
        pages.clock.advance(timedelta(hours=hours))
        let_loose([second], pages, one)
        if Contact.get_by_id(one.id).status == Status.CONFIRMED:
            put_on.add((first, second))
    # But where one of them does exactly what a person does, and nobody has said No.
    assert [pair for pair in put_on if has_said_no or not zoo.AS_PEOPLE & set(pair)] == []


@pytest.mark.exhaustive
@pytest.mark.counted_first
@pytest.mark.parametrize("link", LINKS)
def test_what_comes_in_the_middle_of_an_answer_costs_its_person_little(
    pages: Pages, database: Database, mailing_list: MailingList, campaign: Campaign, link: Link
) -> None:
    """A program comes while the page is open, and again once the answer is given."""
    for program in (*PROGRAMS, *zoo.LATER, *zoo.OF_ONE_LINK):
        one = make_asked(database, mailing_list, campaign)
        visit = Visit(pages.app.test_client(), pages.clock)
        buttons = visit.get(pages.links.url(link, one.uid))
        let_loose([program], pages, one)
        wanted = Status.CONFIRMED if link == "yes" else Status.REMOVED
        while buttons and Contact.get_by_id(one.id).status != wanted:
            again = [button for button in buttons if button.sends.get("choice") == "again"]
            buttons = visit.press((again or buttons)[0])
        assert visit.pressed <= 2, program.__name__
        assert Contact.get_by_id(one.id).status == wanted, program.__name__
        if link == "no":
            let_loose([program], pages, one)
            assert Contact.get_by_id(one.id).status == Status.REMOVED, program.__name__
        pages.clock.move_to(NOW)


def test_nothing_is_asked_more_often_where_nothing_else_opened_the_links(
    pages: Pages, database: Database, campaign: Campaign
) -> None:
    yes, no = (make_asked(database, campaign.list, campaign) for _ in range(2))
    assert answer_yes(pages, yes) == 1
    say_no(pages, no, "page")
    # A change of mind to No is one press on the page that the link opens, and to Yes two.
    pages.clock.advance(timedelta(days=1))
    say_no(pages, yes, "page")
    assert answer_yes(pages, no) == 2
    say_no(pages, no, "page")
    assert answer_yes(pages, no) == 2


@pytest.mark.parametrize("way", WAYS_TO_SAY_NO)
def test_a_yes_that_is_sent_again_after_a_no_shows_the_question_and_records_nothing(
    pages: Pages, database: Database, campaign: Campaign, way: Way
) -> None:
    asked = make_asked(database, campaign.list, campaign)
    visit = Visit(pages.app.test_client(), pages.clock)
    sent = visit.get(pages.links.url("yes", asked.uid))[0]
    visit.press(sent)
    assert Contact.get_by_id(asked.id).status == Status.CONFIRMED
    pages.clock.advance(timedelta(minutes=5))
    say_no(pages, asked, way)
    before = Evidence.select().count()
    for _ in range(2):
        pages.clock.advance(timedelta(seconds=100))
        # With the question, either way: as its own page, or on the one that asks once more.
        for button, links in ((sent, ("yes", "yes", "no")), (Button(sent.action, {}), LINKS)):
            shown = visit.press(button)
            assert [one.action for one in shown] == [
                pages.links.url(link, asked.uid) for link in links
            ]
    assert Evidence.select().count() == before
    assert Contact.get_by_id(asked.id).status == Status.REMOVED


def yeses_of(contact: Contact) -> int:
    """Count how often a Yes of a contact was recorded."""
    own = Evidence.select().where(
        Evidence.subject == contact.subject, Evidence.event == "confirmed"
    )
    return int(own.count())


# --- In a browser: what Defender opens in a sandbox is a headless Chrome with scripts, and clicks
# buttons (check.live-direct-marketing.online/blog/safelinks-inflates-click-rate-outlook).


@pytest.fixture
def over_http(database: Database, campaign: Campaign) -> Iterator[Pages]:
    """Serve the pages over HTTP, from the database that the test looks into."""
    assert campaign.id
    with served(lambda url: Pages(database, make_settings(public_url=url))) as running:
        yield running


def look_around(page: Page, url: str) -> None:
    """Load, wait, scroll, hover, and follow every link of the page that stays on its site."""
    page.goto(url)
    page.evaluate(zoo.LOOKING_AROUND)
    own = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}/"
    found = page.eval_on_selector_all("a[href]", "all => all.map(one => one.href)")
    for link in sorted({one.partition("#")[0] for one in found if one.startswith(own)})[:3]:
        page.goto(link)


def click_everything(page: Page, url: str) -> None:
    """Click every button of a page, and some of each page that comes of it."""
    page.goto(url)
    for number in range(page.locator("button").count()):
        page.goto(url)
        page.locator("button").nth(number).click()
        page.wait_for_load_state()
        # The first and the last of the page that comes of it.
        for further in (page.locator("button").first, page.locator("button").last):
            if further.count():
                further.click()


@pytest.mark.exhaustive
def test_a_browser_with_scripts_gives_no_yes_either(
    over_http: Pages,
    database: Database,
    mailing_list: MailingList,
    campaign: Campaign,
    page: Page,
) -> None:
    looked, clicked = (make_asked(database, mailing_list, campaign) for _ in range(2))
    for one in (looked, clicked):
        for url in letter_to(one, over_http).links:
            look_around(page, url)
    assert Contact.get_by_id(looked.id).status == Status.UNCONFIRMED
    for url in letter_to(clicked, over_http).links:
        click_everything(page, url)
    assert Contact.get_by_id(clicked.id).status == Status.REMOVED
    assert Evidence.select().where(Evidence.event == "confirmed").count() == 0
    over_http.clock.advance(timedelta(hours=1))
    assert [answer_yes(over_http, one) for one in (looked, clicked)] == [1, 2]
