"""What the cells of a row say against mailing, and how that is told."""

from __future__ import annotations

import pytest

from repermit.imports.readers.rows import Column
from repermit.imports.row_opt_outs import OptOut, OptOutColumns, may_refuse


def said_in(field: str, text: str, title: str = "T") -> OptOut:
    return OptOutColumns([Column(0, title, field)]).find_in_row([text])


def marked(text: str) -> OptOut:
    return OptOut("unsubscribed", f"T: {text}")


def doubted(text: str) -> OptOut:
    return OptOut("", f"T: {text}")


NOTHING = OptOut("", "")


@pytest.mark.parametrize(
    "text",
    [
        *("Inactief", "inactive", "inaktiv", "Inactif", "niet actief", "Not active", "pas actif"),
        *("uitgeschreven", "afgemeld", "opted out", "unsubscribed", "geblokkeerd", "disabled"),
        *("gesperrt", "nee", "false", "stop", "geen mail", "overleden", "archived", "refusé"),
    ],
)
def test_a_status_that_switches_somebody_off_is_an_opting_out(text: str) -> None:
    assert said_in("status", text) == marked(text)


@pytest.mark.parametrize("text", ["", "actief", "Enabled", "1", "lid", "pending", "Non-subscribed"])
def test_a_status_that_says_nothing_against_it_passes(text: str) -> None:
    assert said_in("status", text) == NOTHING


@pytest.mark.parametrize("field", ["status", "consent"])
@pytest.mark.parametrize("text", ["was afgemeld, weer aangemeld", "unsubscribed; signed up again"])
def test_whoever_has_come_back_is_in_doubt(field: str, text: str) -> None:
    assert said_in(field, text) == doubted(text)


@pytest.mark.parametrize("text", ["0", "niet ingeschreven", "nicht angemeldet", "mail niet bekend"])
def test_a_status_that_may_mean_off_is_in_doubt(text: str) -> None:
    assert said_in("status", text) == doubted(text)


@pytest.mark.parametrize("field", ["consent", "active"])
@pytest.mark.parametrize(
    "text",
    [
        *("nee", "No", "nein", "non", "0", "false", "Nee, liever niet", "liever niet", "stop"),
        *("no thanks", "nein danke", "non merci", "geen", "opgezegd", "stop er maar mee"),
        *("ingetrokken 3-4-2020", "ja, maar geen mail meer"),
    ],
)
def test_an_answer_with_a_no_in_it_is_an_opting_out(field: str, text: str) -> None:
    assert said_in(field, text) == marked(text)


@pytest.mark.parametrize("field", ["consent", "active"])
@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-", "–", "ja", "Ja, graag!", "yes", "x", "✓", "wekelijks", "monthly"),
        *("aangemeld", "subscribed", "tilmeldt", "opt-in", "bevestigd", "gewenst", "Graag"),
        *("E-mail", "per mail", "digitaal", "alleen mail", "e-mail en post", "Email, Direct Mail"),
        *("beide", "aan", "3-5-2020", "2020-05-03 10:00:00", "3 mei 2020", "40271"),
        *("aangemeld 3-5-2020", "akkoord op 25-5-2018", "AVG formulier getekend", "toestemming"),
    ],
)
def test_an_answer_that_is_a_yes_or_nothing_is_none(field: str, text: str) -> None:
    assert said_in(field, text) == NOTHING


@pytest.mark.parametrize(
    "text",
    [
        *("papier", "alleen post", "post", "op papier", "vervallen", "?", "??", "nog vragen"),
        *("Papier", "paper", "nur Post", "courrier", "expired", "abgelaufen", "expiré", "pending"),
        *(
            "onbekend",
            "unknown",
            "misschien",
            "e-mail navragen",
            "vervallen 3-5-2020",
            "2",
            "zie map",
        ),
    ],
)
def test_an_answer_that_is_neither_yes_nor_no_is_in_doubt(text: str) -> None:
    assert said_in("consent", text) == doubted(text)


@pytest.mark.parametrize("text", ["vervallen", "?", "lid", "3"])
def test_whether_somebody_is_active_may_be_said_in_any_word(text: str) -> None:
    assert said_in("active", text) == NOTHING


