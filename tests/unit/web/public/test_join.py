"""Signing up on the pages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from repermit.answers import link_target
from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.campaigns import Wording
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.evidence import EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.rules.consent import Reason, Status
from repermit.settings.definitions import Settings, Web
from tests.support.builders import NOW, make_contact, make_list, make_removed
from tests.support.program_zoo import buttons_in
from tests.support.public_pages import Pages, everything_in, heading_of, without_spans, words_of

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

FORM = {"address": "anna@example.org", "name": "Anna"}
QUESTION = "Mogen wij u ‘Nieuws van de praktijk’ sturen?"
WAS_IT_YOU = "Hebt u zelf op Ja gedrukt?"
YES, NO, NOT_ME = ({"choice": choice} for choice in ("yes", "no", "not_me"))


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def pages(database: Database, settings: Settings, mailing_list: MailingList) -> Pages:
    assert mailing_list.slug == "news"
    return Pages(database, settings)


def signed_up(pages: Pages) -> SignUp:
    """Fill in the form, and return what it made."""
    assert pages.client.post("/join/news", data=FORM).status_code == 200
    made: SignUp = SignUp.select().order_by(SignUp.id.desc()).get()
    return made


def test_the_form_says_what_one_signs_up_for(pages: Pages) -> None:
    response = pages.client.get("/join/news")
    said = words_of(response)
    for text in (
        "Aanmelden voor ‘Nieuws van de praktijk’",
        "Nieuws over onze praktijk, vier keer per jaar",
        "Lindelaan 1",
        "privacyverklaring",
    ):
        assert text in said
    assert '<form method="post" action="https://ask.example.org/join/news"' in response.text
    assert "autofocus" not in response.text


def test_the_page_is_the_same_whoever_is_on_the_list(
    pages: Pages, mailing_list: MailingList
) -> None:
    make_contact(pages.database, mailing_list, "in@example.org", status=Status.CONFIRMED)
    make_removed(pages.database, mailing_list, Reason.NO, "out@example.org")
    known = ("in@example.org", "out@example.org", "new@example.org", *["new@example.org"] * 4)
    shown = {
        (one.status_code, one.data)
        for one in (pages.client.post("/join/news", data={"address": text}) for text in known)
    }
    assert len(shown) == 1
    assert Mail.select().count() == 2 + 3


def test_the_language_that_was_chosen_is_the_mails(pages: Pages) -> None:
    text = pages.client.get("/join/news?lang=de").text
    assert 'action="https://ask.example.org/join/news?lang=de"' in text
    pages.client.post("/join/news?lang=de", data=FORM)
    assert SignUp.get().language == "de"


@pytest.mark.parametrize(
    "glued", [".", ")", "%3E", "-", "_", "/", "/.", "%20", "%E2%80%BA", "%3C/a%3E"]
)
def test_the_form_opens_with_a_sign_behind_its_address(pages: Pages, glued: str) -> None:
    opened = pages.client.get(f"/join/news{glued}")
    assert (opened.status_code, 'action="https://ask.example.org/join/news"' in opened.text) == (
        200,
        True,
    )
    assert pages.client.get(f"/join/newsletter{glued}").status_code == 404


def test_what_is_no_address_is_shown_again_with_what_is_wrong(pages: Pages) -> None:
    response = pages.client.post("/join/news", data={"address": '"><b>', "name": "Anna"})
    assert response.status_code == 422
    assert "Dit is geen volledig e-mailadres" in words_of(response)
    assert 'value="&#34;&gt;&lt;b&gt;"' in response.text
    assert 'aria-describedby="address-wrong"' in response.text
    assert SignUp.select().count() == 0


def test_a_name_is_kept_on_one_line_and_short(pages: Pages) -> None:
    pages.client.post("/join/news", data={**FORM, "name": "Anna\r\nBcc: \x00x " + "y" * 200})
    name = SignUp.get().name
    assert name.startswith("Anna Bcc: x yyy")
    assert len(name) == 100


def test_a_form_on_another_website_signs_up_without_a_cookie(pages: Pages) -> None:
    headers = {"Origin": "https://www.example.net", "Sec-Fetch-Site": "cross-site"}
    response = pages.client.post(
        "/join/news", data={"address": "anna@example.org"}, headers=headers
    )
    assert (response.status_code, heading_of(response)) == (200, "Kijk in uw mail")
    assert "Set-Cookie" not in response.headers
    assert Mail.select().count() == 1


def test_one_network_signs_up_so_many_and_then_has_to_wait(pages: Pages) -> None:
    def press(network: str, number: int) -> TestResponse:
        return pages.client.post(
            "/join/news",
            data={"address": f"person{number}@example.org"},
            environ_base={"REMOTE_ADDR": network},
        )

    pressed = [press(f"9.9.9.{number}", number) for number in range(22)]
    assert [one.status_code for one in pressed] == [200] * 20 + [429] * 2
    assert heading_of(pressed[-1]) == "Probeer het over enkele minuten opnieuw"
    assert pressed[-1].headers["Retry-After"] == "180"
    assert Mail.select().count() == 20
    assert press("9.9.8.1", 0).status_code == 200
    pages.clock.advance(timedelta(minutes=3))
    assert [press("9.9.9.1", 30).status_code for _ in range(2)] == [200, 429]


def sign_ups_of(
    database: Database,
    settings: Settings,
    *,
    trusted: int,
    peer: str = "127.0.0.1",
    forwarded: Callable[[int], str | None],
    tries: int = 25,
) -> int:
    """Return how many sign-ups of one client are taken, each with a header of its own."""
    pages = Pages(database, replace(settings, web=Web(trusted_proxies=trusted)))

    def press(number: int) -> int:
        header = forwarded(number)
        return pages.client.post(
            "/join/news",
            data={"address": f"person{number}@example.org"},
            environ_base={"REMOTE_ADDR": peer},
            headers={} if header is None else {"X-Forwarded-For": header},
        ).status_code

    codes = [press(number) for number in range(tries)]
    assert set(codes) == {200, 429}
    return codes.count(200)


@pytest.mark.usefixtures("mailing_list")
@pytest.mark.parametrize("trusted", [0, 2])
@pytest.mark.parametrize(
    "entry",
    [
        None,
        "",
        ",",
        "unknown",
        "x{}",
        "{}.9.9.9.9",
        "999.9.9.{}",
        "<{}>",
        "9.9.9.{}.",
        "é{}",
        "[9.9.9.{}",
        "[]:{}",
        ":{}:",
        "9.9.{}.9:x:y",
        "2001:db8::{}::",
        "x" * 10_000 + "{}",
        "," * 5_000 + "x{}",
        "9.9.9.{}," * 500 + "_hidden{}",
    ],
)
def test_a_header_that_names_no_address_gives_nobody_a_limit_of_their_own(
    database: Database,
    settings: Settings,
    trusted: int,
    entry: str | None,
) -> None:

    def header(number: int) -> str | None:
        return None if entry is None else entry.replace("{}", str(number))

    taken = sign_ups_of(database, settings, trusted=trusted, forwarded=header)
    # Of "[9.9.9.1" the address is clear enough, and all of them are of one network.
    assert taken == 20


@pytest.mark.usefixtures("mailing_list")
@pytest.mark.parametrize(
    "entry",
    [
        "9.9.9.9",
        "9.9.9.9:{}",
        '"9.9.9.9:{}"',
        "::ffff:9.9.9.9",
        "[2a00:1234::{}]:443",
        "2a00:1234::{}",
        "fe80::1%eth{}",
        "10.0.0.1, 9.9.9.{}",
    ],
)
@pytest.mark.parametrize("trusted", [0, 1])
def test_one_client_behind_a_proxy_has_one_limit_however_its_address_is_written(
    database: Database, settings: Settings, trusted: int, entry: str
) -> None:
    taken = sign_ups_of(
        database,
        settings,
        trusted=trusted,
        forwarded=lambda number: entry.replace("{}", str(number)),
    )
    assert taken == 20


@pytest.mark.usefixtures("mailing_list")
@pytest.mark.parametrize(
    ("trusted", "peer", "entries"),
    [
        # No web server in front sets the header, or it passes on what a client sends.
        (0, "127.0.0.1", "9.{}.9.9"),
        (0, "192.168.1.2", "9.{}.9.9"),
        # The client speaks to us itself, and invents whom it speaks for.
        (1, "9.9.9.9", "9.{}.9.9"),
        (2, "9.9.9.9", "9.{}.9.9, 10.0.0.1"),
        # One web server in front, of two that are trusted.
        (2, "127.0.0.1", "9.{}.9.9, 9.9.9.9"),
        (3, "127.0.0.1", "9.{}.9.9, 9.9.9.9, 10.0.0.1"),
        # The client sits in the same building as the web server.
        (1, "127.0.0.1", "9.{}.9.9, 192.168.1.2"),
    ],
)
def test_a_limit_holds_where_a_client_may_invent_its_address(
    database: Database,
    settings: Settings,
    trusted: int,
    peer: str,
    entries: str,
) -> None:
    taken = sign_ups_of(
        database,
        settings,
        trusted=trusted,
        peer=peer,
        forwarded=lambda number: entries.replace("{}", str(number)),
        tries=65,
    )
    assert taken == 60


@pytest.mark.usefixtures("mailing_list")
@pytest.mark.parametrize(
    ("trusted", "peer", "entries"),
    [
        (0, "9.{}.9.9", "1.1.1.1"),
        (1, "127.0.0.1", "1.1.1.1, 9.{}.9.9"),
        (2, "127.0.0.1", "9.{}.9.9, 10.0.0.1"),
    ],
)
def test_clients_that_the_trusted_servers_name_have_a_limit_each(
    database: Database,
    settings: Settings,
    trusted: int,
    peer: str,
    entries: str,
) -> None:
    pages = Pages(database, replace(settings, web=Web(trusted_proxies=trusted)))
    for number in range(25):
        response = pages.client.post(
            "/join/news",
            data={"address": f"person{number}@example.org"},
            environ_base={"REMOTE_ADDR": peer.replace("{}", str(number))},
            headers={"X-Forwarded-For": entries.replace("{}", str(number))},
        )
        assert response.status_code == 200


@pytest.mark.usefixtures("mailing_list")
def test_a_client_behind_a_socket_has_a_limit_too(database: Database, settings: Settings) -> None:
    taken = sign_ups_of(
        database, settings, trusted=0, peer="localhost", forwarded=lambda _number: None
    )
    assert taken == 20


def test_an_unknown_list_is_not_found(pages: Pages) -> None:
    shown = {
        pages.client.get("/join/other").data,
        pages.client.post("/join/other", data=FORM).data,
        pages.client.get("/other").data,
    }
    assert len(shown) == 1


def test_looking_at_the_link_confirms_nothing(pages: Pages) -> None:
    made = signed_up(pages)
    before = everything_in(pages.database)
    response = pages.get("confirm", made.uid)
    assert heading_of(response) == QUESTION
    assert "Ja, stuur mij deze mails" in words_of(response)
    assert everything_in(pages.database) == before


def test_the_page_of_a_sign_up_names_no_link_that_its_mail_has_not(pages: Pages) -> None:
    said = words_of(pages.get("confirm", signed_up(pages).uid))
    assert "Een bericht aan ons is genoeg: dan stoppen wij." in said
    assert "De link voor Nee in onze mails" not in said


def test_one_press_on_the_link_confirms(pages: Pages) -> None:
    made = signed_up(pages)
    response = pages.post("confirm", made.uid, data=YES)
    assert (response.status_code, heading_of(response)) == (200, "Uw Ja is vastgelegd")
    contact = Contact.get()
    assert (contact.status, contact.basis) == (Status.CONFIRMED, "sign_up")
    assert pages.links.url("no", contact.uid) in response.text


@pytest.mark.parametrize("choice", [NO, NOT_ME])
def test_who_does_not_want_it_is_not_put_on_the_list_and_may_think_again(
    pages: Pages, choice: dict[str, str]
) -> None:
    made = signed_up(pages)
    response = pages.post("confirm", made.uid, data=choice)
    assert (response.status_code, heading_of(response)) == (200, "Er is geen Ja vastgelegd")
    assert "U komt niet op de lijst." in words_of(response)
    # Nobody asked them anything: they had signed up.
    assert "Wie wij zijn" in words_of(response)
    assert "Wie dit vraagt" not in words_of(response)
    assert "alleen met uw toestemming (AVG, artikel 6, lid 1, onder a)" in words_of(response)
    assert Contact.select().count() == 0
    pages.clock.advance(timedelta(hours=1))
    again = pages.post("confirm", made.uid, data=YES)
    assert "Vóór dit Ja kwam er een Nee." in words_of(again)
    assert Contact.select().count() == 0
    pages.post("confirm", made.uid, data={**YES, "round": buttons_in(again.text)[0].sends["round"]})
    assert Contact.get().status == Status.CONFIRMED


@pytest.mark.parametrize("status", [Status.UNCONFIRMED, Status.CONFIRMED, Status.CUSTOMER])
def test_who_is_on_the_list_already_is_told_so_and_how_to_leave(
    pages: Pages, status: Status
) -> None:
    made = signed_up(pages)
    basis = {Status.CONFIRMED: "answer", Status.CUSTOMER: "customer"}.get(status, "")
    contact = make_contact(
        pages.database, made.list, address=FORM["address"], status=status, basis=basis
    )
    asked = pages.get("confirm", made.uid)
    assert "dan hoeft u niets te doen: er verandert niets." in words_of(asked)
    response = pages.post("confirm", made.uid, data=NOT_ME)
    assert heading_of(response) == "U staat al op deze lijst"
    assert "Door deze aanmelding is niets veranderd." in words_of(response)
    assert pages.links.url("no", contact.uid) in response.text
    assert "komt niet op de lijst" not in words_of(response)
    assert Contact.get().status == status


def test_both_answers_within_a_minute_are_asked_again_and_one_press_more_is_enough(
    pages: Pages,
) -> None:
    made = signed_up(pages)
    pages.post("confirm", made.uid, data=NO)
    held = pages.post("confirm", made.uid, data=YES)
    assert (held.status_code, heading_of(held)) == (200, WAS_IT_YOU)
    assert "binnen een minuut op Ja en op Nee gedrukt" in words_of(held)
    assert Contact.select().count() == 0
    assert heading_of(pages.get("confirm", made.uid)) == WAS_IT_YOU
    (yes,) = (one.sends for one in buttons_in(held.text) if one.sends["choice"] == "yes")
    assert heading_of(pages.post("confirm", made.uid, data=yes)) == "Uw Ja is vastgelegd"
    trace = json.loads(EvidencePart.get(EvidencePart.part == "trace").json)
    assert trace["signs"] == ["unsettled"]
    assert trace["asked_again_at"]


def test_a_no_after_the_yes_takes_off_whom_the_link_has_put_there(pages: Pages) -> None:
    made = signed_up(pages)
    pages.post("confirm", made.uid, data=YES)
    pages.clock.advance(timedelta(hours=1))
    assert heading_of(pages.post("confirm", made.uid, data=NO)) == "Uw Nee is vastgelegd"
    assert (Contact.get().status, Contact.get().reason) == (Status.REMOVED, Reason.WITHDRAWN)


@pytest.mark.parametrize("choice", [NO, NOT_ME])
def test_a_program_that_presses_yes_and_then_no_uses_up_no_link_and_is_no_withdrawal(
    pages: Pages, choice: dict[str, str]
) -> None:
    made = signed_up(pages)
    pages.post("confirm", made.uid, data=YES)
    taken_back = pages.post("confirm", made.uid, data=choice)
    assert heading_of(taken_back) == "Er is geen Ja vastgelegd"
    assert (Contact.get().status, Contact.get().reason) == (Status.REMOVED, Reason.REQUEST)
    consent = EvidencePart.select().where(EvidencePart.part == "consent")
    told = json.loads(consent.order_by(EvidencePart.seq.desc()).get().json)
    assert told["method"] == "both_pressed"
    pages.clock.advance(timedelta(hours=1))
    assert heading_of(pages.get("confirm", made.uid)) == QUESTION
    again = pages.post("confirm", made.uid, data=YES)
    data = {**YES, "round": buttons_in(again.text)[0].sends["round"]}
    assert heading_of(pages.post("confirm", made.uid, data=data)) == "Uw Ja is vastgelegd"
    assert (Contact.get().status, Contact.get().reason) == (Status.CONFIRMED, "")


def test_a_no_to_an_unknown_sign_up_is_told_so(pages: Pages) -> None:
    assert heading_of(pages.post("confirm", new_id(), data=NO)) == "Bij deze link bewaren wij niets"


@pytest.mark.parametrize("status", [Status.UNCONFIRMED, Status.CONFIRMED, Status.CUSTOMER])
def test_a_no_counts_for_who_is_on_the_list_already(pages: Pages, status: Status) -> None:
    made = signed_up(pages)
    contact = make_contact(pages.database, made.list, FORM["address"], status=status)
    assert heading_of(pages.post("confirm", made.uid, data=NO)) == "Uw Nee is vastgelegd"
    after = Contact.get_by_id(contact.id)
    expected = Reason.NO if status is Status.UNCONFIRMED else Reason.WITHDRAWN
    assert (after.status, after.reason) == (Status.REMOVED, expected)
    consent = EvidencePart.select().where(EvidencePart.part == "consent")
    told = json.loads(consent.order_by(EvidencePart.seq.desc()).get().json)
    assert (told["answer"], told["method"]) == ("no", "page")
    assert Suppression.select().count() == 1
    # Pressed again, it changes nothing.
    before = everything_in(pages.database, but={SignUp})
    assert heading_of(pages.post("confirm", made.uid, data=NO)) == "Uw Nee is vastgelegd"
    assert everything_in(pages.database, but={SignUp}) == before


def test_a_no_that_is_pressed_twice_is_told_as_recorded(pages: Pages) -> None:
    made = signed_up(pages)
    make_contact(pages.database, made.list, FORM["address"])
    data = {**NO, "number": pages.number(made.uid)}
    for _ in range(2):
        assert heading_of(pages.post("confirm", made.uid, data=data)) == "Uw Nee is vastgelegd"


def test_a_no_counts_on_the_page_of_a_yes_that_changed_nothing(pages: Pages) -> None:
    made = signed_up(pages)
    make_contact(
        pages.database,
        made.list,
        address=FORM["address"],
        status=Status.CONFIRMED,
        status_at=NOW - timedelta(days=1),
        basis="answer",
    )
    number = pages.number(made.uid)
    assert heading_of(pages.post("confirm", made.uid, data=YES)) != QUESTION
    pages.clock.advance(timedelta(hours=2))
    pages.post("confirm", made.uid, data={**NO, "number": number})
    assert Contact.get().status == Status.REMOVED


def test_a_no_of_an_old_page_is_asked_again(pages: Pages) -> None:
    made = signed_up(pages)
    number = pages.number(made.uid)
    make_contact(pages.database, made.list, FORM["address"], form_version=1)
    stale = pages.post("confirm", made.uid, data={**NO, "number": number})
    assert heading_of(stale) == QUESTION
    assert Contact.get().status == Status.UNCONFIRMED


def test_a_no_by_a_used_link_counts_for_who_was_on_the_list_before(pages: Pages) -> None:
    made = signed_up(pages)
    make_contact(
        pages.database,
        made.list,
        address=FORM["address"],
        status=Status.CONFIRMED,
        status_at=NOW - timedelta(days=1),
        basis="sign_up",
    )
    pages.post("confirm", made.uid, data=YES)
    # A program presses both at once; an hour later it is a person.
    pages.post("confirm", made.uid, data=NO)
    assert Contact.get().status == Status.CONFIRMED
    pages.clock.advance(timedelta(hours=1))
    pages.post("confirm", made.uid, data=NOT_ME)
    assert Contact.get().status == Status.CONFIRMED
    assert heading_of(pages.post("confirm", made.uid, data=NO)) == "Uw Nee is vastgelegd"
    assert (Contact.get().status, Contact.get().reason) == (Status.REMOVED, Reason.WITHDRAWN)


def test_a_press_without_the_words_of_a_button_confirms_nothing(pages: Pages) -> None:
    """As a script sends it, or a mail program that unsubscribes (RFC 8058)."""
    made = signed_up(pages)
    for data in ({}, {"List-Unsubscribe": "One-Click"}):
        assert heading_of(pages.post("confirm", made.uid, data=data)) == QUESTION
    assert Contact.select().count() == 0


def test_a_representative_confirms_as_such(pages: Pages) -> None:
    made = signed_up(pages)
    assert "Jonger dan 16" in words_of(pages.get("confirm", made.uid))
    query = {"as": "representative"}
    shown = pages.get("confirm", made.uid, query_string=query)
    assert "Ja, ik stem namens deze persoon toe" in words_of(shown)
    pages.post("confirm", made.uid, query_string=query, data=YES)
    told = json.loads(EvidencePart.get(EvidencePart.part == "consent").json)
    assert told["given_by"] == "representative"


def test_the_wording_that_is_kept_is_what_the_page_showed(pages: Pages) -> None:
    made = signed_up(pages)
    page = without_spans(pages.get("confirm", made.uid).text)
    pages.post("confirm", made.uid, data=YES)
    wording = without_spans(Wording.get().content)
    assert wording.count("⟦address⟧") == 2
    filled = wording.replace("⟦address⟧", "a…a@example.org")
    question, rest = re.split(r"<ul>\n<li>Ik heb mij hier niet.*?</ul>", filled, flags=re.DOTALL)
    assert question.strip() in page
    assert rest.strip() in page


def test_a_second_press_is_friendly(pages: Pages) -> None:
    made = signed_up(pages)
    pages.post("confirm", made.uid, data=YES)
    before = everything_in(pages.database)
    for response in (pages.post("confirm", made.uid, data=YES), pages.get("confirm", made.uid)):
        assert (response.status_code, heading_of(response)) == (200, "Uw Ja was al vastgelegd")
    assert everything_in(pages.database) == before


def test_a_link_that_has_expired_offers_a_new_sign_up(pages: Pages) -> None:
    made = signed_up(pages)
    pages.clock.advance(timedelta(days=7))
    for response in (pages.get("confirm", made.uid), pages.post("confirm", made.uid, data=YES)):
        assert (response.status_code, heading_of(response)) == (200, "Deze link is verlopen")
        assert "/join/news" in response.text
    assert Contact.select().count() == 0


def test_a_link_that_has_expired_after_a_no_does_not_say_that_nothing_was_recorded(
    pages: Pages,
) -> None:
    made = signed_up(pages)
    pages.post("confirm", made.uid, data=NO)
    pages.clock.advance(timedelta(days=7))
    said = words_of(pages.get("confirm", made.uid))
    assert "Deze link is verlopen" in said
    assert "niets vastgelegd" not in said


def test_a_sign_up_that_is_forgotten_says_that_nothing_is_held(pages: Pages) -> None:
    for response in (pages.get("confirm", new_id()), pages.post("confirm", new_id(), data=YES)):
        assert response.status_code == 200
        assert heading_of(response) == "Bij deze link bewaren wij niets"


def test_a_used_link_of_somebody_who_is_no_longer_held_says_so(pages: Pages) -> None:
    made = signed_up(pages)
    pages.post("confirm", made.uid, data=YES)
    contact = Contact.get()
    with pages.database.atomic():
        erasure.erase_contact(
            contact,
            act=status_changes.Act(at=NOW, actor="admin"),
            fingerprint_key=pages.settings.fingerprint_key,
        )
    assert heading_of(pages.get("confirm", made.uid)) == "Bij deze link bewaren wij niets"


def test_a_sensitive_lists_form_tells_nothing_in_title_and_address(pages: Pages) -> None:
    sensitive = make_list(pages.database, slug="hiv-group", name="HIV group", sensitive=True)
    name = link_target.make_join_id(sensitive, settings=pages.settings)
    assert pages.client.get("/join/hiv-group").status_code == 404
    text = pages.client.get(f"/join/{name}").text
    head, _, body = text.partition("<body>")
    assert "hiv" not in head.lower()
    assert "hiv-group" not in body
    assert "uitdrukkelijk toestemming" in body
    pages.client.post(f"/join/{name}", data=FORM)
    said = words_of(pages.get("confirm", SignUp.get().uid))
    assert "Ja, ik geef uitdrukkelijk toestemming voor deze mails" in said
    assert "alleen met uw uitdrukkelijke toestemming (AVG" in said
