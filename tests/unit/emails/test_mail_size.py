"""How large a mail may become, since Gmail clips what is larger."""

from __future__ import annotations

import pytest

from repermit.emails.compose_mail import compose_mail
from repermit.emails.mail_types import OwnWording
from repermit.emails.wording_validation import MAX_MAIL_SIZE, check_mail_size
from repermit.errors import AddressError, WordingError
from repermit.i18n.catalogues import languages
from tests.support.mail_builders import LINK, make_ask, make_ask_values, make_facts
from tests.unit.emails.test_wording_validation import GOOD_HTML, GOOD_TEXT

YES = LINK.format("yes", "Yes")


def reason_against(*, text: str = "", html: str = "", link: str = YES) -> str:
    own = OwnWording(text=f"{GOOD_TEXT}\n{text}", html=f"{GOOD_HTML}\n{html}" if html else "")
    try:
        check_mail_size(make_ask(own=own), link=link)
    except WordingError as error:
        (reason,) = error.reasons
        return reason
    return ""


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("sensitive", [False, True])
def test_repermits_own_wording_is_far_below_the_limit(language: str, sensitive: bool) -> None:
    draft = make_ask(language=language, mailing_list=make_facts(sensitive=sensitive))
    check_mail_size(draft, link=YES * 3)


@pytest.mark.exhaustive
def test_a_long_text_counts_twice_since_its_html_is_made_from_it() -> None:
    assert not reason_against(text="woord " * 6_000)
    assert reason_against(text="woord " * 9_000).startswith("the mail can grow to 1")
    assert not reason_against(text="", html="woord " * 9_000)
    assert reason_against(text="", html="woord " * 17_000)


def test_it_says_how_large_the_mail_would_be_and_the_limit() -> None:
    reason = reason_against(text="woord " * 9_000)
    assert reason.endswith(
        " octets, with its text and its HTML, and Gmail cuts off what is beyond 102,000: "
        "make it shorter"
    )


@pytest.mark.parametrize(("link", "refused"), [("", False), ("x" * 3_000, True)])
def test_the_length_of_the_links_counts(link: str, refused: bool) -> None:
    assert bool(reason_against(text="{{ yes_url }} " * 30, link=YES + link)) is refused


@pytest.mark.exhaustive
@pytest.mark.parametrize(("octets", "refused"), [(-1, False), (0, False), (1, True)])
def test_the_limit_is_met_to_the_octet(octets: int, refused: bool) -> None:
    # In HTML alone, in short lines of three octets; what is over makes the last word longer.
    at = int(reason_against(html="a\n" * 40_000 + "end").split()[5].replace(",", ""))
    assert at > MAX_MAIL_SIZE
    lines, over = divmod(MAX_MAIL_SIZE + octets - at, 3)
    assert bool(reason_against(html="a\n" * (40_000 + lines) + "end" + "d" * over)) is refused


def test_no_mail_is_larger_than_the_one_that_is_measured() -> None:
    own = OwnWording(text=GOOD_TEXT + " {{ greeting }} {{ reason }}" + "\nwoord" * 4_000)
    draft = make_ask(own=own)
    check_mail_size(draft, link=YES)
    values = make_ask_values(name="Ж" * 70, source="é" * 300, address=f"{'l' * 64}@example.org")
    assert len(compose_mail(draft, values).raw) < MAX_MAIL_SIZE


def test_without_a_sender_there_is_no_mail_to_measure() -> None:
    with pytest.raises(AddressError):
        check_mail_size(make_ask(mailing_list=make_facts(sender="")), link=YES)