@pytest.mark.parametrize(
    "text",
    ["nog niet gevraagd", "geen antwoord", "ja, maar niet meer bellen", "wel mail, geen post"],
)
def test_nobody_has_said_no_who_was_not_asked(text: str) -> None:
    assert said_in("consent", text) == doubted(text)


@pytest.mark.parametrize(
    ("field", "mark"),
    [("opted_out_at", "unsubscribed"), ("cleaned_at", "cleaned"), ("complained_at", "complained")],
)
def test_a_mark_is_told_with_its_column(field: str, mark: str) -> None:
    assert said_in(field, "2024-01-01", "Datum") == OptOut(mark, "Datum: 2024-01-01")
    assert said_in(field, "nee") == NOTHING


def test_remarks_are_refusals_doubts_or_nothing() -> None:
    assert said_in("remark", "wil geen mail meer") == OptOut("remark", "T: wil geen mail meer")
    assert said_in("remark", "niet afgemeld") == doubted("niet afgemeld")
    assert said_in("remark", "wil graag mail") == NOTHING


def test_subscribed_is_followed_by_a_date_or_by_an_answer() -> None:
    assert said_in("since", "no", "Subscribed") == OptOut("unsubscribed", "Subscribed: no")
    assert said_in("since", "2024-01-01", "Subscribed") == NOTHING
    assert said_in("since", "spring 2024", "Subscribed") == NOTHING
    assert said_in("since", "geen", "Lid sinds") == NOTHING


def test_the_strongest_word_counts_and_the_first_of_equals() -> None:
    fields = ("remark", "status", "remark", "complained_at")
    marks = OptOutColumns([Column(index, f"T{index}", field) for index, field in enumerate(fields)])
    assert marks.find_in_row(["niet afgemeld", "bounced", "", ""]) == ("cleaned", "T1: bounced")
    assert marks.find_in_row(["stop", "bounced", "geen mail", ""]) == ("unsubscribed", "T0: stop")
    assert marks.find_in_row(["stop", "bounced", "", "x"]) == ("complained", "T3: x")
    assert marks.find_in_row(["stop", "", "geen mail", ""]) == ("remark", "T0: stop")
    assert marks.find_in_row(["stop", "afgemeld", "", ""]) == ("unsubscribed", "T1: afgemeld")
    assert marks.find_in_row(["stop", "niet ingeschreven", "", ""]) == ("remark", "T0: stop")


def test_a_column_without_a_title_is_named_by_its_place() -> None:
    said = OptOutColumns([Column(2, "", "remark")]).find_in_row(["", "", "afgemeld"])
    assert said == ("remark", "column 3: afgemeld")


@pytest.mark.parametrize(("letters", "shown"), [(79, 79), (80, 80), (81, 80)])
def test_long_words_are_cut_and_kept_on_one_line(letters: int, shown: int) -> None:
    text = "stop mail\n".ljust(letters, "x")
    told = said_in("remark", text).said.removeprefix("T: ")
    assert len(told) == shown
    assert told.startswith("stop mail x")
    assert told.endswith("…") is (letters > shown)


def test_a_column_may_refuse_if_one_of_its_cells_does() -> None:
    assert may_refuse(["lid", "niet mailen"])
    assert may_refuse(["lid", "k. Werbung"])
    assert not may_refuse(["G. Post", "K. Müller"])
    assert not may_refuse(["lid", "niet afgemeld"])


@pytest.mark.parametrize("field", ["name", "first_name", "last_name"])
@pytest.mark.parametrize(
    "text",
    [
        "Jan Jansen (overl. 2021)",
        "Jansen - geen post",
        "Mevr. de Wit overl.",
        "A. Roth †",
        "B (gn mail)",
        "Stop mail (Jan)",
        "Jan (stop)",
    ],
)
def test_a_remark_in_a_name_leaves_it_in_doubt(field: str, text: str) -> None:
    assert said_in(field, text) == doubted(text)


@pytest.mark.parametrize(
    "text",
    [
        *("Jan Jansen", "Jan (penningmeester)", "Fam. Post", "Nora Not", "G. Post"),
        *("mw. K. Mailer", "G. Post (Gerrit)", "K. Post (K.)", "No. 5 Bistro", ""),
        *("Stichting Stop (Aids)", "Stop Aids Now!", "STOP AIDS NOW!"),
    ],
)
def test_a_name_is_none(text: str) -> None:
    assert said_in("name", text) == NOTHING
