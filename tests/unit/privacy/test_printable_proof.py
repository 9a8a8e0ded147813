"""A proof in words and as a page: what it says of each kind of entry, and what it leaves out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from repermit.emails.html_to_text import html_to_text
from repermit.privacy import printable_proof, proof_text
from tests.support.builders import NOW
from tests.support.mail_builders import make_ask
from tests.support.operation_count import grows_linearly
from tests.unit.evidence.test_consent_receipt import TOLD

UTC = ZoneInfo("UTC")
AT = NOW.isoformat(timespec="microseconds")


def entry(event: str, *, person: dict[str, Any] | None = None, **told: Any) -> dict[str, Any]:
    parts = {"consent": told, "person": person or {}}
    digests = {name: "d" * 64 if name != "trace" else "" for name in (*parts, "trace")}
    fields = {"seq": 1, "at": AT, "event": event, "list": "news", "actor": "person"}
    return {
        "entry": {**fields, **digests},
        "parts": {name: {"salt": "", "content": part} for name, part in parts.items() if part},
    }


def document(*entries: dict[str, Any], **wordings: str) -> dict[str, Any]:
    purpose = {"service": "Nieuws", "purpose": "Nieuws", "lawful_basis": ["eu-gdpr:A6-1-a"]}
    return {
        "statement": {
            "list": "news",
            "subject": "0" * 32,
            "controller": {"name": "Praktijk"},
            "entries": list(entries),
            "wordings": wordings,
            "record": {
                "processing": {"privacy_notice": {"uri": ""}, "purposes": [purpose]},
                "party": [],
                "event": [],
            },
        },
        "seal": entry("proved", statement="d" * 64),
        "checkpoint": {"seq": 2, "hash": "e" * 64, "root": "f" * 64},
    }


def told(*entries: dict[str, Any], language: str = "en") -> list[str]:
    found = proof_text.describe_entries(document(*entries), language=language, zone=UTC)
    return [one.text for one in found]


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (entry("confirmed", answer="yes", method="page"), "by pressing a button on a page"),
        (entry("confirmed", answer="yes", method="note"), "as the list’s keeper noted"),
        (entry("confirmed", method="by_hand"), "entered by hand"),
        (entry("confirmed", method="web form"), "taken over from another tool"),
        (entry("confirmed"), "how is held no longer"),
        (entry("removed", reason="no"), "said No"),
        (entry("removed", reason="withdrawn"), "withdrew"),
        (entry("removed", reason="no_response"), "no answer had come in time"),
        (entry("removed", reason="bounce"), "came back"),
        (entry("removed", reason="complaint"), "reported a mail"),
        (entry("removed", reason="request"), "at their own request"),
        (entry("removed", reason="request", by="restored"), "whose is not known"),
        (entry("removed", reason="request", method="not_pressed"), "whose is not known"),
        (entry("removed", reason="request", method="both_pressed"), "whose is not known"),
        (entry("removed", reason="no", by="restored"), "said No"),
        (entry("removed", reason="request", file="d" * 64), "a file that was taken in says"),
        (entry("removed"), "why is held no longer"),
        (entry("customer"), "as a customer"),
        (entry("added"), "by hand, to be asked"),
        (entry("opted_out"), "wants no mail"),
        (entry("erased"), "What was held about the person was erased."),
        (
            entry("erased", parts=["trace"], why="retention"),
            "Network and browser were erased: their time was over.",
        ),
        (
            entry("erased", parts=["consent"], why="retention"),
            "The proof was erased: its time was over.",
        ),
        (entry("proved"), "like this one was made"),
        (
            entry("removed", reason="request", method="not_the_person"),
            "neither a No nor a withdrawal of theirs",
        ),
        (entry("not_the_person", method="page"), "said not to be the person meant"),
        (entry("corrected", fields=["name"]), "corrected what is held"),
        (entry("reply_set_aside"), "no Yes and no No"),
        (entry("reply_reopened"), "looked at again"),
        (entry("still_mailed"), "came from elsewhere"),
        (entry("suppressed"), "not to be asked"),
        (entry("of_a_later_version"), "of_a_later_version"),
    ],
)
def test_each_entry_is_told_in_words(one: dict[str, Any], words: str) -> None:
    assert words in told(one)[0]
    assert told(one) != told(one, language="nl") or one["entry"]["event"] == "of_a_later_version"


def at(day: int, event: str, *, on: int | None = None, **said: Any) -> dict[str, Any]:
    """Return an entry of so many days after NOW, that was put on record `on` a later day."""
    one = entry(event, **said)
    recorded = NOW + timedelta(days=day if on is None else on)
    one["entry"]["at"] = recorded.isoformat(timespec="microseconds")
    return one


def moment_of(day: int) -> str:
    return (NOW + timedelta(days=day)).isoformat(timespec="microseconds")


def describe_status(*entries: dict[str, Any], language: str = "en") -> str:
    return proof_text.describe_status(document(*entries), language=language, zone=UTC)


YES: dict[str, Any] = {"answer": "yes", "method": "page"}


def test_what_happened_is_told_in_the_order_of_time() -> None:
    left = at(2, "removed", on=9, reason="no", by="restored", left_at=moment_of(2))
    found = told(at(0, "confirmed", **YES), at(5, "still_mailed"), left)
    assert [one.partition(",")[0] for one in found] == [
        "The person said Yes",
        "The person said No",
        "The person unsubscribed from a mail that came from elsewhere.",
    ]
    # Of entries of one moment the earlier one comes first.
    assert told(at(0, "added"), at(0, "customer")) != told(at(0, "customer"), at(0, "added"))


def test_a_yes_that_was_put_on_record_after_a_removal_says_so() -> None:
    swept = at(28, "removed", reason="no_response")
    late = at(28, "confirmed", on=29, arrived_at=moment_of(27), **YES)
    yes, no = proof_text.describe_entries(document(swept, late), language="en", zone=UTC)
    assert "said Yes" in yes.text
    assert "no answer had come in time" in no.text
    on_record = "Tuesday 31 March 2026, 09:00 (09:00:00 UTC)"
    assert yes.more == (f"Put on record after what follows: {on_record}",)
    assert no.more == ()
    assert "may be mailed" in describe_status(swept, late)


def test_a_time_that_is_none_stays_where_its_entry_stands() -> None:
    odd = at(0, "confirmed", arrived_at="long ago", **YES)
    without_zone = at(0, "corrected", arrived_at="2020-01-01T00:00:00")
    found = told(at(3, "added"), odd, without_zone, at(1, "customer"))
    assert found[0] == "The person was put down as a customer."
    assert found[1] == "The person was put on the list by hand, to be asked."
    assert "said Yes" in found[2]
    assert "corrected" in found[3]


@pytest.mark.parametrize("method", ["not_pressed", "both_pressed"])
def test_a_yes_that_was_taken_back_is_not_told_as_what_the_person_said(method: str) -> None:
    yes, back = (
        at(0, "confirmed", **YES),
        at(1, "removed", reason="request", method=method),
    )
    first, second = told(yes, back)
    assert first == "Yes was pressed on a page. It was taken back since, as stands below."
    assert "whose is not known" in second
    assert told(yes, back, language="nl")[0].startswith("Op een pagina werd op Ja gedrukt.")
    assert "not asked" in describe_status(yes, back)
    # Whoever says Yes again after that has said so.
    assert "The person said Yes" in told(yes, back, at(2, "confirmed", **YES))[2]


@pytest.mark.parametrize(
    ("entries", "words", "day"),
    [
        ([at(1, "added")], "is on the list since", 1),
        ([at(1, "customer")], "may be mailed as a customer", 1),
        ([at(1, "customer"), at(2, "confirmed", **YES)], "may be mailed: an opt-in", 2),
        ([at(1, "confirmed", **YES), at(2, "removed", reason="no")], "is not asked and gets", 2),
        ([at(1, "removed", reason="no"), at(2, "confirmed", **YES)], "may be mailed: an opt-in", 2),
        ([at(1, "removed"), at(2, "erased"), at(3, "proved")], "is not asked and gets", 1),
        ([at(1, "removed", on=3, left_at=moment_of(1))], "is not asked and gets", 1),
        ([at(1, "suppressed", reason="request")], "is not asked and gets", 1),
        (
            [
                at(1, "customer"),
                at(2, "confirmed", file="d" * 64),
                at(3, "import_undone", imported_at=moment_of(2), status="customer"),
            ],
            "may be mailed as a customer",
            1,
        ),
        (
            [
                at(1, "removed", reason="no"),
                at(2, "confirmed", **YES),
                at(3, "sign_up_undone", confirmed_at=moment_of(2), status="removed"),
            ],
            "is not asked and gets",
            1,
        ),
    ],
)
def test_at_the_end_stands_what_holds_now_and_since_when(
    entries: list[dict[str, Any]], words: str, day: int
) -> None:
    found = describe_status(*entries)
    assert words in found
    weekday = ("", "Tuesday 3 March 2026", "Wednesday 4 March 2026")[day]
    assert weekday in found
    assert describe_status(*entries, language="nl") != found
    page = printable_proof.make_proof_page(document(*entries), language="en", zone=UTC)
    assert page.index("What happened") < page.index(found) < page.index("How it can be checked")


@pytest.mark.parametrize("last", ["erased", "import_undone"])
def test_what_only_a_file_said_that_was_taken_back_holds_no_more(last: str) -> None:
    claim = at(1, "confirmed", file="d" * 64)
    found = describe_status(claim, at(3, last, imported_at=moment_of(1)))
    assert found == "By these entries nothing holds of this person: neither a Yes nor a No."
    assert told(claim, at(3, "import_undone", imported_at=moment_of(1)))[1] == (
        "The file that had said so was taken back."
    )


def test_of_a_spoken_answer_it_is_told_who_took_it_and_when_it_was_put_on_record() -> None:
    one = entry("confirmed", person={"taken_by": "Els"}, answer="yes", method="note")
    (found,) = proof_text.describe_entries(document(one), language="en", zone=UTC)
    assert found.more == (
        "Who took it: Els",
        f"Put on record by {one['entry']['actor']}: Monday 2 March 2026, 09:00 (09:00:00 UTC)",
    )


def test_what_was_asked_and_who_it_was_stands_below() -> None:
    person = {"address": "jan@example.org", "name": "Jan", "note": "by phone", "proof": "a card"}
    said = {**TOLD, "reminded_at": AT, "wording": "c" * 64, "given_by": "representative"}
    one = entry("confirmed", person=person, **said)
    (found,) = proof_text.describe_entries(document(one), language="en", zone=UTC)
    assert found.at == "Tuesday 3 March 2026, 09:00 (09:00:00 UTC)"
    assert found.more == (
        "Who: Jan <jan@example.org>",
        "Given by the person’s legal representative, as whoever answered said.",
        "For what: Nieuws over onze praktijk",
        "Asked by mail: Monday 2 March 2026, 09:00 (09:00:01 UTC)",
        "Reminded: Monday 2 March 2026, 09:00 (09:00:00 UTC)",
        "Could be answered until: Monday 30 March 2026, 09:00 (09:00:00 UTC)",
        "How it was noted: by phone",
        "What shows it: a card",
        f"Wording of the mail: {'a' * 64}",
        f"Wording of the page: {'b' * 64}",
        f"Wording of the form: {'c' * 64}",
    )


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "nothing shows that the person was told"), ("nl", "nergens blijkt uit dat dit aan de")],
)
def test_what_nobody_had_seen_is_not_told_as_what_they_agreed_to(language: str, words: str) -> None:
    one = entry("confirmed", basis="thin", unseen={"purpose": "Nieuws over onze praktijk"})
    (found,) = proof_text.describe_entries(document(one), language=language, zone=UTC)
    (line,) = found.more
    assert words in line
    assert line.endswith(": Nieuws over onze praktijk")
    shown = document(one)
    notice = shown["statement"]["record"]["processing"]["privacy_notice"]
    assert "<br>Nieuws</dd>" in printable_proof.make_proof_page(shown, language=language, zone=UTC)
    notice["shown"] = False
    assert "<br>Nieuws</dd>" not in printable_proof.make_proof_page(
        shown, language=language, zone=UTC
    )


@pytest.mark.parametrize("name", ["at", "basis_at"])
def test_when_somebody_had_signed_up_elsewhere_is_told(name: str) -> None:
    said: dict[str, Any] = {"method": "web form", name: AT}
    one = entry("confirmed", **said)
    (found,) = proof_text.describe_entries(document(one), language="en", zone=UTC)
    assert found.more == ("Signed up: Monday 2 March 2026, 09:00 (09:00:00 UTC)",)


@pytest.mark.parametrize("name", ["at", "basis_at"])
def test_a_day_of_a_file_is_told_as_itself_and_not_as_the_end_of_the_day_before(name: str) -> None:
    said: dict[str, Any] = {"method": "web form", name: "2018-07-15T00:00:00+00:00"}
    one = entry("confirmed", **said)
    (found,) = proof_text.describe_entries(document(one), language="en", zone=UTC)
    assert found.more == ("Signed up: Sunday 15 July 2018 (00:00:00 UTC)",)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"file": "f" * 64}, "Customer or member since, as the file says"),
        ({"method": "by_hand"}, "Customer since, as was entered by hand"),
    ],
)
def test_since_when_somebody_is_a_customer_is_told_by_whose_word(
    said: dict[str, Any], words: str
) -> None:
    began = (NOW - timedelta(days=1)).isoformat()
    one = entry("customer", basis="customer", basis_at=began, **said)
    (found,) = proof_text.describe_entries(document(one), language="en", zone=UTC)
    assert found.more == (f"{words}: Sunday 1 March 2026, 09:00 (09:00:00 UTC)",)


@pytest.mark.parametrize("moment", [AT, ""])
def test_the_moment_of_an_import_is_not_told_as_since_when_somebody_buys(moment: str) -> None:
    one = entry("customer", basis="customer", basis_at=moment, file="f" * 64)
    (found,) = proof_text.describe_entries(document(one), language="en", zone=UTC)
    assert found.more == ()


ATTESTED: dict[str, Any] = {
    "asking_ground": "legitimate_interest",
    "attest": "Decided by the board.",
}


def asked_in_campaign(removed: dict[str, Any], *campaign_entries: dict[str, Any]) -> dict[str, Any]:
    whole = document(removed)
    whole["statement"]["campaign_entries"] = list(campaign_entries)
    return whole


def test_on_what_ground_somebody_was_asked_is_told_as_it_was_attested() -> None:
    more: dict[str, Any] = {"special_ground": "members", "deadline": AT}
    whole = asked_in_campaign(
        entry("removed", reason="no_response"), entry("launched", **ATTESTED, **more)
    )
    _, launched = proof_text.describe_entries(whole, language="en", zone=UTC)
    members = "members, former members and regular contacts (GDPR art. 9(2)(d))"
    assert launched.text == "The campaign was launched in which the person was asked."
    assert launched.more == (
        "Ground of asking, as attested: legitimate interest (GDPR art. 6(1)(f))",
        f"What allowed asking a sensitive list: {members}",
        "Attested then: Decided by the board.",
        "Could be answered until: Monday 2 March 2026, 09:00 (09:00:00 UTC)",
    )


def test_a_deadline_that_was_moved_is_told_with_both_dates() -> None:
    dates: dict[str, Any] = {"from": AT, "to": moment_of(2), "note": "The post was late."}
    whole = asked_in_campaign(entry("removed", reason="no_response"), entry("extended", **dates))
    _, extended = proof_text.describe_entries(whole, language="en", zone=UTC)
    assert extended.text == "The deadline was moved to later."
    assert extended.more == (
        "The deadline before: Monday 2 March 2026, 09:00 (09:00:00 UTC)",
        "Could be answered until: Wednesday 4 March 2026, 09:00 (09:00:00 UTC)",
        "Why: The post was late.",
    )


def test_a_campaign_of_another_shape_is_told_as_far_as_it_can_be() -> None:
    odd: dict[str, Any] = {"asking_ground": ["x"], "attest": {}, "deadline": 7, "special_ground": 1}
    whole = asked_in_campaign(entry("removed"), entry("launched", **odd), entry("extended", to=7))
    _, launched, extended = proof_text.describe_entries(whole, language="en", zone=UTC)
    assert (launched.more, extended.more) == (("Ground of asking, as attested: not said",), ())
    assert "not said" in printable_proof.make_proof_page(whole, language="en", zone=UTC)


@pytest.mark.parametrize(
    ("language", "asking", "mailing"),
    [
        ("en", "On what ground they were asked", "Only after a Yes: Consent (GDPR"),
        ("nl", "Op welke grond is gevraagd", "Alleen na een Ja: Toestemming (AVG"),
    ],
)
def test_the_page_tells_the_ground_of_asking_and_that_of_mailing_apart(
    language: str, asking: str, mailing: str
) -> None:
    whole = asked_in_campaign(entry("removed", reason="no_response"), entry("launched", **ATTESTED))
    (purpose,) = whole["statement"]["record"]["processing"]["purposes"]
    purpose["lawful_basis"] = ["eu-gdpr:A6-1-a-non-explicit-consent"]
    shown = html_to_text(printable_proof.make_proof_page(whole, language=language, zone=UTC))
    assert shown.index(asking) < shown.index("6(1)(f)" if language == "en" else "onder f")
    assert "Decided by the board." in shown
    assert mailing in shown
    whole["statement"]["record"]["event"] = [{"event_state": "dpv:ConsentGiven"}]
    assert mailing not in html_to_text(
        printable_proof.make_proof_page(whole, language=language, zone=UTC)
    )
    del whole["statement"]["campaign_entries"]
    assert asking not in printable_proof.make_proof_page(whole, language=language, zone=UTC)


def test_a_new_address_is_told_with_its_moments_and_is_no_asking() -> None:
    one = entry("corrected", fields=["address"], asked_at=AT, requested_at=AT, confirmed_at=AT)
    (found,) = proof_text.describe_entries(document(one), language="en", zone=UTC)
    assert found.more == (
        "The new address was given: Monday 2 March 2026, 09:00 (09:00:00 UTC)",
        "The new address was confirmed from there: Monday 2 March 2026, 09:00 (09:00:00 UTC)",
    )


def test_a_removal_that_a_backup_had_lost_is_told_by_when_it_was() -> None:
    left = (NOW - timedelta(days=1)).isoformat()
    one = entry("removed", reason="no", by="restored", left_at=left, left_for="no")
    (found,) = proof_text.describe_entries(document(one), language="en", zone=UTC)
    assert found.at == "Sunday 1 March 2026, 09:00 (09:00:00 UTC)"
    assert found.more == ("Recorded anew from a backup: Monday 2 March 2026, 09:00 (09:00:00 UTC)",)


@pytest.mark.parametrize(
    ("signs", "reason"),
    [
        (["both_opened", "said_no"], ", since it looked like a program’s"),
        (["said_no", "unsettled", "soon"], ", since a No had come before"),
        (["disowned", "unsettled"], ", since somebody had said not to have pressed Yes"),
        (["unsettled"], ""),
        ([["said_no"]], ""),
    ],
)
def test_it_says_why_a_yes_was_asked_for_once_more(signs: list[Any], reason: str) -> None:
    one = entry("confirmed", **TOLD)
    trace = {"signs": signs, "asked_again_at": TOLD["arrived_at"]}
    one["parts"]["trace"] = {"salt": "", "content": trace}
    (found,) = proof_text.describe_entries(document(one), language="en", zone=UTC)
    assert any(line.startswith(f"Asked for once more{reason}: ") for line in found.more)


def test_a_time_that_is_none_is_told_as_it_is() -> None:
    one = entry("confirmed", arrived_at="long ago")
    assert proof_text.describe_entries(document(one), language="en", zone=UTC)[0].at == "long ago"


def page(person: dict[str, Any], mail: str, page_text: str = "") -> str:
    digests = {"mail_wording": "a" * 64, "page_wording": "b" * 64, "wording": "c" * 64}
    one = entry("confirmed", person=person, **digests)
    texts = {"a" * 64: mail, "b" * 64: page_text, "c" * 64: "Ja, graag."}
    return printable_proof.make_proof_page(document(one, **texts), language="fr", zone=UTC)


def test_the_page_shows_mail_and_page_as_the_person_saw_them() -> None:
    jan = {"address": "jan.jansen@example.org", "name": "Jan", "source": "de balie"}
    shown = page(jan, make_ask().content, "<p>⟦reason⟧</p><p>⟦address⟧ &amp; meer</p>")
    assert "Geachte Jan" in shown or "Beste Jan" in shown
    assert shown.count("de balie") == 2
    assert "j…n@example.org &amp; meer" in shown
    assert "⟦yes_url⟧" in shown
    assert "Ja, graag." in shown
    assert '<html lang="en"' in shown
    since = page({**jan, "since": AT}, make_ask().content)
    assert "2 maart 2026" in since


@pytest.mark.parametrize(
    ("language", "line", "heading"),
    [
        (
            "en",
            "Wording of the page behind the link: ",
            "The page behind the link, on which no button was pressed",
        ),
        (
            "nl",
            "Tekst van de pagina achter de link: ",
            "De pagina achter de link, waarop op geen knop is gedrukt",
        ),
    ],
)
def test_the_page_behind_a_link_is_shown_also_where_no_button_of_it_was_pressed(
    language: str, line: str, heading: str
) -> None:
    jan = {"address": "jan.jansen@example.org"}
    one = entry("removed", person=jan, reason="no_response", link_page_wording="b" * 64)
    whole = document(one, **{"b" * 64: "<p>⟦address⟧ &amp; meer</p>"})
    (found,) = proof_text.describe_entries(whole, language=language, zone=UTC)
    assert line + "b" * 64 in found.more
    shown = printable_proof.make_proof_page(whole, language=language, zone=UTC)
    assert f"<h3>{heading}</h3>" in shown
    assert "j…n@example.org &amp; meer" in shown
    assert shown.count("b" * 64) == 2


def test_the_mail_is_shown_as_it_was_before_the_person_corrected_what_it_said() -> None:
    after = (NOW + timedelta(days=1)).isoformat()
    jan = {"address": "jan@new.example.org", "name": "Jan"}
    was: list[dict[str, Any]] = [
        {"name": "Jannn"},
        {"name": "Jann", "address": "j…a@old.example.org"},
        {},
        {"address": "j…b@old.example.org"},
    ]
    changes = [entry("corrected", person={**jan, "before": one}) for one in was]
    digests = {"mail_wording": "a" * 64, "page_wording": "b" * 64}

    def shown(asked_at: str, **person: str) -> str:
        one = entry("confirmed", person=person, asked_at=asked_at, **digests)
        # What came later changes nothing of what is shown of before.
        later = entry("corrected", person={**jan, "before": {"name": "Later"}})
        texts = {"a" * 64: make_ask().content, "b" * 64: "<p>On ⟦address⟧</p>"}
        whole = document(*changes, one, later, **texts)
        return printable_proof.make_proof_page(whole, language="en", zone=UTC)

    found = shown(AT, **jan)
    assert "Jannn," in found
    assert "j…a@old.example.org" in found
    assert "j…b@" not in found
    assert "On j…n@new.example.org" in found
    found = shown(after, **jan)
    assert "Jan," in found
    assert "old.example.org" not in found
    assert "old.example.org" not in shown(AT)


def test_a_contact_that_is_the_name_itself_stands_once() -> None:
    whole = document(entry("removed", reason="no"))
    officer = "Femke Bos, fg@example.org"
    whole["statement"]["record"]["party"] = [
        {"party_name": "Praktijk", "party_contact": "info@example.org"},
        {"party_name": officer, "party_contact": officer},
    ]
    shown = printable_proof.make_proof_page(whole, language="en", zone=UTC)
    assert f"Praktijk, info@example.org<br>{officer}</dd>" in shown


def test_the_page_of_an_organisation_that_has_not_said_its_name_can_be_made() -> None:
    nameless = document(entry("removed", reason="no"))
    nameless["statement"]["controller"] = {}
    assert "Proof of consent" in printable_proof.make_proof_page(nameless, language="en", zone=UTC)


def test_what_is_held_no_longer_stays_a_mark_and_is_told() -> None:
    shown = page({}, make_ask().content, "<p>⟦address⟧</p>")
    assert shown.count("⟦address⟧") >= 2
    assert "Held no longer, so that nothing is claimed of it: who it was (1)" in shown


@pytest.mark.parametrize("mail", ["no JSON", json.dumps({"format": 2}), json.dumps({"format": 1})])
def test_a_wording_in_another_format_is_shown_as_it_is(mail: str) -> None:
    assert "<pre>" in page({"address": "jan@example.org"}, mail)


def test_nothing_of_a_wording_becomes_markup() -> None:
    shown = page({"address": "a@example.org"}, "<script>1</script>", "<script>2</script><b>x</b>")
    assert "<script" not in shown


def test_the_text_of_a_page_has_a_line_for_each_block() -> None:
    html = "<h2>Why</h2>\n<p>One\n two<br>three</p><h3>How</h3><ul><li>four</li></ul>"
    assert html_to_text(html) == "Why\nOne two\nthree\n\nHow\n- four"


def test_a_proof_loads_nothing_and_its_style_is_the_one_that_it_allows() -> None:
    page = printable_proof.make_proof_page(document(entry("confirmed")), language="en", zone=UTC)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def test_the_page_takes_time_by_the_number_of_entries_alone() -> None:
    """Whoever presses Yes and No in turn has thousands."""
    mail = "a" * 64

    def make(count: int) -> None:
        entries = [entry("confirmed", asked_at=AT, mail_wording=mail) for _ in range(count)]
        for seq, one in enumerate(entries):
            one["entry"]["seq"] = seq
        proof = document(*entries, **{mail: "Do you want this mail?"})
        printable_proof.make_proof_page(proof, language="en", zone=UTC)

    assert grows_linearly(make)
